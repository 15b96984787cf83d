"""Turns of callees, in English and Spanish, and whether each is understood as it is listed."""

import tomllib
from collections.abc import Callable

import pytest

from kallyai_mcp.calls.speech.cancellation import cancellation_in
from kallyai_mcp.calls.speech.hedging import is_hedged
from kallyai_mcp.calls.speech.machine import SpokeWith, spoke_with
from kallyai_mcp.calls.speech.opt_out import opt_out_in
from tests.calls.transcripts import TURNS, transcript

HELLO = ("AI", "Hello, I'd like to book a table.")
CANCEL = ("AI", "I'd like to cancel my reservation.")

READERS: dict[str, Callable[[str], bool]] = {
    "opt_out": lambda words: opt_out_in(transcript(HELLO, ("HUMAN", words))) is not None,
    "machine": lambda words: (
        spoke_with(transcript(("HUMAN", words))).spoke_with is SpokeWith.MACHINE
    ),
    "hedging": lambda words: is_hedged(transcript(("HUMAN", words)).entries),
    "cancellation": lambda words: cancellation_in(transcript(CANCEL, ("HUMAN", words))) is not None,
}

LISTS = {
    "opt_out": ("asked", "traps"),
    "machine": ("machines", "persons"),
    "hedging": ("hedged", "certain"),
    "cancellation": ("affirmed", "others"),
}
"""The lists of turns for each question: those that are to be found, and the others."""

SHARES = {
    "opt_out": (26 / 30, 1 / 40),
    "machine": (20 / 24, 0),
    "hedging": (17 / 24, 4 / 24),
    "cancellation": (5 / 7, 0),
}
"""The share that must be found of those that nobody looked at, and that may be found of others."""


def turns(name: str, question: str) -> tuple[list[str], list[str]]:
    lists = tomllib.loads((TURNS / f"{name}.toml").read_text(encoding="utf-8"))[question]
    to_find, others = LISTS[question]
    return lists[to_find], lists[others]


def found(question: str, words: list[str]) -> list[str]:
    return [one for one in words if READERS[question](one)]


@pytest.mark.parametrize("question", LISTS)
def test_each_turn_is_understood_as_it_is_listed(question: str) -> None:
    to_find, others = turns("tuned", question)

    assert found(question, to_find) == to_find
    assert found(question, others) == []


@pytest.mark.parametrize(
    ("name", "question"),
    [
        *(("held_out", question) for question in LISTS),
        *(("unseen", question) for question in ("opt_out", "machine", "hedging")),
    ],
)
def test_most_turns_nobody_looked_at_are_understood(name: str, question: str) -> None:
    to_find, others = turns(name, question)
    least, most = SHARES[question]

    assert len(found(question, to_find)) >= least * len(to_find)
    assert len(found(question, others)) <= most * len(others)


@pytest.mark.parametrize("question", LISTS)
def test_how_it_is_written_makes_no_difference(question: str) -> None:
    to_find, others = (
        [f" {words.upper()}\n".replace("'", "\u2019") for words in listed[::5]]
        for listed in turns("tuned", question)
    )

    assert found(question, to_find) == to_find
    assert found(question, others) == []


@pytest.mark.parametrize(
    "words",
    ["i told you not to call here anymore", "quitenos de su lista por favor no llame mas"],
)
def test_a_request_without_punctuation_is_found(words: str) -> None:
    talk = f"hello yes no we dont have a table {words} we are busy good bye"

    assert opt_out_in(transcript(("HUMAN", talk))) is not None
