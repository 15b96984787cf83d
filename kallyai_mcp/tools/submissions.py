"""The submission for KallyAI, and when it is due, from the arguments of a call.

What the reference has no fields for is passed as instructions: questions, other times, an earlier
booking. They are read back from the submission, so a call needs no record of its own for them.
"""

import re
from collections.abc import Collection, Iterator
from datetime import date, datetime, time

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Submission, SubmissionEcho
from kallyai_mcp.calls import about_booking
from kallyai_mcp.calls.disclosure import wishes_in, with_disclosure
from kallyai_mcp.calls.instructions import instructions_of, questions_in
from kallyai_mcp.calls.numbers import zone_of_callee
from kallyai_mcp.calls.other_time import LISTED, LISTS, with_other_time
from kallyai_mcp.calls.records import CallRequest
from kallyai_mcp.calls.schedule import (
    AT_ONCE,
    MOST_AHEAD,
    Schedule,
    bounded,
    is_past_appointment,
)
from kallyai_mcp.clock import Stopwatch
from kallyai_mcp.tools.argument_types import SpokenLanguage
from kallyai_mcp.tools.arguments import InvalidArgumentsError, Problem
from kallyai_mcp.tools.call_arguments import CallArguments
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.text.plain import zone_of

_DEPARTURE = {"en": "Departure: ", "es": "Salida: "}
_LIMIT = re.compile(r"(?:do not|don't|never|nunca|no|only|solo|s\u00f3lo|if|si)\b", re.IGNORECASE)
"""How an instruction begins that limits what KallyAI does, and asks the callee for nothing."""

_PERMISSION = re.compile(
    r"any (?:other )?(?:time|day|table)\b|cualquier (?:otra )?(?:hora|d[i\u00ed]a|mesa)\b",
    re.IGNORECASE,
)
"""How an instruction begins that says what is fine with the user, too."""

_TIME = r"([01]?\d|2[0-3]):([0-5]\d)"
_SPAN = re.compile(rf"{_TIME}(?:\s?[-\u2013]\s?{_TIME})?")


def submission_of(arguments: CallArguments, *, changes: str = "") -> Submission:
    """The submission of a call.

    `changes` are the facts of the booking that the call is about, which begin with a `call_id`.
    """
    _check_days_of_stay(arguments)
    _check_other_times(arguments.other_times)
    # Empty and false values are left out: with and without them, it must be the same call (the same
    # fingerprint).
    fields = {name: getattr(arguments, name) or None for name in Submission.model_fields}
    fields["additional_instructions"] = _instructions_of(arguments, changes) or None
    submission = Submission(**fields)
    if arguments.other_times:  # which say what KallyAI may agree to
        return submission
    return with_other_time(submission, accept=arguments.accept_other_time)


def _check_days_of_stay(arguments: CallArguments) -> None:
    arrival = arguments.appointment_date
    departure = arguments.departure_date
    if arrival is not None and departure is not None and departure <= arrival:
        raise InvalidArgumentsError(
            [Problem("departure_date", f'"{departure}" is not after the day of arrival')]
        )


def _check_other_times(text: str | None) -> None:
    if text and not are_times(text):
        problem = Problem("other_times", 'expected times such as "10:00-12:00, 15:00"')
        raise InvalidArgumentsError([problem])


def disclosing(submission: Submission, app_context: AppContext) -> Submission:
    """`submission` with the instruction to say that it is an AI, unless the setting leaves it
    out.
    """
    return with_disclosure(submission) if app_context.settings.disclosure else submission


def callee_zone(given: str | None, number: str, app_context: AppContext) -> str:
    """IANA name of the zone of a call's day and time, which is that of the number.

    If the number has several zones, or none, it is the user's: the `given` one, or that of the
    context.
    """
    return zone_of_callee(number, otherwise=given or app_context.timezone)


def request_of(
    arguments: CallArguments,
    submission: Submission,
    arrived: Stopwatch,
    app_context: AppContext,
    *,
    asked: Submission | None = None,
) -> CallRequest:
    """The request for a call, which `arrived` at that moment; `asked` as in `CallRequest`."""
    submission = disclosing(submission, app_context)
    zone = callee_zone(arguments.timezone, submission.respondent_phone, app_context)
    not_before = _moment_in(arguments.timezone or zone, arguments.not_before)
    schedule = _schedule(not_before, arguments.retries, submission, zone, app_context)
    return CallRequest(
        submission, zone, arrived, schedule, arguments.redial, arguments.session_id, asked
    )


def _moment_in(timezone: str, moment: datetime | None) -> datetime | None:
    """`moment`, which is in `timezone` (IANA) if it has no offset."""
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=zone_of(timezone))


def _schedule(
    not_before: datetime | None,
    retries: int,
    submission: Submission,
    timezone: str,
    app_context: AppContext,
) -> Schedule:
    """When a call is due, and how often it may be placed; `timezone` (IANA) is that of its day and
    time.
    """
    if not_before is None and not retries:
        return AT_ONCE
    calls = app_context.calls
    if not calls.places_due:
        raise KallyAIError("This server can't place calls later.", code="cannot_schedule")
    if not_before is None:
        return calls.schedule_for(None, retries)
    wrong = _why_never_due(not_before, submission, timezone, app_context)
    if wrong is not None:
        problem = Problem("not_before", f'"{not_before:%Y-%m-%d %H:%M}" {wrong}')
        raise InvalidArgumentsError([problem])
    if not_before <= app_context.now():
        return calls.schedule_for(None, retries)
    return calls.schedule_for(not_before, retries)


def _why_never_due(
    due: datetime, submission: Submission, timezone: str, app_context: AppContext
) -> str | None:
    """What is wrong with the time of a call; None if it can be placed then."""
    now = app_context.now()
    if due - now > MOST_AHEAD:
        return f"is more than {MOST_AHEAD.days} days away; call or schedule later"
    if due < now and _has_expired(due, submission, timezone, app_context):
        return f"is past; it is {now.astimezone(due.tzinfo):%Y-%m-%d %H:%M} in {due.tzinfo}"
    if is_past_appointment(submission, due, timezone):
        return "is after the appointment that the call asks for"
    return None


def _has_expired(
    due: datetime, submission: Submission, timezone: str, app_context: AppContext
) -> bool:
    """Whether a call that was `due` then may no longer be placed."""
    window = bounded(app_context.calls.schedule_for(due, 0), submission, timezone, agreed_for=due)
    return window.place_by is not None and app_context.now() > window.place_by


def _instructions_of(arguments: CallArguments, changes: str) -> list[str]:
    """The instructions of a call: the agent's own, and those of this module; `changes` as in
    `submission_of`.
    """
    own = arguments.additional_instructions or []
    questions = [f"{text.rstrip(' .?!')}?" for text in arguments.questions or ()]
    language = arguments.call_language or arguments.language or "en"
    return [*own, *questions, *_facts_of(arguments, changes, language)]


def _facts_of(arguments: CallArguments, changes: str, language: SpokenLanguage) -> Iterator[str]:
    """What the reference has no fields for, as sentences that this module reads back."""
    if arguments.departure_date is not None:
        yield f"{_DEPARTURE[language]}{arguments.departure_date}"
    if arguments.other_times:
        yield f"{LISTED[language]}{arguments.other_times}"
    if changes:
        yield f"{about_booking.BEGINNINGS[language]}{changes}"
    if arguments.change is not None:
        yield about_booking.INSTRUCTIONS[arguments.change][language]


def agents_instructions(submission: Submission | SubmissionEcho) -> tuple[str, ...]:
    """The wishes and limits of the agent: the instructions without questions, and without those of
    this program.
    """
    beginnings = (*_DEPARTURE.values(), *LISTS, *about_booking.BEGINNINGS.values())
    others = about_booking.CHANGES.union(questions_in(submission))
    return tuple(
        text
        for text in wishes_in(submission)
        if not text.startswith(beginnings) and text not in others
    )


def wishes_to_confirm(submission: Submission | SubmissionEcho) -> tuple[str, ...]:
    """Those of the agent's instructions that the callee may confirm: no limits of what KallyAI may
    agree to, and no permissions.
    """
    return tuple(
        text
        for text in agents_instructions(submission)
        if not _LIMIT.match(text) and not _PERMISSION.match(text)
    )


def departure_in(submission: Submission | SubmissionEcho) -> date | None:
    """The day of departure from a hotel; None if there is none."""
    for text in _texts_after(_DEPARTURE.values(), submission):
        try:
            return date.fromisoformat(text)
        except ValueError:
            continue
    return None


def other_times_text(submission: Submission | SubmissionEcho) -> str:
    """The other times that may be agreed to, as the agent gave them; "" if there are none."""
    return ", ".join(_texts_after(LISTS, submission))


def are_times(text: str) -> bool:
    """Whether a text has nothing but times and spans of time, as in "10:00-12:00, 15:00"."""
    return bool(spans_in(text)) and not _SPAN.sub("", text).strip(" ,;")


def spans_in(text: str) -> list[tuple[time, time]]:
    """The times in such a text, each as the first and the last one."""
    spans = []
    for hour, minute, last_hour, last_minute in _SPAN.findall(text):
        first = time(int(hour), int(minute))
        spans.append((first, time(int(last_hour), int(last_minute)) if last_hour else first))
    return spans


def _texts_after(
    beginnings: Collection[str], submission: Submission | SubmissionEcho
) -> Iterator[str]:
    """What follows one of these beginnings in each instruction that has one."""
    for text in instructions_of(submission):
        for begin in beginnings:
            if text.startswith(begin):
                yield text.removeprefix(begin)
