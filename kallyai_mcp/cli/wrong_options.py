"""What a person is told about an argument or an option of `call` that is wrong."""

import re
from datetime import date

from kallyai_mcp.calls.numbers import normalize
from kallyai_mcp.tools.arguments import Problem
from kallyai_mcp.tools.text.plain import one_line

_TIME = re.compile(r"([01]?\d|2[0-3]):[0-5]\d")

_NUMBER = "respondent_phone"
_CALLBACK = "user_phone"

_SAY = {
    "task_description": 'say what the call should achieve, such as "Ask when they close"',
    "appointment_date": '"{given}" is not a day; write it as YYYY-MM-DD, such as 2027-03-05',
    "appointment_time": '"{given}" is not a time; write it as HH:MM with 24 hours, such as 19:00',
    _NUMBER: "write the number to call, with its country code, such as +14155551234",
}

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
    return _SAY[argument] if _is_malformed(argument, text) else None


def _words_for_number(text: str) -> str | None:
    problem = normalize(text)
    if isinstance(problem, str) or problem.meant:
        return None  # the numbers that may be meant are named to a model in the same words
    return _SAY_OF_NUMBER.get(problem.kind)


def _is_malformed(argument: str, text: str) -> bool:
    match argument:
        case "task_description" | "respondent_phone":
            return not text
        case "appointment_date":
            return not _is_day(text)
        case "appointment_time":
            return _TIME.fullmatch(text) is None
    return False


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
