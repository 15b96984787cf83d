"""The parts of the transaction `Ledger.reserve`: duplicate, call policy, consent, generation, and audit trail."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import inf
from typing import Any

from kallyai_mcp.api.errors import PolicyError
from kallyai_mcp.calls.clock import Clock, Stopwatch
from kallyai_mcp.calls.ledger.base import ConsentOutdatedError, LedgerUnavailableError, Row, Tx, moment
from kallyai_mcp.calls.policy import CallPolicy, Consent, Limit, last_to_open
from kallyai_mcp.calls.records import PLACED, AccountKey, CallRecord, CallState, audit_row, from_row, idempotency_key
from kallyai_mcp.calls.timing import Timing

_log = logging.getLogger(__name__)

_DUPLICATE = """
SELECT * FROM calls WHERE api = :api AND account = :account AND fingerprint = :fingerprint AND (
    state NOT IN ('ended', 'refused', 'canceled', 'expired') AND (state <> 'scheduled' OR place_by >= :now)
    OR state = 'ended' AND (
        delivered_at IS NULL OR delivered_at > :delivered_since OR placed_at > :delivered_since
        OR reached = 1 AND (ended_at > :ended_since OR placed_at > :ended_since)
    )
) ORDER BY CASE WHEN state IN ('scheduled', 'reserved', 'sent') THEN 0 ELSE 1 END, placed_at DESC LIMIT 1
"""
"""Selects the record that answers a request for the same call (rule 6 of placing a call).

A state that this version does not know counts as active. If a call ended before it was placed, the clock was set back
between, and the later time counts. Open records come before the earlier attempts of the same call. A scheduled call
that is too late to be placed is not open, even if no worker has written that yet.
"""

_JOINED_BY_REDIAL = """
SELECT * FROM calls WHERE api = :api AND account = :account AND fingerprint = :fingerprint AND (
    state NOT IN ('ended', 'refused', 'canceled', 'expired', 'unknown')
    AND (state <> 'scheduled' OR place_by >= :now)
    OR state IN ('ended', 'unknown') AND delivered_at IS NULL
) ORDER BY CASE WHEN state IN ('scheduled', 'reserved', 'sent') THEN 0 ELSE 1 END, placed_at DESC LIMIT 1
"""

"""Selects the record that answers a request with `redial`: it is open, or its outcome was not delivered."""

_COUNTED = """
SELECT placed_at FROM calls WHERE api = :api AND account = :account AND placed_at > :since
AND state NOT IN ('refused', 'canceled', 'scheduled', 'expired')
"""

"""Selects the calls that were placed, or may have been, since a time."""

_NEWEST = "ORDER BY placed_at DESC LIMIT :limit"


@dataclass(frozen=True)
class Precheck:
    """What the ledger says about a call before the user is asked for consent.

    Attributes:
        account: The account on which the call would be placed.
        fingerprint: The fingerprint of its submission.
        duplicate: The record that would answer the request, so that no new call is placed; None if there is none.
        refusal: The error of the setting that would refuse the call, if one would.
        last_call: When the last call to the number was placed, or may have been; None for never.
        since: Runs since the request arrived.
    """

    account: AccountKey
    fingerprint: str
    duplicate: CallRecord | None
    refusal: PolicyError | None
    last_call: datetime | None
    since: Stopwatch | None = None


class Deliveries:
    """The outcomes that this process has delivered, and when by a clock that nobody sets."""

    def __init__(self, clock: Clock, timing: Timing) -> None:
        self._clock = clock
        self._timing = timing
        self._known: dict[tuple[AccountKey, str], tuple[str, float, float]] = {}
        """By account and fingerprint: the tracking id, and when its outcome was delivered first and last."""

    def note(self, records: Iterable[CallRecord]) -> None:
        """Note that the outcomes of these calls were delivered now."""
        now, longest = self._clock.continuous(), max(self._timing.repeat_after, self._timing.repeat_after_delivery)
        for record in records:
            tracking_id, first, _ = self._known.pop((record.account, record.fingerprint), ("", now, now))
            first = first if tracking_id == record.tracking_id else now
            self._known[record.account, record.fingerprint] = record.tracking_id, first, now
        while self._known and now - next(iter(self._known.values()))[2] > longest:  # they are in the order of that time
            del self._known[next(iter(self._known))]

    def find(self, tx: Tx, asked: CallRecord) -> list[Row]:
        """The row of the call that answers the request for `asked`, although the wall clock says it was long ago."""
        tracking_id, first, last = self._known.get((asked.account, asked.fingerprint), ("", -inf, -inf))
        now = self._clock.continuous()
        is_new, is_recent = now - last < self._timing.repeat_after_delivery, now - first < self._timing.repeat_after
        rows = tx.rows("SELECT * FROM calls WHERE tracking_id = :id AND state = 'ended'", id=tracking_id)
        return [row for row in rows if is_new or (is_recent and row["reached"])]


def find_duplicate(
    tx: Tx, asked: CallRecord, *, redial: bool, timing: Timing, deliveries: Deliveries | None
) -> CallRecord | None:
    """The record that answers the request for `asked`, because it is of the same call; None if there is none.

    Raises:
        LedgerUnavailableError: There is one that this version can't read, so nothing may be placed.
    """
    now = tx.now()
    values: dict[str, Any] = {"fingerprint": asked.fingerprint, "now": now, **asked.account.columns}
    if redial:
        rows = tx.rows(_JOINED_BY_REDIAL, **values)
    else:
        delivered_since = now - timing.repeat_after_delivery
        rows = tx.rows(_DUPLICATE, **values, delivered_since=delivered_since, ended_since=now - timing.repeat_after)
        rows = rows or (deliveries.find(tx, asked) if deliveries is not None else [])
    if not rows:
        return None
    found = readable(rows)
    if not found:
        raise LedgerUnavailableError("A newer version of kallyai-mcp has this call in the ledger; update this one")
    return found[0]


def find_joined(tx: Tx, tracking_id: str) -> CallRecord | ConsentOutdatedError:
    """The record that was the duplicate when the user was to be asked; an error if it placed no call after all.

    It still answers the request, even if another request has delivered its outcome since.
    """
    rows = tx.rows(
        "SELECT * FROM calls WHERE tracking_id = :id AND state NOT IN ('refused', 'canceled', 'expired')",
        id=tracking_id,
    )
    if found := readable(rows):
        return found[0]
    return ConsentOutdatedError("The same call was not placed, so the risks of a new one have to be looked for")


def check_policy(tx: Tx, asked: CallRecord, policy: CallPolicy) -> PolicyError | None:
    """The error of the setting that refuses `asked`; None if none does.

    A limit does not refuse a scheduled call if it allows one more call before the scheduled call is due.
    """
    if (ban := policy.ban(asked.submission.respondent_phone)) is not None:
        return ban
    due = asked.schedule.not_before
    left = max(0.0, due.timestamp() - tx.now()) if due is not None else 0.0
    reached = (error for limit in policy.limits() if (error := _reached(tx, asked, limit)) is not None)
    return last_to_open(error for error in reached if error.retry_after is None or error.retry_after >= left)


def check_consent(tx: Tx, asked: CallRecord, consent: Consent) -> ConsentOutdatedError | None:
    """The error if the consent no longer fits, else None."""
    if consent.confirmation_id is not None and tx.rows(
        "SELECT 1 AS found FROM calls WHERE confirmation_id = :id", id=consent.confirmation_id
    ):
        return ConsentOutdatedError("This confirmation was used already, so the user has to be asked again")
    if consent.depends_on_last_call and last_call(tx, asked) != consent.last_call:
        return ConsentOutdatedError("This number was called meanwhile, so the user has to be asked again")
    return None


def last_call(tx: Tx, asked: CallRecord) -> datetime | None:
    """When the last call to the number of `asked` was placed, or may have been; None for never."""
    rows = tx.rows(
        f"{_COUNTED} AND number = :number {_NEWEST}",
        number=asked.submission.respondent_phone,
        since=0,
        limit=1,
        **asked.account.columns,
    )
    return moment(rows[0]["placed_at"]) if rows else None


def numbered(tx: Tx, asked: CallRecord, *, keep_key: bool = False) -> CallRecord:
    """`asked` with the current time, its day, its generation, and its idempotency key.

    With `keep_key` only the generation is new: the record was in a ledger that was lost.
    """
    placed_at = asked.placed_at if keep_key else moment(tx.now())
    day = asked.day if keep_key else placed_at.astimezone(UTC).date().isoformat()
    [row] = tx.rows(
        "SELECT COALESCE(MAX(generation) + 1, 0) AS next FROM calls "
        "WHERE api = :api AND account = :account AND fingerprint = :fingerprint AND day = :day AND tracking_id <> :id",
        fingerprint=asked.fingerprint,
        day=day,
        id=asked.tracking_id,
        **asked.account.columns,
    )
    generation = row["next"]
    key = asked.idempotency_key if keep_key else idempotency_key(asked.account, asked.fingerprint, day, generation)
    return replace(asked, placed_at=placed_at, day=day, generation=generation, idempotency_key=key)


def numbered_anew(tx: Tx, asked: CallRecord, timing: Timing) -> CallRecord:
    """`numbered`, but with the key of the last request for the same call if that was refused by 429 today.

    KallyAI may have placed that call all the same, and may list it only when it has ended. So the record begins with
    the time of that request as its `response_lost_at`: the sender looks into the list first. Of a call in progress,
    KallyAI knows the key.
    """
    new = numbered(tx, asked)
    one = "api = :api AND account = :account AND fingerprint = :fingerprint AND day = :day"
    values = {"fingerprint": new.fingerprint, "day": new.day, **new.account.columns}
    rows = tx.rows(f"SELECT * FROM calls WHERE {one} ORDER BY generation DESC LIMIT 1", **values)
    known = next(iter(readable(rows)), None)
    if known is None or known.state is not CallState.REFUSED or known.response_lost_at is None:
        return new
    tx.run(  # a generation below 0 is free for one more record
        f"UPDATE calls SET generation = (SELECT MIN(generation) - 1 FROM calls WHERE {one}) WHERE tracking_id = :id",
        id=known.tracking_id,
        **values,
    )
    lost_at = known.response_lost_at
    if known.sent_at is not None:  # a call of an earlier request may have gone on until then
        lost_at = max(min(lost_at, known.sent_at), known.sent_at - timedelta(seconds=timing.search))
    names = ("generation", "idempotency_key", "clock_offset")
    return replace(new, response_lost_at=lost_at, **{name: getattr(known, name) for name in names})


def readable(rows: Iterable[Row]) -> list[CallRecord]:
    """The records in `rows`. Those that this version can't read are logged and left out."""
    records = []
    for row in rows:
        try:
            records.append(from_row(row))
        except (ValueError, KeyError, TypeError) as error:
            _note_unreadable(row["tracking_id"], type(error).__name__)
    return records


@lru_cache(maxsize=1000)  # so that each is logged once
def _note_unreadable(tracking_id: str, why: str) -> None:
    _log.warning("The record %s of the ledger can't be read and is skipped: %s", tracking_id, why)


def _reached(tx: Tx, asked: CallRecord, limit: Limit) -> PolicyError | None:
    """The error if `limit` allows no further call, else None."""
    now = tx.now()
    one = "AND number = :number" if limit.per_number else ""
    values = {"number": asked.submission.respondent_phone} if limit.per_number else {}
    rows = tx.rows(
        f"{_COUNTED} {one} {_NEWEST}",
        since=now - limit.window.total_seconds(),
        limit=limit.count,
        **values,
        **asked.account.columns,
    )
    if len(rows) < limit.count:
        return None
    oldest = moment(rows[-1]["placed_at"]) if rows else None
    return limit.error(oldest, now=moment(now))


def lock_account(tx: Tx, account: AccountKey) -> None:
    """Let every other transaction that locks this account wait until this one ends."""
    tx.run(
        "INSERT INTO accounts (api, account) VALUES (:api, :account) "
        "ON CONFLICT (api, account) DO UPDATE SET api = excluded.api",
        **account.columns,
    )


def write_audit(tx: Tx, record: CallRecord, consent: Consent | None, outcome: str) -> None:
    """Write a line of the audit trail; see `AuditEntry`."""
    insert(tx, "audit", audit_row(record, consent, outcome, tx.now()))


def copy_audit(tx: Tx, record: CallRecord) -> None:
    """Write into the audit trail that a scheduled call was placed, with the consent to schedule it."""
    names = "api, account, tracking_id, number, asked_by, how, risk_flags"
    copied = tx.run(
        f"INSERT INTO audit (at, outcome, {names}) SELECT :now, :placed, {names} FROM audit "
        "WHERE tracking_id = :id ORDER BY at LIMIT 1",
        now=tx.now(),
        placed=PLACED,
        id=record.tracking_id,
    )
    if not copied:  # the line of the consent was deleted as too old
        write_audit(tx, record, None, PLACED)


def insert(tx: Tx, table: str, row: Row) -> None:
    """Insert a row by column names."""
    names = ", ".join(row)
    places = ", ".join(f":{name}" for name in row)
    tx.run(f"INSERT INTO {table} ({names}) VALUES ({places})", **row)
