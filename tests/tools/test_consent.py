"""When the user is asked before a call and how, in both protocol generations."""

from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from mcp.types import (
    CallToolResult,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
)

from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.sandbox.simulator.numbers import TEST_NUMBERS
from kallyai_mcp.settings import Settings
from tests.agent import BISTRO, settings_in
from tests.sandbox.manual_clock import ManualClock
from tests.tools.user import NIGHT, NOON, Reply, User, open_agent_for

DO_NOT_CALL = next(entry.number for entry in TEST_NUMBERS if entry.name == "suppression_violation")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NIGHT)


@pytest.fixture
def auto_confirm(tmp_path: Path) -> Settings:
    return settings_in(tmp_path, CONFIRM="auto")


async def test_a_call_at_night_is_placed_after_the_user_has_agreed(
    auto_confirm: Settings, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    user = User({"call_now": True})
    async with open_agent_for(auto_confirm, mode, clock, app, user) as agent:
        answer = await agent.use("make_call", BISTRO)
        again = await agent.use("make_call", BISTRO)

    assert answer.data["status"] == "success"
    assert again.data["placed_now"] is False
    (preview,) = user.messages  # the duplicate asks nobody
    assert preview.splitlines()[0].startswith("Call Italian Bistro, +1 415-555-1234")
    assert "You are asked because: it is early or late where the call goes" in preview
    assert "Time there: 4:30 AM" in preview.splitlines()
    assert "What for: Book a table" in preview
    assert "Details: Sample Guest, Wed Jan 28, 7:00 PM, 4 people" in preview.splitlines()
    assert preview.splitlines()[-2:] == ["Calls left: 27", "Minutes left: 165"]


@pytest.mark.parametrize(
    "reply", ["decline", "cancel", {"call_now": False}], ids=["declined", "dismissed", "not ticked"]
)
async def test_without_the_users_yes_no_call_is_placed(
    auto_confirm: Settings, mode: str, clock: ManualClock, app: SandboxApp, reply: Reply
) -> None:
    async with open_agent_for(auto_confirm, mode, clock, app, User(reply)) as agent:
        answer = await agent.use("make_call", BISTRO)
        listed = await agent.use("list_calls")

    assert answer.is_error
    assert answer.text == (
        "Not called: the user was asked and did not agree to this call. Do not place it unless the user asks for it."
    )
    assert listed.data["total"] == 0


async def test_at_night_the_morning_is_offered_beside_yes_and_no(
    auto_confirm: Settings, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    user = User({"call_now": False, "call_later": True})
    async with open_agent_for(auto_confirm, mode, clock, app, user) as agent:
        wanted = await agent.use("make_call", BISTRO, timezone="America/Los_Angeles")
        scheduled = await agent.use("make_call", BISTRO, timezone="America/Los_Angeles", not_before="2026-01-25T08:00")

    (form,) = user.asked
    assert isinstance(form, ElicitRequestFormParams)
    assert form.requested_schema["properties"]["call_later"]["title"] == "Call at 8:00 AM there instead"
    assert wanted.text == (
        "Not called yet: the user wants the call later. Next: make_call with the same arguments and "
        'not_before "2026-01-25T08:00".'
    )
    assert scheduled.data["status"] == "scheduled"


async def test_a_client_without_forms_gets_the_preview_and_a_confirmation_for_this_call_only(
    auto_confirm: Settings, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    async with open_agent_for(auto_confirm, mode, clock, app, None) as agent:
        asked = await agent.use("make_call", BISTRO)
        confirmation = asked.data["confirmation"]
        other = await agent.use("make_call", BISTRO, party_size=5, confirmation=confirmation)
        redialled = await agent.use("make_call", BISTRO, redial=True, confirmation=confirmation)
        placed = await agent.use("make_call", BISTRO, confirmation=confirmation)
        spent = await agent.use("make_call", BISTRO, redial=True, confirmation=confirmation)
        listed = await agent.use("list_calls")

    assert asked.data["status"] == "needs_confirmation"
    assert asked.text.startswith("Not called yet: the user must agree first. Show them this and ask:\nCall Italian")
    assert f'If they agree: make_call with the same arguments and confirmation "{confirmation}"' in asked.text
    assert 'in the morning: make_call with the same arguments and not_before "2026-01-25T11:00".' in asked.text
    assert other.data["status"] == redialled.data["status"] == spent.data["status"] == "needs_confirmation"
    assert other.text.startswith("That confirmation is for another call, or too old; no call was placed.")
    assert placed.data["status"] == "success"
    assert listed.data["total"] == 1


async def test_a_confirmation_lasts_ten_minutes(
    auto_confirm: Settings, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    async with open_agent_for(auto_confirm, mode, clock, app, None) as agent:
        confirmation = (await agent.use("make_call", BISTRO)).data["confirmation"]
        clock.advance(minutes=11)
        late = await agent.use("make_call", BISTRO, confirmation=confirmation)
        forged = await agent.use("make_call", BISTRO, confirmation="ffffffffff." + "A" * 22)

    assert late.data["status"] == forged.data["status"] == "needs_confirmation"


async def test_a_confirmation_is_used_once_even_when_the_call_was_refused(
    auto_confirm: Settings, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    listed = BISTRO | {"respondent_phone": DO_NOT_CALL}
    async with open_agent_for(auto_confirm, mode, clock, app, None) as agent:
        confirmation = (await agent.use("make_call", listed)).data["confirmation"]
        refused = await agent.use("make_call", listed, confirmation=confirmation)
        again = await agent.use("make_call", listed, confirmation=confirmation)
        expiry, _, mac = confirmation.partition(".")
        rewritten = await agent.use("make_call", listed, confirmation=f"0x{expiry.upper()}.{mac}")

    assert refused.text.startswith("Not called: this number is on the do-not-call list")
    assert again.data["status"] == rewritten.data["status"] == "needs_confirmation"
    assert again.text.startswith("That confirmation is for another call, or too old; no call was placed.")


async def test_a_reply_that_is_sent_twice_is_used_once(
    auto_confirm: Settings, clock: ManualClock, app: SandboxApp
) -> None:
    listed = BISTRO | {"respondent_phone": DO_NOT_CALL}
    yes = {"consent": ElicitResult(action="accept", content={"call_now": True})}
    async with open_agent_for(auto_confirm, "auto", clock, app, User()) as agent:
        call_tool = agent.client.session.call_tool
        asked = await call_tool("make_call", listed, allow_input_required=True)
        assert isinstance(asked, InputRequiredResult)
        reply: dict[str, Any] = {"input_responses": yes, "request_state": asked.request_state}
        refused = await call_tool("make_call", listed, allow_input_required=True, **reply)
        again = await call_tool("make_call", listed, allow_input_required=True, **reply)

    assert isinstance(refused, CallToolResult)
    assert refused.is_error
    assert isinstance(again, InputRequiredResult)


async def test_of_two_calls_to_one_number_at_once_the_second_is_asked_about(
    auto_confirm: Settings, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    clock.set(NOON)
    user = User({"call_now": True})
    tasks = ("Book a table", "Ask whether there is a terrace")
    async with open_agent_for(auto_confirm, mode, clock, app, user) as agent:
        async with anyio.create_task_group() as group:
            for task in tasks:
                group.start_soon(agent.use, "make_call", BISTRO | {"task_description": task})
        total = (await agent.use("list_calls")).data["total"]

    assert total == 2
    [preview] = user.messages
    assert "You are asked because: this number was or may have been called within the last hour" in preview


async def test_the_same_number_within_an_hour_and_an_urgent_call_are_reasons_to_ask(
    auto_confirm: Settings, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    clock.set(NOON)
    user = User({"call_now": True}, {"call_now": True})
    async with open_agent_for(auto_confirm, mode, clock, app, user) as agent:
        await agent.use("make_call", BISTRO)
        assert user.asked == []  # by day
        await agent.use("make_call", BISTRO, task_description="Ask whether there is a terrace")
        await agent.use("make_call", BISTRO, respondent_phone="+14155551235", is_urgent=True, language="es")

    assert "You are asked because: this number was or may have been called within the last hour" in user.messages[0]
    assert "Se te pregunta porque: es una llamada urgente" in user.messages[1]
