"""What the user is asked when a call lacks a detail, in both protocol generations."""

from pathlib import Path
from typing import Any

import pytest
from mcp.types import (
    ElicitRequestFormParams,
)

from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.settings import Settings
from tests.agent import BISTRO, settings_in
from tests.sandbox.manual_clock import ManualClock
from tests.tools.user import NIGHT, User, open_agent_for


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NIGHT)


@pytest.fixture
def auto_confirm(tmp_path: Path) -> Settings:
    return settings_in(tmp_path, CONFIRM="auto")


async def test_missing_details_of_a_booking_are_asked_for_in_one_form(
    tmp_path: Path, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    bare = {"task_category": "restaurant", "task_description": "Book a table", "business_name": "Italian Bistro"}
    said = {
        "respondent_phone": "+14155551234",
        "user_name": "Sample Guest",
        "appointment_date": "2026-01-28",
        "appointment_time": "19:00",
        "party_size": 4,
    }
    user = User(said)
    async with open_agent_for(settings_in(tmp_path), mode, clock, app, user) as agent:
        answer = await agent.use("make_call", bare)
        call = await agent.use("list_calls")

    assert answer.data["status"] == "success"
    assert call.data["calls"][0]["respondent_phone"] == "+14155551234"
    (params,) = user.asked
    assert isinstance(params, ElicitRequestFormParams)
    assert list(params.requested_schema["properties"]) == list(said)
    assert params.requested_schema["required"] == ["respondent_phone"]


async def test_one_call_can_ask_for_a_missing_detail_and_for_consent(
    auto_confirm: Settings, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    user = User({"party_size": 2}, {"call_now": True})
    without = {name: value for name, value in BISTRO.items() if name != "party_size"}
    async with open_agent_for(auto_confirm, mode, clock, app, user) as agent:
        answer = await agent.use("make_call", without)

    assert answer.data["status"] == "success"
    assert len(user.asked) == 2
    assert "2 people" in user.messages[1]


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({"task_description": "Ask for the opening hours"}, 0),
        ({"task_category": "general"}, 0),
        ({"time_preference_text": "after 7pm", "user_name": "Sample Guest", "appointment_date": "2026-01-28"}, 1),
    ],
    ids=["no booking", "general", "a time in words is one"],
)
async def test_only_details_that_a_booking_needs_are_asked_for(
    tmp_path: Path, mode: str, clock: ManualClock, app: SandboxApp, changes: dict[str, Any], asked: int
) -> None:
    given = {"task_category": "restaurant", "task_description": "Book a table", "respondent_phone": "+14155551234"}
    user = User({"party_size": 3})
    async with open_agent_for(settings_in(tmp_path), mode, clock, app, user) as agent:
        await agent.use("make_call", given | changes)

    assert len(user.asked) == asked
    if asked:
        params = user.asked[0]
        assert isinstance(params, ElicitRequestFormParams)
        assert list(params.requested_schema["properties"]) == ["party_size"]


async def test_without_valid_details_no_call_is_placed(
    tmp_path: Path, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    bare = {"task_category": "general", "task_description": "Ask for the opening hours"}
    user = User("decline", {"respondent_phone": "415 555 1234"})
    async with open_agent_for(settings_in(tmp_path), mode, clock, app, user) as agent:
        declined = await agent.use("make_call", bare)
        wrong = await agent.use("make_call", bare)
        listed = await agent.use("list_calls")

    assert declined.text.startswith("Not called: the user was asked for the missing details and did not give them.")
    assert wrong.text.startswith("Not called. Fix 1 argument:\n- respondent_phone:")
    assert listed.data["total"] == 0


async def test_without_forms_a_missing_argument_is_named(
    tmp_path: Path, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    async with open_agent_for(settings_in(tmp_path), mode, clock, app, None) as agent:
        answer = await agent.use("make_call", task_category="general", task_description="Ask for the opening hours")

    assert answer.text == "Not called. Fix 1 argument:\n- respondent_phone: missing or empty."
