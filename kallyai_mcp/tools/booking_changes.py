"""Calls about the booking of an earlier call: which booking it is by now, and what of it stays.

The agent names the earlier call and what the call is for (`Change`). Everything else comes from the
earlier call.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, NamedTuple

from kallyai_mcp.api.errors import NotSignedInError, check_call_id
from kallyai_mcp.calls.about_booking import Change
from kallyai_mcp.calls.call_lists import CallList
from kallyai_mcp.calls.errors import LedgerUnavailableError
from kallyai_mcp.calls.numbers import normalize
from kallyai_mcp.calls.policy import RiskFlag
from kallyai_mcp.calls.records import CallRequest
from kallyai_mcp.clock import Stopwatch
from kallyai_mcp.tools.arguments import InvalidArgumentsError, Problem
from kallyai_mcp.tools.call_arguments import CallArguments
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.facets.call import CallView
from kallyai_mcp.tools.lookup import (
    find,
    find_event,
    find_event_or_call,
    read_earlier_calls,
)
from kallyai_mcp.tools.submissions import (
    agents_instructions,
    departure_in,
    request_of,
    submission_of,
)
from kallyai_mcp.tools.text.calendar import booking_facts

_NEW_TIME = ("appointment_date", "appointment_time", "departure_date")
"""The arguments that a move needs one of, and that no other call about a booking takes."""

_OTHER_TIME = ("other_times", "accept_other_time")
"""Which other times may be agreed to, which is so only in a move."""

_SAY = {
    "no_change": "missing; move (to a new day or time), cancel, or ask (anything else)",
    "no_booking": "missing; with change, the call_id of the booking to move, cancel, or ask about",
    "known_booking": "missing; the booking at this number is call_id {facts}",
    "no_new_time": "missing; change move needs a new appointment_date, appointment_time, or "
    "departure_date",
    "new_time": "is only for change move; {change} leaves the day and the time as they are",
    "people_to_cancel": "is not for change cancel; for another number of people, change ask",
    "people_to_ask": "is not for change ask; say another number of people in task_description",
    "no_departure": "missing; the stay was to end on {departure}, before the new arrival",
}


def problems_of_change(given: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with the arguments of a call about a booking, as they go together."""
    change = given.get("change")
    names_booking = "changes_call_id" in given
    if change is None:
        return [Problem("change", _SAY["no_change"])] if names_booking else []
    if not names_booking:
        return [Problem("changes_call_id", _SAY["no_booking"])]
    if change == Change.MOVE:
        names_new_time = any(name in given for name in _NEW_TIME)
        return [] if names_new_time else [Problem("appointment_date", _SAY["no_new_time"])]
    if change in (Change.CANCEL, Change.ASK):
        return list(_problems_of_no_move(given, change))
    return []  # any other value is named by validation


def _problems_of_no_move(given: Mapping[str, Any], change: str) -> Iterator[Problem]:
    """The arguments that would change the day, the time, or the people of a booking."""
    for name in (*_NEW_TIME, *_OTHER_TIME):
        if given.get(name):
            yield Problem(name, _SAY["new_time"].format(change=change))
    if "party_size" in given:
        yield Problem("party_size", _SAY[f"people_to_{change}"])


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


async def with_known_booking(
    found: Sequence[Problem], given: Mapping[str, Any], app_context: AppContext
) -> list[Problem]:
    """The problems with the arguments; a missing changes_call_id with the booking that lies ahead
    at the number, if the ledger has one.
    """
    lacks_booking = any(one.argument == "changes_call_id" for one in found)
    number = normalize(str(given.get("respondent_phone")))
    if not lacks_booking or not isinstance(number, str):
        return list(found)
    try:
        ahead = (await read_earlier_calls(app_context, number)).ahead
    except (NotSignedInError, LedgerUnavailableError):
        return list(found)  # what is wrong with the arguments can be said without the ledger
    return [_naming(ahead, one) for one in found]


def _naming(booking: CallView | None, problem: Problem) -> Problem:
    """The problem; that of a missing changes_call_id names the booking that is known."""
    if booking is None or problem.argument != "changes_call_id":
        return problem
    text = _SAY["known_booking"].format(facts=booking_facts(booking))
    return replace(problem, text=text)


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
    finds = find_event_or_call if arguments.change is Change.ASK else find_event
    event = await finds(app_context, arguments.changes_call_id)
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
    if booked_at in (None, number):
        return ()
    return (RiskFlag.OTHER_NUMBER,)


def _with_what_stays(arguments: CallArguments, booking: CallView) -> CallArguments:
    """The arguments with what they don't name: the user and the business; of a move also day, time,
    people, and wishes.
    """
    asked = booking.submission
    stays: dict[str, Any] = {"user_name": asked.user_name}
    if arguments.respondent_phone == asked.respondent_phone:
        stays["business_name"] = asked.business_name
    if arguments.change is Change.MOVE:
        stays |= _stays_in_move(arguments, booking)
    unnamed = {name: value for name, value in stays.items() if not getattr(arguments, name)}
    return arguments.model_copy(update=unnamed)


def _stays_in_move(arguments: CallArguments, booking: CallView) -> dict[str, Any]:
    asked = booking.submission
    stays: dict[str, Any] = {
        "party_size": asked.party_size,
        "additional_instructions": list(agents_instructions(asked)) or None,
        "departure_date": _departure_that_stays(arguments, booking),
    }
    match booking.booking.event.start:
        case datetime() as start:
            stays["appointment_date"] = start.date()
            if not _names_time(arguments):
                stays["appointment_time"] = f"{start:%H:%M}"
        case date() as day:
            stays["appointment_date"] = day
    return stays


def _names_time(arguments: CallArguments) -> bool:
    return bool(arguments.appointment_time or arguments.time_preference_text)


def _departure_that_stays(arguments: CallArguments, booking: CallView) -> date | None:
    """The day on which the booked stay was to end; None if it was no stay.

    A stay that is moved to that day, or a later one, must be given a new departure.
    """
    departure = departure_in(booking.submission)
    arrival = arguments.appointment_date
    if departure is None or arrival is None or arguments.departure_date is not None:
        return departure
    is_over_before_arrival = departure <= arrival
    if is_over_before_arrival:
        lacking = Problem("departure_date", _SAY["no_departure"].format(departure=departure))
        raise InvalidArgumentsError([lacking])
    return departure
