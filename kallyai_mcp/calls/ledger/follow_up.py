"""The plan: what comes after a call has ended, a retry or the next candidate of a list, and how it
is placed when due.

The transaction that ends a call also writes the record of the next one, in state `scheduled`, due
now or later. So neither a crash between two calls nor a second worker can lose a call or place an
extra one. The plan is data: how often a call is tried is in its record, and the candidates of a
list are in the table `call_lists`. The calls of a list are the records with its `plan_id`.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.ledger.base import BATCH, ServiceTime, Tx
from kallyai_mcp.calls.ledger.conditions import IS_SCHEDULED, list_ids, state_in
from kallyai_mcp.calls.ledger.expiry import end_late
from kallyai_mcp.calls.ledger.lists import (
    cancel_next,
    insert_next,
    open_list_of,
    stop,
    without_last,
)
from kallyai_mcp.calls.ledger.record_rows import to_row
from kallyai_mcp.calls.ledger.reservation import SameCalls, check_policy
from kallyai_mcp.calls.ledger.rows import (
    change,
    end,
    insert,
    readable,
    select,
    write_audit,
)
from kallyai_mcp.calls.records import OPEN, WAITING, AccountKey, CallRecord, CallState, is_late
from kallyai_mcp.calls.schedule import Attempt, Schedule, bounded, next_schedule
from kallyai_mcp.clock import moment

_DUE = f"{IS_SCHEDULED} AND not_before <= :now"

_CLOCKS_AGREE = 120.0
"""How many seconds the ledger's clock and the service's may differ."""

_NOT_SENT = (*WAITING, CallState.EXPIRED)
"""The states of a next call whose request has not left."""


def follow_up(tx: Tx, record: CallRecord) -> CallRecord:
    """Plan what comes after `record`, which this transaction has ended; returns it, or the next
    attempt of its call.

    Its account is locked, and its row says how it ended.
    """
    if (retry := _plan_retry(tx, record)) is not None:
        return retry
    call_list = open_list_of(tx, record)
    # Else the user has passed it.
    if call_list is not None and call_list.records[-1].tracking_id == record.tracking_id:
        insert_next(tx, call_list)
    return record


def _plan_retry(tx: Tx, record: CallRecord) -> CallRecord | None:
    """Schedule the next attempt of a call, if there is to be one; returns it.

    The row becomes the next attempt, under a new key, so that the agent's tracking id stays valid.
    The ended attempt is copied under a new tracking id, so that limits count it, and the service's
    call stays bound.
    """
    now, call = moment(tx.now), record.call
    if call is None or record.reached:
        return None
    attempt = Attempt(record.asked_at, call.plain_status, call.call_id)
    following = next_schedule(
        record.schedule, attempt, now, record.submission, record.timezone, tx.timing.place_within
    )
    if following is None:
        return None
    new = CallRecord.new(
        record.submission, record.account, now, record.timezone, record.session_id, following
    )
    # `new` has the tracking id of the copy, so that the generation of the record itself counts as
    # used.
    retry = replace(
        SameCalls(tx, new).numbered(), tracking_id=record.tracking_id, plan_id=record.plan_id
    )
    scheduled = change(tx, record.tracking_id, "TRUE", to_row(retry))
    alone = replace(record.schedule, attempts=1)
    ended_copy = replace(
        record, tracking_id=new.tracking_id, plan_id=None, delivered_at=now, schedule=alone
    )
    insert(tx, "calls", to_row(ended_copy))
    return scheduled


def stop_next_after(tx: Tx, record: CallRecord) -> None:
    """Let no call follow `record`, which reached somebody, as is known only now, unless the next
    one was sent.
    """
    error = KallyAIError(
        f"The attempt before ({record.call_id}) may have reached somebody.", code="reached_before"
    )
    is_retry = f"fingerprint = :fingerprint AND {state_in(*OPEN)} AND earlier IS NOT NULL"
    for retry in select(tx, record.account, is_retry, fingerprint=record.fingerprint):
        is_next = record.call_id in {attempt.call_id for attempt in retry.schedule.earlier}
        if is_next and retry.state in _NOT_SENT:
            end(
                tx,
                retry.tracking_id,
                state_in(*WAITING),
                CallState.REFUSED,
                error,
            )
        elif is_next:  # no further one follows
            change(tx, retry.tracking_id, "TRUE", {"attempts": retry.schedule.attempt})
    call_list = open_list_of(tx, record)
    if call_list is None or call_list.records[-1].state not in _NOT_SENT:
        return
    before = replace(call_list, records=call_list.records[:-1])
    is_before = [one.tracking_id for one in before.records[-1:]] == [record.tracking_id]
    if is_before and (reason := before.next_stop_reason()) is not None:
        cancel_next(tx, call_list)
        stop(tx, without_last(tx, call_list), reason)


def find_due(
    tx: Tx,
    account: AccountKey,
    *,
    besides: Collection[str] = (),
) -> dict[str, list[CallRecord]]:
    """The first of the account's scheduled calls that are due, by tracking id, each with the calls
    before it.

    They are the earlier attempts of a call that is to be tried again, and the call before in a
    list, if they reached nobody, as far as is known. A list that asks all of its candidates goes on
    in any case. Calls that are due and have an id in `besides` are left out.
    """
    due: dict[str, list[CallRecord]] = {}
    waiting_last = "ORDER BY CASE WHEN earlier IS NULL THEN 0 ELSE 1 END, not_before LIMIT :most"
    listed, names = list_ids(besides)
    first_due = f"{_DUE} AND tracking_id NOT IN ({listed}) {waiting_last}"
    for record in select(tx, account, first_due, now=tx.now, most=BATCH, **names):
        found: list[CallRecord] = []
        for attempt in record.schedule.earlier:
            found += select(tx, account, "call_id = :id", id=attempt.call_id)
        if (call_list := open_list_of(tx, record)) is not None and call_list.until != "all":
            found += call_list.records[-2:-1]
        due[record.tracking_id] = [
            one for one in found if one.state is CallState.ENDED and not one.reached
        ]
    return due


def take_due(
    tx: Tx, account: AccountKey, worker: str, *, only: Collection[str], service_time: ServiceTime
) -> list[CallRecord]:
    """Reserve for `worker` the account's calls that are due, `only` those with these ids of calls
    or lists.

    A call must be due by the service's clock too, if that is known, so that a machine whose clock
    is wrong by hours does not call at night.
    """
    now, known = tx.now, service_time()
    there = known.timestamp() if known is not None else now
    if abs(there - now) <= _CLOCKS_AGREE:
        there = now  # a small difference does not let a call wait
    in_time = f"{_DUE} AND not_before <= :there AND place_by >= :now AND place_by >= :there"
    listed, names = list_ids(only)
    of_these = f"(tracking_id IN ({listed}) OR plan_id = session_id AND plan_id IN ({listed}))"
    due = select(
        tx, account, f"{in_time} AND {of_these} ORDER BY not_before", now=now, there=there, **names
    )
    latest_clock = moment(max(now, there))
    taken = [_take(tx, record, worker, latest_clock) for record in due]
    return [record for record in taken if record is not None]


def _take(tx: Tx, record: CallRecord, worker: str, now: datetime) -> CallRecord | None:
    """Reserve a scheduled call for `worker`, `now` by the clock that is ahead.

    Returns None if it is not placed: it has expired meanwhile, the callee's night has begun or its
    appointment is past, its list has stopped, or a setting refuses it.
    """
    if _has_stopped_without(tx, record):
        end(tx, record.tracking_id, IS_SCHEDULED, CallState.CANCELED)
        return None
    record = replace(record, schedule=_bounded_when_due(tx, record))
    if is_late(record, now):
        _give_up(tx, record)
        return None
    if (refusal := check_policy(tx, record)) is not None:
        if (
            refused := end(tx, record.tracking_id, IS_SCHEDULED, CallState.REFUSED, refusal)
        ) is not None:
            write_audit(tx, record, None, refused_by=refusal.setting)
            follow_up(tx, refused)
        return None
    taken = replace(_numbered(tx, record), state=CallState.RESERVED, worker=worker)
    if (reserved := change(tx, record.tracking_id, IS_SCHEDULED, to_row(taken))) is not None:
        write_audit(tx, reserved, None)  # the consent is in the line of the request
    return reserved


def _numbered(tx: Tx, record: CallRecord) -> CallRecord:
    """A scheduled call with the key of its request: a new one, unless 429 has put it off."""
    if record.response_lost_at is not None:
        return replace(record, asked_at=moment(tx.now))
    return SameCalls(tx, record).numbered()


def _bounded_when_due(tx: Tx, record: CallRecord) -> Schedule:
    """The schedule of a call that is due, by what is known now: its window was planned before.

    For the next candidate of a list, the user has agreed to the time at which the list was begun.
    """
    call_list = open_list_of(tx, record) if record.is_of_list else None
    agreed_for = call_list.asked_at if call_list is not None else record.schedule.not_before
    if agreed_for is None:
        return record.schedule
    return bounded(record.schedule, record.submission, record.timezone, agreed_for=agreed_for)


def _give_up(tx: Tx, record: CallRecord) -> None:
    """Let a scheduled call expire for which it is too late; a list calls another candidate."""
    call_list = open_list_of(tx, record) if record.is_of_list else None  # with its call, it stops
    for expired in readable(tx, end_late(tx, record.account, [record.tracking_id])):
        if call_list is None:
            follow_up(tx, expired)
        else:
            change(tx, expired.tracking_id, "TRUE", {"delivered_at": tx.now})  # the list tells it
            insert_next(tx, without_last(tx, call_list))


def _has_stopped_without(tx: Tx, record: CallRecord) -> bool:
    """Whether a list has made this call, and has stopped without ending it.

    What stops a list ends its next call, too. If that went wrong, the user was told all the same
    that nobody else is called.
    """
    return record.is_of_list and open_list_of(tx, record) is None
