"""A small share of `python -m tests.fuzz`, the same examples each time, and examples that failed once."""

from typing import Any

import pytest

from tests.agent import BISTRO
from tests.api.raw_server import reference
from tests.fake_service import answer
from tests.fuzz.payloads import CALL_ID, ICS
from tests.fuzz.properties import PROPERTIES, check_property
from tests.fuzz.service_checks import check_tool_on_service
from tests.fuzz.tool_checks import check_tool_use

EXAMPLES = {"agent": 12, "tools": 12, "client": 20}
"""How many examples of each property: they take about a second."""


@pytest.mark.parametrize("name", [*PROPERTIES])
def test_no_example_violates_the_property(name: str) -> None:
    assert check_property(PROPERTIES[name], EXAMPLES[name], None).total() > 10


def test_arguments_that_failed_once_are_clear_errors() -> None:
    assert check_tool_use("make_call", BISTRO | {"user_name": "\ud83d"}, "auto") == "refused"
    assert check_tool_use("check_quota", {"\x00": "\ud83d", "[" * 100_000: "\ud83d"}, "legacy") == "refused"
    assert check_tool_use("make_call", BISTRO | {"business_name": "null"}, "auto") == "done"
    for tool in ("get_call", "get_transcript", "get_calendar_event"):
        assert check_tool_use(tool, {"call_id": "x" * 70_000}, "auto") == "refused"


@pytest.mark.parametrize("odd", ["\x1b[2J", "\u202eshown backwards\u2069"])
def test_no_control_character_is_in_the_text_or_the_structure(odd: str) -> None:
    call = reference("call_details") | {"call_id": odd, "status": odd, "next_steps": odd}
    entries = [{"speaker": odd, "content": odd, "timestamp": odd}]
    statistics = reference("statistics") | {"plan_type": odd, "subscription_status": odd}
    own = call | {"call_id": CALL_ID}
    responses: dict[str, dict[str, Any]] = {
        "get_call": {"call": own | {"submission": {"respondent_phone": odd, "business_name": odd}}},
        "list_calls": {"list": {"calls": [call], "total": 1}},
        "get_transcript": {"call": own, "transcript": {"entries": entries}},
        "check_quota": {"statistics": statistics, "portal": reference("billing_portal")},
    }
    for tool, given in responses.items():
        assert check_tool_on_service(tool, {name: answer(body) for name, body in given.items()}, "auto") == "done"


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00"])
def test_a_time_at_the_end_of_the_calendar_does_not_fail_the_list(moment: str) -> None:
    call = reference("call_details") | {"metadata": {"created_at": moment}}
    check_tool_on_service("list_calls", {"list": answer({"calls": [call], "total": 1})}, "auto")


@pytest.mark.parametrize(
    "times",
    ["DTSTART:\x00", "DTSTART:20260128\r\nDTEND:20260128T210000Z", f"DTSTART;TZID={'a' * 999}:x"],
)
def test_no_time_in_a_calendar_file_crashes_the_tool(times: str) -> None:
    ics = ICS.replace("DTSTART:20260128T190000Z\r\nDTEND:20260128T210000Z", times)
    assert ics != ICS
    check_tool_on_service("get_calendar_event", {"calendar": answer(ics.encode())}, "legacy")
