"""What a person is told about an argument or an option of `call` that is wrong."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from kallyai_mcp.calls.numbers import normalize
from kallyai_mcp.calls.schedule import MOST_RETRIES
from kallyai_mcp.tools.argument_types import MOST_PEOPLE
from kallyai_mcp.tools.arguments import Problem
from kallyai_mcp.tools.text.plain import one_line

_TIME = re.compile(r"([01]?\d|2[0-3]):[0-5]\d")

_NUMBER = "respondent_phone"
_CALLBACK = "user_phone"


def _is_missing(text: str) -> bool:
    return not text


def _is_any(text: str) -> bool:  # noqa: ARG001 - it is one of the questions
    return True


def _is_no_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return True
    return False


def _is_no_time(text: str) -> bool:
    return _TIME.fullmatch(text) is None


def _is_no_moment(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return True
    return False


def _are_no_people(text: str) -> bool:
    return not text.isdecimal() or not 1 <= int(text) <= MOST_PEOPLE


@dataclass(frozen=True)
class _Case:
    """What is said of the value of an argument, if it `fits`: "" for one that was not given."""

    argument: str
    fits: Callable[[str], bool]
    say: str


_CASES = (
    _Case(
        "task_description",
        _is_missing,
        'say what the call should achieve, such as "Ask when they close"',
    ),
    _Case(
        _NUMBER,
        _is_missing,
        "write the number to call, with its country code, such as +14155551234",
    ),
    _Case(
        "appointment_date",
        _is_missing,
        "to move a booking, name its new day or time, with --date or --time",
    ),
    _Case(
        "appointment_date",
        _is_no_day,
        '"{given}" is not a day; write it as YYYY-MM-DD, such as 2027-03-05',
    ),
    _Case(
        "appointment_time",
        _is_no_time,
        '"{given}" is not a time; write it as HH:MM with 24 hours, such as 19:00',
    ),
    _Case("party_size", _are_no_people, f"write how many people come, from 1 to {MOST_PEOPLE}"),
    _Case("retries", _is_any, f"write how many more times to call, from 0 to {MOST_RETRIES}"),
    _Case(
        "timezone",
        _is_any,
        '"{given}" is not a time zone; write one such as America/New_York or Europe/Madrid',
    ),
    _Case(
        "not_before",
        _is_no_moment,
        '"{given}" is not a day and a time; write them such as 2027-03-05T10:00',
    ),
    _Case(
        "changes_call_id",
        _is_missing,
        "name the call whose booking this one is about; kallyai-mcp calls shows them",
    ),
    _Case("change", _is_missing, "say what to do with that booking: move, cancel, or ask"),
)
"""Of several that fit, the first one counts."""

_SAY_OF_NUMBER = {
    "not_a_number": '"{given}" is not a phone number; write one such as +14155551234',
    "no_country": '"{given}" has no country code; write the number as +14155551234 is written',
    "invalid": '"{given}" is not a number that can be called; look it up again',
    "extension": '"{given}" has an extension, which KallyAI does not support; leave it out',
}
"""By the kind of `NumberProblem`."""


def in_a_persons_words(problem: Problem, given: object) -> str:
    """What is wrong with the value that was `given`, and what to write in its place."""
    text = str(given or "").strip()
    words = _words_for(problem.argument, text)
    if words is None:
        return problem.text
    return words.format(given=one_line(text, 60))


def _words_for(argument: str, text: str) -> str | None:
    """The words for a value that is malformed; None for any other, which is told as to a model."""
    if text and argument in (_NUMBER, _CALLBACK):
        return _words_for_number(text)
    cases = (case for case in _CASES if case.argument == argument and case.fits(text))
    return next((case.say for case in cases), None)


def _words_for_number(text: str) -> str | None:
    problem = normalize(text)
    if isinstance(problem, str) or problem.meant:
        return None  # the numbers that may be meant are named to a model in the same words
    return _SAY_OF_NUMBER.get(problem.kind)
