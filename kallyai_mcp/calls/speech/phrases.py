"""The phrases that show what was meant: data of `phrases.toml`, and how a sentence is searched
for them.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from kallyai_mcp.calls.speech.sentences import Sentence

BEGINNING = "^"
CLAUSE_END = ","
SENTENCE_END = "."
"""The marks that stand in plain text like words."""

_SPACE = "(?: ,)? "

_PART = re.compile(r"[\[\](|)]|[^\s\[\](|)]+")
"""A mark of the notation of `phrases.toml`, or a word."""

_UP_TO = re.compile(r"_[1-9]")

_SPECIAL = {
    "_": r"\w++",
    "$": f"[{CLAUSE_END}{SENTENCE_END}]",
    BEGINNING: re.escape(BEGINNING),
    SENTENCE_END: re.escape(SENTENCE_END),
}
_ENDINGS = {"*": r"\w*+", "+": "(?:me|nos|lo|la|los|las|le|les)?"}

_BEFORE = 60
_AFTER = 200
"""The characters before and after a phrase in which a reason not to count it is looked for."""


class Found(NamedTuple):
    """A phrase in the plain words of a sentence: its name, and where it begins and ends."""

    name: str
    start: int
    end: int


@dataclass(frozen=True)
class Phrases:
    """The phrases of one meaning by their names, and what shows that one of them is not meant.

    Attributes:
        said: Phrases that have the meaning.
        any_said: All of them as one: most sentences have none, and one search shows that.
        not_after: A phrase does not count directly after one of these,
        not_before: directly before one of these,
        not_with: and if one of these is in it.
    """

    said: Mapping[str, re.Pattern[str]]
    any_said: re.Pattern[str]
    not_after: Mapping[str, re.Pattern[str]]
    not_before: Mapping[str, re.Pattern[str]]
    not_with: Mapping[str, re.Pattern[str]]

    def find(self, sentence: "Sentence") -> Found | None:
        """The first phrase, in the order of the file, that a sentence has and means."""
        return next(self._find(sentence), None)

    def find_all(self, sentence: "Sentence") -> list[Found]:
        """Each phrase that a sentence has and means, where it first does."""
        return list(self._find(sentence))

    def _find(self, sentence: "Sentence") -> Iterator[Found]:
        if self.any_said.search(sentence.plain) is None:
            return
        for name in self.said:
            found = self._find_one(name, sentence)
            if found is not None:
                yield found

    def _find_one(self, name: str, sentence: "Sentence") -> Found | None:
        for match in self.said[name].finditer(sentence.plain):
            if not self.reasons_against(match, sentence):
                return Found(name, match.start(), match.end())
        return None

    def reasons_against(self, match: re.Match[str], sentence: "Sentence") -> list[str]:
        """The names of what shows that a phrase in a sentence is not meant."""
        before = match.string[max(0, match.start() - _BEFORE) : match.start()]
        after = _words_after(match, sentence)
        return [
            *(name for name, pattern in self.not_after.items() if pattern.search(before)),
            *(name for name, pattern in self.not_before.items() if pattern.match(after)),
            *(name for name, pattern in self.not_with.items() if pattern.search(match.group())),
        ]


def _words_after(match: re.Match[str], sentence: "Sentence") -> str:
    """What a sentence says after a phrase; after its last word, the next sentence."""
    rest = match.string[match.end() : match.end() + _AFTER]
    is_last = not rest.strip(f" {CLAUSE_END}{SENTENCE_END}")
    return sentence.following.removeprefix(f" {BEGINNING}") if is_last else rest


@cache
def phrases(meaning: str) -> Phrases:
    """The phrases of a meaning, which is the name of a table in `phrases.toml`."""
    table = tables()[meaning]
    also = tables().get(table.get("also", ""), {})
    said = table.get("said", {})

    def reasons(place: str, form: str) -> Mapping[str, re.Pattern[str]]:
        return _compiled({**also.get(place, {}), **table.get(place, {})}, form)

    return Phrases(
        said=_compiled(said, "{}"),
        any_said=re.compile(regular_expression(_in_one([_in_one(one) for one in said.values()]))),
        not_after=reasons("not_after", "{}$"),
        not_before=reasons("not_before", "{}"),
        not_with=reasons("not_with", "{}"),
    )


@cache
def shared_words(name: str) -> Mapping[str, str]:
    """A table of words that is no table of phrases, such as "contractions"."""
    table: Mapping[str, str] = tables()[name]
    return table


@cache
def tables() -> Mapping[str, Any]:
    """The tables of `phrases.toml`, by their names."""
    text = (files("kallyai_mcp.calls.speech") / "phrases.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _compiled(written: Mapping[str, str | list[str]], form: str) -> Mapping[str, re.Pattern[str]]:
    """Phrases as regular expressions, each put into a `form`."""
    return {
        name: re.compile(form.format(regular_expression(_in_one(phrase))))
        for name, phrase in written.items()
    }


def _in_one(alternatives: str | list[str]) -> str:
    """A phrase, or a list of them, as one."""
    return alternatives if isinstance(alternatives, str) else "|".join(alternatives)


def regular_expression(phrase: str) -> str:
    """The regular expression that a phrase in the notation of `phrases.toml` means."""
    parts = _PART.findall(_with_words(phrase))
    return rf"{_alternatives(iter(parts))}(?!\w)"


def _alternatives(parts: Iterator[str]) -> str:
    """What parts mean, up to the mark that closes them; each word has the space before it."""
    sequences = [""]
    for part in parts:
        match part:
            case "|":
                sequences.append("")
            case ")" | "]":
                break
            case "(":
                sequences[-1] += _alternatives(parts)
            case "[":
                sequences[-1] += f"(?:{_alternatives(parts)})?"
            case word if _UP_TO.fullmatch(word):
                sequences[-1] += rf"(?:{_SPACE}\w++){{0,{word[1:]}}}"
            case word:
                sequences[-1] += _SPACE + _word(word)
    return _one_of(sequences)


def _one_of(sequences: list[str]) -> str:
    """One of several sequences. The space before all of them is written once: it is faster."""
    if not all(one.startswith(_SPACE) for one in sequences):
        return f"(?:{'|'.join(sequences)})"
    after_space = "|".join(one.removeprefix(_SPACE) for one in sequences)
    return f"{_SPACE}(?:{after_space})"


def _word(word: str) -> str:
    if word in _SPECIAL:
        return _SPECIAL[word]
    ending = _ENDINGS.get(word[-1], "")
    return re.escape(word.rstrip("*+")) + ending


def _with_words(phrase: str) -> str:
    """A phrase with the words for each name in braces, which may have names in braces, too."""
    while "{" in phrase:
        phrase = re.sub(r"\{(\w+)\}", _words_of, phrase)
    return phrase


def _words_of(name: re.Match[str]) -> str:
    return f"({_in_one(tables()['words'][name[1]])})"
