"""Scheduled calls: the schedule from the arguments of make_call, and the tool cancel_call."""

from datetime import datetime
from typing import Annotated, Any

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from pydantic import Field

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Call, Submission
from kallyai_mcp.calls.call_lists import CallList
from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.calls.schedule import MOST_AHEAD, NOW, Schedule, is_past_appointment
from kallyai_mcp.tools.argument_types import CallId
from kallyai_mcp.tools.arguments import InvalidArgumentsError, Problem
from kallyai_mcp.tools.call_results import call_answer, find_any
from kallyai_mcp.tools.call_view import CallView
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.list_results import cancel_list
from kallyai_mcp.tools.results import CallAnswer, CancelAnswer, answer
from kallyai_mcp.tools.text.calls import party_of
from kallyai_mcp.tools.text.plain import zone_of
from kallyai_mcp.tools.text.scheduled import canceled, not_canceled


def schedule_of(
    not_before: datetime | None, retries: int, submission: Submission, *, timezone: str, app_context: AppContext
) -> Schedule:
    """When a call is due, and how often it may be placed.

    A `not_before` without a time zone is in `timezone` (an IANA name).

    Raises:
        KallyAIError: This server can't schedule calls (code `cannot_schedule`).
        InvalidArgumentsError: The time is past, after the appointment, or more than `MOST_AHEAD` ahead.
    """
    if not_before is None and not retries:
        return app_context.calls.scheduled(None, 0)
    if not app_context.calls.worker.places_due:
        raise KallyAIError("This server can't place calls later.", code="cannot_schedule")
    if not_before is None:
        return app_context.calls.scheduled(None, retries)
    due = not_before if not_before.tzinfo else not_before.replace(tzinfo=zone_of(timezone))
    now = app_context.now()
    is_near = abs(due - now) <= MOST_AHEAD  # a time near the year 1 or 9999 would overflow in `scheduled`
    schedule = app_context.calls.scheduled(due, retries) if is_near else NOW
    kind = None
    if not is_near:
        kind = "far_time" if due > now else "past_time"
    elif schedule.place_by is not None and schedule.place_by < now:
        kind = "past_time"
    elif is_past_appointment(submission, due, timezone):
        kind = "after_appointment"
    if kind is not None:
        here = now.astimezone(due.tzinfo)
        values = {"now": f"{here:%Y-%m-%d %H:%M}", "zone": due.tzinfo, "days": MOST_AHEAD.days}
        raise InvalidArgumentsError([Problem("not_before", kind, f"{due:%Y-%m-%d %H:%M}", values)])
    return schedule if due > now else app_context.calls.scheduled(None, retries)


async def cancel_call(
    *, call_id: Annotated[CallId, Field(description="Or tracking_id")], ctx: Context[AppContext, Any]
) -> Annotated[CallToolResult, CancelAnswer]:
    """Cancel a scheduled call, retry, or list for good."""
    return await cancel(ctx.request_context.lifespan_context, call_id)


async def cancel(app_context: AppContext, id_: str) -> CallToolResult:
    """Cancel a list, or a call whose request was not sent yet; the result says whether it was canceled.

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
        return answer(text, _short(call_answer(view, app_context.now())))
    record = await _latest_attempt(found, app_context)
    done = record.is_open and await app_context.calls.cancel(record.tracking_id)
    record = await app_context.calls.find(record.tracking_id) or record
    structure = _short(call_answer(CallView.of_record(record), app_context.now()))
    party = str(party_of(record.submission))
    if done or record.state is CallState.CANCELED:
        structure.status, structure.placed = "canceled", "no"
        return answer(canceled(party, is_retry=bool(record.schedule.earlier)), structure)
    was_placed = record.state in (CallState.ENDED, CallState.UNKNOWN)
    text = not_canceled(party, is_over=not record.is_active, was_placed=was_placed, id_=record.tracking_id)
    return answer(text, structure)


async def _latest_attempt(record: CallRecord, app_context: AppContext) -> CallRecord:
    """If `record` is an earlier attempt of a call, and another attempt is to come: that one's record; else `record`."""
    unsettled = await app_context.calls.list_unsettled() if not record.is_open else []
    following = (one for one in unsettled if any(it.call_id == record.call_id for it in one.schedule.earlier))
    return next(following, record)


def _short(call: CallAnswer) -> CancelAnswer:
    return CancelAnswer(status=call.status, call_id=call.call_id, tracking_id=call.tracking_id)
