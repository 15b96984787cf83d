"""What the user is asked, in both protocol generations, and what happens when the client can't ask."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from mcp.client import ClientRequestContext
from mcp.types import (
    CallToolResult,
    ElicitRequestFormParams,
    ElicitRequestParams,
    ElicitRequestURLParams,
    ElicitResult,
    InputRequiredResult,
)

from kallyai_mcp.sandbox import browser_client
from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.sandbox.serve import running
from kallyai_mcp.sandbox.simulator.numbers import TEST_NUMBERS
from kallyai_mcp.settings import Settings
from tests.agent import BISTRO, Agent, agent_on, settings_in
from tests.sandbox.manual_clock import ManualClock

LIMIT = 20
NIGHT = datetime(2026, 1, 25, 12, 30, tzinfo=UTC)
"""4:30 AM at the bistro."""
DO_NOT_CALL = next(entry.number for entry in TEST_NUMBERS if entry.outcome == "suppression_violation")
NOON = datetime(2026, 1, 25, 20, 0, tzinfo=UTC)

Reply = Mapping[str, Any] | str | Callable[[str], Any]
"""The content of a form, or `decline` or `cancel`, or a function that opens a link."""


class User:
    """A user whose replies are given in advance.

    Attributes:
        asked: What they were asked.
    """

    def __init__(self, *replies: Reply) -> None:
        self._replies = list(replies)
        self.asked: list[ElicitRequestParams] = []

    @property
    def messages(self) -> list[str]:
        return [params.message for params in self.asked]

    async def __call__(self, _: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        self.asked.append(params)
        reply = self._replies.pop(0)
        if isinstance(params, ElicitRequestURLParams) and callable(reply):
            await anyio.to_thread.run_sync(reply, params.url)
            return ElicitResult(action="accept")
        if isinstance(reply, str):
            return ElicitResult(action="decline" if reply == "decline" else "cancel")
        assert isinstance(reply, Mapping)
        return ElicitResult(action="accept", content=dict(reply))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NIGHT)


@pytest.fixture
def auto_confirm(tmp_path: Path) -> Settings:
    return settings_in(tmp_path, CONFIRM="auto")


@asynccontextmanager
async def open_agent_for(
    settings: Settings, mode: str, clock: ManualClock, app: SandboxApp, user: User | None
) -> AsyncIterator[Agent]:
    with anyio.fail_after(LIMIT):
        async with agent_on(settings, mode=mode, clock=clock, app=app, elicitation_callback=user) as agent:
            yield agent


async def test_a_call_at_night_is_placed_after_the_user_has_agreed(
    auto_confirm: Settings, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    user = User({"call_now": True})
    async with open_agent_for(auto_confirm, mode, clock, app, user) as agent:
        answer = await agent.use("make_call", BISTRO)

    assert answer.data["status"] == "success"
    (preview,) = user.messages
    assert preview.splitlines()[0].startswith("Call Italian Bistro, +1 415-555-1234")
    assert "Because: it is early or late where the call goes" in preview
    assert "Time there: 04:30 UTC-08:00" in preview
    assert "What for: Book a table" in preview
    assert "Details: Sample Guest, 2026-01-28, 19:00, 4 p." in preview
    assert "Minutes left: 165" in preview


async def test_by_day_nobody_is_asked(auto_confirm: Settings, mode: str, clock: ManualClock, app: SandboxApp) -> None:
    clock.set(NOON)
    user = User()
    async with open_agent_for(auto_confirm, mode, clock, app, user) as agent:
        answer = await agent.use("make_call", BISTRO)

    assert answer.data["status"] == "success"
    assert user.asked == []


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
        "Not called: the user was asked and did not agree to this call. "
        "Don't place it again unless the user asks for it."
    )
    assert listed.data["total"] == 0


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
    assert other.data["status"] == redialled.data["status"] == spent.data["status"] == "needs_confirmation"
    assert other.text.startswith("That confirmation is not for this very call, or too old; no call was placed.")
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

    assert refused.text.startswith("Not called: the number is on the do-not-call list")
    assert again.data["status"] == rewritten.data["status"] == "needs_confirmation"
    assert again.text.startswith("That confirmation is not for this very call, or too old; no call was placed.")


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
    assert "Because: this number was called within the last hour" in preview


async def test_a_duplicate_asks_nobody(auto_confirm: Settings, mode: str, clock: ManualClock, app: SandboxApp) -> None:
    user = User({"call_now": True})
    async with open_agent_for(auto_confirm, mode, clock, app, user) as agent:
        await agent.use("make_call", BISTRO)
        again = await agent.use("make_call", BISTRO)

    assert again.data["placed_now"] is False
    assert len(user.asked) == 1


async def test_the_same_number_within_an_hour_and_an_urgent_call_are_reasons_to_ask(
    auto_confirm: Settings, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    clock.set(NOON)
    user = User({"call_now": True}, {"call_now": True})
    async with open_agent_for(auto_confirm, mode, clock, app, user) as agent:
        await agent.use("make_call", BISTRO)
        await agent.use("make_call", BISTRO, task_description="Ask whether there is a terrace")
        await agent.use("make_call", BISTRO, respondent_phone="+14155551235", is_urgent=True, language="es")

    assert "Because: this number was called within the last hour" in user.messages[0]
    assert "Es por: es una llamada urgente" in user.messages[1]


async def test_never_does_not_ask_even_at_night(tmp_path: Path, mode: str, clock: ManualClock, app: SandboxApp) -> None:
    user = User()
    async with open_agent_for(settings_in(tmp_path, CONFIRM="never"), mode, clock, app, user) as agent:
        assert (await agent.use("make_call", BISTRO)).data["status"] == "success"

    assert user.asked == []


async def test_always_asks_even_by_day_and_gives_no_reason(
    tmp_path: Path, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    clock.set(NOON)
    user = User({"call_now": True})
    async with open_agent_for(settings_in(tmp_path, CONFIRM="always"), mode, clock, app, user) as agent:
        assert (await agent.use("make_call", BISTRO)).data["status"] == "success"

    assert "Because" not in user.messages[0]


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
    assert "2 p." in user.messages[1]


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
    assert wrong.text.startswith("Not called; 1 argument needs a change:\n- respondent_phone:")
    assert listed.data["total"] == 0


async def test_without_forms_a_missing_argument_is_named(
    tmp_path: Path, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    async with open_agent_for(settings_in(tmp_path), mode, clock, app, None) as agent:
        answer = await agent.use("make_call", task_category="general", task_description="Ask for the opening hours")

    assert answer.text == "Not called; 1 argument needs a change:\n- respondent_phone: missing."


async def test_a_user_who_is_not_signed_in_gets_the_sign_in_page_and_the_tool_goes_on(
    tmp_path: Path, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    user = User(browser_client.sign_in)
    async with running(app) as url:
        settings = settings_in(tmp_path, API_URL=url)
        with anyio.fail_after(LIMIT):
            async with agent_on(settings, mode=mode, clock=clock, elicitation_callback=user) as agent:
                answer = await agent.use("check_quota")

    assert answer.text.startswith("165 of 210 minutes")
    assert user.messages == ["Sign in to KallyAI, so that calls can be made on your account."]


async def test_a_user_who_does_not_sign_in_gets_the_link_in_words(
    tmp_path: Path, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    async with running(app) as url:
        settings = settings_in(tmp_path, API_URL=url)
        with anyio.fail_after(LIMIT):
            async with agent_on(settings, mode=mode, clock=clock, elicitation_callback=User("decline")) as agent:
                answer = await agent.use("make_call", BISTRO)

    assert answer.is_error
    assert answer.text.startswith("Not called: not signed in to KallyAI. Give the user this link")
