"""What a person is told about an argument or an option of `call` that is wrong."""

import re
from datetime import date

from kallyai_mcp.tools.arguments import Problem
from kallyai_mcp.tools.text.plain import one_line

_TIME = re.compile(r"([01]?\d|2[0-3]):[0-5]\d")

_SAY = {
    "task_description": 'say what the call should achieve, such as "Ask when they close"',
    "appointment_date": '"{given}" is not a day; write it as YYYY-MM-DD, such as 2027-03-05',
    "appointment_time": '"{given}" is not a time; write it as HH:MM with 24 hours, such as 19:00',
}


def in_a_persons_words(problem: Problem, given: object) -> str:
    """What is wrong with the value that was `given`, and what to write in its place."""
    text = str(given or "").strip()
    if _is_malformed(problem.argument, text):
        return _SAY[problem.argument].format(given=one_line(text, 60))
    return problem.text


def _is_malformed(argument: str, text: str) -> bool:
    match argument:
        case "task_description":
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
