"""The transactions of lists of candidates: start one, let it go on, cancel it, and call its next candidate."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.call_lists import LONGEST, PASSES, CallList, StopReason
from kallyai_mcp.calls.ledger.base import Row, Tx
from kallyai_mcp.calls.ledger.reservation import SameCalls, check_consent, check_policy, last_call
from kallyai_mcp.calls.ledger.rows import MINE, end, find, insert, readable, write_audit
from kallyai_mcp.calls.numbers import zone_of_number
from kallyai_mcp.calls.policy import Consent, RiskFlag
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState, to_row
from kallyai_mcp.calls.schedule import Schedule
from kallyai_mcp.clock import moment, moment_or_none, seconds_or_none


def reserve_list(tx: Tx, requested: CallList, consent: Consent, worker: str, id_: str) -> tuple[CallList, bool]:
    """Begin a list, or let it go on if it has calls already, and reserve its next call for `worker`, as `id_`.

    `CallList.may_go_on` has the rule. Nothing is done if another list answers the request (`find_same_list`), or if the
    list has changed since it was read so that it may not go on. Returns the list, and whether this request has begun it
    or let it go on.

    Raises:
        ConsentOutdatedError: A number was called since, or the confirmation was used already.
    """
    is_new = not requested.records
    known = find_same_list(tx, requested) if is_new else find_list(tx, requested.account, requested.list_id)
    if known is not None and not (known.may_go_on and len(known.records) == len(requested.records)):
        return known, False
    call_list = known or requested
    check_consent(tx, consent, "call_lists", last_calls(tx, call_list))
    if call_list.was_refused:
        call_list = without_last(tx, call_list)
    elif call_list.stop_reason in PASSES:
        call_list = replace(call_list, passed=len(call_list.records))
    call_list = replace(
        call_list,
        goes_on_if_answered=requested.goes_on_if_answered,
        consent=consent,
        asked_at=moment(tx.now()),
        stop_reason=None,
        ended_at=None,
    )
    if known is None:
        first = {"worker": "", "confirmation_id": consent.confirmation_id}  # older versions read `worker`
        insert(tx, "call_lists", _to_row(call_list) | first)
    else:
        _written(tx, call_list)
    return advance(tx, call_list, worker, id_), True


def cancel_list(tx: Tx, account: AccountKey, list_id: str) -> None:
    """Stop a list so that it can't go on, and cancel its next call if that was not sent; nothing if it has ended."""
    call_list = find_list(tx, account, list_id)
    if call_list is not None and call_list.stop_reason not in (StopReason.BOOKED, StopReason.DONE, StopReason.CANCELED):
        stop(tx, call_list, StopReason.CANCELED)
        cancel_next(tx, call_list)


def cancel_next(tx: Tx, call_list: CallList) -> None:
    """Cancel the next call of a list, which has not been sent."""
    for record in call_list.records[-1:]:
        own = "session_id = :list AND state IN ('scheduled', 'reserved')"
        end(tx, record.tracking_id, own, CallState.CANCELED, list=call_list.list_id)


def advance(tx: Tx, call_list: CallList, worker: str = "", id_: str | None = None) -> CallList:
    """Insert the call of the next candidate of an open list, or stop the list; returns the list as it is then.

    Without `worker`, the call is scheduled, due now. With `worker`, it is reserved for that worker, which sends it at
    once, under the tracking id `id_`. A call that a setting refuses is inserted as such.
    """
    while not call_list.is_calling:
        if (reason := call_list.next_stop_reason()) is not None:
            return stop(tx, call_list, reason)
        now, place = moment(tx.now()), len(call_list.records)
        submission, zone = call_list.submissions[place], call_list.timezones[place]
        record = CallRecord.new(submission, call_list.account, call_list.asked_at, zone, call_list.list_id)
        earlier = SameCalls(tx, record)
        if (duplicate := earlier.duplicate()) is not None:
            call_list = _tied(tx, call_list, duplicate)
            continue
        record = earlier.numbered()
        refusal = check_policy(tx, record)
        if refusal is not None:
            write_audit(tx, record, call_list.consent, refused_by=refusal.setting)
            record = replace(record, state=CallState.REFUSED, error=refusal, ended_at=now)
        elif worker:
            record = replace(record, worker=worker, tracking_id=id_ or record.tracking_id)
        else:
            record = replace(record, state=CallState.SCHEDULED, schedule=Schedule(now, call_list.asked_at + LONGEST))
        insert(tx, "calls", to_row(record))
        call_list = _tied(tx, call_list, record)
        if refusal is None:
            write_audit(tx, record, call_list.consent)
            break
    return call_list


def find_list(tx: Tx, account: AccountKey, list_id: str) -> CallList | None:
    """The account's list with this id; None when there is none."""
    return next(iter(_select(tx, account, "list_id = :id", id=list_id)), None)


def find_same_list(tx: Tx, requested: CallList) -> CallList | None:
    """The list that answers the request for `requested`: it goes on, waits for its user, or ended a short time ago."""
    newest_first = "fingerprint = :fingerprint ORDER BY CASE WHEN why IS NULL THEN 0 ELSE 1 END, asked_at DESC"
    timing = tx.timing
    for call_list in _select(tx, requested.account, newest_first, fingerprint=requested.fingerprint):
        seconds = timing.wait_for_user if call_list.waits_for_user else timing.repeat_after
        if call_list.ended_at is None or call_list.ended_at.timestamp() > tx.now() - seconds:
            return call_list
    return None


def find_list_of(tx: Tx, requested: CallList, call_id: str) -> CallList | None:
    """The newest list like `requested` with the call of this `call_id` or `tracking_id`; None when there is none.

    Lists with other candidates may have the same call: the one that they have in common was called once.
    """
    if (record := find(tx, requested.account, call_id)) is None:
        return None
    alike = "fingerprint = :fingerprint ORDER BY asked_at DESC"
    return next(iter(_lists_with(tx, record, alike, fingerprint=requested.fingerprint)), None)


def list_unfinished(tx: Tx, account: AccountKey) -> list[CallList]:
    """The account's lists that go on, or have waited for the user for at most `Timing.wait_for_user`, newest first.

    A list whose last call is in progress goes on.
    """
    recent = _select(tx, account, "ended_at IS NULL")  # apart, so that SQLite uses an index for each
    recent += _select(tx, account, "ended_at > :since", since=tx.now() - tx.timing.wait_for_user)
    unfinished = [each for each in recent if each.is_open or each.waits_for_user]
    return sorted(unfinished, key=lambda each: each.asked_at, reverse=True)


def last_calls(tx: Tx, requested: CallList) -> tuple[datetime | None, ...]:
    """When the number of each candidate in `requested.to_come` was called last, in that order; None for never."""
    return tuple(last_call(tx, requested.account, submission.respondent_phone) for submission in requested.to_come)


def open_lists_with(tx: Tx, record: CallRecord) -> list[CallList]:
    """The lists that go on and have this record."""
    return _lists_with(tx, record, "why IS NULL")


def _lists_with(tx: Tx, record: CallRecord, condition: str, **values: Any) -> list[CallList]:
    of_record = "list_id IN (SELECT list_id FROM call_list_calls WHERE tracking_id = :id)"
    return _select(tx, record.account, f"{of_record} AND {condition}", id=record.tracking_id, **values)


def without_last(tx: Tx, call_list: CallList) -> CallList:
    """A list without its last call, so that the candidate counts as not called."""
    last = "DELETE FROM call_list_calls WHERE list_id = :id AND position = :position"
    tx.run(last, id=call_list.list_id, position=len(call_list.records) - 1)
    return replace(call_list, records=call_list.records[:-1])


def stop(tx: Tx, call_list: CallList, reason: StopReason) -> CallList:
    """Stop a list."""
    return _written(tx, replace(call_list, stop_reason=reason, ended_at=moment(tx.now())))


def _written(tx: Tx, call_list: CallList) -> CallList:
    """`call_list`, after its row was written anew; `confirmation_id` stays that of the first consent."""
    row = _to_row(call_list)
    settings = ", ".join(f"{name} = :{name}" for name in row)
    tx.run(f"UPDATE call_lists SET {settings} WHERE list_id = :list_id", **row)
    return call_list


def _tied(tx: Tx, call_list: CallList, record: CallRecord) -> CallList:
    row = {"list_id": call_list.list_id, "position": len(call_list.records), "tracking_id": record.tracking_id}
    insert(tx, "call_list_calls", row)
    return replace(call_list, records=(*call_list.records, record))


def _to_row(call_list: CallList) -> Row:
    """The row of a list in the table `call_lists`, without `confirmation_id`; `_from_row` reads it back."""
    request = {
        "submissions": [submission.as_json() for submission in call_list.submissions],
        "until": call_list.until,
        "accept_other_time": call_list.accept_other_time,
        "timezones": call_list.timezones,
        "goes_on_if_answered": call_list.goes_on_if_answered,
        "consent": [call_list.consent.asked_by, call_list.consent.how, call_list.consent.risk_flags],
        # Workers of older versions read these two.
        "own_zones": len(set(call_list.timezones)) > 1,
        "agreed_at": call_list.asked_at.timestamp(),
    }
    return {
        "list_id": call_list.list_id,
        **call_list.account.columns,
        "fingerprint": call_list.fingerprint,
        "request": json.dumps(request),
        "timezone": call_list.timezones[0],
        "asked_at": call_list.asked_at.timestamp(),
        "passed": call_list.passed,
        "why": call_list.stop_reason.value if call_list.stop_reason is not None else None,
        "ended_at": seconds_or_none(call_list.ended_at),
    }


def _select(tx: Tx, account: AccountKey, condition: str, **values: Any) -> list[CallList]:
    """The account's lists that meet a condition, with the records of their calls."""
    rows = tx.rows(f"SELECT * FROM call_lists WHERE {MINE} AND {condition}", **account.columns, **values)
    return [_from_row(tx, row) for row in rows]


def _zones_of_older_version(request: dict[str, Any], zone: str, submissions: Sequence[Submission]) -> Iterator[str]:
    """The zone of each candidate's times: with `own_zones`, that of the number, if it shows one; else `zone`."""
    for submission in submissions:
        own = zone_of_number(submission.respondent_phone) if request["own_zones"] else None
        yield own or zone


def _from_row(tx: Tx, row: Row) -> CallList:
    records = tx.rows(
        "SELECT calls.* FROM calls JOIN call_list_calls ON calls.tracking_id = call_list_calls.tracking_id "
        "WHERE call_list_calls.list_id = :id ORDER BY call_list_calls.position",
        id=row["list_id"],
    )
    request: dict[str, Any] = json.loads(row["request"])
    asked_by, how, flags = request["consent"]
    submissions = tuple(Submission.model_validate(fields) for fields in request["submissions"])
    found = CallList(
        consent=Consent(asked_by, how, tuple(RiskFlag(flag) for flag in flags)),
        list_id=row["list_id"],
        account=AccountKey(row["api"], row["account"]),
        submissions=submissions,
        until=request["until"],
        accept_other_time=request["accept_other_time"],
        timezones=tuple(request.get("timezones") or _zones_of_older_version(request, row["timezone"], submissions)),
        asked_at=moment(row["asked_at"]),
        goes_on_if_answered=request.get("goes_on_if_answered", False),
        passed=row["passed"],
        stop_reason=StopReason(row["why"]) if row["why"] else None,
        ended_at=moment_or_none(row["ended_at"]),
        records=tuple(readable(tx, records)),
    )
    last = found.records[-1] if found.records else None
    is_expired = found.stop_reason is None and last is not None and last.state is CallState.EXPIRED
    if is_expired or found.stop_reason is StopReason.UNKNOWN:  # no worker has written it yet, or the outcome is known
        return replace(found, stop_reason=found.next_stop_reason() or found.stop_reason)
    return found
