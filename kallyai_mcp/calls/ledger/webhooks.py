"""The transactions of webhooks: who wants which events at which URL, and the outbox of what is still to be sent.

An event is in the outbox from the moment that it is noted until the receiver has taken it or it is given up, so a crash
loses none. A row that a worker has taken is due again after a while, in case that the worker dies.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from kallyai_mcp.calls.events import Event
from kallyai_mcp.calls.ledger import events
from kallyai_mcp.calls.ledger.base import Database, Row
from kallyai_mcp.calls.ledger.base import Transaction as Tx
from kallyai_mcp.calls.records import AccountKey, moment

_OWN = "api = :api AND account = :account"
_OVERLAP = 300.0
"""Seconds for which the secret before signs, too."""

_PAGE = 100
"""How many events are put into the outbox in one transaction, for each subscription."""


@dataclass(frozen=True, repr=False)
class Subscription:
    """One subscription. All times are aware.

    Attributes:
        id: The same for the same account, URL, event type, and arguments.
        account: Whose events.
        url: Where they are sent.
        name: The event type.
        call_id: The one call to hear of; None for all.
        secret: Signs what is sent.
        old_secret: The one before, which signs too until `old_secret_until`.
        old_secret_until: See there.
        expires_at: When it ends, unless it is refreshed.
        position: The events up to it are in the outbox or were sent.
        last_delivery_at: When the receiver took an event last.
        last_error: Why the last delivery failed; None when it did not.
        failed_since: When deliveries began to fail.
    """

    id: str
    account: AccountKey
    url: str
    name: str
    call_id: str | None
    secret: str
    expires_at: datetime
    position: int = 0
    old_secret: str | None = None
    old_secret_until: datetime | None = None
    last_delivery_at: datetime | None = None
    last_error: str | None = None
    failed_since: datetime | None = None

    def wants(self, event: Event) -> bool:
        """Whether an event is for this subscription."""
        return event.name == self.name and (self.call_id is None or event.concerns(self.call_id))


@dataclass(frozen=True)
class Start:
    """Where a subscription begins or goes on: see `EventPage` for the two attributes."""

    position: int
    has_gap: bool


@dataclass(frozen=True)
class Due:
    """An event to be sent now.

    Attributes:
        subscription: The subscription that it goes to.
        event: What.
        attempts: How often that was tried.
        cursor: Everything up to this position was taken or given up once this event is.
    """

    subscription: Subscription
    event: Event
    attempts: int
    cursor: int


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

    async def put(self, wanted: Subscription, after: int | None, since: datetime | None) -> Start:
        """Add a subscription, or refresh the one with the same id, which goes on where it is.

        Args:
            wanted: The subscription; its `position` is chosen here.
            after: The position to begin at; None to begin with what happens from now on.
            since: Leave out what happened before.
        """

        def work(tx: Tx) -> Start:
            events.note(tx, wanted.account)  # locks the account
            before = next((each for each in _live(tx, wanted.account) if each.id == wanted.id), None)
            if before is not None:
                return _refresh(tx, before, wanted)
            page = events.read(tx, wanted.account, after, since.timestamp() if since is not None else None, 1)
            start = page.position
            if after is not None and not (page.has_gap and not page.events):
                start = page.events[0].position - 1 if page.has_gap else after
            tx.run("DELETE FROM webhook_outbox WHERE subscription = :id", id=wanted.id)
            tx.run("DELETE FROM webhook_subscriptions WHERE id = :id", id=wanted.id)
            tx.run(
                "INSERT INTO webhook_subscriptions "
                "(id, api, account, url, name, call_id, secret, expires_at, position) "
                "VALUES (:id, :api, :account, :url, :name, :call_id, :secret, :expires_at, :position)",
                id=wanted.id,
                url=wanted.url,
                name=wanted.name,
                call_id=wanted.call_id,
                secret=wanted.secret,
                expires_at=wanted.expires_at.timestamp(),
                position=start,
                **wanted.account.columns,
            )
            return Start(start, page.has_gap)

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
        """Put what has happened since the last time into the outbox, and end the subscriptions that have expired."""
        accounts: list[AccountKey] = await self._database.read(_accounts_to_fill, empty=[])
        for account in accounts:
            await self._database.write(partial(_fill, account=account))

    async def take_due(self, seconds: float, most: int) -> list[Due]:
        """Take at most `most` events that are due; each is due again after so many seconds, unless it is settled."""

        def is_due(tx: Tx) -> bool:
            return bool(tx.rows("SELECT 1 AS found FROM webhook_outbox WHERE due_at <= :now LIMIT 1", now=tx.now()))

        if not await self._database.read(is_due, empty=False):
            return []
        return await self._database.write(lambda tx: _take_due(tx, seconds, most))

    async def settle(self, due: Due, *, error: str | None = None) -> None:
        """The receiver has taken an event, or it is given up because of `error`."""

        def work(tx: Tx) -> None:
            tx.run("DELETE FROM webhook_outbox WHERE subscription = :id AND position = :position", **_key(due))
            _note_delivery(tx, due, error)

        await self._database.write(work)

    async def retry(self, due: Due, error: str, seconds: float) -> None:
        """The receiver has not taken an event; it is sent again after so many seconds."""

        def work(tx: Tx) -> None:
            tx.run(
                "UPDATE webhook_outbox SET due_at = :due_at, attempts = :attempts "
                "WHERE subscription = :id AND position = :position",
                due_at=tx.now() + seconds,
                attempts=due.attempts + 1,
                **_key(due),
            )
            _note_delivery(tx, due, error)

        await self._database.write(work)

    async def end(self, due: Due) -> None:
        """The receiver wants no more: end the subscription."""
        await self._database.write(lambda tx: _delete(tx, due.subscription.id))


def _refresh(tx: Tx, before: Subscription, wanted: Subscription) -> Start:
    now, is_new = tx.now(), before.secret != wanted.secret
    tx.run(
        "UPDATE webhook_subscriptions SET secret = :secret, expires_at = :expires_at, old_secret = :old, "
        "old_secret_until = :until WHERE id = :id",
        id=wanted.id,
        secret=wanted.secret,
        expires_at=wanted.expires_at.timestamp(),
        old=before.secret if is_new else before.old_secret,
        until=now + _OVERLAP if is_new else _seconds(before.old_secret_until),
    )
    tx.run("UPDATE webhook_outbox SET due_at = :now WHERE subscription = :id AND due_at > :now", id=wanted.id, now=now)
    return Start(_watermark(tx, before.id, before.position), has_gap=False)


def _accounts_to_fill(tx: Tx) -> list[AccountKey]:
    """The accounts with something new for a subscription, or with one that has expired."""
    rows = tx.rows("SELECT DISTINCT api, account FROM webhook_subscriptions")
    accounts = [AccountKey(row["api"], row["account"]) for row in rows]
    return [account for account in accounts if events.has_unnoted(tx, account) or _is_behind(tx, account)]


def _is_behind(tx: Tx, account: AccountKey) -> bool:
    return bool(
        tx.rows(
            "SELECT 1 AS found FROM webhook_subscriptions AS s JOIN accounts AS a "
            "ON a.api = s.api AND a.account = s.account "
            "WHERE s.api = :api AND s.account = :account AND (s.position < a.events OR s.expires_at <= :now) LIMIT 1",
            now=tx.now(),
            **account.columns,
        )
    )


def _fill(tx: Tx, account: AccountKey) -> None:
    events.note(tx, account)  # locks the account
    expired = "SELECT id FROM webhook_subscriptions WHERE api = :api AND account = :account AND expires_at <= :now"
    for row in tx.rows(expired, now=tx.now(), **account.columns):
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


def _take_due(tx: Tx, seconds: float, most: int) -> list[Due]:
    now = tx.now()
    rows = tx.rows(
        "SELECT subscription, position, attempts, due_at FROM webhook_outbox WHERE due_at <= :now "
        "ORDER BY due_at, position LIMIT :most",
        now=now,
        most=most,
    )
    taken = [row for row in rows if _take(tx, row, now + seconds)]
    found: list[Due] = []
    for row in taken:
        due = _due(tx, row)
        if due is None:  # its subscription has ended, or the ledger has forgotten the event
            tx.run(
                "DELETE FROM webhook_outbox WHERE subscription = :id AND position = :position",
                id=row["subscription"],
                position=row["position"],
            )
        else:
            found.append(due)
    return found


def _take(tx: Tx, row: Row, until: float) -> bool:
    """Whether this worker got the row: another one may have taken it at the same time."""
    changed = tx.run(
        "UPDATE webhook_outbox SET due_at = :until WHERE subscription = :id AND position = :position AND due_at = :due",
        until=until,
        id=row["subscription"],
        position=row["position"],
        due=row["due_at"],
    )
    return changed > 0


def _due(tx: Tx, row: Row) -> Due | None:
    rows = tx.rows(
        "SELECT s.*, e.event_id AS event_id, e.at AS event_at, e.data AS event_data FROM webhook_subscriptions AS s "
        "JOIN events AS e ON e.api = s.api AND e.account = s.account AND e.position = :position "
        "WHERE s.id = :id AND s.expires_at > :now",
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
    return Due(subscription, event, row["attempts"], min(cursor, event.position))


def _watermark(tx: Tx, id_: str, position: int, *, without: int = -1) -> int:
    """The position up to which nothing but `without` is to be sent any more; at most `position`."""
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
        f"SELECT * FROM webhook_subscriptions WHERE {_OWN} AND expires_at > :now", now=tx.now(), **account.columns
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
