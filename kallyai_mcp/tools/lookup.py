"""Finds a call or a list, in the ledger or at KallyAI, and reads what a result says of it."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

import anyio

from kallyai_mcp.api.errors import KallyAIError, NotFoundError
from kallyai_mcp.api.models import Call, Transcript
from kallyai_mcp.calls.about_booking import about_call_id
from kallyai_mcp.calls.appointment import Calendar, lies_before, read_appointment
from kallyai_mcp.calls.call_lists import CallList
from kallyai_mcp.calls.context import logged
from kallyai_mcp.calls.errors import LedgerUnavailableError
from kallyai_mcp.calls.findings import note_transcript, read_findings
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState
from kallyai_mcp.calls.tracking_ids import is_tracking_id
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.facets.booking import booking_of
from kallyai_mcp.tools.facets.booking_history import Event, history_of
from kallyai_mcp.tools.facets.call import CallView
from kallyai_mcp.tools.facets.earlier_calls import EarlierCalls, earlier_calls
from kallyai_mcp.tools.facets.live import NOT_LIVE, Live, live_of
from kallyai_mcp.tools.facets.relations import (
    UNRELATED,
    Relations,
    may_have_relations,
    relations_of,
)
from kallyai_mcp.tools.facets.speech import (
    NOT_NEEDED,
    Speech,
    may_have_transcript,
    speech_of,
    unread_speech,
)

Found = CallRecord | CallList | Call
"""What an id finds: a call or a list of the ledger, or a call that only KallyAI has."""

_TRANSCRIPT_SECONDS = 3.0
"""How many seconds to wait for a transcript, which must not delay a result for long."""


class NotThereError(KallyAIError):
    """A call or a list has no transcript or no appointment, or not yet; `code` says why."""


_NOT_THERE = {
    "is_a_list": "This is a list of calls.",
    "call_scheduled": "The call has not been placed yet.",
    "call_in_progress": "The call is still in progress.",
    "outcome_unknown": "The outcome of the call is unknown.",
    "no_calendar_event": "KallyAI has no confirmed calendar event for that call.",
}


def _not_there(code: str) -> NotThereError:
    return NotThereError(_NOT_THERE[code], code=code)


async def find(app_context: AppContext, id_: str) -> Found:
    """Find a call or a list by its `call_id` or its `tracking_id`, which only the ledger knows.

    Raises:
        NotFoundError: Neither the ledger nor KallyAI has it.
        LedgerUnavailableError: It is a `tracking_id`, and the ledger can't be read.
    """
    known = None
    try:
        known = await find_in_ledger(app_context, id_)
    except LedgerUnavailableError:
        if is_tracking_id(id_):
            raise
    return known or await app_context.api().get_call(id_)


async def find_in_ledger(app_context: AppContext, id_: str) -> CallRecord | CallList | None:
    """The call or the list with this id that this program has placed; None if there is none."""
    if is_tracking_id(id_):
        found = await app_context.calls.find_list(id_)
        if found is not None:
            return found
    return await app_context.calls.find(id_)


async def find_call_id(app_context: AppContext, id_: str) -> str:
    """KallyAI's id of a call that has ended, by its `tracking_id`; a `call_id` is not checked.

    Raises:
        NotThereError: KallyAI has none, or not yet.
        KallyAIError: Why the call was refused.
    """
    if not is_tracking_id(id_):
        return id_
    found = _one_call(await find(app_context, id_))
    view = CallView.of(found, timezone=app_context.timezone)
    if view.call_id is not None and view.outcome is not None:
        return view.call_id
    raise view.refusal or _not_there(_why_without_call_id(view))


def _one_call(found: Found) -> CallRecord | Call:
    if isinstance(found, CallList):
        raise _not_there("is_a_list")
    return found


def _why_without_call_id(view: CallView) -> str:
    if view.status == CallState.SCHEDULED:
        return "call_scheduled"
    is_in_progress = view.outcome is None and not view.is_being_checked
    return "call_in_progress" if is_in_progress else "outcome_unknown"


async def find_booking(app_context: AppContext, id_: str) -> CallView:
    """A call with the appointment that it made, in the zone of the request.

    Raises:
        NotThereError: It made none, or KallyAI has no call.
        KallyAIError: As in `find` and `find_call_id`.
    """
    call_id = await find_call_id(app_context, id_)
    found = _one_call(await find(app_context, call_id))
    view = CallView.of(found, timezone=app_context.timezone)
    try:
        made = read_appointment(await app_context.api().get_calendar(call_id))
    except NotFoundError:
        made = None
    if made is None or lies_before(made, view.called_at, view.zone_name):
        raise _not_there("no_calendar_event")
    booking = booking_of(view.submission, view.call, Calendar(made), view.zone_name)
    return replace(view, booking=booking)


async def find_event(app_context: AppContext, id_: str) -> Event:
    """The newest event of the booking that a call has made; errors as in `find_booking`.

    If the ledger can't be read, it is that of the call itself.
    """
    found = await find_booking(app_context, id_)
    try:
        return await _newest_event(app_context, found)
    except LedgerUnavailableError:
        return Event(found, found, history_of(found, ()))


async def find_event_or_call(app_context: AppContext, id_: str) -> Event:
    """As `find_event`; but without an event, a call in which something may have been agreed.

    KallyAI has none for each booking, and they can be asked about any.
    """
    try:
        return await find_event(app_context, id_)
    except NotThereError as error:
        if error.code != "no_calendar_event":
            raise
        call_id = await find_call_id(app_context, id_)
        found = _one_call(await find(app_context, call_id))
        view = await _view_with_findings(app_context, found)
        if view.reached is False:
            raise
    return Event(view, view, history_of(view, ()))


async def _newest_event(app_context: AppContext, found: CallView) -> Event:
    """The newest event of the booking of a call; the related calls are read once."""
    account = await _account_of(app_context, found)
    others = await _calls_related_to(app_context, account, found)
    asked = await _related_to(app_context, account, found, others)
    history = history_of(asked, others)
    if history.newest.id == asked.id:
        return Event(asked, asked, history)
    newest = await find_booking(app_context, history.newest.id)
    newest = await _related_to(app_context, account, newest, others)
    return Event(asked, newest, history)


async def _related_to(
    app_context: AppContext, account: AccountKey, view: CallView, others: Sequence[CallView]
) -> CallView:
    """The view of a call, with what it has to do with `others`."""
    if not may_have_relations(view, is_new=False):
        return view
    before = await _call_before(app_context, account, view)
    related = relations_of(view, others, before, now=app_context.now(), is_new=False)
    return replace(view, related=related)


async def view_of(
    app_context: AppContext,
    found: CallRecord | Call,
    *,
    is_new: bool = False,
) -> CallView:
    """What is known of a call, with what its callee said and what it has to do with other calls."""
    view = await _view_with_findings(app_context, found)
    view = replace(view, live=await _live(app_context, found))
    view = replace(view, speech=await _speech(app_context, view))
    return replace(view, related=await read_relations(app_context, view, is_new=is_new))


async def views_of_list(app_context: AppContext, found: CallList) -> list[CallView]:
    """The calls of a list so far, with what was said in each."""
    return await asyncio.gather(*(_view_in_list(app_context, one) for one in found.records))


async def _view_in_list(app_context: AppContext, record: CallRecord) -> CallView:
    view = replace(CallView.of_record(record), live=await _live(app_context, record))
    return replace(view, speech=await _speech(app_context, view))


async def _view_with_findings(app_context: AppContext, found: CallRecord | Call) -> CallView:
    """The view of a call; if only KallyAI has it, also by its calendar file and transcript."""
    if isinstance(found, CallRecord) or not found.is_final:
        return CallView.of(found, timezone=app_context.timezone)
    calls = app_context.calls
    findings = await read_findings(calls.context, await calls.account_of_request(), found, None)
    return CallView.of_call(found, findings, timezone=app_context.timezone)


async def _live(app_context: AppContext, found: CallRecord | Call) -> Live:
    """What KallyAI reports of a call that goes on."""
    if isinstance(found, Call):
        return live_of(found)
    if not found.is_active:
        return NOT_LIVE
    return live_of(await app_context.calls.reported(found))


async def _speech(app_context: AppContext, view: CallView) -> Speech:
    """What was said in an ended call, as far as its result needs it."""
    asked = view.submission
    call = view.call
    if call is None or not may_have_transcript(call, view.outcome):
        return NOT_NEEDED
    read = await _read_transcript(app_context, call.call_id)
    if read.transcript is None:
        return unread_speech(asked, call, view.outcome, has_transcript=read.may_exist)
    if view.record is None or not view.record.has_transcript:
        await note_what_was_said(app_context, read.transcript, call.call_id, call)
    return speech_of(asked, call, read.transcript, view.outcome)


class _TranscriptRead(NamedTuple):
    """A transcript; None if it was not read, and then whether KallyAI may have one."""

    transcript: Transcript | None
    may_exist: bool


async def _read_transcript(app_context: AppContext, call_id: str) -> _TranscriptRead:
    """The transcript of a call, if KallyAI gives it in time: the outcome counts without it."""
    with anyio.move_on_after(_TRANSCRIPT_SECONDS), suppress(KallyAIError):
        try:
            return _TranscriptRead(await app_context.api().get_transcript(call_id), may_exist=True)
        except NotFoundError:
            return _TranscriptRead(None, may_exist=False)
    return _TranscriptRead(None, may_exist=True)


async def note_what_was_said(
    app_context: AppContext, transcript: Transcript, call_id: str, call: Call | None
) -> None:
    """Keep what a transcript shows; what is told does not depend on it."""
    with logged("keeping what a transcript shows"):
        calls = app_context.calls
        account = await calls.account_of_request()
        await note_transcript(calls.context, account, transcript, call_id, call)


async def read_relations(
    app_context: AppContext,
    view: CallView,
    *,
    is_new: bool = False,
) -> Relations:
    """What a call has to do with others; `is_new`: the agent has just asked for it.

    If the ledger can't be read, none is known.
    """
    if not may_have_relations(view, is_new=is_new):
        return UNRELATED
    try:
        account = await _account_of(app_context, view)
        others = await _calls_related_to(app_context, account, view)
        before = await _call_before(app_context, account, view)
    except LedgerUnavailableError:
        return UNRELATED
    return relations_of(view, others, before, now=app_context.now(), is_new=is_new)


async def _account_of(app_context: AppContext, view: CallView) -> AccountKey:
    if view.record is not None:
        return view.record.account
    return await app_context.calls.account_of_request()


async def _calls_related_to(
    app_context: AppContext,
    account: AccountKey,
    view: CallView,
) -> Sequence[CallView]:
    """The calls to the same number, and those about bookings, newest first."""
    number = view.number
    records = await app_context.calls.related_calls(account, number)
    return [CallView.of_record(record) for record in records]


async def read_earlier_calls(app_context: AppContext, number: str) -> EarlierCalls:
    """What the ledger knows of the calls to a number (E.164) before the next one.

    Raises:
        LedgerUnavailableError: It can't be read.
    """
    account = await app_context.calls.account_of_request()
    records = await app_context.calls.related_calls(account, number)
    views = [CallView.of_record(record) for record in records]
    return earlier_calls(number, views, app_context.now())


async def _call_before(
    app_context: AppContext,
    account: AccountKey,
    view: CallView,
) -> CallView | None:
    """The call whose booking this one was about, if the ledger has it."""
    id_ = about_call_id(view.submission)
    if id_ is None:
        return None
    record = await app_context.calls.find_known(account, id_)
    return CallView.of_record(record) if record is not None else None
