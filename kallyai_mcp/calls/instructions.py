"""The additional instructions of a submission.

What the reference has no field for is told to KallyAI in them.
"""

from collections.abc import Collection, Mapping
from typing import Any

from kallyai_mcp.api.models import Submission, SubmissionEcho


def instructions_of(submission: Submission | SubmissionEcho) -> tuple[str, ...]:
    """The additional instructions; empty without any."""
    return submission.additional_instructions or ()


def questions_in(submission: Submission | SubmissionEcho) -> tuple[str, ...]:
    """The questions among the instructions, each once."""
    texts = dict.fromkeys(instructions_of(submission))
    return tuple(text for text in texts if text.rstrip().endswith("?"))


def with_instruction(submission: Submission, text: str) -> Submission:
    """`submission` with one more instruction, after the others."""
    instructions = (*instructions_of(submission), text)
    return submission.model_copy(update={"additional_instructions": instructions})


def without_instructions(fields: Mapping[str, Any], left_out: Collection[str]) -> dict[str, Any]:
    """The fields of a submission without the instructions that are `left_out`."""
    others = dict(fields)
    given = others.pop("additional_instructions", ())
    rest = [text for text in given if text not in left_out]
    if rest:
        others["additional_instructions"] = rest
    return others
