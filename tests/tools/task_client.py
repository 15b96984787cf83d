"""A client of the Tasks extension, and the JSON that it gets."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, ClassVar

import anyio
import anyio.abc
import pytest
from mcp import Client, MCPError, types
from mcp.client import advertise
from mcp.client.session import ClientSession
from pydantic import RootModel

from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.sandbox.simulator.numbers import TEST_NUMBERS
from kallyai_mcp.settings import Settings
from tests.agent import BISTRO, open_agent
from tests.sandbox.manual_clock import ManualClock

TASKS = "io.modelcontextprotocol/tasks"
METHODS = ("tasks/get", "tasks/update", "tasks/cancel")
START = datetime(2026, 1, 25, 15, 30, tzinfo=UTC)
NUMBERS = {entry.name: entry.number for entry in reversed(TEST_NUMBERS)}
TTL = 90 * 24 * 3600 * 1000

Json = dict[str, Any]


class JsonResult(RootModel[Json]):
    """A result as JSON."""


class TaskId(types.RequestParams):
    task_id: str


class TaskRequest(types.Request[TaskId, str]):
    name_param: ClassVar[str | None] = "taskId"


@asynccontextmanager
async def client_of(
    settings: Settings,
    clock: ManualClock,
    app: SandboxApp | None = None,
    *,
    mode: str = "auto",
    extension: str = TASKS,
) -> AsyncIterator[Client]:
    """A client with a server of its own, which declares the extension."""
    with anyio.fail_after(60):
        async with open_agent(
            settings, mode=mode, clock=clock, app=app, extensions=[advertise(extension)]
        ) as agent:
            yield agent.client


async def call(
    client: Client, arguments: Json = BISTRO, /, tool: str = "make_call", **more: Any
) -> Json:
    """The JSON result of a tool."""
    params = types.CallToolRequestParams(name=tool, arguments={**arguments, **more})
    with anyio.fail_after(60):
        return without_meta(
            (
                await client.session.send_request(types.CallToolRequest(params=params), JsonResult)
            ).root
        )


async def ask(session: ClientSession, method: str, task_id: str) -> Json:
    """The JSON result of one of the extension's methods."""
    request = TaskRequest(method=method, params=TaskId(task_id=task_id))
    with anyio.fail_after(60):
        return without_meta((await session.send_request(request, JsonResult)).root)


async def ended(session: ClientSession, task_id: str) -> Json:
    """The task, once it is no longer in progress."""
    while (task := await ask(session, "tasks/get", task_id))["status"] == "working":
        await anyio.lowlevel.checkpoint()
    return task


async def refusal(session: ClientSession, method: str, task_id: str) -> types.ErrorData:
    with pytest.raises(MCPError) as refused:
        await ask(session, method, task_id)
    return refused.value.error


def without_meta(result: Json) -> Json:
    """A result without the server's name and version."""
    assert result.pop("_meta")["io.modelcontextprotocol/serverInfo"]["name"] == "kallyai-mcp"
    return result


def with_equal_ids(result: Json) -> Json:
    """A result with its random ids replaced."""
    uuid = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    same: Json = json.loads(re.sub(uuid, "ID", json.dumps(result)))
    return same
