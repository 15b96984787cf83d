"""The results about calls and lists: those of make_call, call_around, get_call, cancel_call, and tasks."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Call, Submission
from kallyai_mcp.calls.appointment import Appointment, with_zone
from kallyai_mcp.calls.call_lists import CallList, StopReason
from kallyai_mcp.calls.outcome import Outcome
from kallyai_mcp.calls.records import CallRecord, CallState, PlacedFor
from kallyai_mcp.tools.call_view import CallView, Related, view_of, views_of_list
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.results import AppointmentAnswer, CallAnswer, CallRow, RefusedRetryAnswer, ToolResult
from kallyai_mcp.tools.text.account import little_left
from kallyai_mcp.tools.text.calendar import begins
from kallyai_mcp.tools.text.call_lists import call_list
from kallyai_mcp.tools.text.calls import call_text, refused_again
from kallyai_mcp.tools.text.listing import ROOM, answer_of
from kallyai_mcp.tools.text.plain import LIMIT, visible, zone_of
from kallyai_mcp.tools.tool_errors import error_result, tool_error

if TYPE_CHECKING:
    from mcp.types import CallToolResult

_SAID = 500
"""Characters of each of KallyAI's texts about one call; a list may have ten."""


async def result_of(
    app_context: AppContext,
    found: CallRecord | CallList | Call,
    *,
    placed_now: bool | None,
    client_is_there: bool = True,
) -> "CallToolResult":
    """What `call_result` says, in the form of MCP, also about a call that was refused or canceled."""
    try:
        result = await call_result(app_context, found, placed_now=placed_now, client_is_there=client_is_there)
        return result.for_client()
    except KallyAIError as error:  # its text must say that the call was not placed, whichever tool asked
        return await tool_error(error, app_context, tool="make_call", places_calls=True)


async def call_result(
    app_context: AppContext,
    found: CallRecord | CallList | Call,
    *,
    placed_now: bool | None,
    client_is_there: bool = True,
) -> ToolResult[CallAnswer]:
    """What to answer about a call or a list in its present state; the outcomes in it count as delivered.

    `placed_now` is True if this request placed the call, or let the list go on, False if the same had been asked for
    before, and None if the request only asked about it. Unless it is certain that the `client_is_there` still, the
    outcome does not count as delivered, and the next request for the same call gets it instead of placing a call.

    Raises:
        KallyAIError: The call was refused or canceled.
    """
    if isinstance(found, CallList):
        return await _list_result(app_context, found, placed_now=placed_now, client_is_there=client_is_there)
    record = found if isinstance(found, CallRecord) else None
    if record is not None and record.is_earlier_call:
        placed_now = None if placed_now is None else False
    view, reader = await view_of(app_context, found, is_new=placed_now is True), app_context.reader()
    is_scheduled_now = placed_now is True and record is not None and record.state is CallState.SCHEDULED
    few_left = little_left(await app_context.usage(), reader.now) if is_scheduled_now else ""
    if record is not None:
        # Last, after everything that takes time: a client that has given up by then does not get the outcome.
        await app_context.calls.delivery.note(record, certain=client_is_there)
    structure = call_answer(view, reader.now, is_request=placed_now is not None)
    if record is not None and view.refusal is not None:
        if not record.schedule.earlier:
            raise view.refusal
        text, error = await error_result(view.refusal, app_context, places_calls=True)
        known = {name: value for name, value in structure if value is not None}
        return ToolResult(refused_again(text, record, reader), RefusedRetryAnswer(**dict(error) | known), is_error=True)
    waits = is_scheduled_now or view.is_not_placed_yet(reader.now) or view.is_being_checked
    is_first = record is not None and not record.schedule.earlier
    is_unclear = record is not None and record.placed_for is PlacedFor.UNKNOWN
    if placed_now and (is_unclear or (waits and is_first)):
        structure.placed_now = None
    else:
        structure.placed_now = placed_now
    text = call_text(view, reader, is_duplicate=placed_now is False)
    return ToolResult(f"{text}\n{few_left}" if few_left else text, structure)


def call_answer(view: CallView, now: datetime, *, is_request: bool = False, limit: int = LIMIT) -> CallAnswer:
    """The structure for a call, alone and in a list, with at most `limit` characters of each of KallyAI's texts.

    It does not repeat the request; with `is_request`, not even who is called, because the agent has just said so.
    """
    call, record, asked, made = view.call, view.record, view.submission, view.appointment
    is_dated = made is not None or (record is not None and record.state is CallState.SCHEDULED)
    structure = CallAnswer(
        status=view.status,
        outcome=view.outcome,
        code=view.refusal.code if view.refusal is not None else None,
        call_id=view.call_id,
        tracking_id=record.tracking_id if record is not None and (view.call_id is None or record.is_open) else None,
        evidence=view.evidence,
        answers=view.answers or None,
        respondent_phone=asked.respondent_phone if not is_request else None,
        business_name=visible(asked.business_name, 80) if asked.business_name and not is_request else None,
        timezone=view.zone_name if is_dated else None,
        **related_calls(view.related),
    )
    if made is not None:
        unconfirmed = list(view.unconfirmed) or None
        structure.appointment = AppointmentAnswer(**event_facts(made, view.zone_name), unconfirmed=unconfirmed)
        structure.appointment.reported = view.reported_time
    if view.outcome in (Outcome.ANSWERED, Outcome.BOOKED_OTHER_TIME):
        moment = {"appointment_date": view.day, "appointment_time": asked.appointment_time}
        structure.asked = {name: value for name, value in moment.items() if value} or None
    elif view.outcome is None and not is_request and asked.task_description:
        structure.asked = {"task_description": visible(asked.task_description, ROOM)}
    if view.is_being_checked or (view.outcome is Outcome.UNKNOWN and call is None):
        structure.placed = "maybe"
    if view.is_calendar_unread:
        structure.calendar_checked = False
    if call is not None:
        structure.highlights = visible(call.highlights, limit) if call.highlights else None
        structure.next_steps = visible(call.next_steps, limit) if call.next_steps else None
        structure.duration_seconds = call.duration_seconds
    if record is not None:
        not_before = record.schedule.not_before
        if not_before is not None and record.state is not CallState.ENDED:
            structure.scheduled_for = iso(not_before, record.timezone)
    is_placed = record is None or record.is_active or call is not None or view.outcome is not None
    if is_placed and not view.is_not_placed_yet(now):
        structure.created_at = view.placed_at
    if view.outcome is None and structure.created_at is not None:
        structure.elapsed_seconds = round(max(0.0, (now - structure.created_at).total_seconds()), 1)
    if view.outcome is not None and structure.placed is None:
        structure.retryable = view.outcome in (Outcome.NOT_REACHED, Outcome.FAILED) and view.reached is False
    return structure


def row_answer(view: CallView, now: datetime) -> CallRow:
    """The row for a call in list_calls."""
    whole, start, name = call_answer(view, now), begins(view), view.submission.business_name
    own = view.record or view.call  # whose submission is as it was asked for; `view` may have the name of another call
    row = CallRow(
        status=view.status if view.outcome in (None, Outcome.NOT_REACHED, Outcome.FAILED) else view.outcome,
        placed=whole.placed,
        code=whole.code if whole.code != whole.status else None,
        call_id=whole.call_id,
        tracking_id=whole.tracking_id,
        calendar_checked=whole.calendar_checked,
        scheduled_for=whole.scheduled_for,
        created_at=whole.created_at,
        business_name=visible(name, 40) if name else None,
        respondent_phone=whole.respondent_phone if own is None or not own.submission.business_name else None,
        **related_calls(view.related),
    )
    if start is not None:
        row.appointment = start.strftime("%Y-%m-%dT%H:%M") if isinstance(start, datetime) else start.isoformat()
    elif view.outcome is Outcome.ANSWERED and whole.highlights:
        row.highlights = visible(answer_of(view), ROOM)
    return row


def related_calls(related: Related) -> dict[str, str | None]:
    """The fields for the later call that was about a booking."""
    return {"moved_by" if related.is_moved else "asked_about_in": related.later.call_id} if related.later else {}


async def _list_result(
    app_context: AppContext, found: CallList, *, placed_now: bool | None, client_is_there: bool
) -> ToolResult[CallAnswer]:
    usage = await app_context.usage() if found.stop_reason is StopReason.REFUSED else None
    views, reader = await views_of_list(app_context, found), app_context.reader()
    for record in found.records:
        await app_context.calls.delivery.note(record, certain=client_is_there)
    text = call_list(found, reader, views, is_duplicate=placed_now is False, usage=usage)
    structure = list_answer(found)
    structure.calls = [call_answer(view, reader.now, limit=_SAID) for view in views]
    structure.placed_now = placed_now
    return ToolResult(text, structure)


def list_answer(found: CallList) -> CallAnswer:
    """The structure for a list, without its calls."""
    return CallAnswer(
        status="in_progress" if found.stop_reason is None else found.stop_reason.value,
        tracking_id=found.list_id,
        until=found.until,
        not_called=candidates_of(found.not_called),
    )


def candidates_of(submissions: Sequence[Submission]) -> list[CallAnswer]:
    """The callees of these submissions, as results name them."""
    return [CallAnswer(respondent_phone=one.respondent_phone, business_name=one.business_name) for one in submissions]


def event_facts(event: Appointment, zone_name: str) -> dict[str, str | None]:
    """The title and the times of an appointment."""
    return {"summary": event.summary, "start": iso(event.start, zone_name), "end": iso(event.end, zone_name)}


def iso(moment: date | datetime | None, zone_name: str) -> str | None:
    """`moment` in ISO 8601, with the offset of the zone, to the second."""
    local = with_zone(moment, zone_of(zone_name))
    if isinstance(local, datetime):
        return local.isoformat(timespec="seconds")
    return local.isoformat() if local is not None else None
