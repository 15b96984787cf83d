"""Whether an answer says that it is not certain."""

from collections.abc import Sequence
from itertools import chain

from kallyai_mcp.api.models import TranscriptEntry
from kallyai_mcp.calls.speech.phrases import phrases
from kallyai_mcp.calls.speech.sentences import Sentence, sentences_of


def is_hedged(turns: Sequence[TranscriptEntry]) -> bool:
    """Whether an answer, which may have several turns, leaves it open whether it is true.

    What is said for certain later counts: "I think so. Let me check. Yes, we have one."
    """
    in_doubt = False
    for sentence in chain.from_iterable(map(sentences_of, turns)):
        if _is_in_doubt(sentence):
            in_doubt = True
        elif phrases("certain").find(sentence) is not None:
            in_doubt = False
    return in_doubt


def _is_in_doubt(sentence: Sentence) -> bool:
    """Whether a sentence has a doubt, and nothing certain after it: "I think so, yes certainly"."""
    hedge = phrases("hedging").find(sentence)
    if hedge is None:
        return False
    certain = phrases("certain").find_all(sentence)
    return not any(one.start >= hedge.start for one in certain)
