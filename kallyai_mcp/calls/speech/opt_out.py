"""Whether the callee asked not to be called again."""

from kallyai_mcp.api.models import Transcript
from kallyai_mcp.calls.speech.phrases import Found, phrases
from kallyai_mcp.calls.speech.sentences import Sentence, Words, callee_sentences

_REQUESTS = (
    "opt_out_requests",
    "opt_out_wishes",
    "opt_out_requests_es",
    "opt_out_wishes_es",
)
"""The tables of phrases that ask for it. What makes a request no request differs between them."""


def opt_out_in(transcript: Transcript) -> Words | None:
    """The callee's first words that ask not to be called again; None if there are none."""
    for sentence in callee_sentences(transcript):
        found = _request_in(sentence)
        if found is not None:
            return sentence.words_around(found.start)
    return None


def _request_in(sentence: Sentence) -> Found | None:
    """The phrase that asks for it; in a question, only if it is put as a request."""
    if sentence.is_question and phrases("opt_out_questions").find(sentence) is None:
        return None
    found = (phrases(meaning).find(sentence) for meaning in _REQUESTS)
    return next((one for one in found if one is not None), None)
