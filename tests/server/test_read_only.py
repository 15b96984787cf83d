"""KALLYAI_READ_ONLY: an agent can read calls, and can't place or cancel any."""

import pytest
from mcp import Client, MCPError
from mcp.client import advertise
from mcp.types import METHOD_NOT_FOUND

from kallyai_mcp.cli.app_context import open_app_context
from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.server.build import build_server
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools import catalog
from tests.agent import BISTRO, Agent, WallClock, connection_to, open_agent
from tests.sandbox.manual_clock import ManualClock
from tests.tools.task_client import METHODS, TASKS, refusal

WRITING = ["make_call", "call_around", "cancel_call"]


async def test_calls_can_be_read_and_none_is_placed_or_canceled_by_a_client_that_knows_the_tool(
    settings: Settings, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    connection = connection_to(app, settings)
    connection.clock = WallClock(clock)
    server = build_server(
        lambda: open_app_context(connection, timezone="America/New_York"), read_only=True
    )
    async with (
        Client(server, mode=mode, extensions=[advertise(TASKS)]) as client,
        open_agent(settings, mode="auto", clock=clock, app=app) as caller,
    ):
        reader = Agent(client)
        refused = await reader.use("make_call", BISTRO)
        before = await reader.use("list_calls")
        placed = await caller.use("make_call", BISTRO)
        read = await reader.use("get_call", call_id=placed.data["call_id"])
        refusals = [(await refusal(client.session, method, "t-any")).code for method in METHODS]
        with pytest.raises(MCPError, match="Unknown prompt"):
            await client.get_prompt("book_table", {"business_name": "Italian Bistro"})
        instructions = client.instructions or ""
        tools, prompts = (await client.list_tools()).tools, (await client.list_prompts()).prompts

    reading = [tool.name for tool in catalog.tools() if tool.name not in WRITING]
    assert ([tool.name for tool in tools], prompts) == (reading, [])
    assert "no call can be placed" in instructions
    assert (refused.is_error, refused.text) == (True, "Unknown tool: make_call")
    assert before.data["total"] == 0
    assert read.text.startswith("Booked: ")
    if mode == "auto":
        assert set(refusals) == {METHOD_NOT_FOUND}
