"""The Spanish texts that wait for a translation are marked, and this lists them.

A contributor who speaks no Spanish writes the English text there, after the mark.
"""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PACKAGE = Path(__file__).parent.parent / "kallyai_mcp"
MARK = "[en] "


def documents() -> dict[str, Any]:
    """Each file with texts in two languages, by its name."""
    found = {}
    for path in sorted([*PACKAGE.rglob("texts.json"), *PACKAGE.rglob("*.toml")]):
        text = path.read_text(encoding="utf-8")
        read = json.loads if path.suffix == ".json" else tomllib.loads
        found[path.relative_to(PACKAGE).as_posix()] = read(text)
    return found


def pairs(value: Any) -> Iterator[tuple[Any, Any]]:
    """The English and the Spanish of everything that is in both languages, at any depth."""
    if isinstance(value, list):
        for one in value:
            yield from pairs(one)
    if isinstance(value, dict):
        if {"en", "es"} <= value.keys():
            yield from leaves(value["en"], value["es"])
        for one in value.values():
            yield from pairs(one)


def leaves(english: Any, spanish: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(english, dict) and isinstance(spanish, dict):
        for name in english.keys() & spanish.keys():
            yield from leaves(english[name], spanish[name])
    else:
        yield english, spanish


MARKED = [
    (name, english, spanish)
    for name, document in documents().items()
    for english, spanish in pairs(document)
    if isinstance(spanish, str) and spanish.startswith(MARK)
]


def test_texts_in_two_languages_are_found() -> None:
    found = {name for name, document in documents().items() if list(pairs(document))}

    assert {"cards/texts.json", "auth/texts.toml", "auth/oauth_server/texts.toml"} <= found


def test_a_marked_text_is_the_english_one() -> None:
    other = [(name, spanish) for name, english, spanish in MARKED if spanish != MARK + str(english)]

    assert not other, f"write the English text after `{MARK}`, or translate it"


def test_no_text_waits_for_a_translation() -> None:
    """It fails for nobody who contributes; its reason is in the summary of the run."""
    if MARKED:
        waiting = "; ".join(f"{name}: {english}" for name, english, _ in MARKED)
        pytest.xfail(f"a maintainer translates these into Spanish: {waiting}")
