"""The transaction that reserves a call: duplicate, call policy, consent, idempotency key, and the record."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any

from kallyai_mcp.api.errors import PolicyError
from kallyai_mcp.calls.clock import Stopwatch, moment
from kallyai_mcp.calls.ledger.base import ConsentOutdatedError, LeaseLostError, LedgerUnavailableError, ServiceTime, Tx
from kallyai_mcp.calls.ledger.rows import MINE, expire, insert, readable, select, write_audit
from kallyai_mcp.calls.policy import Consent, Limit
from kallyai_mcp.calls.records import (
    PLACED,
    SCHEDULED,
    AccountKey,
    CallRecord,
    CallState,
    Placed,
    from_row,
    idempotency_key,
    to_row,
)

_OPEN_FIRST = "ORDER BY CASE WHEN state IN ('scheduled', 'reserved', 'sent') THEN 0 ELSE 1 END, placed_at DESC LIMIT 1"

_DUPLICATE = f"""
SELECT * FROM calls WHERE {MINE} AND fingerprint = :fingerprint AND (
    state NOT IN ('ended', 'refused', 'canceled', 'expired') AND (state <> 'scheduled' OR place_by >= :now)
    OR state = 'ended' AND (
        delivered_at IS NULL OR delivered_at > :delivered_since OR placed_at > :delivered_since
        OR reached = 1 AND (ended_at > :ended_since OR placed_at > :ended_since)
    )
) {_OPEN_FIRST}
"""
"""Selects the record that answers a request for the same call (rule 6 of placing a call).

A state that this version does not know counts as active. If a call ended before it was placed, the clock was set back
between, and the later time counts. Open records come before the earlier attempts of the same call. A scheduled call
that is too late to be placed is not open, even if no worker has written that yet.
"""

_JOINED_BY_REDIAL = f"""
SELECT * FROM calls WHERE {MINE} AND fingerprint = :fingerprint AND (
    state NOT IN ('ended', 'refused', 'canceled', 'expired', 'unknown')
    AND (state <> 'scheduled' OR place_by >= :now)
    OR state IN ('ended', 'unknown') AND (delivered_at IS NULL OR delivered_at > :arrived AND delivered_at <= :now)
) {_OPEN_FIRST}
"""
"""Selects the record that answers a request with `redial`: open, or not delivered when the request arrived."""

_NEWEST_SINCE = """
placed_at > :since AND state NOT IN ('refused', 'canceled', 'scheduled', 'expired')
ORDER BY placed_at DESC LIMIT :limit
"""
"""Selects the calls that were placed, or may have been, since a time."""


@dataclass(frozen=True)
class Precheck:
    """What the ledger says about a call that may be placed, before the user is asked for consent.

    `duplicate` is the record that would answer the request, so that no new call is placed. `last_call` is when the last
    call to the number was placed, or may have been.
    """

    duplicate: CallRecord | None
    last_call: datetime | None = None


def precheck(tx: Tx, asked: CallRecord, *, redial: bool, arrived: Stopwatch | None = None) -> Precheck | PolicyError:
    """What `reserve` would find now. Another process may change it before `reserve` is called."""
    if (duplicate := find_duplicate(tx, asked, redial=redial, arrived=arrived)) is not None:
        return Precheck(duplicate)
    return check_policy(tx, asked) or Precheck(None, last_call(tx, asked.account, asked.submission.respondent_phone))


def note_refusal(tx: Tx, asked: CallRecord, error: PolicyError, consent: Consent | None) -> None:
    """Write into the audit trail that a setting refuses a call."""
    write_audit(tx, asked, consent, f"refused:{error.setting}")


def reserve(
    tx: Tx,
    asked: CallRecord,
    *,
    redial: bool,
    arrived: Stopwatch | None = None,
    consent: Consent | None = None,
    sends: ServiceTime | None = None,
) -> Placed | PolicyError | ConsentOutdatedError:
    """Write the record of a call, unless it is a duplicate, a setting refuses it, or its consent no longer fits.

    All of that is one transaction, so of two requests at the same time one comes first. With `redial`, a duplicate is
    placed too, unless the earlier call is active or its outcome was not delivered when the request `arrived` (None:
    now). Without `consent`, none is checked. With `sends`, the request of a call that is due now leaves at once, so its
    record says `sent` from the beginning.

    Raises:
        PolicyError: A setting refuses the call. Of several limits, the error names the one that lasts longest.
        ConsentOutdatedError: The number was called since the user agreed, or the confirmation was used already.
        LeaseLostError: `sends`, and the worker does not hold its lease.
    """
    tx.lock(asked.account)
    expire_same(tx, asked)  # else it could still be placed after the clock was set back
    if (duplicate := find_duplicate(tx, asked, redial=redial, arrived=arrived)) is not None:
        return Placed(duplicate, is_new=False)
    if (refusal := check_policy(tx, asked)) is not None:
        note_refusal(tx, asked, refusal, consent)
        return refusal
    last = last_call(tx, asked.account, asked.submission.respondent_phone)
    if consent is not None and (outdated := _check_consent(tx, consent, last)) is not None:
        return outdated
    new = numbered_anew(tx, asked)
    # After 429, the list is looked through before the request leaves.
    if sends is not None and new.is_active and new.response_lost_at is None:
        new = replace(new, state=CallState.SENT, sent_at=new.placed_at, clock_offset=ahead(sends, tx.now()))
    row = to_row(new)
    insert(tx, "calls", row | {"confirmation_id": consent.confirmation_id if consent else None})
    if sends is not None and not tx.holds_lease(new.worker):
        raise LeaseLostError
    record = from_row(row)  # what is sent is what was written, and shares its parts with what is read later
    write_audit(tx, record, consent, PLACED if record.is_active else SCHEDULED)
    return Placed(replace(record, is_first=last is None), is_new=True)


def ahead(service_time: ServiceTime, now: float) -> float | None:
    """How far the service's clock is ahead of the ledger's, in seconds; None when it is not known."""
    known = service_time()
    return known.timestamp() - now if known is not None else None


def expire_same(tx: Tx, asked: CallRecord) -> None:
    """End the scheduled call with the fingerprint of `asked`, if it is too late to be placed."""
    expire(tx, f"{MINE} AND fingerprint = :fingerprint", fingerprint=asked.fingerprint, **asked.account.columns)


def find_duplicate(tx: Tx, asked: CallRecord, *, redial: bool, arrived: Stopwatch | None = None) -> CallRecord | None:
    """The record that answers the request for `asked`, because it is of the same call; None if there is none.

    What was delivered counts as it was when the request arrived: the process may have been suspended since, and who
    sent the request did not know what another process has told meanwhile.

    Raises:
        LedgerUnavailableError: There is one that this version can't read, so nothing may be placed.
    """
    now, timing = tx.now(), tx.config.timing
    arrived_at = now - arrived.longest() if arrived is not None else now
    values: dict[str, Any] = {"fingerprint": asked.fingerprint, "now": now, **asked.account.columns}
    if redial:
        rows = tx.rows(_JOINED_BY_REDIAL, **values, arrived=arrived_at)
    else:
        delivered_since, ended_since = arrived_at - timing.repeat_after_delivery, arrived_at - timing.repeat_after
        rows = tx.rows(_DUPLICATE, **values, delivered_since=delivered_since, ended_since=ended_since)
        known = "SELECT * FROM calls WHERE tracking_id = :id AND state = 'ended'"
        rows = rows or tx.rows(known, id=tx.config.deliveries.find(asked))
    if not rows:
        return None
    if not (found := readable(rows)):
        raise LedgerUnavailableError("A newer version of kallyai-mcp has this call in the ledger; update this one")
    was_told = found[0].delivered_at is not None and found[0].delivered_at.timestamp() <= arrived_at
    was_unreached = found[0].state is CallState.ENDED and not found[0].reached
    is_another_try = asked.schedule.not_before is not None or asked.schedule.attempts > 1
    return None if was_told and was_unreached and is_another_try else found[0]


def check_policy(tx: Tx, asked: CallRecord) -> PolicyError | None:
    """The error of the setting that refuses `asked`; None if none does.

    A limit does not refuse a scheduled call if it allows one more call before the scheduled call is due.
    """
    if (ban := tx.config.policy.ban(asked.submission.respondent_phone)) is not None:
        return ban
    due = asked.schedule.not_before
    left = max(0.0, due.timestamp() - tx.now()) if due is not None else 0.0
    reached = [error for limit in tx.config.policy.limits() if (error := _reached(tx, asked, limit)) is not None]
    waits = {inf if error.retry_after is None else error.retry_after: error for error in reached}
    longest = max(waits, default=-inf)  # so that an agent is not told to retry too early
    return waits[longest] if longest >= left else None


def _reached(tx: Tx, asked: CallRecord, limit: Limit) -> PolicyError | None:
    """The error if `limit` allows no further call, else None."""
    now, number = tx.now(), asked.submission.respondent_phone if limit.per_number else None
    last = _newest(tx, asked.account, number, now - limit.window.total_seconds(), limit.count)
    return limit.error(last[-1] if last else None, now=moment(now)) if len(last) >= limit.count else None


def last_call(tx: Tx, account: AccountKey, number: str) -> datetime | None:
    """When the last call to a number was placed, or may have been; None for never."""
    return next(iter(_newest(tx, account, number, 0, 1)), None)


def _newest(tx: Tx, account: AccountKey, number: str | None, since: float, limit: int) -> list[datetime]:
    """When the newest calls of an account, or to one number, were placed, or may have been, since a time."""
    of_number = "number = :number AND" if number is not None else ""
    values = {"since": since, "limit": limit, **account.columns} | ({"number": number} if number is not None else {})
    rows = tx.rows(f"SELECT placed_at FROM calls WHERE {MINE} AND {of_number} {_NEWEST_SINCE}", **values)
    return [moment(row["placed_at"]) for row in rows]


def _check_consent(tx: Tx, consent: Consent, last: datetime | None) -> ConsentOutdatedError | None:
    """The error if the consent no longer fits, else None; `last` is when the number was called last."""
    if consent.joins:
        return ConsentOutdatedError("The same call was not placed, so the risks of a new one have to be looked for")
    used = "SELECT 1 AS found FROM calls WHERE confirmation_id = :id"
    if consent.confirmation_id is not None and tx.rows(used, id=consent.confirmation_id):
        return ConsentOutdatedError("This confirmation was used already, so the user has to be asked again")
    if consent.depends_on_last_call and last != consent.last_call:
        return ConsentOutdatedError("This number was called meanwhile, so the user has to be asked again")
    return None


def next_generation(tx: Tx, record: CallRecord) -> int:
    """The generation of a record that is new on its day; its own row, if there is one, does not count."""
    [row] = tx.rows(
        f"SELECT COALESCE(MAX(generation) + 1, 0) AS next FROM calls WHERE {MINE} "
        "AND fingerprint = :fingerprint AND day = :day AND tracking_id <> :id",
        fingerprint=record.fingerprint,
        day=record.day,
        id=record.tracking_id,
        **record.account.columns,
    )
    return int(row["next"])


def numbered(tx: Tx, asked: CallRecord) -> CallRecord:
    """`asked` with the current time, its day, its generation, and its idempotency key."""
    now = moment(tx.now())
    new = replace(asked, placed_at=now, day=now.astimezone(UTC).date().isoformat())
    new = replace(new, generation=next_generation(tx, new))
    return replace(new, idempotency_key=idempotency_key(new.account, new.fingerprint, new.day, new.generation))


def numbered_anew(tx: Tx, asked: CallRecord) -> CallRecord:
    """`numbered`, but with the key of the last request for the same call if that was refused by 429 today.

    KallyAI may have placed that call all the same, and may list it only when it has ended. So the record begins with
    the time of that request as its `response_lost_at`: the sender looks into the list first. Of a call in progress,
    KallyAI knows the key.
    """
    new = numbered(tx, asked)
    one, values = "fingerprint = :fingerprint AND day = :day", {"fingerprint": new.fingerprint, "day": new.day}
    known = next(iter(select(tx, new.account, f"{one} ORDER BY generation DESC LIMIT 1", **values)), None)
    if known is None or known.state is not CallState.REFUSED or known.response_lost_at is None:
        return new
    tx.run(  # a generation below 0 is free for one more record
        f"UPDATE calls SET generation = (SELECT MIN(generation) - 1 FROM calls WHERE {MINE} AND {one}) "
        "WHERE tracking_id = :id",
        id=known.tracking_id,
        **values,
        **new.account.columns,
    )
    lost_at = known.response_lost_at
    if known.sent_at is not None:  # a call of an earlier request may have gone on until then
        lost_at = max(min(lost_at, known.sent_at), known.sent_at - timedelta(seconds=tx.config.timing.search))
    names = ("generation", "idempotency_key", "clock_offset")
    return replace(new, response_lost_at=lost_at, **{name: getattr(known, name) for name in names})
