"""The transactions of the outbox of webhooks: what is still to be sent, and to what subscription.

An event is in the outbox from the moment that it is noted until the receiver has taken it or it is given up, so a crash
loses none. So are the notices of a subscription: that events for it are gone, and that it was ended. A row that a
worker has taken is free again after a while, in case that the worker dies. Every transaction changes the row of a
subscription before those of its outbox, so that no two of them wait for each other.
"""

import json
import secrets
from collections.abc import Sequence
from typing import Any, Final

from kallyai_mcp.calls.events import ACCESS_REVOKED, FORBIDDEN, Event, occurrence
from kallyai_mcp.calls.ledger import events
from kallyai_mcp.calls.ledger.base import Row, Tx, moment_or_none
from kallyai_mcp.calls.records import AccountKey
from kallyai_mcp.calls.webhook_records import END, GAP, DueMessage, WebhookSubscription
from kallyai_mcp.common_types import REVOKED_SIGN_IN

_OWN = "api = :api AND account = :account"

_PAGE = 100
"""How many events are put into the outbox in one transaction, for each subscription."""

_NOTICE_SECONDS = 3600.0
"""For how long a subscription that was ended is kept, so that its receiver can be told."""

_EXPIRED = "s.expires_at <= :now"
_REVOKED = (
    f"EXISTS (SELECT 1 FROM shared_values AS v WHERE v.kind = '{REVOKED_SIGN_IN}' "
    "AND v.name = s.sign_in AND v.expires_at > :now)"
)
"""The sign-in with which a subscription `s` was made was revoked (`TokenIssuer.revoke_family`)."""

_LIVE = f"s.ended IS NULL AND NOT {_EXPIRED} AND NOT {_REVOKED}"
"""A subscription `s` may get events."""

_FREE = "o.due_at <= :now AND (o.taken_until IS NULL OR o.taken_until <= :now)"
"""A row `o` of the outbox is due, and no worker is sending it."""

_IN_ORDER = "o.due_at, o.position, o.subscription"

_ACCESS_REVOKED: Final = {
    "code": FORBIDDEN,
    "message": "The sign-in with which this subscription was made was revoked.",
    "data": {"reason": ACCESS_REVOKED},
}


def live(tx: Tx, account: AccountKey) -> Sequence[WebhookSubscription]:
    """The account's subscriptions that have not ended."""
    rows = tx.rows(
        f"SELECT s.* FROM webhook_subscriptions AS s WHERE {_OWN} AND {_LIVE}", now=tx.now(), **account.columns
    )
    return [_subscription(row) for row in rows]


def delete(tx: Tx, id_: str) -> None:
    """Delete a subscription and what was to be sent to it."""
    tx.run("DELETE FROM webhook_subscriptions WHERE id = :id", id=id_)
    tx.run("DELETE FROM webhook_outbox WHERE subscription = :id", id=id_)


def drop(tx: Tx, account: AccountKey, id_: str) -> bool:
    """End a subscription of the account, and forget what was to be sent; False when there is none."""
    if not any(each.id == id_ for each in live(tx, account)):
        return False
    delete(tx, id_)
    return True


def end(tx: Tx, due: DueMessage, error: dict[str, Any]) -> None:
    """The receiver wants no more: end the subscription, and tell it so with this error, but only once."""
    if due.is_end:
        settle(tx, due)
    else:
        terminate(tx, due.subscription.id, error)


def terminate(tx: Tx, id_: str, error: dict[str, Any]) -> None:
    """End a subscription: nothing is sent to it any more, except that it was ended because of `error`."""
    now = tx.now()
    changed = tx.run(
        "UPDATE webhook_subscriptions SET ended = :ended, expires_at = :until WHERE id = :id AND ended IS NULL",
        id=id_,
        ended=json.dumps(error),
        until=now + _NOTICE_SECONDS,
    )
    if changed:
        tx.run("DELETE FROM webhook_outbox WHERE subscription = :id", id=id_)
        _add(tx, id_, END, f"msg_terminated_{secrets.token_hex(8)}")


def accounts_to_fill(tx: Tx) -> list[AccountKey]:
    """The accounts with something new for a subscription, or with one whose time is over."""
    rows = tx.rows(
        "SELECT DISTINCT s.api, s.account FROM webhook_subscriptions AS s JOIN accounts AS a "
        f"ON a.api = s.api AND a.account = s.account WHERE {_EXPIRED} OR s.ended IS NULL AND (s.position < a.events "
        f"OR {_REVOKED} "
        f"OR EXISTS (SELECT 1 FROM calls AS c WHERE c.api = s.api AND c.account = s.account AND {events.UNNOTED}))",
        now=tx.now(),
    )
    return [AccountKey(row["api"], row["account"]) for row in rows]


def fill(tx: Tx, account: AccountKey) -> None:
    """Put an account's new events into the outbox, and end its subscriptions whose time is over."""
    events.note(tx, account)  # locks the account
    own = f"SELECT s.id FROM webhook_subscriptions AS s WHERE {_OWN} AND"
    for row in tx.rows(f"{own} {_EXPIRED}", now=tx.now(), **account.columns):
        delete(tx, row["id"])
    for row in tx.rows(f"{own} s.ended IS NULL AND {_REVOKED}", now=tx.now(), **account.columns):
        terminate(tx, row["id"], _ACCESS_REVOKED)
    for subscription in live(tx, account):
        page = events.read(tx, account, subscription.position, None, _PAGE)
        tx.run(
            "UPDATE webhook_subscriptions SET position = :position WHERE id = :id",
            id=subscription.id,
            position=page.position,
        )
        for event in page.events:
            if event.is_wanted(subscription.name, subscription.call_id):
                _add(tx, subscription.id, event.position, event.event_id)
        if page.has_gap:
            _note_gap(tx, subscription.id)


def is_due(tx: Tx) -> bool:
    """Whether `take` would take anything."""
    return bool(tx.rows(f"SELECT 1 AS found FROM webhook_outbox AS o WHERE {_FREE} LIMIT 1", now=tx.now()))


def take(tx: Tx, seconds: float, most: int, share: int) -> tuple[list[DueMessage], list[Row]]:
    """Take rows that are due, and that no other worker is taking at the same time; see `WebhookStore.take_due`.

    Returns:
        The messages, and the rows that have none any more, for `drop_lost`.
    """
    now = tx.now()
    rows = tx.rows(
        "WITH due AS (SELECT o.subscription, o.position FROM webhook_outbox AS o "
        "WHERE (o.subscription, o.position) IN (SELECT subscription, position FROM ("
        f"SELECT o.*, ROW_NUMBER() OVER (PARTITION BY s.api, s.account ORDER BY {_IN_ORDER}) AS place "
        "FROM webhook_outbox AS o LEFT JOIN webhook_subscriptions AS s ON s.id = o.subscription "
        f"WHERE {_FREE}) AS placed WHERE place <= :share) "
        f"AND {_FREE} ORDER BY {_IN_ORDER} LIMIT :most {tx.SKIP_LOCKED}) "
        "UPDATE webhook_outbox SET taken_until = :until "
        "WHERE (subscription, position) IN (SELECT subscription, position FROM due) "
        "RETURNING subscription, position, attempts, message_id, taken_until, due_at",
        now=now,
        until=now + seconds,
        share=share,
        most=most,
    )
    rows.sort(key=lambda row: (row["due_at"], row["position"], row["subscription"]))
    found = [due_of(tx, row) for row in rows]
    lost = [row for row, due in zip(rows, found, strict=True) if due is None]
    return [due for due in found if due is not None], lost


def drop_lost(tx: Tx, rows: list[Row]) -> None:
    """Delete rows whose subscription has ended, or whose event the ledger has forgotten, which is a gap."""
    for row in rows:
        if row["position"] > GAP:
            _note_gap(tx, row["subscription"])
        tx.run(
            "DELETE FROM webhook_outbox WHERE subscription = :id AND position = :position",
            id=row["subscription"],
            position=row["position"],
        )


def renewed(tx: Tx, due: DueMessage) -> DueMessage | None:
    """`due` as it is now; None when it is not to be sent any more, or another worker has taken it."""
    rows = tx.rows(
        "SELECT subscription, position, attempts, message_id, taken_until FROM webhook_outbox "
        "WHERE subscription = :id AND position = :position AND taken_until = :until",
        until=due.taken_until,
        **_key(due),
    )
    return due_of(tx, rows[0]) if rows else None


def settle(tx: Tx, due: DueMessage, *, error: str | None = None) -> None:
    """The receiver has taken a message, or it is given up because of `error`, and then told that there is a gap."""
    id_ = due.subscription.id
    if due.is_end:
        tx.run("DELETE FROM webhook_subscriptions WHERE id = :id AND ended IS NOT NULL", id=id_)
    else:
        _note_delivery(tx, due, error)
        if error is not None and due.position != GAP:
            _note_gap(tx, id_)
    deleted = tx.run(  # a gap that was found meanwhile has a notice of its own
        "DELETE FROM webhook_outbox WHERE subscription = :id AND position = :position "
        "AND (position > 0 OR message_id = :message_id)",
        message_id=due.message_id,
        **_key(due),
    )
    if deleted and due.position == GAP and error is None:
        tx.run("UPDATE webhook_subscriptions SET has_gap = 0 WHERE id = :id", id=id_)


def retry(tx: Tx, due: DueMessage, error: str | None, seconds: float) -> None:
    """Send a message again after so many seconds; without an `error` it was not sent, which does not count as a try."""
    if error is not None:
        _note_delivery(tx, due, error)
    tx.run(
        "UPDATE webhook_outbox SET due_at = :due_at, attempts = :attempts, taken_until = NULL "
        "WHERE subscription = :id AND position = :position",
        due_at=tx.now() + seconds,
        attempts=due.attempts + int(error is not None),
        **_key(due),
    )


def due_of(tx: Tx, row: Row) -> DueMessage | None:
    """The message of a row; None if its subscription has ended, or the ledger has forgotten its event."""
    id_, position = row["subscription"], row["position"]
    condition = f"s.ended IS NOT NULL AND NOT {_EXPIRED}" if position == END else _LIVE
    rows = tx.rows(f"SELECT s.* FROM webhook_subscriptions AS s WHERE s.id = :id AND {condition}", id=id_, now=tx.now())
    if not rows:
        return None
    subscription, message_id = _subscription(rows[0]), row["message_id"]
    body: dict[str, Any]
    if position == END:
        body = {"type": "terminated", "error": json.loads(rows[0]["ended"])}
    elif position == GAP:
        body = {"type": "gap", "cursor": str(watermark(tx, id_, subscription.position))}
    elif (event := _event(tx, subscription, position)) is not None:
        cursor = min(watermark(tx, id_, position, without=position), position)
        message_id, body = event.event_id, occurrence(event, str(cursor))
    else:
        return None
    return DueMessage(subscription, position, message_id, body, row["attempts"], row["taken_until"])


def watermark(tx: Tx, id_: str, position: int, *, without: int = -1) -> int:
    """The last position before the first event that is still to be sent, other than `without`; at most `position`."""
    [row] = tx.rows(
        "SELECT MIN(position) AS first FROM webhook_outbox "
        "WHERE subscription = :id AND position > 0 AND position <> :without",
        id=id_,
        without=without,
    )
    return position if row["first"] is None else min(position, row["first"] - 1)


def _add(tx: Tx, id_: str, position: int, message_id: str) -> None:
    """Add a row; a notice that is still to be sent gets the new id, so that it is not taken for settled."""
    tx.run(
        "INSERT INTO webhook_outbox (subscription, position, attempts, due_at, message_id) "
        "VALUES (:id, :position, 0, :now, :message_id) "
        "ON CONFLICT (subscription, position) DO UPDATE SET message_id = excluded.message_id",
        id=id_,
        position=position,
        message_id=message_id,
        now=tx.now(),
    )


def _note_gap(tx: Tx, id_: str) -> None:
    """Let the receiver be told that events are gone, unless its subscription has ended."""
    changed = tx.run(
        f"UPDATE webhook_subscriptions AS s SET has_gap = 1 WHERE s.id = :id AND {_LIVE}", id=id_, now=tx.now()
    )
    if changed:
        _add(tx, id_, GAP, f"msg_gap_{secrets.token_hex(8)}")


def _note_delivery(tx: Tx, due: DueMessage, error: str | None) -> None:
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


def _event(tx: Tx, subscription: WebhookSubscription, position: int) -> Event | None:
    page = events.read(tx, subscription.account, position - 1, None, 1)
    return page.events[0] if page.events and page.events[0].position == position else None


def _subscription(row: Row) -> WebhookSubscription:
    names = ("id", "url", "name", "call_id", "secret", "sign_in", "position", "old_secret", "last_error")
    times = ("expires_at", "old_secret_until", "last_delivery_at", "failed_since")
    values: dict[str, Any] = {name: row[name] for name in names} | {name: moment_or_none(row[name]) for name in times}
    return WebhookSubscription(account=AccountKey(row["api"], row["account"]), has_gap=bool(row["has_gap"]), **values)


def _key(due: DueMessage) -> dict[str, Any]:
    return {"id": due.subscription.id, "position": due.position}
