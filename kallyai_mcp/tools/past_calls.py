"""Past and planned calls: a page of them, one's transcript and appointment, and how one is canceled.

The tools, the resources, and the terminal use it; the terminal without the MCP SDK.
"""

from dataclasses import dataclass
from datetime import datetime

from kallyai_mcp.api.errors import ForbiddenError, KallyAIError, NotFoundError
from kallyai_mcp.api.models import Call, Transcript
from kallyai_mcp.calls.appointment import Appointment, all_in_zone, lies_before, read_appointment
from kallyai_mcp.calls.call_lists import CallList
from kallyai_mcp.calls.ledger.base import LedgerUnavailableError
from kallyai_mcp.calls.numbers import zone_of_number
from kallyai_mcp.calls.records import CallRecord, CallState, is_tracking_id
from kallyai_mcp.tools.call_results import call_answer, find_any, refusal_of
from kallyai_mcp.tools.call_view import CallView
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.list_results import cancel_list, list_state
from kallyai_mcp.tools.resource_links import CALENDAR, call_uri
from kallyai_mcp.tools.results import (
    CallAnswer,
    CallPageAnswer,
    CancelAnswer,
    EventAnswer,
    SpokenLine,
    TranscriptAnswer,
)
from kallyai_mcp.tools.text.call_lists import listed
from kallyai_mcp.tools.text.calls import party_of
from kallyai_mcp.tools.text.listing import listing
from kallyai_mcp.tools.text.plain import visible, zone_of
from kallyai_mcp.tools.text.scheduled import canceled, not_canceled
from kallyai_mcp.tools.text.transcript import conversation, entries_shown

_LISTED = 200
"""Characters of each text of a call in a list; a list may have 200 calls."""


async def list_page(app_context: AppContext, *, limit: int, offset: int) -> tuple[str, CallPageAnswer]:
    """A page of calls, newest first: the text and the structure."""
    unsettled: list[CallRecord] = []
    lists: list[CallList] = []
    known: dict[str, CallRecord] = {}
    is_ledger_read = True
    try:
        if offset == 0:
            unsettled, lists = await app_context.calls.list_unsettled(), await app_context.calls.list_unfinished()
    except LedgerUnavailableError:  # KallyAI's list can still be shown
        is_ledger_read = False
    page = await app_context.api().list_calls(limit=limit, offset=offset)
    if is_ledger_read:
        try:
            calls = app_context.calls
            known = await calls.ledger.find_ended(await calls.account(), [call.call_id for call in page.calls])
        except LedgerUnavailableError:
            is_ledger_read = False
    shown = [call for call in page.calls if not _is_listed_above(call, unsettled)]
    views = [CallView.of_listed(call, known.get(call.call_id), timezone=app_context.timezone) for call in shown]
    seen = offset + len(page.calls)
    more = bool(page.calls) and (seen < page.total if page.total is not None else len(page.calls) == limit)
    of_lists = {record.tracking_id for found in lists for record in found.records}
    reader = app_context.reader()
    text = listing(
        views,
        reader,
        total=page.total,
        offset=offset,
        seen=seen,
        more=more,
        lists=listed(lists, reader),
        unsettled=[CallView.of_record(record) for record in unsettled if record.tracking_id not in of_lists],
        is_ledger_read=is_ledger_read,
    )
    structure = CallPageAnswer(
        lists=[list_state(found, reader.now) for found in lists] or None,
        calls=[call_answer(CallView.of_record(record), reader.now) for record in unsettled]
        + [_for_list(call_answer(view, reader.now)) for view in views],
        total=page.total,
        offset=offset,
        next_offset=seen if more else None,
    )
    return text, structure


def _for_list(structure: CallAnswer) -> CallAnswer:
    """`structure` with its texts cut to `_LISTED` characters; get_call returns all of them."""
    texts = ("highlights", "next_steps", "business_name")
    short: dict[str, str | None] = {
        name: visible(text, _LISTED) for name in texts if (text := getattr(structure, name))
    }
    short["calendar_uri"] = None
    return structure.model_copy(update=short)


def _is_listed_above(call: Call, unsettled: list[CallRecord]) -> bool:
    """Whether `call` is one of the `unsettled` calls: KallyAI's list has calls in progress, too."""
    return not call.is_final and any(
        call.submission.respondent_phone == record.submission.respondent_phone for record in unsettled
    )


async def transcript(app_context: AppContext, call_id: str) -> tuple[str, TranscriptAnswer]:
    """The transcript of a call: the text, with what was said between delimiters, and the structure."""
    call_id = await service_id(app_context, call_id)
    spoken = await app_context.api().get_transcript(call_id)
    try:
        call = await app_context.api().get_call(call_id)
    except ForbiddenError:  # transcripts:read alone is enough for a transcript
        call = None
    return conversation(call, spoken, app_context.reader()), TranscriptAnswer(
        call_id=call_id, entries=spoken_lines(spoken, entries_shown(spoken))
    )


def spoken_lines(transcript: Transcript, count: int | None = None) -> list[SpokenLine]:
    """The first `count` entries of a transcript, or all, without invisible characters."""
    return [
        SpokenLine(
            speaker=visible(e.speaker, 20),
            content=visible(e.content),
            timestamp=visible(e.timestamp, 20) if e.timestamp else None,
        )
        for e in transcript.entries[:count]
    ]


@dataclass(frozen=True)
class Callee:
    """The zone of a request, the callee's number, and when it was placed, as far as known."""

    zone: str | None = None
    number: str | None = None
    called_at: datetime | None = None


async def _callee_of(app_context: AppContext, call_id: str) -> Callee:
    try:
        record = await app_context.calls.find(call_id)
        if record is not None:
            return Callee(record.timezone, record.submission.respondent_phone, record.called_at)
        call = await app_context.api().get_call(call_id)
    except KallyAIError:
        return Callee()
    number = call.submission.respondent_phone
    return Callee(zone_of_number(number) if number else None, number, call.created_at)


def event_answer(call_id: str, event: Appointment) -> EventAnswer:
    """The structure of the event that a call made."""
    return EventAnswer(
        call_id=call_id,
        summary=event.summary,
        start=event.start.isoformat() if event.start else None,
        end=event.end.isoformat() if event.end else None,
        location=event.location,
        calendar_uri=call_uri(CALENDAR, call_id),
    )


async def appointment(app_context: AppContext, call_id: str) -> tuple[Appointment, Callee]:
    """The appointment that a call made, in the zone of the request, and the callee.

    `call_id` is KallyAI's id of the call.

    Raises:
        KallyAIError: The call made no appointment (code `no_calendar_event`), or an error of the API client.
    """
    try:
        made = read_appointment(await app_context.api().get_calendar(call_id))
    except NotFoundError:
        await app_context.api().get_call(call_id)  # raises NotFoundError if the call itself doesn't exist
        made = None
    callee = await _callee_of(app_context, call_id) if made is not None else Callee()
    if made is None or lies_before(made, callee.called_at, number=callee.number, zone_name=callee.zone):
        raise KallyAIError("KallyAI has no confirmed calendar event for that call.", code="no_calendar_event")
    return all_in_zone(made, zone_of(callee.zone)) if callee.zone is not None else made, callee


async def service_id(app_context: AppContext, id_: str) -> str:
    """KallyAI's id of a call, from its `call_id` or its `tracking_id`.

    Raises:
        KallyAIError: KallyAI has no id for it. The codes: `call_in_progress`, `call_scheduled`, `outcome_unknown`, and
            `is_a_list` (the id is that of a list of call_around). A call that was refused raises its refusal.
        NotSignedInError, LedgerUnavailableError: As `Calls.find` raises them.
    """
    if not is_tracking_id(id_):  # a call_id already
        return id_
    record = await app_context.calls.find(id_)
    if record is None and await app_context.calls.find_list(id_) is not None:
        raise KallyAIError("This is a list of calls.", code="is_a_list")
    if record is None:
        return id_
    if record.call_id is not None and not record.is_active:
        return record.call_id
    if record.state is CallState.SCHEDULED:
        raise KallyAIError("The call has not been placed yet.", code="call_scheduled")
    if record.is_active:
        raise KallyAIError("The call is still in progress.", code="call_in_progress")
    if (refusal := refusal_of(record)) is not None:
        raise refusal
    raise KallyAIError("The outcome of the call is unknown.", code="outcome_unknown")


async def cancel(app_context: AppContext, id_: str) -> tuple[str, CancelAnswer]:
    """Cancel a list, or a call whose request was not sent yet; the text says whether it was canceled.

    Raises:
        NotFoundError: There is no such call or list.
        KallyAIError: Another error of `Calls` or of the API client.
    """
    found = await find_any(app_context, id_)
    if isinstance(found, CallList):
        return await cancel_list(app_context, found)
    if isinstance(found, Call):
        view = CallView.of_call(found, None, timezone=app_context.timezone)
        text = not_canceled("the number", is_over=found.is_final)
        return text, _short(call_answer(view, app_context.now()))
    record = await _latest_attempt(found, app_context)
    done = record.is_open and await app_context.calls.cancel(record.tracking_id)
    record = await app_context.calls.find(record.tracking_id) or record
    structure = _short(call_answer(CallView.of_record(record), app_context.now()))
    party = str(party_of(record.submission))
    if done or record.state is CallState.CANCELED:
        structure.status, structure.placed = "canceled", "no"
        return canceled(party, is_retry=bool(record.schedule.earlier)), structure
    was_placed = record.state in (CallState.ENDED, CallState.UNKNOWN)
    text = not_canceled(party, is_over=not record.is_active, was_placed=was_placed, id_=record.tracking_id)
    return text, structure


async def _latest_attempt(record: CallRecord, app_context: AppContext) -> CallRecord:
    """If `record` is an earlier attempt of a call, and another attempt is to come: that one's record; else `record`."""
    unsettled = await app_context.calls.list_unsettled() if not record.is_open else []
    following = (one for one in unsettled if any(it.call_id == record.call_id for it in one.schedule.earlier))
    return next(following, record)


def _short(call: CallAnswer) -> CancelAnswer:
    return CancelAnswer(status=call.status, call_id=call.call_id, tracking_id=call.tracking_id)
