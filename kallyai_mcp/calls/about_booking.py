"""What KallyAI is told of a call about the booking of an earlier one: which booking it is, and what
the call is for.

The reference has no fields for them, so they are additional instructions. The ledger has a column
with the id of the earlier call, so that nothing has to search for the sentence.
"""

from collections.abc import Mapping
from enum import StrEnum

from kallyai_mcp.api.models import Submission, SubmissionEcho
from kallyai_mcp.calls.instructions import instructions_of

BEGINNINGS = {
    "en": "This call is about the booking of call ",
    "es": "Esta llamada trata de la reserva de la llamada ",
}
"""How the instruction begins, by the language of the call. The `call_id` follows, and a colon."""


class Change(StrEnum):
    """What a call about a booking is for."""

    MOVE = "move"  # another day or time; what is not named stays as it was
    CANCEL = "cancel"
    ASK = "ask"  # anything else; the booking stays as it is


INSTRUCTIONS: Mapping[Change, Mapping[str, str]] = {
    Change.MOVE: {
        "en": "Move that booking to the new day and time. Keep everything else about it.",
        "es": "Cambia esa reserva al nuevo día y a la nueva hora. Mantén todo lo demás.",
    },
    Change.CANCEL: {
        "en": "Cancel that booking. Make no other one.",
        "es": "Cancela esa reserva. No hagas ninguna otra.",
    },
    Change.ASK: {
        "en": "Only do what the task says about that booking. Do not cancel it, and do not agree "
        "to another day or time for it.",
        "es": "Haz con esa reserva solo lo que dice la tarea. No la canceles, y no aceptes otro "
        "día ni otra hora.",
    },
}
"""The instruction that says it, in each language of a call."""

CHANGES = frozenset(text for texts in INSTRUCTIONS.values() for text in texts.values())
"""These instructions in all languages."""


def about_call_id(submission: Submission | SubmissionEcho) -> str | None:
    """The `call_id` of the call whose booking a call is about; None if it is about none."""
    for instruction in instructions_of(submission):
        for beginning in BEGINNINGS.values():
            if instruction.startswith(beginning):
                return instruction.removeprefix(beginning).partition(":")[0]
    return None


def makes_new_booking(submission: Submission) -> bool:
    """Whether a call is to book a day or a time, and is about no earlier booking."""
    names_day = submission.appointment_date is not None or submission.appointment_time is not None
    return names_day and about_call_id(submission) is None


def booking_told(submission: Submission | SubmissionEcho) -> str | None:
    """What KallyAI is told of that booking: its name or number of people, and its day and time."""
    found = filter(_is_about_call, instructions_of(submission))
    return next((text.partition(":")[2].strip() for text in found), None)


def is_about_booking(instruction: str) -> bool:
    """Whether an instruction says which booking a call is about, or what is to be done with it."""
    return _is_about_call(instruction) or instruction in CHANGES


def _is_about_call(instruction: str) -> bool:
    return instruction.startswith(tuple(BEGINNINGS.values()))


def change_in(submission: Submission | SubmissionEcho) -> Change | None:
    """What a call about a booking is for.

    None for any other call, and for one of a version before, which did not tell KallyAI.
    """
    instructions = instructions_of(submission)
    for change, texts in INSTRUCTIONS.items():
        if not set(texts.values()).isdisjoint(instructions):
            return change
    return None


def without_change(submission: Submission) -> Submission:
    """`submission` as the version before worded it, which did not tell KallyAI what it is for."""
    others = tuple(text for text in instructions_of(submission) if text not in CHANGES)
    return submission.model_copy(update={"additional_instructions": others or None})
