"""The test numbers: the number called decides what happens, like the test cards of payment
services.
"""

from collections.abc import Mapping
from importlib.resources import files
from typing import Final, Literal, NamedTuple

from kallyai_mcp.sandbox.simulator.scenario import BilingualText, Line, RefusalCode
from kallyai_mcp.sandbox.simulator.scenario_file import read_scenarios

TEST_NUMBERS: Final[tuple[Line, ...]] = read_scenarios(
    (files("kallyai_mcp.sandbox") / "scenarios" / "test_numbers.toml").read_text(encoding="utf-8")
)
"""The test numbers. A call to any other allowed number succeeds."""


class RuleExample(NamedTuple):
    """A number that a rule refuses in every sandbox; in E.164, but for emergency numbers, which
    have no such form.
    """

    number: str
    refusal: RefusalCode
    description: BilingualText


RULE_EXAMPLES: Final[tuple[RuleExample, ...]] = (
    RuleExample(
        "911",
        "emergency_number",
        BilingualText(
            en="Refused by rule: an emergency number (also +1911, 112, …)",
            es="Rechazado por norma: un número de emergencias (también +1911, 112, …)",
        ),
    ),
    RuleExample(
        "+19005550100",
        "toll_number",
        BilingualText(
            en="Refused by rule: a premium rate number",
            es="Rechazado por norma: un número de tarificación especial",
        ),
    ),
    RuleExample(
        "+61255500100",
        "unsupported_country",
        BilingualText(
            en="Refused by rule: a country that is not supported",
            es="Rechazado por norma: un país al que no se llama",
        ),
    ),
    RuleExample(
        "+442079460199",
        "country_restriction",
        BilingualText(
            en="Refused by rule for us-only@sandbox.test; others may call it",
            es="Rechazado por norma para us-only@sandbox.test; las demás cuentas pueden llamar",
        ),
    ),
)
"""One example for each rule about numbers. `validation` refuses them; they are not test numbers."""

DOCUMENTED: Final[tuple[Line | RuleExample, ...]] = (*TEST_NUMBERS, *RULE_EXAMPLES)
"""The test numbers and the examples of rules, in the order of the documentation."""

Group = Literal["first", "conversations", "refused", "by_rule"]
"""Of the numbers: those to begin with, the others that are answered, and why others are refused."""

_FIRST = 6
"""How many test numbers show the usual outcomes: they are the first ones."""


def group_of(position: int, entry: Line | RuleExample) -> Group:
    """The group of an entry of `DOCUMENTED`."""
    if position < _FIRST:
        return "first"
    if isinstance(entry, RuleExample):
        return "by_rule"
    if entry.refusal is not None:
        return "refused"
    return "conversations"


def as_groups(language: str) -> Mapping[Group, list[tuple[str, str]]]:
    """Return the table of `as_rows` by group, for the home page."""
    groups: dict[Group, list[tuple[str, str]]] = {
        "first": [],
        "conversations": [],
        "refused": [],
        "by_rule": [],
    }
    for position, (entry, row) in enumerate(zip(DOCUMENTED, as_rows(language), strict=True)):
        groups[group_of(position, entry)].append(row)
    return groups


def as_rows(language: str = "en") -> list[tuple[str, str]]:
    """Return the table as (number, description), rule examples last; for pages, the command line,
    and the docs.
    """
    return [(entry.number, entry.description.in_language(language)) for entry in DOCUMENTED]
