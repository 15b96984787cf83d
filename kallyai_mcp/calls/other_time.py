"""The instructions that tell KallyAI whether it may agree to a day or time other than the requested
one, and which times.

The reference has no field for this, so it is one of the `additional_instructions`. Two submissions
that differ only in whether another time may be agreed to request the same call: the second is a
duplicate, and only `redial` places it.
"""

from collections.abc import Mapping
from typing import Any

from kallyai_mcp.api.models import Submission, SubmissionEcho
from kallyai_mcp.calls.instructions import (
    instructions_of,
    with_instruction,
    without_instructions,
)

_INSTRUCTIONS = {
    ("en", False): "Do not agree to a day or time other than the one asked for.",
    ("en", True): "If that day and time is not available, agree to the closest one.",
    ("es", False): "No aceptes un día ni una hora distintos de los pedidos.",
    ("es", True): "Si ese día y esa hora no están libres, acepta los más cercanos.",
}
"""The instructions by their language, and by whether another day or time may be agreed to."""

_FORBIDDING = frozenset({_INSTRUCTIONS["en", False], _INSTRUCTIONS["es", False]})
_ACCEPTING = frozenset({_INSTRUCTIONS["en", True], _INSTRUCTIONS["es", True]})

LISTED = {
    "en": "If that time is taken, agree to the first of these that is free, in this order: ",
    "es": "Si esa hora no está libre, acepta la primera de estas que lo esté, en este orden: ",
}
"""How the instruction begins that lists other times, by the language of the call."""

_LISTED_BEFORE = {
    "en": "If that time is taken, agree to one of these: ",
    "es": "Si esa hora no está libre, acepta una de estas: ",
}
"""How it began in the versions before, whose records have it."""

LISTS = (*LISTED.values(), *_LISTED_BEFORE.values())
"""All beginnings of that instruction."""


def spoken_language(submission: Submission) -> str:
    """The language of the call, which is also that of our own instructions for KallyAI."""
    return submission.call_language or submission.language or "en"


def with_other_time(submission: Submission, *, accept: bool) -> Submission:
    """`submission` with the instruction to `accept` another day or time, or not to; unchanged if it
    names neither.
    """
    if submission.appointment_date is None and submission.appointment_time is None:
        return submission
    return with_instruction(submission, _INSTRUCTIONS[spoken_language(submission), accept])


def forbids_other_time(submission: Submission | SubmissionEcho) -> bool:
    """Whether KallyAI was told to agree to no other day or time."""
    return not _FORBIDDING.isdisjoint(instructions_of(submission))


def accepts_other_time(submission: Submission | SubmissionEcho) -> bool:
    """Whether KallyAI was told that it may agree to another day or time."""
    return not _ACCEPTING.isdisjoint(instructions_of(submission))


def without_other_time(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a submission without the instruction of `with_other_time`."""
    return without_instructions(fields, _INSTRUCTIONS.values())


def as_listed_before(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a submission with other times as the versions before worded them, so that their
    records answer a request for the same call.
    """
    given = fields.get("additional_instructions")
    if given is None:
        return dict(fields)
    return {**fields, "additional_instructions": [_as_listed_before(text) for text in given]}


def _as_listed_before(text: str) -> str:
    for language, beginning in LISTED.items():
        if text.startswith(beginning):
            return f"{_LISTED_BEFORE[language]}{text.removeprefix(beginning)}"
    return text


def instructions_in(language: str, submission: Submission) -> tuple[str, ...]:
    """The additional instructions, with that of `with_other_time` in this language, not in the
    call's.
    """
    own = {text: _INSTRUCTIONS[language, accept] for (_, accept), text in _INSTRUCTIONS.items()}
    return tuple(own.get(text, text) for text in instructions_of(submission))
