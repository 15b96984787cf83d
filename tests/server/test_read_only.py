"""KALLYAI_READ_ONLY: an agent can read calls, and can't place or cancel any."""

from collections.abc import AsyncIterator

import pytest
from mcp import Client, MCPError
from mcp.client import advertise
from mcp.types import METHOD_NOT_FOUND

from kallyai_mcp.cli.app_context import open_app_context
from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.server.build import build_server
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools import catalog
from tests.agent import BISTRO, Agent, WallClock, connection_to
from tests.sandbox.manual_clock import ManualClock
from tests.tools.task_client import METHODS, TASKS, refusal


@pytest.fixture
async def client(
    settings: Settings, mode: str, clock: ManualClock, app: SandboxApp
) -> AsyncIterator[Client]:
    """A client of a read-only server that knows the tools which it does not offer."""
    connection = connection_to(app, settings)
    connection.clock = WallClock(clock)
    server = build_server(
        lambda: open_app_context(connection, timezone="America/New_York"), read_only=True
    )
    async with Client(server, mode=mode, extensions=[advertise(TASKS)]) as client:
        yield client


async def test_a_read_only_server_offers_reading_alone(client: Client) -> None:
    tools = (await client.list_tools()).tools

    reading = [tool.name for tool in catalog.tools() if "calls:write" not in tool.scopes]
    assert [tool.name for tool in tools] == reading
    assert not {"make_call", "call_around", "cancel_call"} & set(reading)
    assert (await client.list_prompts()).prompts == []
    assert "no call can be placed" in (client.instructions or "")


async def test_a_read_only_server_places_no_call(client: Client) -> None:
    reader = Agent(client)
    refused = await reader.use("make_call", BISTRO)

    assert (refused.is_error, refused.text) == (True, "Unknown tool: make_call")
    assert await reader.calls_made() == 0


async def test_a_read_only_server_reads_calls(client: Client, agent: Agent) -> None:
    """Those of another server on the same account."""
    placed = await agent.use("make_call", BISTRO)
    read = await Agent(client).use("get_call", call_id=placed.data["call_id"])

    assert read.text.startswith("Booked: ")


async def test_a_read_only_server_has_no_prompts(client: Client) -> None:
    with pytest.raises(MCPError, match="Unknown prompt"):
        await client.get_prompt("book_table", {"business_name": "Italian Bistro"})


@pytest.mark.parametrize("method", METHODS)
async def test_a_read_only_server_has_no_tasks(client: Client, mode: str, method: str) -> None:
    error = await refusal(client.session, method, "t-any")

    assert mode == "legacy" or error.code == METHOD_NOT_FOUND
