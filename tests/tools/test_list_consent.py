"""The user's yes to a list, when it goes on."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from kallyai_mcp.sandbox.app import SandboxApp
from tests.agent import Agent, Answer, settings_in
from tests.sandbox.manual_clock import ManualClock
from tests.tools.test_around import FREE, FULL, LAST, TABLE
from tests.tools.user import NIGHT, User, open_agent_for

YES = {"call_now": True}
THREE: list[Any] = [FULL, FREE, LAST]


async def begun(agent: Agent, **more: Any) -> Answer:
    """A list that has stopped after its first candidate, who has no table."""
    return await agent.use("call_around", TABLE, candidates=THREE, **more)


async def goes_on(agent: Agent, stopped: Answer) -> Answer:
    last = stopped.data["calls"][-1]["call_id"]
    return await agent.use("call_around", TABLE, candidates=THREE, continue_after=last)


async def test_a_list_goes_on_without_a_second_question(
    tmp_path: Path, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    clock.set(NIGHT)
    user = User(YES)
    async with open_agent_for(settings_in(tmp_path, CONFIRM="auto"), mode, clock, app, user) as (
        agent
    ):
        stopped = await begun(agent)
        booked = await goes_on(agent, stopped)

    assert stopped.data["status"] == "needs_decision"
    assert booked.data["status"] == "booked"
    assert booked.data["placed_now"] is True
    assert len(user.asked) == 1


async def test_a_confirmation_covers_that_a_list_goes_on(
    tmp_path: Path, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    clock.set(NIGHT)
    async with open_agent_for(settings_in(tmp_path, CONFIRM="auto"), mode, clock, app, None) as (
        agent
    ):
        asked = await begun(agent)
        stopped = await begun(agent, confirmation=asked.data["confirmation"])
        booked = await goes_on(agent, stopped)

    assert booked.data["status"] == "booked"


async def test_always_asks_again_about_a_list(
    tmp_path: Path, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    clock.set(NIGHT)
    user = User(YES, "decline")
    async with open_agent_for(settings_in(tmp_path, CONFIRM="always"), mode, clock, app, user) as (
        agent
    ):
        refused = await goes_on(agent, await begun(agent))

    assert refused.data["code"] == "not_agreed"
    assert len(user.asked) == 2


async def test_a_candidate_called_since_is_asked_about(
    tmp_path: Path, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    clock.set(NIGHT)
    user = User(YES, YES, "decline")
    question = {"task_category": "general", "task_description": "Ask", **FREE}
    async with open_agent_for(settings_in(tmp_path, CONFIRM="auto"), mode, clock, app, user) as (
        agent
    ):
        stopped = await begun(agent)
        await agent.use("make_call", question)
        refused = await goes_on(agent, stopped)

    assert refused.data["code"] == "not_agreed"
    assert "Last call: 1 min ago." in user.messages[2]


async def test_a_yes_lasts_two_hours(
    tmp_path: Path, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    clock.set(NIGHT - timedelta(hours=4))
    user = User(YES, "decline")
    async with open_agent_for(settings_in(tmp_path, CONFIRM="auto"), mode, clock, app, user) as (
        agent
    ):
        stopped = await begun(agent)
        clock.advance(hours=2.1)
        refused = await goes_on(agent, stopped)

    assert refused.data["code"] == "not_agreed"


async def test_nobody_is_asked_about_a_refused_list(
    tmp_path: Path, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    clock.set(NIGHT)
    user = User()
    settings = settings_in(tmp_path, CONFIRM="auto", CALLS_PER_HOUR="0")
    async with open_agent_for(settings, mode, clock, app, user) as agent:
        refused = await begun(agent)

    assert refused.text.startswith("Not called: this server allows no calls an hour")
    assert refused.data["code"] == "call_policy"


async def test_one_allowed_number_lets_a_list_ask(
    tmp_path: Path, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    clock.set(NIGHT)
    user = User("decline")
    denied = ",".join(one["respondent_phone"] for one in THREE[:2])
    settings = settings_in(tmp_path, CONFIRM="auto", DENY_NUMBERS=denied)
    async with open_agent_for(settings, mode, clock, app, user) as agent:
        refused = await begun(agent)

    assert refused.data["code"] == "not_agreed"
