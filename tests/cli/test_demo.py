import pytest

from kallyai_mcp.cli.demo import Demo, DemoError
from tests.agent import BISTRO, Agent


async def test_an_answer_without_the_expected_words_fails_the_demo(agent: Agent) -> None:
    with pytest.raises(DemoError, match="check_quota should have answered with 'bananas': 27 of 35 calls"):
        await Demo(agent.client).use("check_quota", expect="bananas")


async def test_an_unexpected_error_fails_the_demo(agent: Agent) -> None:
    with pytest.raises(DemoError, match="get_call failed: "):
        await Demo(agent.client).use("get_call", expect="", call_id="no-such-call")


async def test_a_missing_refusal_fails_the_demo(agent: Agent) -> None:
    with pytest.raises(DemoError, match="make_call should have been refused: Booked: "):
        await Demo(agent.client).use("make_call", expect="", fails=True, **BISTRO)
