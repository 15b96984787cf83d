"""What comes after a call has ended: another attempt, or the next candidate of a list.

The transaction that ends a call also inserts the record of the next one, in state `scheduled`, due now or later. So
neither a crash between two calls nor a second worker can lose a call or place an extra one. The plan is data: how often
a call is tried is in its record, and the candidates of a list are in the table `call_lists`.
"""

import json
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from kallyai_mcp.api.errors import KallyAIError, PolicyError
from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.call_lists import LONGEST, CallList, ListConsent, StopReason, stop_reason_of_refusal
from kallyai_mcp.calls.ledger.base import ConsentOutdatedError, Row, Tx, moment, moment_or_none
from kallyai_mcp.calls.ledger.maintenance import expire_same
from kallyai_mcp.calls.ledger.reservation import (
    Deliveries,
    check_policy,
    find_duplicate,
    insert,
    last_call,
    numbered,
    numbered_anew,
    readable,
    write_audit,
)
from kallyai_mcp.calls.policy import CallPolicy, Consent, RiskFlag
from kallyai_mcp.calls.records import (
    PLACED,
    AccountKey,
    CallRecord,
    CallState,
    error_from,
    error_text,
    new_tracking_id,
    to_row,
)
from kallyai_mcp.calls.schedule import STALE, TRIED_AGAIN, Attempt, Schedule, is_past_appointment, next_attempt
from kallyai_mcp.calls.timing import Timing

_NOT_SENT = (CallState.SCHEDULED, CallState.RESERVED)


def follow_up(tx: Tx, record: CallRecord, policy: CallPolicy, timing: Timing) -> None:
    """Plan what comes after `record`, which this transaction has ended.

    Its account is locked, and its row says how it ended.
    """
    if not _plan_retry(tx, record, timing):
        for found in _open_lists(tx, record):
            advance(tx, found, policy, timing)


def _open_lists(tx: Tx, record: CallRecord) -> list[CallList]:
    rows = tx.rows(
        "SELECT call_lists.* FROM call_lists JOIN call_list_calls ON call_lists.list_id = call_list_calls.list_id "
        "WHERE call_list_calls.tracking_id = :id AND why IS NULL",
        id=record.tracking_id,
    )
    return [list_from_row(tx, row) for row in rows]


def _plan_retry(tx: Tx, record: CallRecord, timing: Timing) -> bool:
    """Schedule the next attempt of a call, if there is to be one; returns whether there is.

    The record is scheduled again under a new key. The ended attempt is kept as a record with another tracking id, so
    that limits count it, and the service's call stays bound.
    """
    now, schedule = moment(tx.now()), record.schedule
    if schedule.attempt >= schedule.attempts or record.call is None or record.call_id is None:
        return False
    if record.call.plain_status not in TRIED_AGAIN or record.reached or now - record.placed_at > STALE:
        return False
    due = next_attempt(now, record.submission.respondent_phone, record.timezone)
    if is_past_appointment(record.submission, due, record.timezone):
        return False
    attempt = Attempt(record.placed_at, record.call.plain_status, record.call_id)
    place_by = moment(due.timestamp() + timing.place_within)
    following = Schedule(due, place_by, schedule.attempts, (*schedule.earlier, attempt))
    # Without the tracking id, so that the generation of the record itself, which the copy below keeps, counts as used.
    again = numbered(tx, replace(record, tracking_id=""))
    tx.run(
        "UPDATE calls SET state = 'scheduled', placed_at = :now, day = :day, generation = :generation, "
        "idempotency_key = :key, sent_at = NULL, clock_offset = NULL, response_lost_at = NULL, ended_at = NULL, "
        "delivered_at = NULL, call_id = NULL, outcome = NULL, calendar = NULL, reached = NULL, error = NULL, "
        "not_before = :not_before, place_by = :place_by, attempts = :attempts, earlier = :earlier "
        "WHERE tracking_id = :id",
        id=record.tracking_id,
        now=again.placed_at.timestamp(),
        day=again.day,
        generation=again.generation,
        key=again.idempotency_key,
        **following.columns,
    )
    kept = replace(record, tracking_id=new_tracking_id(), delivered_at=now, schedule=replace(schedule, attempts=1))
    insert(tx, "calls", to_row(kept))
    return True


def stop_following(tx: Tx, record: CallRecord) -> None:
    """Let no call follow `record`, which reached somebody, as is known only now, unless the next one was sent."""
    _stop_retries(tx, record)
    for found in _open_lists(tx, record):
        before, last = replace(found, records=found.records[:-1]), found.records[-1]
        is_next = [one.tracking_id for one in before.records[-1:]] == [record.tracking_id]
        if not is_next or last.state not in _NOT_SENT or (reason := before.next_stop_reason()) is None:
            continue
        tx.run(
            "DELETE FROM call_list_calls WHERE list_id = :list AND tracking_id = :id",
            list=found.list_id,
            id=last.tracking_id,
        )
        tx.run(
            "UPDATE calls SET state = 'canceled', ended_at = :now, delivered_at = :now "
            "WHERE tracking_id = :id AND session_id = :list",
            now=tx.now(),
            id=last.tracking_id,
            list=found.list_id,
        )
        stop(tx, before, reason)


def _stop_retries(tx: Tx, record: CallRecord) -> None:
    """Let no attempt follow that is not sent yet; of one that was sent, no further one follows."""
    error = KallyAIError(f"The attempt before ({record.call_id}) may have reached somebody.", code="reached_before")
    rows = tx.rows(
        "SELECT * FROM calls WHERE api = :api AND account = :account AND fingerprint = :fingerprint "
        "AND state IN ('scheduled', 'reserved', 'sent') AND earlier IS NOT NULL",
        fingerprint=record.fingerprint,
        **record.account.columns,
    )
    for retry in readable(rows):
        if record.call_id not in {attempt.call_id for attempt in retry.schedule.earlier}:
            continue
        if retry.state not in _NOT_SENT:
            attempts = retry.schedule.attempt
            tx.run(
                "UPDATE calls SET attempts = :attempts WHERE tracking_id = :id", id=retry.tracking_id, attempts=attempts
            )
            continue
        tx.run(
            "UPDATE calls SET state = 'refused', ended_at = :now, error = :error WHERE tracking_id = :id",
            id=retry.tracking_id,
            now=tx.now(),
            error=error_text(error),
        )


def unreached_before_due(tx: Tx, account: AccountKey, most: int) -> list[CallRecord]:
    """The calls that reached nobody, as far as is known, before the `most` calls of the account that are due first.

    They are the earlier attempts of a call that is to be tried again, and the call before in a list.
    """
    own = "SELECT * FROM calls WHERE api = :api AND account = :account"
    due = tx.rows(
        f"{own} AND state = 'scheduled' AND not_before <= :now ORDER BY not_before LIMIT :most",
        now=tx.now(),
        most=most,
        **account.columns,
    )
    found: list[Row] = []
    for record in readable(due):
        for attempt in record.schedule.earlier:
            found += tx.rows(f"{own} AND call_id = :id", id=attempt.call_id, **account.columns)
        found += tx.rows(
            "SELECT calls.* FROM call_list_calls AS next JOIN call_list_calls AS done "
            "ON done.list_id = next.list_id AND done.position = next.position - 1 "
            "JOIN calls ON calls.tracking_id = done.tracking_id WHERE next.tracking_id = :id",
            id=record.tracking_id,
        )
    return [record for record in readable(found) if record.state is CallState.ENDED and not record.reached]


def advance(
    tx: Tx,
    found: CallList,
    policy: CallPolicy,
    timing: Timing,
    *,
    deliveries: Deliveries | None = None,
    worker: str = "",
    id_: str | None = None,
) -> tuple[CallList, CallRecord | None]:
    """Insert the call of the next candidate of an open list, or stop the list.

    Without `worker`, the call is scheduled, due now. With `worker`, it is reserved for that worker, which sends it at
    once, under the tracking id `id_`; only then is it returned.
    """
    while True:
        if found.records and found.records[-1].is_active:
            return found, None
        if (reason := found.next_stop_reason()) is not None:
            return stop(tx, found, reason), None
        now = moment(tx.now())
        if now - found.asked_at > LONGEST:
            return stop(tx, found, StopReason.REFUSED), None
        record = new_record(found, len(found.records))
        expire_same(tx, record)
        duplicate = find_duplicate(tx, record, redial=False, timing=timing, deliveries=deliveries)
        if duplicate is not None:
            found = _tied(tx, found, duplicate)
            continue
        if (refusal := check_policy(tx, record, policy)) is not None:
            write_audit(tx, record, found.consent, f"refused:{refusal.setting}")
            if stop_reason_of_refusal(refusal) is not None:
                return stop(tx, found, StopReason.REFUSED, refusal), None
            found = _tied(tx, found, _refused(tx, record, refusal))
            continue
        record = numbered_anew(tx, record, timing)
        if worker:
            record = replace(record, worker=worker, tracking_id=id_ or record.tracking_id)
        else:
            schedule = Schedule(now, found.asked_at + LONGEST)
            record = replace(record, state=CallState.SCHEDULED, schedule=schedule)
        insert(tx, "calls", to_row(record))
        write_audit(tx, record, found.consent, PLACED)
        return _tied(tx, found, record), record if worker else None


def following(tx: Tx, record: CallRecord) -> list[CallRecord]:
    """The scheduled calls of lists that come after `record`."""
    return readable(
        tx.rows(
            "SELECT calls.* FROM call_list_calls AS done "
            "JOIN call_list_calls AS next ON next.list_id = done.list_id AND next.position > done.position "
            "JOIN calls ON calls.tracking_id = next.tracking_id "
            "WHERE done.tracking_id = :id AND calls.state = 'scheduled' AND calls.session_id = next.list_id",
            id=record.tracking_id,
        )
    )


def find_list(tx: Tx, account: AccountKey, list_id: str) -> CallList | None:
    """The account's list with this id; None when there is none."""
    rows = tx.rows(
        "SELECT * FROM call_lists WHERE list_id = :id AND api = :api AND account = :account",
        id=list_id,
        **account.columns,
    )
    return list_from_row(tx, rows[0]) if rows else None


def find_newest(tx: Tx, asked: CallList) -> CallList | None:
    """The newest list with the fingerprint of `asked`; one that goes on comes first."""
    rows = tx.rows(
        "SELECT * FROM call_lists WHERE api = :api AND account = :account AND fingerprint = :fingerprint "
        "ORDER BY CASE WHEN why IS NULL THEN 0 ELSE 1 END, asked_at DESC LIMIT 1",
        fingerprint=asked.fingerprint,
        **asked.account.columns,
    )
    return list_from_row(tx, rows[0]) if rows else None


def find_same(tx: Tx, asked: CallList, timing: Timing) -> CallList | None:
    """The list that answers the request for `asked`: it goes on, waits for its user, or ended a short time ago."""
    found = find_newest(tx, asked)
    if found is None or found.ended_at is None:
        return found
    seconds = max(timing.repeat_after, timing.wait_for_user) if found.waits_for_user else timing.repeat_after
    if found.ended_at.timestamp() <= tx.now() - seconds:
        return None
    # A canceled list answers the request only if one of its calls may have agreed to something: a new list would call
    # the first candidate again, who could agree too.
    return None if found.stop_reason is StopReason.CANCELED and not found.may_have_reached else found


def last_calls(tx: Tx, asked: CallList) -> tuple[datetime | None, ...]:
    """When the number of each candidate in `asked.to_come` was called last, in that order; None for never."""
    count = len(asked.submissions)
    return tuple(last_call(tx, new_record(asked, place)) for place in range(count - len(asked.to_come), count))


def called_meanwhile(tx: Tx, asked: CallList, agreed: ListConsent) -> ConsentOutdatedError | None:
    """The error if a number was called since the user agreed, else None."""
    if agreed.consent.depends_on_last_call and last_calls(tx, asked) != agreed.last_calls:
        return ConsentOutdatedError("A number was called meanwhile, so the user has to be asked again")
    return None


def _refused(tx: Tx, record: CallRecord, error: PolicyError) -> CallRecord:
    """Write a record of a candidate who may not be called, with the error that refuses it."""
    now = moment(tx.now())
    refused = numbered(tx, replace(record, state=CallState.REFUSED, error=error, ended_at=now))
    insert(tx, "calls", to_row(refused))
    return refused


def _tied(tx: Tx, found: CallList, record: CallRecord) -> CallList:
    row = {"list_id": found.list_id, "position": len(found.records), "tracking_id": record.tracking_id}
    insert(tx, "call_list_calls", row)
    return replace(found, records=(*found.records, record))


def stop(tx: Tx, found: CallList, reason: StopReason, error: KallyAIError | None = None) -> CallList:
    """Stop a list; `error` is that of the setting that stopped it, if one did."""
    now = tx.now()
    tx.run(
        "UPDATE call_lists SET why = :why, ended_at = :now, message = :message WHERE list_id = :id",
        why=reason.value,
        now=now,
        message=error_text(error),
        id=found.list_id,
    )
    return replace(found, stop_reason=reason, ended_at=moment(now), refusal=error)


def new_record(found: CallList, position: int) -> CallRecord:
    """A record for the call of the candidate at `position`, not in the ledger yet."""
    submission = found.submissions[position]
    zone = found.zone_of(submission)
    return CallRecord.new(submission, found.account, found.asked_at, timezone=zone, session_id=found.session_id)


_RECORDS = (
    "SELECT calls.* FROM calls JOIN call_list_calls ON calls.tracking_id = call_list_calls.tracking_id "
    "WHERE call_list_calls.list_id = :id ORDER BY call_list_calls.position"
)


def list_to_row(asked: CallList, consent: Consent, now: float) -> Row:
    """The row of a new list in the table `call_lists`. `now` is the ledger's time, in seconds since the epoch."""
    return {
        "list_id": asked.list_id,
        **asked.account.columns,
        "fingerprint": asked.fingerprint,
        "request": request_of(asked, consent, now),
        "timezone": asked.timezone,
        "worker": "",
        "asked_at": now,
        "passed": 0,
        "confirmation_id": consent.confirmation_id,
    }


def request_of(asked: CallList, consent: Consent, agreed_at: float) -> str:
    """The column `request` as JSON: the request, and the consent of `agreed_at` (seconds since the epoch)."""
    request = {
        "submissions": [submission.as_json() for submission in asked.submissions],
        "until": asked.until,
        "accept_other_time": asked.accept_other_time,
        "own_zones": asked.own_zones,
        "session_id": asked.session_id,
        "consent": [consent.asked_by, consent.how, consent.risk_flags],
        "agreed_at": agreed_at,
    }
    return json.dumps(request)


def list_from_row(tx: Tx, row: Row) -> CallList:
    """The list in a row that `list_to_row` wrote, with the records of its calls."""
    request: dict[str, Any] = json.loads(row["request"])
    asked_by, how, flags = request["consent"]
    found = CallList(
        consent=Consent(asked_by, how, tuple(RiskFlag(flag) for flag in flags)),
        agreed_at=moment(request["agreed_at"] if "agreed_at" in request else row["asked_at"]),
        list_id=row["list_id"],
        account=AccountKey(row["api"], row["account"]),
        submissions=tuple(Submission.model_validate(fields) for fields in request["submissions"]),
        until=request["until"],
        accept_other_time=request["accept_other_time"],
        timezone=row["timezone"],
        asked_at=moment(row["asked_at"]),
        own_zones=request.get("own_zones", False),
        session_id=request["session_id"],
        passed=row["passed"],
        stop_reason=StopReason(row["why"]) if row["why"] else None,
        ended_at=moment_or_none(row["ended_at"]),
        refusal=_refusal_in(row),
        records=tuple(readable(tx.rows(_RECORDS, id=row["list_id"]))),
    )
    if found.stop_reason is StopReason.UNKNOWN:  # the outcome may be known by now
        return replace(found, stop_reason=found.next_stop_reason() or StopReason.UNKNOWN)
    last = found.records[-1] if found.records else None
    if found.stop_reason is None and last is not None and is_expired(last, moment(tx.now())):
        return replace(found, stop_reason=StopReason.REFUSED, ended_at=last.schedule.place_by)
    return found


def is_expired(record: CallRecord, now: datetime) -> bool:
    """Whether a scheduled call is too late to be placed, even if no worker has written that yet."""
    place_by = record.schedule.place_by
    is_late = record.state is CallState.SCHEDULED and place_by is not None and place_by < now
    return is_late or record.state is CallState.EXPIRED


def _refusal_in(row: Row) -> KallyAIError | None:
    with suppress(ValueError, KeyError, TypeError):  # the first versions wrote only the message
        return error_from(row["message"])
    return None
