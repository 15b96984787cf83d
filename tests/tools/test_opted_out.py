"""A number that asked not to be called again: its user is asked, and their yes is for one call."""

from pathlib import Path
from typing import Any

import pytest

from kallyai_mcp.sandbox.app import SandboxApp
from tests.agent import BISTRO, settings_in
from tests.sandbox.manual_clock import ManualClock
from tests.tools.test_call_arguments import LIST
from tests.tools.user import NOON, User, open_agent_for

OPTS_OUT = "+12025550118"
FIRST = BISTRO | {"respondent_phone": OPTS_OUT}
AGAIN = FIRST | {"task_description": "Ask for the hours", "appointment_time": None}
YES = {"call_now": True}
QUOTED = 'they asked not to be called again: "Please do not call us again'


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture(params=["auto", "legacy"])
def mode(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


async def test_a_form_quotes_them_for_one_call(
    tmp_path: Path, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    user = User(YES, "decline")
    async with open_agent_for(settings_in(tmp_path, CONFIRM="auto"), mode, clock, app, user) as one:
        await one.use("make_call", FIRST)
        placed = await one.use("make_call", AGAIN)
        refused = await one.use("make_call", AGAIN, redial=True)

    assert f"on Sun Jan 25, {QUOTED}" in user.messages[0]
    assert placed.data["placed_now"] is True
    assert refused.data["code"] == "not_agreed"


async def test_a_result_says_once_what_follows(
    tmp_path: Path, clock: ManualClock, app: SandboxApp
) -> None:
    async with open_agent_for(settings_in(tmp_path), "auto", clock, app, None) as one:
        first = await one.use("make_call", FIRST)

    assert "is not called any more, unless the user says so." in first.text
    assert first.text.count("Please do not call us again") == 1
    assert "KallyAI suggests" not in first.text


async def test_the_form_can_lift_it(
    tmp_path: Path, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    user = User(YES | {"lift_opt_out": True}, "decline")
    async with open_agent_for(settings_in(tmp_path, CONFIRM="auto"), mode, clock, app, user) as one:
        await one.use("make_call", FIRST)
        lifted = await one.use("make_call", AGAIN)
        await one.use("make_call", AGAIN | {"task_description": "Ask for the menu"})
    lift = _fields_of(user.asked[0])["lift_opt_out"]

    assert (lift["default"], lift["title"]) == (False, "They may be called again")
    assert lifted.data["placed_now"] is True
    assert "lift_opt_out" in _fields_of(user.asked[1])  # they said it again in that call


def _fields_of(asked: Any) -> dict[str, Any]:
    fields: dict[str, Any] = asked.requested_schema["properties"]
    return fields


async def test_a_confirmation_is_for_what_was_quoted(
    tmp_path: Path, clock: ManualClock, app: SandboxApp
) -> None:
    settings = settings_in(tmp_path, CONFIRM="auto")
    async with open_agent_for(settings, "auto", clock, app, None) as one:
        await one.use("make_call", FIRST)
        asked = await one.use("make_call", AGAIN)
        again = AGAIN | {"confirmation": asked.data["confirmation"]}
        placed = await one.use("make_call", again)

    assert asked.data["reasons"] == ["opted_out", "called_recently"]
    assert QUOTED in asked.text
    assert asked.data["evidence"]["at"] == "2026-01-25"
    assert asked.data["evidence"]["quote"].startswith("Please do not call us again")
    assert placed.data["placed_now"] is True


async def test_who_is_never_asked_is_refused(
    tmp_path: Path, clock: ManualClock, app: SandboxApp
) -> None:
    settings = settings_in(tmp_path, CONFIRM="never")
    async with open_agent_for(settings, "auto", clock, app, None) as one:
        await one.use("make_call", FIRST)
        refused = await one.use("make_call", AGAIN)

    assert (refused.data["code"], refused.data["placed"]) == ("opted_out", "no")
    assert refused.text.startswith(f"Not called: on 2026-01-25, {QUOTED}")


async def test_a_list_quotes_the_candidate(
    tmp_path: Path, clock: ManualClock, app: SandboxApp
) -> None:
    candidates = [{"respondent_phone": OPTS_OUT}, {"respondent_phone": "+12025550103"}]
    wanted = LIST | {"candidates": candidates, "until": "all"}
    settings = settings_in(tmp_path, CONFIRM="auto")
    async with open_agent_for(settings, "auto", clock, app, None) as one:
        await one.use("make_call", FIRST)
        asked = await one.use("call_around", wanted)
        done = await one.use("call_around", wanted, confirmation=asked.data["confirmation"])

    assert QUOTED in asked.text
    assert [call["status"] for call in done.data["calls"]] == ["success", "busy"]


async def test_a_list_without_a_question_passes_the_candidate(
    tmp_path: Path, clock: ManualClock, app: SandboxApp
) -> None:
    candidates = [{"respondent_phone": OPTS_OUT}, {"respondent_phone": "+12025550103"}]
    settings = settings_in(tmp_path, CONFIRM="never")
    async with open_agent_for(settings, "auto", clock, app, None) as one:
        await one.use("make_call", FIRST)
        done = await one.use("call_around", LIST | {"candidates": candidates, "until": "all"})

    assert [call["status"] for call in done.data["calls"]] == ["refused", "busy"]
    assert f"not called, on 2026-01-25, {QUOTED}" in done.text
