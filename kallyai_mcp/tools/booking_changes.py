"""Calls about the booking of an earlier call: which booking it is by now, and what of it stays.

The agent names the earlier call and what the call is for (`Change`). Everything else comes from the
earlier call.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from kallyai_mcp.api.errors import check_call_id
from kallyai_mcp.calls.about_booking import Change
from kallyai_mcp.calls.call_lists import CallList
from kallyai_mcp.calls.policy import RiskFlag
from kallyai_mcp.calls.records import CallRequest
from kallyai_mcp.clock import Stopwatch
from kallyai_mcp.tools.arguments import Problem
from kallyai_mcp.tools.call_arguments import CallArguments
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.facets.call import CallView
from kallyai_mcp.tools.lookup import find, find_event
from kallyai_mcp.tools.submissions import agents_instructions, request_of, submission_of
from kallyai_mcp.tools.text.calendar import booking_facts

_NEW_TIME = ("appointment_date", "appointment_time", "departure_date")
"""The arguments that a move needs one of, and that no other call about a booking takes."""

_SAY = {
    "no_change": "missing; move (to a new day or time), cancel, or ask (anything else)",
    "no_booking": "missing; with change, the call_id of the booking to move, cancel, or ask about",
    "no_new_time": "missing; change move needs a new appointment_date, appointment_time, or "
    "departure_date",
    "new_time": "is only for change move; {change} leaves the day and the time as they are",
}


def problems_of_change(given: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with the arguments of a call about a booking, as they go together."""
    named = [name for name in _NEW_TIME if name in given]
    match given.get("change"):
        case None if "changes_call_id" in given:
            return [Problem("change", _SAY["no_change"])]
        case None:
            return []
        case _ if "changes_call_id" not in given:
            return [Problem("changes_call_id", _SAY["no_booking"])]
        case Change.MOVE if not named:
            return [Problem("appointment_date", _SAY["no_new_time"])]
        case Change.CANCEL | Change.ASK as change:
            return [Problem(name, _SAY["new_time"].format(change=change)) for name in named]
    return []


async def with_number(given: Mapping[str, Any], app_context: AppContext) -> Mapping[str, Any]:
    """`given` with the number of the earlier call, if a call about its booking names none."""
    id_ = given.get("changes_call_id")
    is_missing = "respondent_phone" not in given and isinstance(id_, str)
    if not is_missing or problems_of_change(given):
        return given
    found = await find(app_context, check_call_id(str(id_)))
    if isinstance(found, CallList) or found.submission.respondent_phone is None:
        return given
    return {**given, "respondent_phone": found.submission.respondent_phone}


class Prepared(NamedTuple):
    """A request for a call, and the risks that its submission does not show."""

    request: CallRequest
    risks: tuple[RiskFlag, ...] = ()


async def prepared(
    arguments: CallArguments, arrived: Stopwatch, app_context: AppContext
) -> Prepared:
    """The request for a call, which `arrived` at that moment.

    A call about a booking is compared with others as the agent has asked for it: by the call that
    it names, whatever became of its booking since.
    """
    if arguments.changes_call_id is None:
        return Prepared(request_of(arguments, submission_of(arguments), arrived, app_context))
    event = await find_event(app_context, arguments.changes_call_id)
    complete = _with_what_stays(arguments, event.view)
    request = request_of(
        arguments,
        submission_of(complete, changes=booking_facts(event.view)),
        arrived,
        app_context,
        asked=submission_of(arguments, changes=booking_facts(event.asked)),
    )
    return Prepared(request, _risks(event.asked, arguments.respondent_phone))


def _risks(booking: CallView, number: str) -> tuple[RiskFlag, ...]:
    """The risks that only a call about an earlier booking has; `number` (E.164) is called."""
    booked_at = booking.submission.respondent_phone
    return (RiskFlag.OTHER_NUMBER,) if booked_at not in (None, number) else ()


def _with_what_stays(arguments: CallArguments, booking: CallView) -> CallArguments:
    """The arguments of a move with what they don't name: day, time, people, and wishes."""
    if arguments.change is not Change.MOVE:
        return arguments
    asked = booking.submission
    start = booking.booking.event.start
    stays: dict[str, Any] = {
        "party_size": asked.party_size,
        "additional_instructions": list(agents_instructions(asked)) or None,
    }
    if start is not None:
        stays["appointment_date"] = start.date() if isinstance(start, datetime) else start
    names_time = arguments.appointment_time or arguments.time_preference_text
    if isinstance(start, datetime) and not names_time:
        stays["appointment_time"] = f"{start:%H:%M}"
    unnamed = {name: value for name, value in stays.items() if not getattr(arguments, name)}
    return arguments.model_copy(update=unnamed)
