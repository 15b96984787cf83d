"""A project of its own that tests its agent: it has kallyai-mcp[sandbox] and pytest, and nothing else of ours."""

import asyncio
import os

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from kallyai_mcp.testing import KallyAISandbox

NUMBER = "+12025550142"


def run_my_agent(number: str, env: dict[str, str]) -> None:
    """An agent that asks one thing, by the tools of a server that runs as a process."""

    async def run() -> None:
        server = StdioServerParameters(command="kallyai-mcp", env={**os.environ, **env})
        arguments = {"task_category": "general", "task_description": "Ask when they close", "respondent_phone": number}
        async with Client(server) as client:
            await client.call_tool("make_call", arguments)

    asyncio.run(asyncio.wait_for(run(), 60))


def test_the_agent_calls_once(kallyai_sandbox: KallyAISandbox) -> None:
    kallyai_sandbox.line(NUMBER).answers("At ten.")

    run_my_agent(NUMBER, kallyai_sandbox.env)

    call = kallyai_sandbox.assert_called_once(NUMBER)
    assert call.highlights is not None
    assert "At ten." in call.highlights


def test_a_failure_tells_what_happened(kallyai_sandbox: KallyAISandbox) -> None:
    run_my_agent("+12025550121", kallyai_sandbox.env)

    kallyai_sandbox.assert_not_called()
    with pytest.raises(AssertionError, match=r"\+12025550121, “Ask when they close”: suppression_violation"):
        kallyai_sandbox.assert_called_once(NUMBER)
