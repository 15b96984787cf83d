"""The words that find a call: those of what was asked for, reported, and quoted."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from kallyai_mcp.calls.instructions import questions_in
from kallyai_mcp.calls.records import CallRecord
from kallyai_mcp.calls.speech.spoken import Quotation, Spoken

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class SearchWords:
    """The words of a call, each once.

    Attributes:
        reported: Those of the task, the questions, and KallyAI's report.
        quoted: Those that only the callee said.
    """

    reported: frozenset[str]
    quoted: frozenset[str]

    def have(self, words: Iterable[str], *, with_quotes: bool) -> bool:
        """Whether the call has all of these words."""
        known = self.reported | self.quoted if with_quotes else self.reported
        return known.issuperset(words)


@dataclass(frozen=True)
class Search:
    """What is looked for.

    Attributes:
        about: Words that a call must have, each of them.
        with_quotes: Whether the callee's words are searched, too.
        since, until: Between which times a call was asked for (aware); None for any.
        most: How many calls are returned at most.
    """

    about: str
    with_quotes: bool
    most: int
    since: datetime | None = None
    until: datetime | None = None

    def quote_in(self, spoken: Spoken | None) -> str | None:
        """The callee's words that have most of the words, or answer the question that has them;
        None if none has any, or if they are not searched.
        """
        if spoken is None or not self.with_quotes:
            return None
        wanted = words_in(self.about)

        def fits(said: Quotation) -> int:
            return len(wanted & words_in(f"{said.question or ''} {said.quote}"))

        found = list(filter(fits, spoken.quotes))
        return max(found, key=fits).quote if found else None


@dataclass(frozen=True)
class SearchResult:
    """The calls that a search has found, the newest first.

    Attributes:
        looked_back_to: When the oldest call was asked for that was looked at, if there are older
            ones; None if all were looked at that may have the words.
    """

    records: Sequence[CallRecord] = ()
    looked_back_to: datetime | None = None


def words_in(text: str) -> frozenset[str]:
    """The words of a text, without regard to case and accents."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return frozenset(_WORD.findall(plain))


def search_words(record: CallRecord) -> SearchWords:
    """The words that find the call of a record."""
    asked = record.submission
    texts = [asked.task_description, *questions_in(asked)]
    if record.call is not None:
        texts.append(record.call.highlights or "")
    quotes = record.spoken.quotes if record.spoken is not None else ()
    known = _words_of(texts)
    return SearchWords(known, _words_of(one.quote for one in quotes) - known)


def _words_of(texts: Iterable[str]) -> frozenset[str]:
    return frozenset().union(*map(words_in, texts))
