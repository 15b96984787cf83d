"""The languages that this program writes; this module imports nothing of the package."""

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

Language = Literal["en", "es"]

_chosen: list[Language] = []
"""The languages of `speaking`, the innermost last; the same in all threads of this process."""


def localized(english: str, spanish: str) -> str:
    """The one of two texts that is in the language of the person at this terminal, or of `speaking`."""
    return spanish if (_chosen[-1] if _chosen else reader_language()) == "es" else english


def invalid(english: str, spanish: str) -> ValueError:
    """An error whose message is the one of two texts that `localized` chooses."""
    return ValueError(localized(english, spanish))


@contextmanager
def speaking(language: Language) -> Iterator[None]:
    """Have `localized` take this language within, such as English for JSON."""
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
        environ: The environment's variables; LC_ALL, LC_MESSAGES, or LANG name the language (POSIX, section 8.2).
        of_windows: Returns the language of Windows' own texts, such as "es_ES"; asked if no variable names one.
    """
    named = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := environ.get(name))), "")
    if not named and platform == "win32":
        named = of_windows()
    return "es" if re.match(r"es([_.@-]|$)|spanish", named, re.IGNORECASE) else "en"


def page_language(accepted: str) -> Language:
    """The language of a page for a browser that sends this Accept-Language header."""
    return preferred(accepted) or "en"


def preferred(accepted: str) -> Language | None:
    """The language that an Accept-Language header, or one language tag, prefers; None if it names neither.

    RFC 9110, section 12.5.4.
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
