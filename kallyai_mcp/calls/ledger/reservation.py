"""The transaction that reserves a call: duplicate, call policy, consent, idempotency key, and the record."""

from dataclasses import replace
from datetime import datetime
from math import inf
from typing import Literal, NamedTuple

from kallyai_mcp.api.errors import PolicyError
from kallyai_mcp.calls.ledger.base import ConsentOutdatedError, ConstraintError, LeaseLostError, ServiceTime, Tx
from kallyai_mcp.calls.ledger.rows import MINE, NOT_PLACED, expire, insert, readable, write_audit
from kallyai_mcp.calls.policy import Consent, Limit
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState, from_row, idempotency_key, to_row
from kallyai_mcp.clock import Stopwatch, moment, moment_or_none, seconds_or_none

_NEWEST = f"state NOT IN {NOT_PLACED} ORDER BY placed_at DESC LIMIT :most"

_SAME_CALL = f"""
SELECT * FROM calls WHERE {MINE} AND fingerprint = :fingerprint AND (
    state NOT IN ('ended', 'refused', 'canceled', 'expired') OR day = :day
    OR state = 'ended' AND (delivered_at IS NULL OR delivered_at > :since OR ended_at > :since OR placed_at > :since)
    OR tracking_id = :delivered
) UNION ALL SELECT * FROM (SELECT * FROM calls WHERE {MINE} AND number = :number AND {_NEWEST}) AS newest
"""
"""Selects the records of the same call that may answer a request for it, all of today, for the generation, and the
newest call to its number.
"""


class LastDelivered(NamedTuple):
    """The call whose outcome this process told last, and how long before a request arrived, by a clock nobody sets."""

    tracking_id: str
    seconds: float


def reserve(
    tx: Tx,
    requested: CallRecord,
    *,
    redial: bool,
    arrived: Stopwatch | None = None,
    delivered: LastDelivered | None = None,
    consent: Consent | None = None,
    service_time: ServiceTime | None = None,
    only_checks: bool = False,
) -> CallRecord:
    """Write the record of a call, unless it is a duplicate, a setting refuses it, or its consent no longer fits.

    Returns the new record, or the duplicate that answers the request.

    All of that is one transaction, so of two requests at the same time one comes first. With `redial`, a duplicate is
    placed too, unless the earlier call is active or its outcome was not delivered when the request `arrived` (None:
    now). Without `consent`, none is checked. With `service_time`, the request of a call that is due now leaves at once,
    so its record says `sent` from the beginning. If it `only_checks`, nothing is written: another process may change
    the result before the call is reserved.

    Raises:
        PolicyError: A setting refuses the call. Of several limits, the error names the one that lasts longest.
        ConsentOutdatedError: The number was called since the user agreed, or the confirmation was used already.
        LeaseLostError: `service_time` is given, and the worker does not hold its lease.
    """
    earlier = SameCalls(tx, requested, arrived, delivered)
    if (duplicate := earlier.duplicate(redial=redial)) is not None:
        return duplicate
    if (refusal := check_policy(tx, requested)) is not None:
        raise refusal
    if only_checks:
        return replace(requested, is_new=True, last_call=earlier.last_call)
    if consent is not None:
        check_consent(tx, consent, "calls", (earlier.last_call,))
    new = earlier.numbered()
    # After 429, the list is looked through before the request leaves.
    if service_time is not None and new.is_active and new.response_lost_at is None:
        new = replace(new, state=CallState.SENT, sent_at=new.placed_at, clock_offset=offset_at(service_time, tx.now()))
    row = to_row(new)
    insert(tx, "calls", row | {"confirmation_id": consent.confirmation_id if consent else None})
    if service_time is not None and not tx.holds_lease(new.worker):
        raise LeaseLostError
    record = from_row(row)  # what is sent is what was written
    write_audit(tx, record, consent)
    return replace(record, is_new=True, last_call=earlier.last_call)


def offset_at(service_time: ServiceTime, now: float) -> float | None:
    """How far the service's clock is ahead of the ledger's, in seconds; None when it is not known."""
    known = service_time()
    return known.timestamp() - now if known is not None else None


class SameCalls:
    """The records of the same call as `requested`, of its account, read by one statement; it may be one of them.

    `last_call` is when the last call to its number was placed, or may have been; None for never.

    What was delivered counts as it was when the request `arrived`: the process may have been suspended since, and who
    sent the request did not know what another process has delivered meanwhile. None: the request arrives now.
    What this process `delivered` last is as old as it says, also if the clock was set forward since.
    """

    def __init__(
        self, tx: Tx, requested: CallRecord, arrived: Stopwatch | None = None, delivered: LastDelivered | None = None
    ) -> None:
        self._tx = tx
        self._requested = requested
        self._timing = tx.timing
        self._arrived_at = tx.now() - arrived.longest() if arrived is not None else tx.now()
        self._delivered = delivered
        self._day = moment(tx.now()).date().isoformat()
        rows = tx.rows(
            _SAME_CALL,
            fingerprint=requested.fingerprint,
            day=self._day,
            since=self._arrived_at - max(self._timing.repeat_after, self._timing.repeat_after_delivery),
            delivered=delivered.tracking_id if delivered is not None else "",
            number=requested.submission.respondent_phone,
            most=1,
            **requested.account.columns,
        )
        self._rows = [row for row in rows if row["fingerprint"] == requested.fingerprint]
        placed = [row["placed_at"] for row in rows if row["state"] not in NOT_PLACED]
        self.last_call = moment_or_none(max(placed, default=None))

    def duplicate(self, *, redial: bool = False) -> CallRecord | None:
        """The record that answers the request (rule 6 of placing a call); None if a new call is to be placed.

        Open records come before the earlier attempts of the same call.

        Raises:
            ConstraintError: There is a record that this version can't read, so nothing may be placed.
        """
        records = readable(self._tx, self._rows)
        if len(records) < len(self._rows):
            raise ConstraintError("A newer version of kallyai-mcp has this call in the ledger; update this one")
        answers = [record for record in records if self._answers(record, redial=redial)]
        return max(answers, key=lambda record: (record.is_open, record.placed_at), default=None)

    def _answers(self, record: CallRecord, *, redial: bool) -> bool:
        if record.is_open:
            return True
        if record.state not in (CallState.ENDED, CallState.UNKNOWN):
            return False
        if not self._was_delivered(record):
            return True
        if redial:
            return False
        if record.state is CallState.UNKNOWN:
            return True
        is_another_try = self._requested.schedule.not_before is not None or self._requested.schedule.attempts > 1
        if is_another_try and record.reached is False:
            return False

        def is_within(seconds: float, at: datetime | None) -> bool:
            # If a call ended before it was placed, the clock was set back between, and the later time counts.
            return max(at or record.placed_at, record.placed_at).timestamp() > self._arrival(record) - seconds

        is_new = is_within(self._timing.repeat_after_delivery, record.delivered_at)
        return is_new or (record.reached is not False and is_within(self._timing.repeat_after, record.ended_at))

    def _was_delivered(self, record: CallRecord) -> bool:
        """Whether the end of a call was delivered when the request arrived. The clock may have been set back since."""
        at = seconds_or_none(record.delivered_at)
        return at is not None and not self._arrival(record) < at <= self._tx.now()

    def _arrival(self, record: CallRecord) -> float:
        """When the request arrived, by the clock as it was when the outcome of a call was delivered."""
        at = seconds_or_none(record.delivered_at)
        if at is None or self._delivered is None or record.tracking_id != self._delivered.tracking_id:
            return self._arrived_at
        return min(self._arrived_at, at + self._delivered.seconds)

    def numbered(self) -> CallRecord:
        """The record that is asked for, with the current time, its day, its generation, and its idempotency key.

        The key is new, except after 429: then it is that of the last request for the same call, if that was refused so
        today. KallyAI may have placed that call all the same, and may list it only when it has ended. So the record
        begins with the time of that request as its `response_lost_at`: the sender looks into the list first. If that
        call is still in progress, KallyAI recognizes the key and places no second one.
        """
        others = [row for row in self._rows if row["tracking_id"] != self._requested.tracking_id]
        for row in others:
            if row["state"] == "scheduled":  # too late, else it would be the answer; only one record may be open
                expire(self._tx, row["tracking_id"])
        of_day = [row for row in others if row["day"] == self._day]
        last = max(of_day, key=lambda row: row["generation"], default=None)
        generation = last["generation"] + 1 if last is not None else 0
        new = replace(self._requested, placed_at=moment(self._tx.now()), day=self._day, generation=generation)
        if last is None or last["state"] != "refused" or last["response_lost_at"] is None:
            return replace(new, idempotency_key=idempotency_key(new.account, new.fingerprint, new.day, generation))
        lost_at = last["response_lost_at"]
        if last["sent_at"] is not None:  # a call of an earlier request may have gone on until then
            lost_at = max(min(lost_at, last["sent_at"]), last["sent_at"] - self._timing.search)
        key, offset = last["idempotency_key"], last["clock_offset"]
        return replace(new, idempotency_key=key, response_lost_at=moment(lost_at), clock_offset=offset)


def check_policy(tx: Tx, record: CallRecord) -> PolicyError | None:
    """The error of the setting that refuses the call; None if none does.

    A limit does not refuse a scheduled call if it allows one more call before the scheduled call is due.
    """
    if (ban := tx.policy.ban(record.submission.respondent_phone)) is not None:
        return ban
    due = record.schedule.not_before
    left = max(0.0, due.timestamp() - tx.now()) if due is not None else 0.0
    reached = [error for limit in tx.policy.limits() if (error := _reached(tx, record, limit)) is not None]
    waits = {inf if error.retry_after is None else error.retry_after: error for error in reached}
    longest = max(waits, default=-inf)  # so that an agent is not told to retry too early
    return waits[longest] if longest >= left else None


def _reached(tx: Tx, record: CallRecord, limit: Limit) -> PolicyError | None:
    """The error if `limit` allows no further call, else None."""
    of_number = "AND number = :number" if limit.per_number else ""
    within = {"since": tx.now() - limit.window.total_seconds(), "most": limit.count}
    newest = f"SELECT placed_at FROM calls WHERE {MINE} {of_number} AND placed_at > :since AND {_NEWEST}"
    last = tx.rows(newest, number=record.submission.respondent_phone, **within, **record.account.columns)
    if len(last) < limit.count:
        return None
    return limit.error(moment(last[-1]["placed_at"]) if last else None, now=moment(tx.now()))


def last_call(tx: Tx, account: AccountKey, number: str) -> datetime | None:
    """When the last call to a number was placed, or may have been; None for never."""
    newest = f"SELECT placed_at FROM calls WHERE {MINE} AND number = :number AND {_NEWEST}"
    found = tx.rows(newest, number=number, most=1, **account.columns)
    return moment(found[0]["placed_at"]) if found else None


def check_consent(
    tx: Tx, consent: Consent, table: Literal["calls", "call_lists"], last_calls: tuple[datetime | None, ...]
) -> None:
    """Check that a consent still fits. The `table` has the used confirmations; of a list, only its first.

    Raises:
        ConsentOutdatedError: It does not, so that the user has to be asked again.
    """
    if consent.joins:
        raise ConsentOutdatedError("The same call was not placed, so the risks of a new one have to be looked for")
    used = f"SELECT 1 AS found FROM {table} WHERE confirmation_id = :id"
    if consent.confirmation_id is not None and tx.rows(used, id=consent.confirmation_id):
        raise ConsentOutdatedError("This confirmation was used already, so the user has to be asked again")
    if consent.how != "never_asks" and last_calls != consent.last_calls:
        raise ConsentOutdatedError("A number was called meanwhile, so the user has to be asked again")
