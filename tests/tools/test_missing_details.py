"""What the user is asked when a call lacks a detail that it can't do without, in both protocol generations."""

from pathlib import Path
from typing import Any

import pytest
from mcp.types import ElicitRequestFormParams

from kallyai_mcp.sandbox.app import SandboxApp
from tests.agent import BISTRO, Agent, settings_in
from tests.sandbox.manual_clock import ManualClock
from tests.tools.user import User, open_agent_for

BARE = {"task_category": "restaurant", "task_description": "Book a table", "business_name": "Italian Bistro"}
PHONE = {"respondent_phone": "+14155551234"}


async def test_missing_details_of_a_booking_are_asked_for_in_one_form(
    tmp_path: Path, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    said = {"user_name": "Ada", **PHONE, "appointment_date": "2026-01-28", "party_size": 4}
    user = User(said, {"call_now": True})
    async with open_agent_for(settings_in(tmp_path, CONFIRM="always"), mode, clock, app, user) as agent:
        answer = await agent.use("make_call", BARE, appointment_time="19:00")

    assert answer.data["status"] == "success"
    form, consent = user.asked
    assert isinstance(form, ElicitRequestFormParams)
    assert list(form.requested_schema["properties"]) == list(said)
    assert form.requested_schema["required"] == ["respondent_phone"]
    assert "4 people" in consent.message


@pytest.mark.parametrize(
    ("asked", "lines"),
    [
        ({}, []),
        ({"task_category": "general", "appointment_date": "2026-01-28"}, []),
        ({"appointment_date": "2026-01-28"}, ["party_size: missing; for how many people?"]),
        ({"appointment_date": "2026-01-28", "party_size": None}, ["party_size: missing; for how many people?"]),
        ({"appointment_date": "2026-01-28", "party_size": 0}, ["party_size: expected a whole number: 1 to 50; got 0."]),
        ({"task_category": "clinic", "appointment_time": "10:00"}, ["appointment_date: missing; for which day?"]),
        (
            {"task_category": "hotel", "appointment_time": "10:00"},
            ["appointment_date: missing; for which day?", "party_size: missing; for how many people?"],
        ),
    ],
)
async def test_without_forms_a_booking_that_lacks_a_detail_is_refused_and_a_question_is_not(
    agent: Agent, asked: dict[str, Any], lines: list[str]
) -> None:
    answer = await agent.use("make_call", BARE | PHONE | asked)

    assert answer.is_error is bool(lines)
    assert [line for line in answer.text.splitlines() if line.startswith("- ")] == [f"- {line}" for line in lines]
    assert answer.data["placed_now"] is not bool(lines)


async def test_without_valid_details_no_call_is_placed(
    tmp_path: Path, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    user = User("decline", {"respondent_phone": "415 555 1234"}, {})
    async with open_agent_for(settings_in(tmp_path), mode, clock, app, user) as agent:
        declined = await agent.use("make_call", BARE)
        wrong = await agent.use("make_call", BARE)
        empty = await agent.use("make_call", BARE | PHONE, appointment_date="2026-01-28")
        listed = await agent.use("list_calls")

    assert declined.text.startswith("Not called: the user was asked for the missing details and did not give them.")
    assert wrong.text.startswith("Not called. Fix 1 argument:\n- respondent_phone:")
    assert empty.text == "Not called. Fix 1 argument:\n- party_size: missing; for how many people?"
    assert listed.data["total"] == 0


async def test_a_list_that_only_asks_needs_no_number_of_people(agent: Agent) -> None:
    bare = {
        name: value for name, value in BISTRO.items() if name not in ("respondent_phone", "business_name", "party_size")
    }
    candidates = [{"respondent_phone": f"+1202555010{digit}"} for digit in (0, 3)]
    asked = await agent.use("call_around", bare, candidates=candidates, until="all")
    books = await agent.use("call_around", bare, candidates=candidates, until="booked")

    assert asked.data["status"] == "done"
    assert books.text == "Not called. Fix 1 argument:\n- party_size: missing; for how many people?"
