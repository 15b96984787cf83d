"""The transactions of the outbox: the messages that are still to be sent to the subscriptions of webhooks.

A message is an event or a notice: that events are missing, or that the subscription was ended. It is in the outbox
until the receiver accepts it or it is given up, so no crash loses one. A worker takes a message for a limited time, in
case that the worker dies. Every transaction changes the row of a subscription before its messages, so that no two
transactions wait for each other.
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
"""How long a subscription that was ended is kept, so that its notice can be sent."""

_EXPIRED = "s.expires_at <= :now"
_REVOKED = (
    f"EXISTS (SELECT 1 FROM shared_values AS v WHERE v.kind = '{REVOKED_SIGN_IN}' "
    "AND v.name = s.sign_in AND v.expires_at > :now)"
)
"""The condition for a subscription `s` whose sign-in was revoked (`TokenIssuer.revoke_family`)."""

_LIVE = f"s.ended IS NULL AND NOT {_EXPIRED} AND NOT {_REVOKED}"
"""The condition for a subscription `s` that gets events."""

_FREE = "o.due_at <= :now AND (o.taken_until IS NULL OR o.taken_until <= :now)"
"""The condition for a message `o` that is due and that no worker has taken."""

_IN_ORDER = "o.due_at, o.position, o.subscription"

_ACCESS_REVOKED: Final = {
    "code": FORBIDDEN,
    "message": "The sign-in with which this subscription was made was revoked.",
    "data": {"reason": ACCESS_REVOKED},
}


def live(tx: Tx, account: AccountKey) -> Sequence[WebhookSubscription]:
    """The account's subscriptions that get events."""
    rows = tx.rows(
        f"SELECT s.* FROM webhook_subscriptions AS s WHERE {_OWN} AND {_LIVE}", now=tx.now(), **account.columns
    )
    return [_subscription(row) for row in rows]


def delete(tx: Tx, id_: str) -> None:
    """Delete a subscription and its messages."""
    tx.run("DELETE FROM webhook_subscriptions WHERE id = :id", id=id_)
    tx.run("DELETE FROM webhook_outbox WHERE subscription = :id", id=id_)


def drop(tx: Tx, account: AccountKey, id_: str) -> bool:
    """Delete a subscription of the account and its messages; False when there is none."""
    if not any(each.id == id_ for each in live(tx, account)):
        return False
    delete(tx, id_)
    return True


def end(tx: Tx, due: DueMessage, error: dict[str, Any]) -> None:
    """End the subscription of a message because its receiver wants no more, with one notice that has this `error`."""
    if due.is_end:
        settle(tx, due)
    else:
        terminate(tx, due.subscription.id, error)


def terminate(tx: Tx, id_: str, error: dict[str, Any]) -> None:
    """End a subscription, delete its messages, and add the notice that it was ended because of `error`."""
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
    """The accounts with new events for a subscription, or with a subscription that has expired or was revoked."""
    rows = tx.rows(
        "SELECT DISTINCT s.api, s.account FROM webhook_subscriptions AS s JOIN accounts AS a "
        f"ON a.api = s.api AND a.account = s.account WHERE {_EXPIRED} OR s.ended IS NULL AND (s.position < a.events "
        f"OR {_REVOKED} "
        f"OR EXISTS (SELECT 1 FROM calls AS c WHERE c.api = s.api AND c.account = s.account AND {events.UNNOTED}))",
        now=tx.now(),
    )
    return [AccountKey(row["api"], row["account"]) for row in rows]


def fill(tx: Tx, account: AccountKey) -> None:
    """Put an account's new events into the outbox, and end its subscriptions that have expired or were revoked."""
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
    """Take messages that are due and that no other worker has taken; see `WebhookStore.take_due`.

    Returns:
        The messages, and the rows whose event or subscription is gone, for `drop_lost`.
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
    """Delete rows from `take` whose event or subscription is gone. A missing event is noted as a gap."""
    for row in rows:
        if row["position"] > GAP:
            _note_gap(tx, row["subscription"])
        tx.run(
            "DELETE FROM webhook_outbox WHERE subscription = :id AND position = :position",
            id=row["subscription"],
            position=row["position"],
        )


def renewed(tx: Tx, due: DueMessage) -> DueMessage | None:
    """The newest state of a message that was taken; None when it is gone, or another worker has taken it since."""
    rows = tx.rows(
        "SELECT subscription, position, attempts, message_id, taken_until FROM webhook_outbox "
        "WHERE subscription = :id AND position = :position AND taken_until = :until",
        until=due.taken_until,
        **_key(due),
    )
    return due_of(tx, rows[0]) if rows else None


def settle(tx: Tx, due: DueMessage, *, error: str | None = None) -> None:
    """Remove a message that was accepted, or is given up because of `error`. A given-up event is noted as a gap."""
    id_ = due.subscription.id
    if due.is_end:
        tx.run("DELETE FROM webhook_subscriptions WHERE id = :id AND ended IS NOT NULL", id=id_)
    else:
        _note_delivery(tx, due, error)
        if error is not None and due.position != GAP:
            _note_gap(tx, id_)
    # A notice has another id when one more gap was found meanwhile: then it must be sent again.
    deleted = tx.run(
        "DELETE FROM webhook_outbox WHERE subscription = :id AND position = :position "
        "AND (position > 0 OR message_id = :message_id)",
        message_id=due.message_id,
        **_key(due),
    )
    if deleted and due.position == GAP and error is None:
        tx.run("UPDATE webhook_subscriptions SET has_gap = 0 WHERE id = :id", id=id_)


def retry(tx: Tx, due: DueMessage, error: str | None, seconds: float) -> None:
    """Let a message be sent again after `seconds`. An `error` is a failed try; None: the message was not sent."""
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
    """The message of a row; None if its subscription has ended, or its event was deleted."""
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
    """The cursor of a subscription: the position before its first event that is still to be sent, at most `position`.

    The event at the position `without` does not count.
    """
    [row] = tx.rows(
        "SELECT MIN(position) AS first FROM webhook_outbox "
        "WHERE subscription = :id AND position > 0 AND position <> :without",
        id=id_,
        without=without,
    )
    return position if row["first"] is None else min(position, row["first"] - 1)


def _add(tx: Tx, id_: str, position: int, message_id: str) -> None:
    """Add a message. A notice that is there already gets the new id, so that `settle` of the old one keeps it."""
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
    """Add the notice that events are missing, if the subscription gets events."""
    changed = tx.run(
        f"UPDATE webhook_subscriptions AS s SET has_gap = 1 WHERE s.id = :id AND {_LIVE}", id=id_, now=tx.now()
    )
    if changed:
        _add(tx, id_, GAP, f"msg_gap_{secrets.token_hex(8)}")


def _note_delivery(tx: Tx, due: DueMessage, error: str | None) -> None:
    """Note in the subscription that a delivery succeeded, or that it failed because of `error`."""
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
