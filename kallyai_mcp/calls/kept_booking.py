"""The instruction that a call about an earlier booking changes nothing about it but what its task
says.

A call with `changes_call_id` and without a new day or time may be about anything: a name, a wish, a
cancellation. The reference has no field that says which, so KallyAI is told to do no more than
that. As the instruction of `calls.other_time`, it does not make two submissions different calls.
"""

from collections.abc import Mapping
from typing import Any

from kallyai_mcp.api.models import Submission, SubmissionEcho
from kallyai_mcp.calls.instructions import instructions_of, without_instructions

INSTRUCTION: Mapping[str, str] = {
    "en": "Only do what the task says about that booking. Change nothing else.",
    "es": "Solo haz con esa reserva lo que dice la tarea. No cambies nada más.",
}
"""The instruction in each language of a call."""


def keeps_booking(submission: Submission | SubmissionEcho) -> bool:
    """Whether KallyAI was told to change nothing else about the booking."""
    return any(text in instructions_of(submission) for text in INSTRUCTION.values())


def without_kept_booking(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a submission without the instruction."""
    return without_instructions(fields, INSTRUCTION.values())
