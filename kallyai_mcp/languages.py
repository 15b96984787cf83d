"""The languages of this program's texts, English and Spanish. This module imports nothing of the package."""

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

Language = Literal["en", "es"]

_chosen: list[Language] = []
"""The languages of the open `use_language` contexts, the innermost last, for all threads of this process."""


def localized(english: str, spanish: str) -> str:
    """One of two texts: the one in the language of `use_language`, or else of the person at this terminal."""
    return spanish if (_chosen[-1] if _chosen else reader_language()) == "es" else english


def invalid(english: str, spanish: str) -> ValueError:
    """An error whose message is one of two texts, as `localized` chooses it."""
    return ValueError(localized(english, spanish))


@contextmanager
def use_language(language: Language) -> Iterator[None]:
    """A context in which `localized` chooses texts in this language, such as English for JSON."""
    _chosen.append(language)
    try:
        yield
    finally:
        _chosen.pop()


def _language_of_windows() -> str:
    import ctypes
    import locale

    windll: Any = getattr(ctypes, "windll")  # noqa: B009 - only Windows has it, which mypy knows
    return locale.windows_locale.get(windll.kernel32.GetUserDefaultUILanguage(), "")


def reader_language(
    platform: str = sys.platform,
    environ: Mapping[str, str] = os.environ,
    of_windows: Callable[[], str] = _language_of_windows,
) -> Language:
    """The language of the person at this terminal: Spanish if the environment says so, else English.

    Args:
        platform: As `sys.platform`.
        environ: The environment variables. LC_ALL, LC_MESSAGES, or LANG has the language (POSIX, section 8.2).
        of_windows: Returns the language of Windows' own texts, such as "es_ES"; called if no variable has one.
    """
    named = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := environ.get(name))), "")
    if not named and platform == "win32":
        named = of_windows()
    return "es" if re.match(r"es([_.@-]|$)|spanish", named, re.IGNORECASE) else "en"


def page_language(accepted: str) -> Language:
    """The language of a page for a browser with this Accept-Language header; English if it names neither."""
    return preferred_language(accepted) or "en"


def preferred_language(accepted: str) -> Language | None:
    """The preferred language in an Accept-Language header (RFC 9110, section 12.5.4), or in one language tag.

    None if it names neither English nor Spanish.
    """
    weights = {"en": 0.0, "es": 0.0}
    for part in accepted.lower().split(","):
        tag, _, weight = part.partition(";")
        name = tag.strip().replace("_", "-").partition("-")[0]
        try:
            quality = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if name in weights:
            weights[name] = max(weights[name], quality)
    if weights["es"] > weights["en"]:
        return "es"
    return "en" if weights["en"] else None
