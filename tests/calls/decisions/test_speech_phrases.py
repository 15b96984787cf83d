"""Each phrase that shows what was meant, and each reason not to count one, has an example."""

import re
import tomllib
from collections.abc import Sequence

import pytest

from kallyai_mcp.api.models import TranscriptEntry
from kallyai_mcp.calls.speech import phrases as module
from kallyai_mcp.calls.speech.phrases import Phrases, phrases, regular_expression
from kallyai_mcp.calls.speech.sentences import Sentence, plain_words, sentences_of
from tests.calls.transcripts import TURNS

TABLES = module.tables()
EXAMPLES = tomllib.loads((TURNS / "examples.toml").read_text(encoding="utf-8"))
KINDS = ("said", "not_after", "not_before", "not_with")


def entries(tables: dict[str, dict[str, dict[str, str]]]) -> list[tuple[str, str, str]]:
    """Every entry of the tables: the meaning, the kind, the name."""
    return [
        (meaning, kind, name)
        for meaning, table in tables.items()
        for kind in KINDS
        for name in table.get(kind, ())
    ]


def sentences(meaning: str, kind: str, name: str) -> Sequence[Sentence]:
    return sentences_of(TranscriptEntry(content=EXAMPLES[meaning][kind][name]))


def users(meaning: str) -> list[Phrases]:
    """The phrases for which a table counts."""
    return [
        phrases(one)
        for one, table in TABLES.items()
        if one == meaning or table.get("also") == meaning
    ]


def test_each_entry_has_an_example() -> None:
    assert sorted(entries(dict(TABLES))) == sorted(entries(EXAMPLES))


def test_each_phrase_is_found_in_its_example() -> None:
    missing = [
        (meaning, name)
        for meaning, kind, name in entries(EXAMPLES)
        if kind == "said" and name not in phrases_in(meaning, name)
    ]

    assert missing == []


def phrases_in(meaning: str, name: str) -> set[str]:
    """The names of the phrases that an example has."""
    found = map(phrases(meaning).find_all, sentences(meaning, "said", name))
    return {one.name for in_sentence in found for one in in_sentence}


def test_each_reason_counts_in_its_example() -> None:
    missing = [
        (meaning, kind, name)
        for meaning, kind, name in entries(EXAMPLES)
        if kind != "said" and name not in reasons_in(meaning, kind, name)
    ]

    assert missing == []


def reasons_in(meaning: str, kind: str, name: str) -> set[str]:
    """The names of the reasons against phrases that an example has."""
    return {
        reason
        for said in sentences(meaning, kind, name)
        for table in users(meaning)
        for phrase in table.said.values()
        for match in phrase.finditer(said.plain)
        for reason in table.reasons_against(match, said)
    }


@pytest.mark.parametrize(
    ("phrase", "said", "other"),
    [
        ("do not call", " do not call", " do not caller"),
        ("do not [ever] call", " do not ever call", " do not please call"),
        ("(stop|quit) calling", " quit calling", " calling"),
        ("press _ for", " press 1 for", " press for"),
        ("if _2 call", " if you ever call", " if you should ever call"),
        ("record* it", " recorded it", " re it"),
        ("deje+ en paz", " dejenos en paz", " dejeis en paz"),
        ("^ done", " ^ done", " not done"),
        ("done $", " done , it is", " done it"),
        ("done .", " done .", " done , it"),
        ("no more calls", " no , more calls", " no , , more calls"),
    ],
)
def test_the_notation_of_phrases(phrase: str, said: str, other: str) -> None:
    pattern = re.compile(regular_expression(phrase))

    assert pattern.search(said)
    assert not pattern.search(other)


@pytest.mark.parametrize(
    ("word", "plain"),
    [
        ("Don\u2019t", ["do", "not"]),
        ("CAN'T", ["can", "not"]),
        ("dont", ["do", "not"]),
        ("we'll", ["we", "will"]),
        ("it's", ["its"]),
        ("Qu\u00edtenos", ["quitenos"]),
        ("um", []),
    ],
)
def test_words_are_compared_without_their_spelling(word: str, plain: list[str]) -> None:
    assert plain_words(word) == plain
