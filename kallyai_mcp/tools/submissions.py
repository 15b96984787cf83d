"""The submission for KallyAI, and when it is due, from the arguments of make_call, of call_around, or of a command."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.numbers import zone_of_number
from kallyai_mcp.calls.other_time import with_other_time
from kallyai_mcp.calls.schedule import MOST_AHEAD, NOW, Schedule, is_past_appointment
from kallyai_mcp.tools.arguments import InvalidArgumentsError, Problem
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.instructions import are_times, instructions_of
from kallyai_mcp.tools.text.plain import zone_of


def submission_of(arguments: Mapping[str, Any]) -> Submission:
    """The submission from validated arguments; arguments that are no field of a submission are ignored."""
    # Empty and false values are left out: with and without them, it must be the same call (the same fingerprint).
    fields = {name: arguments[name] or None for name in Submission.model_fields if name in arguments}
    arrival, departure = arguments["appointment_date"], arguments["departure_date"]
    if arrival is not None and departure is not None and departure <= arrival:
        raise InvalidArgumentsError([Problem("departure_date", "before_arrival", f"{departure}")])
    if (times := arguments["other_times"]) and not are_times(times):
        raise InvalidArgumentsError([Problem("other_times", "not_times", times)])
    submission = Submission(**fields | {"additional_instructions": instructions_of(arguments) or None})
    if times:  # which says what KallyAI may agree to
        return submission
    return with_other_time(submission, accept=arguments["accept_other_time"])


def callee_zone(given: str | None, number: str, app_context: AppContext) -> str:
    """IANA name of the zone of a call's day and time: the `given` one, else that of the number, else the user's."""
    return given or zone_of_number(number) or app_context.timezone


def schedule_of(
    not_before: datetime | None, retries: int, submission: Submission, *, timezone: str, app_context: AppContext
) -> Schedule:
    """When a call is due, and how often it may be placed.

    A `not_before` without a time zone is in `timezone` (an IANA name).
    """
    if not_before is None and not retries:
        return NOW
    if not app_context.calls.places_due:
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
