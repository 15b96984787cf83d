"""The cards' HTML documents, without a browser."""

import base64
import hashlib
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from kallyai_mcp.api import errors
from kallyai_mcp.calls.policy import RiskFlag
from kallyai_mcp.cards.pages import call_card, quota_card
from kallyai_mcp.cards.texts import error_sentences
from tests.limits import CARD_BYTES

CARDS = {"call": call_card, "quota": quota_card}
PACKAGE = Path(__file__).parents[2] / "kallyai_mcp"
FOLDER = files("kallyai_mcp.cards")
TEXTS: dict[str, dict[str, dict[str, str]]] = json.loads(
    (FOLDER / "texts.json").read_text(encoding="utf-8")
)
del TEXTS["codes"]  # `error_sentences` has them
SCRIPTS = {
    path.name: path.read_text(encoding="utf-8")
    for path in FOLDER.iterdir()
    if path.name.endswith(".js")
}


def only(pattern: str, text: str) -> str:
    [found] = re.findall(pattern, text, re.DOTALL)
    return str(found)


def digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@pytest.mark.parametrize("name", CARDS)
def test_a_card_is_one_document_that_loads_nothing(name: str) -> None:
    card = CARDS[name]()

    assert card.startswith("<!doctype html>")
    CARD_BYTES.check(len(card.encode()), f"the card `{name}`")
    assert not re.search(
        r"\b(src|href|srcset)=|@import|url\(|\bfetch\(|XMLHttpRequest|WebSocket|import\(", card
    )
    assert set(re.findall(r"https?://[^\s\"'`)]+", card)) == {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("name", CARDS)
def test_a_card_runs_its_own_script_alone(name: str) -> None:
    card = CARDS[name]()
    script, style = only(r"<script>(.*)</script>", card), only(r"<style>(.*)</style>", card)

    assert only(r'http-equiv="Content-Security-Policy" content="([^"]*)"', card) == (
        f"default-src 'none'; script-src 'sha256-{digest(script)}'; style-src "
        f"'sha256-{digest(style)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    assert not re.search(
        r"<!-- (policy|style|script) -->| style=|<[^>]* on\w+=", card.replace(script, "")
    )


def test_no_script_turns_text_into_markup_or_code() -> None:
    ways = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|setHTML"
        r"|createContextualFragment|\beval\b"
    )

    for script in SCRIPTS.values():
        assert not re.search(rf"{ways}|new Function|javascript:|setTimeout\(\s*[\"'`]", script)


@pytest.mark.parametrize("part", TEXTS)
def test_both_languages_of_cards_have_equal_placeholders(part: str) -> None:
    english, spanish = TEXTS[part]["en"], TEXTS[part]["es"]

    assert list(english) == list(spanish)
    for key, text in english.items():
        assert text.strip(), key
        assert spanish[key].strip(), key
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", spanish[key])), key


@pytest.mark.parametrize("name", CARDS)
def test_every_text_that_a_card_uses_exists(name: str) -> None:
    table: dict[str, Any] = {**TEXTS["shared"]["en"], **TEXTS["errors"]["en"], **TEXTS[name]["en"]}
    script = only(r"<script>(.*)</script>", CARDS[name]())
    used = set(re.findall(r"locale\.text\(\"(\w+)\"", script))
    counted = {
        f"{key}.{form}"
        for key in re.findall(r"locale\.plural\(\"(\w+)\"", script)
        for form in ("one", "other")
    }

    assert used | counted <= set(table)
    assert "no_host" in used


def test_every_reason_to_ask_has_a_text() -> None:
    reasons = {
        key.removeprefix("reason_") for key in TEXTS["call"]["en"] if key.startswith("reason_")
    }

    assert reasons == {str(flag) for flag in RiskFlag}


def test_every_code_of_an_error_has_one_sentence() -> None:
    told = error_sentences()
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    known = {
        *errors.CODES,
        *(one.default_code for one in classes if issubclass(one, errors.KallyAIError)),
        *(
            code
            for path in PACKAGE.rglob("*.py")
            if "sandbox" not in path.parts and "oauth_server" not in path.parts
            for code in re.findall(
                r'\b(?:default_)?code(?:: ClassVar\[str\])? ?= ?"([a-z_]+)"',
                path.read_text("utf-8"),
            )
        ),
    }

    assert known - set(told) == set()
    for code, (english, spanish) in told.items():
        assert english.endswith("."), code
        assert spanish.endswith("."), code
