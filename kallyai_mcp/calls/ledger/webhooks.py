"""The transactions of webhooks: who wants which events at which URL, and the outbox of what is still to be sent.

An event is in the outbox from the moment that it is noted until the receiver has taken it or it is given up, so a crash
loses none. A row that a worker has taken is free again after a while, in case that the worker dies.
"""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from kallyai_mcp.calls.events import Event
from kallyai_mcp.calls.ledger import events
from kallyai_mcp.calls.ledger.base import Database, Row
from kallyai_mcp.calls.ledger.base import Transaction as Tx
from kallyai_mcp.calls.records import AccountKey, moment
from kallyai_mcp.calls.webhook_records import Due, Start, Subscription
from kallyai_mcp.common_types import REVOKED_SIGN_IN

_OWN = "api = :api AND account = :account"
_OVERLAP = 300.0
"""Seconds for which the secret before signs, too."""

_PAGE = 100
"""How many events are put into the outbox in one transaction, for each subscription."""

_OVER = (
    f"(s.expires_at <= :now OR EXISTS (SELECT 1 FROM shared_values AS v WHERE v.kind = '{REVOKED_SIGN_IN}' "
    "AND v.name = s.sign_in AND v.expires_at > :now))"
)
"""A subscription `s` has expired, or the sign-in with which it was made was revoked (`TokenIssuer.revoke_family`)."""

_FREE = "o.due_at <= :now AND (o.taken_until IS NULL OR o.taken_until <= :now)"
"""A row `o` of the outbox is due, and no worker is sending it."""


class WebhookStore:
    """Subscriptions and the outbox. Every method raises `LedgerUnavailableError` when the database can't be used.

    Args:
        database: The ledger's.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def subscriptions(self, account: AccountKey) -> list[Subscription]:
        """The account's subscriptions that have not expired."""
        return await self._database.read(lambda tx: _live(tx, account), empty=[])

    async def put(
        self, given: Subscription, after: int | None, since: datetime | None, *, lifetime: timedelta, most: int
    ) -> Start | None:
        """Add a subscription, or refresh the one with the same id, which goes on where it is.

        Args:
            given: The subscription; its `position` and `expires_at` are chosen here.
            after: The position to begin at; None to begin with what happens from now on.
            since: Leave out what happened before.
            lifetime: After which time it ends, by the database's clock.
            most: How many subscriptions the account may have.

        Returns:
            None when the account has `most` others.
        """

        def work(tx: Tx) -> Start | None:
            events.note(tx, given.account)  # locks the account
            wanted = replace(given, expires_at=moment(tx.now() + lifetime.total_seconds()))
            present = _live(tx, wanted.account)
            before = next((each for each in present if each.id == wanted.id), None)
            if before is not None:
                return _refresh(tx, before, wanted)
            if len(present) >= most:
                return None
            page = events.read(tx, wanted.account, after, since.timestamp() if since is not None else None, 1)
            start = page.position
            if after is not None and not (page.has_gap and not page.events):
                start = page.events[0].position - 1 if page.has_gap else after
            tx.run("DELETE FROM webhook_outbox WHERE subscription = :id", id=wanted.id)
            tx.run("DELETE FROM webhook_subscriptions WHERE id = :id", id=wanted.id)
            tx.run(
                "INSERT INTO webhook_subscriptions "
                "(id, api, account, url, name, call_id, secret, expires_at, sign_in, position) "
                "VALUES (:id, :api, :account, :url, :name, :call_id, :secret, :expires_at, :sign_in, :position)",
                id=wanted.id,
                url=wanted.url,
                name=wanted.name,
                call_id=wanted.call_id,
                secret=wanted.secret,
                expires_at=wanted.expires_at.timestamp(),
                sign_in=wanted.sign_in,
                position=start,
                **wanted.account.columns,
            )
            return Start(start, page.has_gap, wanted.expires_at)

        return await self._database.write(work)

    async def drop(self, account: AccountKey, id_: str) -> bool:
        """End a subscription of the account, and forget what was to be sent; False when there is none."""

        def work(tx: Tx) -> bool:
            if not any(each.id == id_ for each in _live(tx, account)):
                return False
            _delete(tx, id_)
            return True

        return await self._database.write(work)

    async def fill(self) -> None:
        """Put what has happened since the last time into the outbox, and end the subscriptions whose time is over."""
        accounts: list[AccountKey] = await self._database.read(_accounts_to_fill, empty=[])
        for account in accounts:
            await self._database.write(partial(_fill, account=account))

    async def take_due(self, seconds: float, most: int, share: int) -> list[Due]:
        """Take events that are due, the oldest first; each is free again after so many seconds, unless it is settled.

        Args:
            seconds: See above.
            most: At most so many.
            share: At most so many of one account, so that its slow receivers hold up nobody else.
        """

        def is_due(tx: Tx) -> bool:
            return bool(tx.rows(f"SELECT 1 AS found FROM webhook_outbox AS o WHERE {_FREE} LIMIT 1", now=tx.now()))

        if not await self._database.read(is_due, empty=False):
            return []
        return await self._database.write(lambda tx: _take_due(tx, seconds, most, share))

    async def renewed(self, due: Due) -> Due | None:
        """`due` as it is now; None when it is not to be sent any more, or another worker has taken it."""

        def look(tx: Tx) -> Due | None:
            rows = tx.rows(
                "SELECT subscription, position, attempts, taken_until FROM webhook_outbox "
                "WHERE subscription = :id AND position = :position AND taken_until = :until",
                until=due.taken_until,
                **_key(due),
            )
            return _due(tx, rows[0]) if rows else None

        return await self._database.read(look, empty=None)

    async def settle(self, due: Due, *, error: str | None = None) -> None:
        """The receiver has taken an event, or it is given up because of `error`."""

        def work(tx: Tx) -> None:
            tx.run("DELETE FROM webhook_outbox WHERE subscription = :id AND position = :position", **_key(due))
            _note_delivery(tx, due, error)

        await self._database.write(work)

    async def retry(self, due: Due, error: str | None, seconds: float) -> None:
        """The receiver has not taken an event; it is sent again after so many seconds.

        Args:
            due: The event.
            error: Why; None when it was not sent, which does not count as a try.
            seconds: See above.
        """

        def work(tx: Tx) -> None:
            tx.run(
                "UPDATE webhook_outbox SET due_at = :due_at, attempts = :attempts, taken_until = NULL "
                "WHERE subscription = :id AND position = :position",
                due_at=tx.now() + seconds,
                attempts=due.attempts + int(error is not None),
                **_key(due),
            )
            if error is not None:
                _note_delivery(tx, due, error)

        await self._database.write(work)

    async def end(self, due: Due) -> None:
        """The receiver wants no more: end the subscription."""
        await self._database.write(lambda tx: _delete(tx, due.subscription.id))


def _refresh(tx: Tx, before: Subscription, wanted: Subscription) -> Start:
    now, is_new = tx.now(), before.secret != wanted.secret
    tx.run(
        "UPDATE webhook_subscriptions SET secret = :secret, expires_at = :expires_at, sign_in = :sign_in, "
        "old_secret = :old, old_secret_until = :until WHERE id = :id",
        id=wanted.id,
        secret=wanted.secret,
        sign_in=wanted.sign_in,
        expires_at=wanted.expires_at.timestamp(),
        old=before.secret if is_new else before.old_secret,
        until=now + _OVERLAP if is_new else _seconds(before.old_secret_until),
    )
    tx.run("UPDATE webhook_outbox SET due_at = :now WHERE subscription = :id AND due_at > :now", id=wanted.id, now=now)
    return Start(_watermark(tx, before.id, before.position), has_gap=False, expires_at=wanted.expires_at)


def _accounts_to_fill(tx: Tx) -> list[AccountKey]:
    """The accounts with something new for a subscription, or with one whose time is over."""
    rows = tx.rows(
        "SELECT DISTINCT s.api, s.account FROM webhook_subscriptions AS s JOIN accounts AS a "
        f"ON a.api = s.api AND a.account = s.account WHERE s.position < a.events OR {_OVER} "
        f"OR EXISTS (SELECT 1 FROM calls AS c WHERE c.api = s.api AND c.account = s.account AND {events.UNNOTED})",
        now=tx.now(),
    )
    return [AccountKey(row["api"], row["account"]) for row in rows]


def _fill(tx: Tx, account: AccountKey) -> None:
    events.note(tx, account)  # locks the account
    over = f"SELECT s.id FROM webhook_subscriptions AS s WHERE {_OWN} AND {_OVER}"
    for row in tx.rows(over, now=tx.now(), **account.columns):
        _delete(tx, row["id"])
    for subscription in _live(tx, account):
        page = events.read(tx, account, subscription.position, None, _PAGE)
        for event in filter(subscription.wants, page.events):
            tx.run(
                "INSERT INTO webhook_outbox (subscription, position, attempts, due_at) "
                "VALUES (:id, :position, 0, :now) ON CONFLICT (subscription, position) DO NOTHING",
                id=subscription.id,
                position=event.position,
                now=tx.now(),
            )
        tx.run(
            "UPDATE webhook_subscriptions SET position = :position WHERE id = :id",
            id=subscription.id,
            position=page.position,
        )


def _take_due(tx: Tx, seconds: float, most: int, share: int) -> list[Due]:
    now = tx.now()
    rows = tx.rows(
        "SELECT subscription, position, attempts FROM (SELECT o.*, ROW_NUMBER() OVER "
        "(PARTITION BY s.api, s.account ORDER BY o.due_at, o.position, o.subscription) AS place "
        f"FROM webhook_outbox AS o LEFT JOIN webhook_subscriptions AS s ON s.id = o.subscription WHERE {_FREE}) AS due "
        "WHERE place <= :share ORDER BY due_at, position, subscription LIMIT :most",
        now=now,
        share=share,
        most=most,
    )
    # In one order for all workers: each waits for the rows that another one is taking.
    in_order = sorted(rows, key=lambda row: (row["subscription"], row["position"]))
    taken = [row for row in in_order if _take(tx, row, now, now + seconds)]
    taken.sort(key=rows.index)
    found: list[Due] = []
    for row in taken:
        due = _due(tx, {**row, "taken_until": now + seconds})
        if due is None:  # its subscription has ended, or the ledger has forgotten the event
            tx.run(
                "DELETE FROM webhook_outbox WHERE subscription = :id AND position = :position",
                id=row["subscription"],
                position=row["position"],
            )
        else:
            found.append(due)
    return found


def _take(tx: Tx, row: Row, now: float, until: float) -> bool:
    """Whether this worker got the row: another one may have taken it at the same time."""
    changed = tx.run(
        "UPDATE webhook_outbox AS o SET taken_until = :until "
        f"WHERE subscription = :id AND position = :position AND {_FREE}",
        now=now,
        until=until,
        id=row["subscription"],
        position=row["position"],
    )
    return changed > 0


def _due(tx: Tx, row: Row) -> Due | None:
    rows = tx.rows(
        "SELECT s.*, e.event_id AS event_id, e.at AS event_at, e.data AS event_data FROM webhook_subscriptions AS s "
        "JOIN events AS e ON e.api = s.api AND e.account = s.account AND e.position = :position "
        f"WHERE s.id = :id AND NOT {_OVER}",
        id=row["subscription"],
        position=row["position"],
        now=tx.now(),
    )
    if not rows:
        return None
    subscription, found = _subscription(rows[0]), rows[0]
    data: dict[str, Any] = json.loads(found["event_data"])
    event = Event(row["position"], found["event_id"], subscription.name, moment(found["event_at"]), data)
    cursor = _watermark(tx, subscription.id, event.position, without=event.position)
    return Due(subscription, event, row["attempts"], min(cursor, event.position), row["taken_until"])


def _watermark(tx: Tx, id_: str, position: int, *, without: int = -1) -> int:
    """The last position before the first event that is still to be sent, other than `without`; at most `position`."""
    [row] = tx.rows(
        "SELECT MIN(position) AS first FROM webhook_outbox WHERE subscription = :id AND position <> :without",
        id=id_,
        without=without,
    )
    return position if row["first"] is None else min(position, row["first"] - 1)


def _note_delivery(tx: Tx, due: Due, error: str | None) -> None:
    now = tx.now()
    tx.run(
        "UPDATE webhook_subscriptions SET last_error = :error, "
        "last_delivery_at = CASE WHEN :failed = 1 THEN last_delivery_at ELSE :now END, "
        "failed_since = CASE WHEN :failed = 1 THEN COALESCE(failed_since, :now) ELSE NULL END WHERE id = :id",
        error=error,
        failed=int(error is not None),
        now=now,
        id=due.subscription.id,
    )


def _delete(tx: Tx, id_: str) -> None:
    tx.run("DELETE FROM webhook_outbox WHERE subscription = :id", id=id_)
    tx.run("DELETE FROM webhook_subscriptions WHERE id = :id", id=id_)


def _live(tx: Tx, account: AccountKey) -> list[Subscription]:
    rows = tx.rows(
        f"SELECT s.* FROM webhook_subscriptions AS s WHERE {_OWN} AND NOT {_OVER}", now=tx.now(), **account.columns
    )
    return [_subscription(row) for row in rows]


def _subscription(row: Row) -> Subscription:
    return Subscription(
        id=row["id"],
        account=AccountKey(row["api"], row["account"]),
        url=row["url"],
        name=row["name"],
        call_id=row["call_id"],
        secret=row["secret"],
        expires_at=moment(row["expires_at"]),
        sign_in=row["sign_in"],
        position=row["position"],
        old_secret=row["old_secret"],
        old_secret_until=_moment(row["old_secret_until"]),
        last_delivery_at=_moment(row["last_delivery_at"]),
        last_error=row["last_error"],
        failed_since=_moment(row["failed_since"]),
    )


def _key(due: Due) -> dict[str, Any]:
    return {"id": due.subscription.id, "position": due.event.position}


def _moment(seconds: float | None) -> datetime | None:
    return moment(seconds) if seconds is not None else None


def _seconds(time: datetime | None) -> float | None:
    return time.timestamp() if time is not None else None
