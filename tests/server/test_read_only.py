"""KALLYAI_READ_ONLY: an agent can read calls, and can't place or cancel any."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from mcp import Client, MCPError
from mcp.client import advertise
from mcp.types import METHOD_NOT_FOUND

from kallyai_mcp.cli.app_context import open_app_context
from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.server.build import build_server
from kallyai_mcp.settings import Settings
from tests.agent import BISTRO, Agent, open_agent
from tests.sandbox.manual_clock import ManualClock
from tests.tools.task_client import METHODS, TASKS, refusal

READING = [
    "get_call",
    "list_calls",
    "get_transcript",
    "get_calendar_event",
    "check_quota",
    "sign_in",
]


@pytest.fixture
async def reader(settings: Settings, mode: str, clock: ManualClock, app: SandboxApp) -> AsyncIterator[Agent]:
    """An agent of a read-only server."""
    connection = Connection(settings, embedded=lambda: app, now=clock.now)
    server = build_server(lambda: open_app_context(connection, timezone="America/New_York"), read_only=True)
    async with Client(server, mode=mode, extensions=[advertise(TASKS)]) as client:
        yield Agent(client)


async def test_only_tools_that_read_are_listed(reader: Agent) -> None:
    assert [tool.name for tool in (await reader.client.list_tools()).tools] == READING
    assert (await reader.client.list_prompts()).prompts == []
    assert "no call can be placed" in (reader.client.instructions or "")


async def test_a_call_is_not_placed_by_a_client_that_knows_the_tool(reader: Agent) -> None:
    refused = await reader.use("make_call", BISTRO)

    assert (refused.is_error, refused.text) == (True, f"There is no tool make_call; there are {', '.join(READING)}.")
    assert (await reader.use("list_calls")).data["total"] == 0


@pytest.mark.parametrize("mode", ["auto"])
async def test_a_call_that_was_placed_elsewhere_can_be_read_and_not_canceled(
    reader: Agent, settings: Settings, clock: ManualClock, app: SandboxApp
) -> None:
    async with open_agent(settings, mode="auto", clock=clock, app=app) as caller:
        placed = await caller.use("make_call", BISTRO)
        read = await reader.use("get_call", call_id=placed.data["call_id"])
        refusals = [(await refusal(reader.client.session, method, "t-any")).code for method in METHODS]

    assert read.text.startswith("Booked: ")
    assert set(refusals) == {METHOD_NOT_FOUND}


async def test_calls_that_are_due_are_left_to_other_processes(settings: Settings) -> None:
    async def schedules(settings: Settings) -> bool:
        async with open_app_context(Connection(settings), timezone="America/New_York") as app_context:
            return app_context.calls.places_due

    assert await schedules(settings)
    assert not await schedules(replace(settings, read_only=True))


async def test_a_prompt_is_refused_with_the_reason(reader: Agent) -> None:
    with pytest.raises(MCPError, match="KALLYAI_READ_ONLY"):
        await reader.client.get_prompt("book_table", {"business_name": "Italian Bistro"})
