"""A small share of what `python -m tests.fuzz` holds for as long as one likes; the same examples each time."""

from typing import Any

import pytest

from tests.api.raw_server import answer, reference
from tests.fuzz.agent_side import hold_to_the_law
from tests.fuzz.laws import LAWS, held
from tests.fuzz.service_side import hold_tokens_back, hold_tools_to_the_law
from tests.telephone import BISTRO

EXAMPLES = {"agent": 20, "tools": 12, "client": 40, "redirects": 100}
"""So many take about a second each."""


@pytest.mark.parametrize("name", [*LAWS])
def test_no_example_breaks_the_law(name: str) -> None:
    outcome = held(LAWS[name], EXAMPLES[name], None)
    if outcome.breach is not None:
        raise outcome.breach
    assert outcome.examples > 10


def in_progress(**more: Any) -> dict[str, bytes]:
    return {"call": answer(reference("call_details") | {"status": "in_progress"} | more)}


def made_at(moment: str) -> dict[str, bytes]:
    call = reference("call_details") | {"metadata": {"created_at": moment}}
    return {"list": answer({"calls": [call], "total": 1})}


@pytest.mark.parametrize("where", ["mailto:nobody", "http:\\\\127.0.0.1:PORT\\"])
def test_a_call_that_is_sent_elsewhere_was_sent(where: str) -> None:
    hold_tokens_back("create_call", 307, where)


def test_half_a_surrogate_pair_is_refused_in_words(mode: str) -> None:
    hold_to_the_law("make_call", BISTRO | {"user_name": "\ud83d"}, mode)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00"])
def test_a_moment_at_the_end_of_the_calendar_does_not_lose_the_list(moment: str, mode: str) -> None:
    hold_tools_to_the_law("list_calls", made_at(moment), mode)


def test_no_control_character_of_an_id_reaches_the_agent(mode: str) -> None:
    hold_tools_to_the_law("get_call", in_progress(call_id="\x1b[2J"), mode)
