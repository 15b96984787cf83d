"""The schedule from the arguments of make_call."""

from datetime import datetime

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.schedule import MOST_AHEAD, NOW, Schedule, is_past_appointment
from kallyai_mcp.tools.arguments import InvalidArgumentsError, Problem
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.text.plain import zone_of


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
