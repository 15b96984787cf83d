"""Whether the callee of a call was a person or a machine: a menu, an announcement, or a mailbox."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, groupby

from kallyai_mcp.api.models import Transcript, TranscriptEntry
from kallyai_mcp.calls.speech.phrases import phrases
from kallyai_mcp.calls.speech.sentences import Sentence, Words, says, sentences_of

_ENOUGH = 2
"""How many phrases that persons use, too, show a machine."""


class SpokeWith(StrEnum):
    """Who spoke in place of the callee, as far as a transcript shows it."""

    PERSON = "person"
    MACHINE = "machine"
    UNCLEAR = "unclear"


@dataclass(frozen=True)
class Line:
    """Who spoke; `words` are the first that show a machine, if only machines did."""

    spoke_with: SpokeWith
    words: Words | None = None


@dataclass(frozen=True)
class _Turn:
    """What one turn of the callee shows.

    Attributes:
        proof: The first sentence that only a machine can say; None without one.
        signs: The sentences that machines say, and persons sometimes.
        is_personal: Whether it has words of a person, or asks something.
    """

    proof: Words | None
    signs: tuple[Words, ...]
    is_personal: bool

    @property
    def is_machine(self) -> bool:
        """Whether only a machine can have said it."""
        if self.proof is not None:
            return True
        return len(self.signs) >= _ENOUGH and not self.is_personal

    @property
    def may_be_machine(self) -> bool:
        """Whether a machine can have said it."""
        if self.proof is not None:
            return True
        return bool(self.signs) and not self.is_personal

    @property
    def words(self) -> Words | None:
        """What is quoted if a machine said it."""
        return self.proof or next(iter(self.signs), None)


def spoke_with(transcript: Transcript) -> Line:
    """Who spoke with KallyAI: a machine only if every turn of the callee is clearly a machine's."""
    replies = list(_replies(transcript))
    turns = list(chain.from_iterable(replies))
    if not turns:
        return Line(SpokeWith.UNCLEAR)
    if all(map(_is_machine, replies)):
        return Line(SpokeWith.MACHINE, turns[0].words)
    return Line(SpokeWith.PERSON if _has_person(turns) else SpokeWith.UNCLEAR)


def _is_machine(reply: Sequence[_Turn]) -> bool:
    """Whether all turns between two of KallyAI's are clearly one machine's, alone or together."""
    if all(turn.is_machine for turn in reply):
        return True
    signs = sum(len(turn.signs) for turn in reply)
    return signs >= _ENOUGH and all(turn.may_be_machine for turn in reply)


def _has_person(turns: Sequence[_Turn]) -> bool:
    """Whether somebody talked: words of a person, or none of a machine at all."""
    others = [turn for turn in turns if not turn.is_machine]
    if any(turn.is_personal for turn in others):
        return True
    return len(others) == len(turns) and not all(turn.may_be_machine for turn in turns)


def _replies(transcript: Transcript) -> Iterator[list[_Turn]]:
    """The turns of the callee with words, in groups between those of KallyAI."""
    are_hours_asked = False
    for is_kallyai, group in groupby(transcript.entries, lambda entry: entry.is_kallyai):
        entries = [entry for entry in group if sentences_of(entry)]
        if is_kallyai:
            are_hours_asked = any(says(entry, "asks_for_hours") for entry in entries)
        elif entries:
            yield [_turn(entry, are_hours_asked=are_hours_asked) for entry in entries]


def _turn(entry: TranscriptEntry, *, are_hours_asked: bool) -> _Turn:
    sentences = sentences_of(entry)
    has_persons_words = says(entry, "person")
    asks = any(sentence.is_question for sentence in sentences)
    proofs = _quotes(sentences, _proofs(has_persons_words, asks or are_hours_asked))
    return _Turn(
        proof=next(proofs, None),
        signs=tuple(_quotes(sentences, ("machine_perhaps",))),
        is_personal=has_persons_words or asks,
    )


def _proofs(has_persons_words: bool, is_dialog: bool) -> tuple[str, ...]:
    """The tables of phrases that only a machine says in a turn.

    With words of a person in it, somebody may have repeated what a machine says. In a dialog,
    opening hours may be the answer to a question.
    """
    if has_persons_words:
        return ("machine_introduces_itself",)
    if is_dialog:
        return ("machine_introduces_itself", "machine")
    return ("machine_introduces_itself", "machine", "opening_hours")


def _quotes(sentences: Sequence[Sentence], meanings: Sequence[str]) -> Iterator[Words]:
    """What is to be quoted for each phrase of some meanings."""
    for sentence in sentences:
        for meaning in meanings:
            for found in phrases(meaning).find_all(sentence):
                yield sentence.words_around(found.start)
