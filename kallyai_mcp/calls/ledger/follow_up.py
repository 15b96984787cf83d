"""The plan: what comes after a call has ended, a retry or the next candidate of a list, and how it is placed when due.

The transaction that ends a call also writes the record of the next one, in state `scheduled`, due now or later. So
neither a crash between two calls nor a second worker can lose a call or place an extra one. The plan is data: how often
a call is tried is in its record, and the candidates of a list are in the table `call_lists`. The calls of a list are
the records with its `plan_id`.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.call_lists import LONGEST, PASSES, CallList, StopReason
from kallyai_mcp.calls.ledger import list_rows
from kallyai_mcp.calls.ledger.base import BATCH, ServiceTime, Tx
from kallyai_mcp.calls.ledger.list_rows import list_id_of, select_lists
from kallyai_mcp.calls.ledger.record_rows import to_row
from kallyai_mcp.calls.ledger.reservation import SameCalls, check_consent, check_policy, last_call
from kallyai_mcp.calls.ledger.rows import (
    EXPIRED,
    change,
    end,
    find,
    insert,
    list_ids,
    select,
    write_audit,
)
from kallyai_mcp.calls.policy import Consent
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState
from kallyai_mcp.calls.schedule import Attempt, Schedule, bounded, next_schedule
from kallyai_mcp.clock import moment

_DUE = "state = 'scheduled' AND not_before <= :now"

_CLOCKS_AGREE = 120.0
"""How many seconds the ledger's clock and the service's may differ."""

_NOT_SENT = (CallState.SCHEDULED, CallState.RESERVED, CallState.EXPIRED)


def follow_up(tx: Tx, record: CallRecord) -> CallRecord:
    """Plan what comes after `record`, which this transaction has ended; returns it, or the next attempt of its call.

    Its account is locked, and its row says how it ended.
    """
    if (retry := _plan_retry(tx, record)) is not None:
        return retry
    call_list = _open_list_of(tx, record)
    if call_list is not None and call_list.records[-1].tracking_id == record.tracking_id:  # else the user has passed it
        _insert_next(tx, call_list)
    return record


def _plan_retry(tx: Tx, record: CallRecord) -> CallRecord | None:
    """Schedule the next attempt of a call, if there is to be one; returns it.

    The row becomes the next attempt, under a new key, so that the agent's tracking id stays valid. The ended attempt
    is copied under a new tracking id, so that limits count it, and the service's call stays bound.
    """
    now, call = moment(tx.now), record.call
    if call is None or record.reached:
        return None
    attempt = Attempt(record.placed_at, call.plain_status, call.call_id)
    following = next_schedule(record.schedule, attempt, now, record.submission, record.timezone, tx.timing.place_within)
    if following is None:
        return None
    new = CallRecord.new(record.submission, record.account, now, record.timezone, record.session_id, following)
    # `new` has the tracking id of the copy, so that the generation of the record itself counts as used.
    retry = replace(SameCalls(tx, new).numbered(), tracking_id=record.tracking_id, plan_id=record.plan_id)
    scheduled = change(tx, record.tracking_id, "TRUE", to_row(retry))
    alone = replace(record.schedule, attempts=1)
    ended_copy = replace(record, tracking_id=new.tracking_id, plan_id=None, delivered_at=now, schedule=alone)
    insert(tx, "calls", to_row(ended_copy))
    return scheduled


def stop_next_after(tx: Tx, record: CallRecord) -> None:
    """Let no call follow `record`, which reached somebody, as is known only now, unless the next one was sent."""
    error = KallyAIError(f"The attempt before ({record.call_id}) may have reached somebody.", code="reached_before")
    is_retry = "fingerprint = :fingerprint AND state IN ('scheduled', 'reserved', 'sent') AND earlier IS NOT NULL"
    for retry in select(tx, record.account, is_retry, fingerprint=record.fingerprint):
        is_next = record.call_id in {attempt.call_id for attempt in retry.schedule.earlier}
        if is_next and retry.state in _NOT_SENT:
            end(tx, retry.tracking_id, "state IN ('scheduled', 'reserved')", CallState.REFUSED, error)
        elif is_next:  # no further one follows
            change(tx, retry.tracking_id, "TRUE", {"attempts": retry.schedule.attempt})
    call_list = _open_list_of(tx, record)
    if call_list is None or call_list.records[-1].state not in _NOT_SENT:
        return
    before = replace(call_list, records=call_list.records[:-1])
    is_before = [one.tracking_id for one in before.records[-1:]] == [record.tracking_id]
    if is_before and (reason := before.next_stop_reason()) is not None:
        _cancel_next(tx, call_list)
        _stop(tx, _without_last(tx, call_list), reason)


def find_due(
    tx: Tx,
    account: AccountKey,
    *,
    besides: Collection[str] = (),
) -> dict[str, list[CallRecord]]:
    """The first of the account's scheduled calls that are due, by tracking id, each with the calls before it.

    They are the earlier attempts of a call that is to be tried again, and the call before in a list, if they reached
    nobody, as far as is known. A list that asks all of its candidates goes on in any case. Calls that are due and have
    an id in `besides` are left out.
    """
    due: dict[str, list[CallRecord]] = {}
    waiting_last = "ORDER BY CASE WHEN earlier IS NULL THEN 0 ELSE 1 END, not_before LIMIT :most"
    listed, names = list_ids(besides)
    first_due = f"{_DUE} AND tracking_id NOT IN ({listed}) {waiting_last}"
    for record in select(tx, account, first_due, now=tx.now, most=BATCH, **names):
        found: list[CallRecord] = []
        for attempt in record.schedule.earlier:
            found += select(tx, account, "call_id = :id", id=attempt.call_id)
        if (call_list := _open_list_of(tx, record)) is not None and call_list.until != "all":
            found += call_list.records[-2:-1]
        due[record.tracking_id] = [one for one in found if one.state is CallState.ENDED and not one.reached]
    return due


def take_due(
    tx: Tx, account: AccountKey, worker: str, *, only: Collection[str], service_time: ServiceTime
) -> list[CallRecord]:
    """Reserve for `worker` the account's calls that are due, `only` those with these ids of calls or lists.

    A call must be due by the service's clock too, if that is known, so that a machine whose clock is wrong by hours
    does not call at night.
    """
    now, known = tx.now, service_time()
    there = known.timestamp() if known is not None else now
    if abs(there - now) <= _CLOCKS_AGREE:
        there = now  # a small difference does not let a call wait
    in_time = f"{_DUE} AND not_before <= :there AND place_by >= :now AND place_by >= :there"
    listed, names = list_ids(only)
    of_these = f"(tracking_id IN ({listed}) OR plan_id = session_id AND plan_id IN ({listed}))"
    due = select(tx, account, f"{in_time} AND {of_these} ORDER BY not_before", now=now, there=there, **names)
    latest_clock = moment(max(now, there))
    taken = [_take(tx, record, worker, latest_clock) for record in due]
    return [record for record in taken if record is not None]


def _take(tx: Tx, record: CallRecord, worker: str, now: datetime) -> CallRecord | None:
    """Reserve a scheduled call for `worker`, `now` by the clock that is ahead.

    Returns None if it is not placed: it has expired meanwhile, the callee's night has begun or its
    appointment is past, its list has stopped, or a setting refuses it.
    """
    scheduled = "state = 'scheduled'"
    if _has_stopped_without(tx, record):
        end(tx, record.tracking_id, scheduled, CallState.CANCELED)
        return None
    record = replace(record, schedule=_bounded_when_due(tx, record))
    if _is_too_late(record, now):
        _give_up(tx, record)
        return None
    if (refusal := check_policy(tx, record)) is not None:
        if (refused := end(tx, record.tracking_id, scheduled, CallState.REFUSED, refusal)) is not None:
            write_audit(tx, record, None, refused_by=refusal.setting)
            follow_up(tx, refused)
        return None
    taken = replace(_numbered(tx, record), state=CallState.RESERVED, worker=worker)
    if (reserved := change(tx, record.tracking_id, scheduled, to_row(taken))) is not None:
        write_audit(tx, reserved, None)  # the consent is in the line of the request
    return reserved


def _numbered(tx: Tx, record: CallRecord) -> CallRecord:
    """A scheduled call with the key of its request: a new one, unless 429 has put it off."""
    if record.response_lost_at is not None:
        return replace(record, placed_at=moment(tx.now))
    return SameCalls(tx, record).numbered()


def _bounded_when_due(tx: Tx, record: CallRecord) -> Schedule:
    """The schedule of a call that is due, by what is known now: its window was planned before.

    For the next candidate of a list, the user has agreed to the time at which the list was begun.
    """
    call_list = _open_list_of(tx, record) if record.is_of_list else None
    agreed_for = call_list.asked_at if call_list is not None else record.schedule.not_before
    if agreed_for is None:
        return record.schedule
    return bounded(record.schedule, record.submission, record.timezone, agreed_for=agreed_for)


def _is_too_late(record: CallRecord, now: datetime) -> bool:
    """Whether the window of a scheduled call is over."""
    return record.schedule.place_by is not None and record.schedule.place_by < now


def _give_up(tx: Tx, record: CallRecord) -> None:
    """Let a scheduled call expire for which it is too late; a list calls another candidate."""
    call_list = _open_list_of(tx, record) if record.is_of_list else None  # with its call, it stops
    expired = end(tx, record.tracking_id, "state = 'scheduled'", CallState.EXPIRED, EXPIRED)
    if expired is None:
        return
    if call_list is None:
        follow_up(tx, expired)
        return
    change(tx, expired.tracking_id, "TRUE", {"delivered_at": tx.now})  # the list tells it
    _insert_next(tx, _without_last(tx, call_list))


def _has_stopped_without(tx: Tx, record: CallRecord) -> bool:
    """Whether a list has made this call, and has stopped without ending it.

    What stops a list ends its next call, too. If that went wrong, the user was told all the same
    that nobody else is called.
    """
    return record.is_of_list and _open_list_of(tx, record) is None


# Lists of candidates


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
    call_list = replace(known or requested, goes_on_if_answered=requested.goes_on_if_answered)
    check_consent(tx, consent, last_calls(tx, call_list))
    if call_list.was_refused:
        call_list = _without_last(tx, call_list)
    elif call_list.stop_reason in PASSES:
        call_list = replace(call_list, passed=len(call_list.records))
    call_list = replace(call_list, consent=consent, asked_at=moment(tx.now), stop_reason=None, ended_at=None)
    if known is None:
        first = {"worker": "", "confirmation_id": consent.confirmation_id}  # `worker` is a column of older versions
        insert(tx, "call_lists", list_rows.to_row(call_list) | first)
    else:
        _written(tx, call_list)
        _adopt_calls(tx, call_list)
    return _insert_next(tx, call_list, worker, id_), True


def _adopt_calls(tx: Tx, call_list: CallList) -> None:
    """Write down that the calls of an older version belong to a list that goes on."""
    for record in call_list.records:
        if record.plan_id is None:
            change(tx, record.tracking_id, "TRUE", {"plan_id": call_list.list_id})


def cancel_list(tx: Tx, account: AccountKey, list_id: str) -> None:
    """Stop a list so that it can't go on, and cancel its next call if that was not sent; nothing if it has ended."""
    call_list = find_list(tx, account, list_id)
    if call_list is not None and call_list.stop_reason not in (StopReason.BOOKED, StopReason.DONE, StopReason.CANCELED):
        _stop(tx, call_list, StopReason.CANCELED)
        _cancel_next(tx, call_list)


def _cancel_next(tx: Tx, call_list: CallList) -> None:
    """Cancel the next call of a list, which has not been sent."""
    for record in call_list.records[-1:]:
        own = "session_id = :list AND state IN ('scheduled', 'reserved')"
        end(tx, record.tracking_id, own, CallState.CANCELED, list=call_list.list_id)


def _insert_next(tx: Tx, call_list: CallList, worker: str = "", id_: str | None = None) -> CallList:
    """Insert the call of the next candidate of an open list, or stop the list; returns the list as it is then.

    Without `worker`, the call is scheduled, due now. With `worker`, it is reserved for that worker, which sends it at
    once, under the tracking id `id_`. A call that may not be placed is inserted as refused. If the same call was asked
    for alone, that call becomes one of the list. A candidate who may no longer be called
    (`CallList.is_too_late`) comes last; if that is so for all who are left, the list stops.
    """
    while not call_list.is_calling:
        if (reason := call_list.next_stop_reason()) is not None:
            return _stop(tx, call_list, reason)
        now, place = moment(tx.now), len(call_list.records)
        submission, zone = call_list.submissions[place], call_list.timezones[place]
        record = CallRecord.new(submission, call_list.account, call_list.asked_at, zone, call_list.list_id)
        earlier = SameCalls(tx, record)
        duplicate = earlier.duplicate()
        if duplicate is not None and duplicate.plan_id is None:
            change(tx, duplicate.tracking_id, "TRUE", {"plan_id": call_list.list_id})
            call_list = replace(call_list, records=(*call_list.records, duplicate))
            continue
        if call_list.is_too_late_for_all(now):
            return _stop(tx, call_list, StopReason.REFUSED)
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
            record = replace(record, state=CallState.SCHEDULED, schedule=Schedule(now, call_list.asked_at + LONGEST))
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
    """The list that answers the request for `requested`: it goes on, waits for its user, or ended a short time ago."""
    newest_first = "fingerprint = :fingerprint ORDER BY CASE WHEN why IS NULL THEN 0 ELSE 1 END, asked_at DESC"
    timing = tx.timing
    for call_list in select_lists(tx, requested.account, newest_first, fingerprint=requested.fingerprint):
        seconds = timing.wait_for_user if call_list.waits_for_user else timing.repeat_after
        is_over = call_list.ended_at is not None and call_list.ended_at.timestamp() <= tx.now - seconds
        told_before = moment(tx.now - timing.repeat_after_delivery)
        if not is_over or not (call_list.stop_reason is StopReason.CANCELED or call_list.was_told(told_before)):
            return call_list
    return None


def find_list_of(tx: Tx, requested: CallList, call_id: str) -> CallList | None:
    """The list like `requested` with the call of this `call_id` or `tracking_id`; None when there is none."""
    record = find(tx, requested.account, call_id)
    list_id = list_id_of(tx, record) if record is not None else None
    found = find_list(tx, requested.account, list_id) if list_id is not None else None
    return found if found is not None and found.fingerprint == requested.fingerprint else None


def list_unfinished(tx: Tx, account: AccountKey) -> list[CallList]:
    """The account's lists that go on, or have waited for the user for at most `Timing.wait_for_user`, newest first.

    A list whose last call is in progress goes on.
    """
    recent = select_lists(tx, account, "ended_at IS NULL")  # apart, so that SQLite uses an index for each
    recent += select_lists(tx, account, "ended_at > :since", since=tx.now - tx.timing.wait_for_user)
    unfinished = [each for each in recent if each.is_open or each.waits_for_user]
    return sorted(unfinished, key=lambda each: each.asked_at, reverse=True)


def last_calls(tx: Tx, requested: CallList) -> tuple[datetime | None, ...]:
    """When the number of each candidate in `requested.to_come` was called last, in that order; None for never."""
    return tuple(last_call(tx, requested.account, submission.respondent_phone) for submission in requested.to_come)


def _open_list_of(tx: Tx, record: CallRecord) -> CallList | None:
    """The list that has this record; None when there is none, or it has stopped."""
    found = find_list(tx, record.account, record.plan_id) if record.plan_id is not None else None
    return found if found is not None and found.stop_reason is None else None


def _without_last(tx: Tx, call_list: CallList) -> CallList:
    """A list without its last call, so that the candidate counts as not called."""
    last = call_list.records[-1]
    change(tx, last.tracking_id, "TRUE", {"plan_id": None})
    tx.run("DELETE FROM call_list_calls WHERE tracking_id = :id", id=last.tracking_id)
    return replace(call_list, records=call_list.records[:-1])


def _stop(tx: Tx, call_list: CallList, reason: StopReason) -> CallList:
    return _written(tx, replace(call_list, stop_reason=reason, ended_at=moment(tx.now)))


def _written(tx: Tx, call_list: CallList) -> CallList:
    """`call_list`, after its row was written anew; `confirmation_id` stays that of the first consent."""
    tx.require_lock(call_list.account)
    row = list_rows.to_row(call_list)
    settings = ", ".join(f"{name} = :{name}" for name in row)
    tx.run(f"UPDATE call_lists SET {settings} WHERE list_id = :list_id", **row)
    return call_list
