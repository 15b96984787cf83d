"""The submission for KallyAI, and when it is due, from the arguments of make_call, of call_around, or of a command."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.clock import Stopwatch
from kallyai_mcp.calls.numbers import zone_of_number
from kallyai_mcp.calls.other_time import with_other_time
from kallyai_mcp.calls.records import CallRequest
from kallyai_mcp.calls.schedule import AT_ONCE, MOST_AHEAD, Schedule, is_past_appointment
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
        raise InvalidArgumentsError([Problem("departure_date", f'"{departure}" is not after the day of arrival')])
    if (times := arguments["other_times"]) and not are_times(times):
        raise InvalidArgumentsError([Problem("other_times", 'expected times such as "10:00-12:00, 15:00"')])
    submission = Submission(**fields | {"additional_instructions": instructions_of(arguments) or None})
    if times:  # which says what KallyAI may agree to
        return submission
    return with_other_time(submission, accept=arguments["accept_other_time"])


def callee_zone(given: str | None, number: str, app_context: AppContext) -> str:
    """IANA name of the zone of a call's day and time: the `given` one, else that of the number, else the user's."""
    return given or zone_of_number(number) or app_context.timezone


def request_of(arguments: Mapping[str, Any], arrived: Stopwatch, app_context: AppContext) -> CallRequest:
    """The request from validated arguments of make_call."""
    submission = submission_of(arguments)
    zone = callee_zone(arguments["timezone"], submission.respondent_phone, app_context)
    schedule = _schedule(arguments["not_before"], arguments["retries"], submission, zone, app_context)
    return CallRequest(submission, zone, arrived, schedule, arguments["redial"], arguments["session_id"])


def _schedule(
    not_before: datetime | None, retries: int, submission: Submission, timezone: str, app_context: AppContext
) -> Schedule:
    """When a call is due, and how often it may be placed; a `not_before` without a zone is in `timezone` (IANA)."""
    if not_before is None and not retries:
        return AT_ONCE
    if not app_context.calls.places_due:
        raise KallyAIError("This server can't place calls later.", code="cannot_schedule")
    if not_before is None:
        return app_context.calls.scheduled(None, retries)
    due = not_before if not_before.tzinfo else not_before.replace(tzinfo=zone_of(timezone))
    now, wrong = app_context.now(), None
    if due - now > MOST_AHEAD:
        wrong = f"is more than {MOST_AHEAD.days} days away; call or schedule later"
    elif now - due > timedelta(seconds=app_context.calls.timing.place_within):
        wrong = f"is past; it is {now.astimezone(due.tzinfo):%Y-%m-%d %H:%M} in {due.tzinfo}"
    elif is_past_appointment(submission, due, timezone):
        wrong = "is after the appointment that the call asks for"
    if wrong is not None:
        raise InvalidArgumentsError([Problem("not_before", f'"{due:%Y-%m-%d %H:%M}" {wrong}')])
    return app_context.calls.scheduled(due if due > now else None, retries)
