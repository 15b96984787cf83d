"""Builds the cards: each card is one self-contained HTML document (SEP-1865, "UI Resource Format").

A card is built from its own page and the shared style, texts, and scripts next to this module. It
loads nothing. So it works under the policy that a host must apply if a resource declares no
domains: `default-src 'none'`, with inline script and style allowed ("Host Behavior"). The card's
own policy allows only its one script and its one style sheet, by their hashes. So it is also safe
in a host with a weaker policy.
"""

import json
import re
from functools import cache, partial
from importlib.resources import files
from typing import Final, Literal

from kallyai_mcp import __version__
from kallyai_mcp.cards.style import MARK, TOKENS, csp_hash
from kallyai_mcp.cards.texts import LANGUAGES, error_sentences, texts

_SHARED = ("text.js", "host.js", "page.js", "errors.js")
OF_CALL: Final = (
    "call_state.js",
    "call_view.js",
    "call_list.js",
    "call_consent.js",
    "call_shown.js",
    "call_watch.js",
    "conversation.js",
    "call_page.js",
)
"""The scripts of the call card in their order; `call.js` runs them."""

OF_QUOTA: Final = ("gauge.js", "chart.js", "quota_state.js", "quota_shown.js")
"""The scripts of the quota card in their order; `quota.js` runs them."""


@cache
def call_card(*, read_only: bool = False, sandbox: bool = False) -> str:
    """The HTML document of the call card; with `read_only`, it has no buttons that place or cancel
    calls; with `sandbox`, it says that its calls are simulated.
    """
    return _document("call", *OF_CALL, READ_ONLY=read_only, SANDBOX=sandbox)


@cache
def quota_card(*, sandbox: bool = False) -> str:
    """The HTML document of the quota card; with `sandbox`, it says that its calls are simulated."""
    return _document("quota", *OF_QUOTA, SANDBOX=sandbox)


def _document(name: Literal["call", "quota"], *scripts: str, **constants: object) -> str:
    style = f"\n{TOKENS}{_without_comments(_read('style.css') + _read(f'{name}.css'))}"
    body = functions(name, *scripts, **constants) + _without_comments(_read(f"{name}.js"))
    script = f'\n"use strict";\n(() => {{\n{body}}})();\n'
    policy = (
        f"default-src 'none'; script-src {csp_hash(script)}; style-src {csp_hash(style)}; "
        "base-uri 'none'; form-action 'none'"
    )
    parts = {
        "policy": f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        "style": f"<style>{style}</style>",
        "mark": MARK,
        "script": f"<script>{script}</script>",
    }
    document = _without_comments(_read(f"{name}.html"))
    for place, part in parts.items():
        document = document.replace(f"<!-- {place} -->", part)
    return document


def functions(name: Literal["call", "quota"], *scripts: str, **constants: object) -> str:
    """The constants, classes, and functions of a card's script, without what runs them."""
    values = {"VERSION": __version__, "TEXTS": _pairs(name), **constants}
    dump = partial(json.dumps, ensure_ascii=False, separators=(",", ":"))
    body = "".join(f"const {key} = {dump(value)};\n" for key, value in values.items())
    return body + "".join(_without_comments(_read(script)) for script in (*_SHARED, *scripts))


def _pairs(name: Literal["call", "quota"]) -> dict[str, tuple[str, str]]:
    """A card's texts in both languages, by key; those of errors by `error` and their codes."""
    first, second = (texts(language, "shared", "errors", name) for language in LANGUAGES)
    pairs = {key: (text, second[key]) for key, text in first.items()}
    errors: dict[tuple[str, str], list[str]] = {}
    for code, sentences in error_sentences().items():
        errors.setdefault(sentences, ["error"]).append(code)
    return pairs | {" ".join(codes): sentences for sentences, codes in errors.items()}


def _without_comments(source: str) -> str:
    """`source` without indentation and comments."""
    for comment_or_indentation in (
        r"^\s*(?:/\*\*.*?\*/|//[^\n]*)\n",
        r"(?<=[;{,]) //(?-s: .*)$",
        r"^\s+",
    ):
        source = re.sub(comment_or_indentation, "", source, flags=re.MULTILINE | re.DOTALL)
    return source


def _read(name: str) -> str:
    return files("kallyai_mcp.cards").joinpath(name).read_text(encoding="utf-8")
