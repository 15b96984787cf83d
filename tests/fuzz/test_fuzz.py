"""A small share of what `python -m tests.fuzz` holds for as long as one likes; the same examples each time."""

from typing import Any

import pytest

from tests.agent import BISTRO
from tests.api.raw_server import answer, reference
from tests.fuzz.agent_side import hold_to_the_law
from tests.fuzz.laws import LAWS, held
from tests.fuzz.payloads import ICS
from tests.fuzz.service_side import hold_tokens_back, hold_tools_to_the_law

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


@pytest.mark.parametrize("odd", ["\x1b[2J", "\u202eshown backwards\u2069"])
def test_neither_half_of_an_answer_turns_a_terminal_or_a_line_round(odd: str) -> None:
    call = reference("call_details") | {"call_id": odd, "status": odd, "next_steps": odd}
    entries = [{"speaker": odd, "content": odd, "timestamp": odd}]
    statistics = reference("statistics") | {"plan_type": odd, "subscription_status": odd}
    asked = {
        "get_call": {"call": answer(call | {"submission": {"respondent_phone": odd, "business_name": odd}})},
        "list_calls": {"list": answer({"calls": [call], "total": 1})},
        "get_transcript": {"call": answer(call), "transcript": answer({"entries": entries})},
        "check_quota": {"statistics": answer(statistics)},
    }
    for tool, given in asked.items():
        assert hold_tools_to_the_law(tool, given, "auto") == "done"


@pytest.mark.parametrize(
    "times",
    ["DTSTART:\x00", "DTSTART:20260128\r\nDTEND:20260128T210000Z", f"DTSTART;TZID={'a' * 999}:x"],
)
def test_no_time_of_a_calendar_file_crashes_the_tool(times: str, mode: str) -> None:
    ics = ICS.replace("DTSTART:20260128T190000Z\r\nDTEND:20260128T210000Z", times)
    assert ics != ICS
    hold_tools_to_the_law("get_calendar_event", {"calendar": answer(ics.encode())}, mode)


@pytest.mark.parametrize("tool", ["get_call", "get_transcript", "get_calendar_event"])
def test_an_id_that_no_url_can_hold_is_refused_in_words(tool: str) -> None:
    assert hold_to_the_law(tool, {"call_id": "x" * 70_000}, "auto") == "refused"


def test_the_name_of_an_unknown_argument_does_no_harm(mode: str) -> None:
    assert hold_to_the_law("check_quota", {"\x00": "\ud83d", "[" * 100_000: "\ud83d"}, mode) == "refused"


def test_a_business_may_be_called_null(mode: str) -> None:
    assert hold_to_the_law("make_call", BISTRO | {"business_name": "null"}, mode) == "done"
