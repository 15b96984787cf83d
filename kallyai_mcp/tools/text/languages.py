"""The text about what KallyAI was given in a language that it does not speak in the call."""

from kallyai_mcp.api.models import Submission, SubmissionEcho
from kallyai_mcp.calls.instructions import questions_in
from kallyai_mcp.calls.speech.language import is_in_another_language
from kallyai_mcp.tools.submissions import agents_instructions
from kallyai_mcp.tools.text.plain import listed

_SAY = {
    "as_it_is": "{names} {is_} neither in English nor in Spanish, and may be spoken as written."
}


def spoken_as_it_is(asked: Submission | SubmissionEcho) -> str:
    """Which texts of a request are in another language than English and Spanish; "" for none."""
    names = in_other_languages(asked)
    if not names:
        return ""
    is_ = "is" if names == ["task_description"] else "are"
    return _SAY["as_it_is"].format(names=listed(names), is_=is_)


def in_other_languages(asked: Submission | SubmissionEcho) -> list[str]:
    """The names of the arguments with texts that are neither English nor Spanish."""
    texts = {
        "task_description": tuple(filter(None, [asked.task_description])),
        "additional_instructions": agents_instructions(asked),
        "questions": questions_in(asked),
    }
    return [name for name, given in texts.items() if any(map(is_in_another_language, given))]
