"""The instruction that tells KallyAI to say in its first sentence that it is an AI.

The reference has no field for this, so it is one of the `additional_instructions`, in the language
of the call. As the instruction of `calls.other_time`, it does not make two submissions different
calls: the setting may change between two requests for the same call.
"""

from collections.abc import Mapping
from typing import Any

from kallyai_mcp.api.models import Submission, SubmissionEcho
from kallyai_mcp.calls.instructions import (
    instructions_of,
    with_instruction,
    without_instructions,
)
from kallyai_mcp.calls.other_time import spoken_language, without_other_time

_INSTRUCTIONS = {
    "en": "Say in your first sentence that you are an AI assistant calling for {name}.",
    "es": (
        "Di en tu primera frase que eres un asistente de inteligencia artificial que llama de "
        "parte de {name}."
    ),
}
_SOMEBODY = {"en": "somebody else", "es": "otra persona"}
"""The user, if no name is known."""


def with_disclosure(submission: Submission) -> Submission:
    """`submission` with the instruction, which names the user if the submission does."""
    language = spoken_language(submission)
    return with_instruction(submission, _instruction(language, submission.user_name))


def asks_to_disclose(submission: Submission | SubmissionEcho) -> bool:
    """Whether KallyAI was told to say that it is an AI."""
    return not _own(submission.user_name).isdisjoint(instructions_of(submission))


def without_disclosure(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a submission without the instruction."""
    return without_instructions(fields, _own(fields.get("user_name")))


def wishes_in(submission: Submission | SubmissionEcho) -> tuple[str, ...]:
    """The additional instructions without those that this program adds to calls of every kind: this
    one, and that of `calls.other_time`.
    """
    others = without_other_time(without_disclosure(submission.as_json()))
    return tuple(others.get("additional_instructions", ()))


def _own(name: str | None) -> frozenset[str]:
    """The instruction in each language."""
    return frozenset(_instruction(language, name) for language in _INSTRUCTIONS)


def _instruction(language: str, name: str | None) -> str:
    user = " ".join((name or "").split()).rstrip(".") or _SOMEBODY[language]
    return _INSTRUCTIONS[language].format(name=user)
