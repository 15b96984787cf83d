from datetime import UTC, datetime
from pathlib import Path

import pytest

from kallyai_mcp.cli.demo_calls import Demo, DemoError, place_calls
from tests.agent import BISTRO, Agent, open_agent, settings_in
from tests.sandbox.manual_clock import ManualClock
from tests.sandbox.sandbox_app import sandbox_app


async def test_an_answer_without_the_expected_words_fails_the_demo(agent: Agent) -> None:
    with pytest.raises(DemoError, match="check_quota should have answered with 'bananas': 27 of 35 calls"):
        await Demo(agent.client).use("check_quota", expect="bananas")


async def test_an_unexpected_error_fails_the_demo(agent: Agent) -> None:
    with pytest.raises(DemoError, match="get_call failed: "):
        await Demo(agent.client).use("get_call", expect="", call_id="no-such-call")


async def test_a_missing_refusal_fails_the_demo(agent: Agent) -> None:
    with pytest.raises(DemoError, match="make_call should have been refused: Booked: "):
        await Demo(agent.client).use("make_call", expect="", fails=True, **BISTRO)


async def test_the_demo_names_the_year_of_an_appointment_in_another_year(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = ManualClock(datetime(2026, 12, 30, 15, 30, tzinfo=UTC))
    with sandbox_app(clock=clock) as app:
        async with open_agent(settings_in(tmp_path), mode="auto", clock=clock, app=app) as agent:
            await place_calls(Demo(agent.client, now=clock.now))

    assert " ".join(capsys.readouterr().out.split()).count("Fri Jan 1, 2027, 7:00 PM") == 2
