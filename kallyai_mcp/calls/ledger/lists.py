"""The transactions about lists of candidates: a list begins, goes on, stops, and is found again.

The calls of a list are the records with its `plan_id`; its other facts are a row of `call_lists`.
"""

from dataclasses import replace
from datetime import datetime

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.call_lists import LONGEST, PASSES, CallList, StopReason
from kallyai_mcp.calls.ledger import list_rows
from kallyai_mcp.calls.ledger.base import Tx
from kallyai_mcp.calls.ledger.conditions import state_in
from kallyai_mcp.calls.ledger.list_rows import list_id_of, select_lists
from kallyai_mcp.calls.ledger.record_rows import to_row
from kallyai_mcp.calls.ledger.reservation import SameCalls, check_consent, check_policy, last_call
from kallyai_mcp.calls.ledger.rows import change, end, find, insert, write_audit
from kallyai_mcp.calls.policy import Consent
from kallyai_mcp.calls.records import WAITING, AccountKey, CallRecord, CallState
from kallyai_mcp.calls.schedule import Schedule
from kallyai_mcp.clock import moment


def reserve_list(
    tx: Tx, requested: CallList, consent: Consent, worker: str, id_: str
) -> tuple[CallList, bool]:
    """Begin a list, or let it go on if it has calls already, and reserve its next call for
    `worker`, as `id_`.

    `CallList.may_go_on` has the rule. Nothing is done if another list answers the request
    (`find_same_list`), or if the list has changed since it was read so that it may not go on.
    Returns the list, and whether this request has begun it or let it go on.

    Raises:
        ConsentOutdatedError: A number was called since, or the confirmation was used already.
    """
    is_new = not requested.records
    known = (
        find_same_list(tx, requested)
        if is_new
        else find_list(tx, requested.account, requested.list_id)
    )
    if known is not None and not (known.may_go_on and len(known.records) == len(requested.records)):
        return known, False
    call_list = replace(known or requested, goes_on_if_answered=requested.goes_on_if_answered)
    check_consent(tx, consent, last_calls(tx, call_list))
    if call_list.was_refused:
        call_list = without_last(tx, call_list)
    elif call_list.stop_reason in PASSES:
        call_list = replace(call_list, passed=len(call_list.records))
    call_list = replace(
        call_list, consent=consent, asked_at=moment(tx.now), stop_reason=None, ended_at=None
    )
    if known is None:
        # `worker` is a column of older versions.
        first = {"worker": "", "confirmation_id": consent.confirmation_id}
        insert(tx, "call_lists", list_rows.to_row(call_list) | first)
    else:
        _written(tx, call_list)
        _adopt_calls(tx, call_list)
    return insert_next(tx, call_list, worker, id_), True


def _adopt_calls(tx: Tx, call_list: CallList) -> None:
    """Write down that the calls of an older version belong to a list that goes on."""
    for record in call_list.records:
        if record.plan_id is None:
            change(tx, record.tracking_id, "TRUE", {"plan_id": call_list.list_id})


def cancel_list(tx: Tx, account: AccountKey, list_id: str) -> None:
    """Stop a list so that it can't go on, and cancel its next call if that was not sent; nothing if
    it has ended.
    """
    call_list = find_list(tx, account, list_id)
    if call_list is not None and call_list.stop_reason not in (
        StopReason.BOOKED,
        StopReason.DONE,
        StopReason.CANCELED,
    ):
        stop(tx, call_list, StopReason.CANCELED)
        cancel_next(tx, call_list)


def cancel_next(tx: Tx, call_list: CallList) -> None:
    """Cancel the next call of a list, which has not been sent."""
    for record in call_list.records[-1:]:
        own = f"session_id = :list AND {state_in(*WAITING)}"
        end(tx, record.tracking_id, own, CallState.CANCELED, list=call_list.list_id)


def insert_next(tx: Tx, call_list: CallList, worker: str = "", id_: str | None = None) -> CallList:
    """Insert the call of the next candidate of an open list, or stop the list; returns the list as
    it is then.

    Without `worker`, the call is scheduled, due now. With `worker`, it is reserved for that worker,
    which sends it at once, under the tracking id `id_`. A call that may not be placed is inserted
    as refused. If the same call was asked for alone, that call becomes one of the list. A candidate
    who may no longer be called (`CallList.is_too_late`) comes last; if that is so for all who are
    left, the list stops.
    """
    while not call_list.is_calling:
        if (reason := call_list.next_stop_reason()) is not None:
            return stop(tx, call_list, reason)
        now, place = moment(tx.now), len(call_list.records)
        submission, zone = call_list.submissions[place], call_list.timezones[place]
        record = CallRecord.new(
            submission, call_list.account, call_list.asked_at, zone, call_list.list_id
        )
        earlier = SameCalls(tx, record)
        duplicate = earlier.duplicate()
        if duplicate is not None and duplicate.plan_id is None:
            change(tx, duplicate.tracking_id, "TRUE", {"plan_id": call_list.list_id})
            call_list = replace(call_list, records=(*call_list.records, duplicate))
            continue
        if call_list.is_too_late_for_all(now):
            return stop(tx, call_list, StopReason.REFUSED)
        if call_list.is_too_late(place, now):
            call_list = _written(tx, call_list.with_next_last())
            continue
        record = replace(earlier.numbered(), plan_id=call_list.list_id)
        refusal = check_policy(tx, record)
        if refusal is not None:
            write_audit(tx, record, call_list.consent, refused_by=refusal.setting)
        error: KallyAIError | None = refusal
        if error is None and duplicate is not None:
            words = "Another list has the same call, so this list did not place it."
            error = KallyAIError(words, code="in_another_list", reason=duplicate.tracking_id)
        if error is not None:
            record = replace(record, state=CallState.REFUSED, error=error, ended_at=now)
        elif worker:
            record = replace(record, worker=worker, tracking_id=id_ or record.tracking_id)
        else:
            record = replace(
                record,
                state=CallState.SCHEDULED,
                schedule=Schedule(now, call_list.asked_at + LONGEST),
            )
        insert(tx, "calls", to_row(record))
        call_list = replace(call_list, records=(*call_list.records, record))
        if error is None:
            write_audit(tx, record, call_list.consent)
            break
    return call_list


def find_list(tx: Tx, account: AccountKey, list_id: str) -> CallList | None:
    """The account's list with this id; None when there is none."""
    return next(iter(select_lists(tx, account, "list_id = :id", id=list_id)), None)


def find_same_list(tx: Tx, requested: CallList) -> CallList | None:
    """The list that answers the request for `requested`: it goes on, waits for its user, or ended a
    short time ago.
    """
    newest_first = (
        "fingerprint = :fingerprint ORDER BY CASE WHEN why IS NULL THEN 0 ELSE 1 END, asked_at DESC"
    )
    timing = tx.timing
    for call_list in select_lists(
        tx, requested.account, newest_first, fingerprint=requested.fingerprint
    ):
        seconds = timing.wait_for_user if call_list.waits_for_user else timing.repeat_after
        is_over = (
            call_list.ended_at is not None and call_list.ended_at.timestamp() <= tx.now - seconds
        )
        delivered_before = moment(tx.now - timing.repeat_after_delivery)
        if not is_over or not (
            call_list.stop_reason is StopReason.CANCELED
            or call_list.was_delivered(delivered_before)
        ):
            return call_list
    return None


def find_list_of(tx: Tx, requested: CallList, call_id: str) -> CallList | None:
    """The list like `requested` with the call of this `call_id` or `tracking_id`; None when there
    is none.
    """
    record = find(tx, requested.account, call_id)
    list_id = list_id_of(tx, record) if record is not None else None
    found = find_list(tx, requested.account, list_id) if list_id is not None else None
    return found if found is not None and found.fingerprint == requested.fingerprint else None


def list_unfinished(tx: Tx, account: AccountKey) -> list[CallList]:
    """The account's lists that go on, or have waited for the user for at most
    `Timing.wait_for_user`, newest first.

    A list whose last call is in progress goes on.
    """
    # Apart, so that SQLite uses an index for each.
    recent = select_lists(tx, account, "ended_at IS NULL")
    recent += select_lists(tx, account, "ended_at > :since", since=tx.now - tx.timing.wait_for_user)
    unfinished = [each for each in recent if each.is_open or each.waits_for_user]
    return sorted(unfinished, key=lambda each: each.asked_at, reverse=True)


def last_calls(tx: Tx, requested: CallList) -> tuple[datetime | None, ...]:
    """When the number of each candidate in `requested.to_come` was called last, in that order; None
    for never.
    """
    return tuple(
        last_call(tx, requested.account, submission.respondent_phone)
        for submission in requested.to_come
    )


def open_list_of(tx: Tx, record: CallRecord) -> CallList | None:
    """The list that has this record; None when there is none, or it has stopped."""
    found = find_list(tx, record.account, record.plan_id) if record.plan_id is not None else None
    return found if found is not None and found.stop_reason is None else None


def without_last(tx: Tx, call_list: CallList) -> CallList:
    """A list without its last call, so that the candidate counts as not called."""
    last = call_list.records[-1]
    change(tx, last.tracking_id, "TRUE", {"plan_id": None})
    tx.run("DELETE FROM call_list_calls WHERE tracking_id = :id", id=last.tracking_id)
    return replace(call_list, records=call_list.records[:-1])


def stop(tx: Tx, call_list: CallList, reason: StopReason) -> CallList:
    """`call_list`, after it was written that it has stopped, and why."""
    return _written(tx, replace(call_list, stop_reason=reason, ended_at=moment(tx.now)))


def _written(tx: Tx, call_list: CallList) -> CallList:
    """`call_list`, after its row was written anew; `confirmation_id` stays that of the first
    consent.
    """
    tx.require_lock(call_list.account)
    row = list_rows.to_row(call_list)
    settings = ", ".join(f"{name} = :{name}" for name in row)
    tx.run(f"UPDATE call_lists SET {settings} WHERE list_id = :list_id", **row)
    return call_list
