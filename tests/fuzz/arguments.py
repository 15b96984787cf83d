"""Arguments that an agent may send to a tool: valid, invalid, and hostile; and the check of a tool
on many of them.
"""

import random
from collections import Counter
from collections.abc import Mapping
from datetime import date
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.agent import BISTRO
from tests.fuzz.tool_checks import PLACED, SCHEMAS, check_tool_use

BIDI = "\u202e\u2066\u200f"

JSON_TEXTS = (
    " null\n",
    "true",
    "123",
    "1e999",
    "NaN",
    '["by the window", ""]',
    '["\\ud83d"]',
    '{"a": 1}',
    '"4"',
)
"""Strings that are also JSON."""

ODD_TEXTS = (
    *JSON_TEXTS,
    "",
    "  ",
    "[" * 100_000,
    "9" * 5_000,
    "x" * 1_000_000,
    "\N{PILE OF POO}" * 250_000,
    "مطعم إيطالي",
    "מסעדה",
    f"Bistro{BIDI}gnirts",
    "👩\N{ZERO WIDTH JOINER}👩\N{ZERO WIDTH JOINER}👧",
    "e\N{COMBINING ACUTE ACCENT}" * 3,
    "\x00",
    "a\x00b",
    "\x1b[31mred\x1b[0m",
    "line\r\nX-Header: y",
    "\x1c",
    "\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}",
    "\N{NO-BREAK SPACE}",
    "\N{ZERO WIDTH NO-BREAK SPACE}",
    "\ud83d",
    "\udc00 and more",
    "\uffff",
    "%s%n{0}{x}",
    "../../etc/passwd",
    "'; DROP TABLE calls; --",
    "t-" + "0" * 36,
    "..",
    "a/b?c#d",
)

TEXT = st.one_of(
    st.sampled_from(ODD_TEXTS), st.text(max_size=40), st.text(st.characters(), max_size=20)
)
"""Any string, lone surrogates included."""


def _deep(depth: int) -> Any:
    nested: Any = "bottom"
    for _ in range(depth):
        nested = [nested]
    return nested


ANYTHING = st.one_of(
    TEXT,
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**400, -(10**30), 2**63, 1e308, float("nan"), float("inf"), -0.0]),
    st.floats(),
    st.recursive(
        TEXT | st.integers() | st.none(), lambda inner: st.lists(inner, max_size=3), max_leaves=6
    ),
    st.dictionaries(st.text(max_size=5), st.integers() | TEXT, max_size=3),
    st.sampled_from([30, 100]).map(_deep),
)
"""Any JSON value, and some values that JSON does not have."""

_DIGITS = st.text("0123456789", min_size=4, max_size=12)
_SPACED = st.lists(st.text("0123456789", min_size=1, max_size=4), min_size=2, max_size=4)
_PHONES = st.one_of(
    st.sampled_from(
        [
            "+14155551234",
            "+1 (415) 555-1234",
            "+34 911 234 567",
            "+1911",
            "112",
            "+19005550100",
            "\uff0b14155551234",
        ]
    ),
    _DIGITS.map("+1{}".format),
    st.tuples(
        st.sampled_from(["+1", "+34", "+44", "+49"]), _SPACED, st.sampled_from(" -.\u00a0")
    ).map(lambda parts: f"{parts[0]}{parts[2]}{parts[2].join(parts[1])}"),
)
_NAMES = st.one_of(
    st.sampled_from(["Italian Bistro", "Sample Guest", " 4 people ", "Über-Café"]),
    st.sampled_from(JSON_TEXTS),
    TEXT,
)

_ZONES = ("America/New_York", "Europe/Madrid", "UTC")

_SPECIAL: Mapping[str, st.SearchStrategy[Any]] = {
    "respondent_phone": st.sampled_from(["+14155551234", " +1 (415) 555-1234\n"]) | _PHONES,
    "user_phone": _PHONES,
    "appointment_date": st.dates(min_value=date(2026, 1, 26)).map(str)
    | st.sampled_from(
        ["2026-01-28", " 2026-01-28 ", "\u00a02026-01-28", "9999-12-31", "2026-02-29", "0001-01-01"]
    ),
    "appointment_time": st.times().map(lambda time: f"{time:%H:%M}")
    | st.sampled_from(["24:00", "19:00\n"]),
    "timezone": st.sampled_from([*_ZONES, *_ZONES, "Mars/Base", "../UTC", "UTC\x00", "a" * 999]),
    "wait_seconds": st.sampled_from([0, 0.0, "0", 0.01]),
    "task_category": st.sampled_from(["restaurant", "clinic", "hotel", "general"]),
    "language": st.sampled_from(["en", "es"]),
    "call_language": st.sampled_from(["en", "es"]),
    "call_id": st.sampled_from([PLACED, PLACED, "c", "3f0c1d2e-0000-4000-8000-000000000000"])
    | TEXT,
}
"""Values for the arguments with a format, most of them valid."""


def _fitting(name: str, schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Values that match the argument's schema, or nearly do."""
    if name in _SPECIAL:
        return _SPECIAL[name]
    if "anyOf" in schema:
        return st.none() | st.one_of([_fitting(name, one) for one in schema["anyOf"]])
    match schema["type"]:
        case "null":
            return st.none()
        case "integer":
            return st.integers(0, 10**6) | st.integers(0, 60).map(str)
        case "boolean":
            return st.booleans() | st.sampled_from(["true", "no", 1])
        case "array":
            return st.lists(_NAMES, max_size=3)
        case _:
            return _NAMES


@st.composite
def uses(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """Draws a tool and its arguments: most of them match the schema, a few are any value, a few are
    unknown.

    No example makes a tool wait.
    """
    tool = draw(st.sampled_from(["make_call", *SCHEMAS]))
    schemas = SCHEMAS[tool]
    arguments: dict[str, Any] = dict(BISTRO) if tool == "make_call" and draw(st.booleans()) else {}
    for name in draw(st.lists(st.sampled_from([*schemas]), unique=True)) if schemas else ():
        arguments[name] = draw(_fitting(name, schemas[name]))
    arguments |= {"call_id": arguments.get("call_id", PLACED)} if "call_id" in schemas else {}
    odd = draw(st.sampled_from([0, 0, 1, 2]))
    for name in (
        draw(st.lists(st.sampled_from([*schemas]), unique=True, max_size=odd)) if schemas else ()
    ):
        arguments[name] = draw(ANYTHING)
    if draw(st.integers(0, 5)) == 0:
        arguments |= draw(st.dictionaries(TEXT, ANYTHING, max_size=2))
    if "wait_seconds" in schemas and _waits(arguments.get("wait_seconds")):
        arguments["wait_seconds"] = 0
    return tool, arguments


def _waits(value: Any) -> bool:
    """Whether the tool would wait for a call longer than a test may take."""
    try:
        return 1 < float(value) <= 1800
    except (TypeError, ValueError, OverflowError):
        return False


def check_examples(examples: int, number: int | None) -> Counter[str]:
    """Check a tool on so many arguments; raises what the smallest example raises that fails.

    `number` is the seed; None for the same examples each time, without shrinking. Returns how often
    each kind of result came.
    """
    results: Counter[str] = Counter()

    def check(used: tuple[str, dict[str, Any]], mode: str) -> None:
        results[f"{used[0]}: {check_tool_use(*used, mode)}"] += 1

    test = settings(
        max_examples=examples,
        derandomize=number is None,
        phases=[Phase.generate] if number is None else [Phase.generate, Phase.shrink],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )(given(uses(), st.sampled_from(["auto", "legacy"]))(check))
    if number is not None:
        test = seed(number)(test)
    state = random.getstate()
    try:
        test()
    finally:
        random.setstate(state)
    return results
