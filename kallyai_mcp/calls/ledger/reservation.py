"""The transaction that reserves a call: duplicate, call policy, consent, idempotency key, and the
record.
"""

import json
import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from kallyai_mcp.api.errors import PolicyError
from kallyai_mcp.calls.duplicates import Asked, DeliveredHere, find_answer, to_look_at
from kallyai_mcp.calls.errors import ConsentOutdatedError
from kallyai_mcp.calls.ledger import shared_values
from kallyai_mcp.calls.ledger.base import ConstraintError, LookFirstError, ServiceTime, Tx
from kallyai_mcp.calls.ledger.conditions import MINE, state_not_in
from kallyai_mcp.calls.ledger.expiry import expire
from kallyai_mcp.calls.ledger.record_rows import from_row, to_row
from kallyai_mcp.calls.ledger.rows import insert, readable, write_audit
from kallyai_mcp.calls.policy import Consent, Limit
from kallyai_mcp.calls.records import (
    NEVER_PLACED,
    NOT_PLACED,
    AccountKey,
    CallRecord,
    CallState,
)
from kallyai_mcp.clock import Stopwatch, moment, moment_or_none

_NEWEST_PLACED = f"{state_not_in(*NOT_PLACED)} ORDER BY placed_at DESC LIMIT :most"
"""The end of a statement that selects the newest calls that were placed, or may be."""

_SAME_CALL = f"""
SELECT * FROM calls WHERE {MINE} AND fingerprint = :fingerprint AND (
    {state_not_in(CallState.ENDED, *NEVER_PLACED)} OR day = :day
    OR state = 'ended' AND (
        delivered_at IS NULL OR delivered_at > :since OR ended_at > :since OR placed_at > :since)
    OR tracking_id = :delivered
) UNION ALL SELECT * FROM (
    SELECT * FROM calls WHERE {MINE} AND number = :number AND {_NEWEST_PLACED}) AS newest
"""
"""Selects the records of the same call that may answer a request or are of today, and the newest
call to its number.
"""


class LastDelivered(NamedTuple):
    """The call whose outcome this process delivered last, and the time since then, by a clock that
    nobody sets.
    """

    tracking_id: str
    since: Stopwatch


def reserve(
    tx: Tx,
    requested: CallRecord,
    *,
    redial: bool,
    arrived: Stopwatch | None = None,
    last_delivered: LastDelivered | None = None,
    consent: Consent | None = None,
    looked_at: str | None = None,
    only_checks: bool = False,
) -> CallRecord:
    """Write the record of a call, unless it is a duplicate, a setting refuses it, or its consent no
    longer fits.

    Returns the new record, or the duplicate that answers the request. With `redial`, a duplicate is
    placed too, unless it is active or its outcome was not delivered. The request `arrived` so long
    ago (None: just now); of the same call, this process has `last_delivered` an outcome. Without
    `consent`, none is checked. `looked_at` is the tracking id of the record that KallyAI was asked
    about before. If it `only_checks`, nothing is written.

    Raises:
        PolicyError: A setting refuses the call. Of several limits, the error names the one that
            lasts longest.
        ConsentOutdatedError: The number was called since the user agreed, or the confirmation was
            used already.
        LookFirstError: The newest call of this request that reached nobody is another record than
            `looked_at`.
    """
    asked = _asked(tx, requested, arrived, last_delivered, redial=redial)
    earlier = SameCalls(tx, requested, asked)
    if (duplicate := earlier.duplicate()) is not None:
        return duplicate
    if (refusal := check_policy(tx, requested)) is not None:
        raise refusal
    if only_checks:
        return replace(requested, is_new=True, last_call=earlier.last_call)
    if consent is not None:
        check_consent(tx, consent, (earlier.last_call,))
    before = earlier.to_look_at()
    if before is not None and before.tracking_id != looked_at:
        raise LookFirstError(before)
    new = earlier.numbered()
    row = to_row(new)
    insert(tx, "calls", row | {"confirmation_id": consent.confirmation_id if consent else None})
    write_audit(tx, new, consent)
    # What is sent is what was written.
    return replace(from_row(row), is_new=True, last_call=earlier.last_call)


def offset_at(service_time: ServiceTime, now: float) -> float | None:
    """How far the service's clock is ahead of the ledger's, in seconds; None when it is not
    known.
    """
    known = service_time()
    return known.timestamp() - now if known is not None else None


def _asked(
    tx: Tx,
    requested: CallRecord,
    arrived: Stopwatch | None,
    last_delivered: LastDelivered | None,
    *,
    redial: bool,
) -> Asked:
    """The request for `requested` as a value, with times by the ledger's clock."""
    now = moment(tx.now)
    not_before = requested.schedule.not_before
    if arrived is None:
        return Asked(now, now, not_before, redial)
    delivered_here = None
    if last_delivered is not None:
        before = timedelta(seconds=last_delivered.since.passed() - arrived.passed())
        delivered_here = DeliveredHere(last_delivered.tracking_id, before)
    at = now - timedelta(seconds=arrived.longest())
    return Asked(now, at, not_before, redial, delivered_here)


class SameCalls:
    """The records of the same call as `requested`, of its account, read by one statement; it may be
    one of them.

    `asked` is the request for it; without one, it is asked for now. `last_call` is when the last
    call to its number was placed, or may have been; None for never.
    """

    def __init__(self, tx: Tx, requested: CallRecord, asked: Asked | None = None) -> None:
        self._tx = tx
        now = moment(tx.now)
        self._requested = replace(requested, asked_at=now, day=now.date().isoformat())
        self._asked = asked or Asked(now, now, requested.schedule.not_before)
        delivered_here = self._asked.delivered_here
        timing = tx.timing
        looks_back = max(timing.repeat_after, timing.repeat_after_delivery, timing.look_back)
        rows = tx.rows(
            _SAME_CALL,
            fingerprint=requested.fingerprint,
            day=self._requested.day,
            since=self._asked.arrived.timestamp() - looks_back,
            delivered=delivered_here.tracking_id if delivered_here is not None else "",
            number=requested.submission.respondent_phone,
            most=1,
            **requested.account.columns,
        )
        self._rows = [row for row in rows if row["fingerprint"] == requested.fingerprint]
        placed = [row["placed_at"] for row in rows if row["state"] not in NOT_PLACED]
        self.last_call = moment_or_none(max(placed, default=None))

    def duplicate(self) -> CallRecord | None:
        """The record that answers the request (`duplicates.find_answer`); None without one.

        Raises:
            ConstraintError: There is a record that this version can't read, so nothing may be
                placed.
        """
        return find_answer(self._records(), self._asked, self._tx.timing)

    def to_look_at(self) -> CallRecord | None:
        """The record that KallyAI is asked about first (`duplicates.to_look_at`), if any."""
        return to_look_at(self._records(), self._asked, self._tx.timing)

    def _records(self) -> list[CallRecord]:
        records = readable(self._tx, self._rows)
        if len(records) < len(self._rows):
            raise ConstraintError(
                "A newer version of kallyai-mcp has this call in the ledger; update this one"
            )
        return records

    def numbered(self) -> CallRecord:
        """The record that is asked for, with the current time, its day, its generation, and its
        idempotency key.

        A scheduled record of the same call, which is too late, expires.

        The key is new, unless the last request of today for the same call was refused by 429, also
        if it was put off and then expired or was canceled: KallyAI may have placed that call all
        the same, and may list it only when it has ended. So the record has the time of that request
        as its `response_lost_at`: the sender looks into the list first. If the call is still in
        progress, KallyAI recognizes the key and places no second one.
        """
        others = [row for row in self._rows if row["tracking_id"] != self._requested.tracking_id]
        for row in others:
            # Too late, else it would be the answer; only one record may be open.
            if row["state"] == "scheduled":
                expire(self._tx, self._requested.account, [row["tracking_id"]])
        of_day = [row for row in others if row["day"] == self._requested.day]
        last = max(of_day, key=lambda row: row["generation"], default=None)
        new = replace(self._requested, generation=last["generation"] + 1 if last is not None else 0)
        if last is None or last["state"] not in NOT_PLACED or last["response_lost_at"] is None:
            return replace(new, idempotency_key=idempotency_key(new))
        lost_at = last["response_lost_at"]
        if last["sent_at"] is not None:  # a call of an earlier request may have gone on until then
            lost_at = max(min(lost_at, last["sent_at"]), last["sent_at"] - self._tx.timing.search)
        key, offset = last["idempotency_key"], last["clock_offset"]
        return replace(
            new, idempotency_key=key, response_lost_at=moment(lost_at), clock_offset=offset
        )


def check_policy(tx: Tx, record: CallRecord) -> PolicyError | None:
    """The error of the setting that refuses the call; None if none does."""
    number, now, newest = (
        record.submission.respondent_phone,
        moment(tx.now),
        dict[Limit, list[datetime]](),
    )
    for limit in tx.policy.limits():
        # Older calls do not count, and need not be read.
        since = tx.now - limit.window.total_seconds()
        newest[limit] = _placed(
            tx, record.account, number if limit.per_number else None, limit.count, since
        )
    return tx.policy.refusal(number, newest, now, record.schedule.not_before or now)


def last_call(tx: Tx, account: AccountKey, number: str) -> datetime | None:
    """When the last call to a number was placed, or may have been; None for never."""
    return next(iter(_placed(tx, account, number, 1)), None)


def _placed(
    tx: Tx, account: AccountKey, number: str | None, most: int, since: float = 0
) -> list[datetime]:
    """When the newest calls of an account, all of them or those to a number, were placed, newest
    first.
    """
    of_number = "AND number = :number" if number is not None else ""
    newest = (
        f"SELECT placed_at FROM calls WHERE {MINE} {of_number} AND placed_at > :since "
        f"AND {_NEWEST_PLACED}"
    )
    found = tx.rows(newest, number=number, most=most, since=since, **account.columns)
    return [moment(row["placed_at"]) for row in found]


def check_consent(tx: Tx, consent: Consent, last_calls: tuple[datetime | None, ...]) -> None:
    """Raise `ConsentOutdatedError` if a consent no longer fits; else its confirmation counts as
    used.
    """
    if consent.joins:
        raise ConsentOutdatedError(
            "The same call was not placed, so the risks of a new one have to be looked for"
        )
    id_ = consent.confirmation_id
    # It is valid for minutes.
    if (
        id_ is not None
        and shared_values.put(tx, "confirmation", id_, "used", seconds=86_400) is not None
    ):
        raise ConsentOutdatedError(
            "This confirmation was used already, so the user has to be asked again"
        )
    if consent.how != "never_asks" and last_calls != consent.last_calls:
        raise ConsentOutdatedError(
            "A number was called meanwhile, so the user has to be asked again"
        )


def idempotency_key(record: CallRecord) -> str:
    """The `Idempotency-Key` of a call: a UUID that is the same on every machine, and after the
    ledger was lost.
    """
    named = json.dumps(
        [*record.account.columns.values(), record.fingerprint, record.day, record.generation]
    )
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"kallyai-mcp/call/{named}"))
