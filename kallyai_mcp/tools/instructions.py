"""What the reference has no fields for, as instructions for KallyAI: questions, other times, an earlier booking.

They are read back from the submission, so a call needs no record of its own for them.
"""

import re
from collections.abc import Mapping
from datetime import date, time
from typing import Any

from kallyai_mcp.api.models import Submission, SubmissionEcho

_DEPARTURE = {"en": "Departure: ", "es": "Salida: "}
_OTHER_TIMES = {
    "en": "If that time is taken, agree to one of these: ",
    "es": "Si esa hora no está libre, acepta una de estas: ",
}
CHANGES = {"en": "This call is about the booking of call ", "es": "Esta llamada trata de la reserva de la llamada "}
_SPAN = re.compile(r"(\d{1,2}):(\d\d)(?:\s?[-\u2013]\s?(\d{1,2}):(\d\d))?")


def instructions_of(arguments: Mapping[str, Any]) -> list[str]:
    """The instructions from validated arguments of make_call: the agent's own, and those of this module.

    `changes` are the `call_id` of the booking that the call is about, and its facts.
    """
    language = arguments["call_language"] or arguments["language"] or "en"
    found = [*(arguments["additional_instructions"] or ())]
    found += [f"{text.rstrip(' .?!')}?" for text in arguments["questions"] or ()]
    if departure := arguments["departure_date"]:
        found.append(f"{_DEPARTURE[language]}{departure}")
    if times := arguments["other_times"]:
        found.append(f"{_OTHER_TIMES[language]}{times}")
    if changes := arguments.get("changes"):
        found.append(f"{CHANGES[language]}{changes}")
    return found


def changes_in(submission: Submission | SubmissionEcho) -> str | None:
    """The `call_id` of the call whose booking the call is about; None if it is about none."""
    return next((text.partition(":")[0] for text in _texts_after(CHANGES, submission)), None)


def questions_in(submission: Submission | SubmissionEcho) -> tuple[str, ...]:
    """The questions among the instructions, each once."""
    texts = dict.fromkeys(submission.additional_instructions or ())
    return tuple(text for text in texts if text.rstrip().endswith("?"))


def departure_in(submission: Submission | SubmissionEcho) -> date | None:
    """The day of departure from a hotel; None if there is none."""
    for text in _texts_after(_DEPARTURE, submission):
        try:
            return date.fromisoformat(text)
        except ValueError:
            continue
    return None


def other_times_text(submission: Submission | SubmissionEcho) -> str:
    """The other times that may be agreed to, as the agent gave them; "" if there are none."""
    return ", ".join(_texts_after(_OTHER_TIMES, submission))


def are_times(text: str) -> bool:
    """Whether a text has nothing but times and spans of time, as in "10:00-12:00, 15:00"."""
    return len(spans_in(text)) == len(_SPAN.findall(text)) > 0 and not _SPAN.sub("", text).strip(" ,;")


def spans_in(text: str) -> list[tuple[time, time]]:
    """The times in such a text, each as the first and the last one."""
    spans = []
    for found in _SPAN.finditer(text):
        first = int(found[1]), int(found[2])
        last = (int(found[3]), int(found[4])) if found[3] else first
        if max(first, last) < (24, 0) and max(first[1], last[1]) < 60:
            spans.append((time(*first), time(*last)))
    return spans


def _texts_after(beginnings: Mapping[str, str], submission: Submission | SubmissionEcho) -> list[str]:
    texts = submission.additional_instructions or ()
    return [text.removeprefix(begin) for text in texts for begin in beginnings.values() if text.startswith(begin)]
