"""A small share of `python -m tests.fuzz`, the same examples each time, and examples that failed once."""

from typing import Any

import pytest

from tests.agent import BISTRO
from tests.api.raw_server import answer, reference
from tests.fuzz.payloads import CALL_ID, ICS
from tests.fuzz.properties import PROPERTIES, check_property
from tests.fuzz.service_checks import check_redirect, check_tool_on_service
from tests.fuzz.tool_checks import check_tool_use

EXAMPLES = {"agent": 12, "tools": 12, "client": 20, "redirects": 100, "first answers": 22}
"""How many examples of each property: they take about a second."""


@pytest.mark.parametrize("name", [*PROPERTIES])
def test_no_example_violates_the_property(name: str) -> None:
    outcome = check_property(PROPERTIES[name], EXAMPLES[name], None)
    if outcome.failure is not None:
        raise outcome.failure
    assert outcome.examples > 10


def in_progress(**more: Any) -> dict[str, bytes]:
    return {"call": answer(reference("call_details") | {"status": "in_progress"} | more)}


def created_at(moment: str) -> dict[str, bytes]:
    call = reference("call_details") | {"metadata": {"created_at": moment}}
    return {"list": answer({"calls": [call], "total": 1})}


@pytest.mark.parametrize("where", ["mailto:nobody", "http:\\\\127.0.0.1:PORT\\"])
def test_a_request_that_is_redirected_counts_as_sent(where: str) -> None:
    check_redirect("create_call", 307, where)


def test_a_lone_surrogate_is_a_clear_error(mode: str) -> None:
    check_tool_use("make_call", BISTRO | {"user_name": "\ud83d"}, mode)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00"])
def test_a_time_at_the_end_of_the_calendar_does_not_fail_the_list(moment: str, mode: str) -> None:
    check_tool_on_service("list_calls", created_at(moment), mode)


def test_no_control_character_of_an_id_is_in_the_answer(mode: str) -> None:
    check_tool_on_service("get_call", in_progress(call_id="\x1b[2J"), mode)


@pytest.mark.parametrize("odd", ["\x1b[2J", "\u202eshown backwards\u2069"])
def test_no_control_character_is_in_the_text_or_the_structure(odd: str) -> None:
    call = reference("call_details") | {"call_id": odd, "status": odd, "next_steps": odd}
    entries = [{"speaker": odd, "content": odd, "timestamp": odd}]
    statistics = reference("statistics") | {"plan_type": odd, "subscription_status": odd}
    responses = {
        "get_call": {
            "call": answer(call | {"call_id": CALL_ID, "submission": {"respondent_phone": odd, "business_name": odd}})
        },
        "list_calls": {"list": answer({"calls": [call], "total": 1})},
        "get_transcript": {"call": answer(call | {"call_id": CALL_ID}), "transcript": answer({"entries": entries})},
        "check_quota": {"statistics": answer(statistics)},
    }
    for tool, given in responses.items():
        assert check_tool_on_service(tool, given, "auto") == "done"


@pytest.mark.parametrize(
    "times",
    ["DTSTART:\x00", "DTSTART:20260128\r\nDTEND:20260128T210000Z", f"DTSTART;TZID={'a' * 999}:x"],
)
def test_no_time_in_a_calendar_file_crashes_the_tool(times: str, mode: str) -> None:
    ics = ICS.replace("DTSTART:20260128T190000Z\r\nDTEND:20260128T210000Z", times)
    assert ics != ICS
    check_tool_on_service("get_calendar_event", {"calendar": answer(ics.encode())}, mode)


@pytest.mark.parametrize("tool", ["get_call", "get_transcript", "get_calendar_event"])
def test_an_id_that_is_too_long_for_a_url_is_a_clear_error(tool: str) -> None:
    assert check_tool_use(tool, {"call_id": "x" * 70_000}, "auto") == "refused"


def test_an_unknown_argument_may_have_any_name(mode: str) -> None:
    assert check_tool_use("check_quota", {"\x00": "\ud83d", "[" * 100_000: "\ud83d"}, mode) == "refused"


def test_a_business_may_have_the_name_null(mode: str) -> None:
    assert check_tool_use("make_call", BISTRO | {"business_name": "null"}, mode) == "done"
