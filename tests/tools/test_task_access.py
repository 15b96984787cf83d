"""Which task a client can ask for: other accounts, other clients, other processes."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from mcp import Client, types
from mcp.client import advertise
from mcp.client.stdio import StdioServerParameters

from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.sandbox.serve import running
from kallyai_mcp.settings import Settings
from tests.agent import BISTRO, Agent, settings_in
from tests.processes import COMMAND, environment
from tests.sandbox.manual_clock import ManualClock
from tests.tools.task_client import (
    METHODS,
    STDIO_CALL,
    TASKS,
    Polling,
    ask,
    call,
    client_of,
    refusal,
)


@pytest.fixture
async def client(settings: Settings, clock: ManualClock, app: SandboxApp) -> AsyncIterator[Client]:
    """A client of the sandbox that declares the Tasks extension."""
    async with client_of(settings, clock, app) as client:
        yield client


async def test_another_accounts_task_looks_like_one_that_does_not_exist(
    tmp_path: Path, clock: ManualClock, app: SandboxApp
) -> None:
    clock.hold()
    personal, business = (
        app.state.sandbox.issue_tokens(account)["access_token"] for account in ("acct-personal", "acct-business")
    )
    async with running(app) as url:
        async with client_of(settings_in(tmp_path, API_URL=url, ACCESS_TOKEN=personal), clock) as client:
            mine = (await call(client))["taskId"]
        async with client_of(settings_in(tmp_path, API_URL=url, ACCESS_TOKEN=business), clock) as client:
            refused = [await refusal(client.session, method, task) for method in METHODS for task in (mine, "t-none")]
        async with client_of(settings_in(tmp_path, API_URL=url, ACCESS_TOKEN=personal), clock) as client:
            found = await ask(client.session, "tasks/get", mine)

    assert refused == [types.ErrorData(code=types.INVALID_PARAMS, message="Task not found")] * 6
    assert found["status"] == "working"


async def test_a_task_survives_the_server_that_made_it(tmp_path: Path, clock: ManualClock, app: SandboxApp) -> None:
    clock.hold()
    token = app.state.sandbox.issue_tokens()["access_token"]
    async with running(app) as url:
        settings = settings_in(tmp_path, API_URL=url, ACCESS_TOKEN=token)
        async with client_of(settings, clock) as client:
            created = await call(client)
            await clock.sleepers(1)
        async with client_of(settings, clock) as client:
            before = await ask(client.session, "tasks/get", created["taskId"])
            clock.advance(minutes=5)
            await call(client, {"call_id": created["taskId"], "wait_seconds": 25}, "get_call")
            after = await ask(client.session, "tasks/get", created["taskId"])
        async with client_of(settings, clock) as client:
            later = await ask(client.session, "tasks/get", created["taskId"])

    assert before == created | {"resultType": "complete"}
    assert after["result"]["structuredContent"]["status"] == "success"
    assert later == after


@pytest.mark.parametrize(
    ("mode", "declared"), [("auto", "com.example/other"), ("legacy", "com.example/other"), ("legacy", TASKS)]
)
async def test_a_client_without_the_extension_gets_the_usual_result(
    settings: Settings, clock: ManualClock, app: SandboxApp, mode: str, declared: str
) -> None:
    clock.hold()
    async with client_of(settings, clock, app, mode=mode, extension=advertise(declared)) as client:
        answer = await Agent(client).use("make_call", BISTRO, wait_seconds=0)

    assert answer.data["status"] == "in_progress"
    assert answer.data["tracking_id"] in answer.text


@pytest.mark.parametrize("method", METHODS)
async def test_a_client_that_does_not_declare_the_extension_may_not_ask_for_tasks(agent: Agent, method: str) -> None:
    refused = await refusal(agent.client.session, method, "t-1")

    if agent.client.protocol_version == "2026-07-28":
        assert refused.code == -32021
        assert refused.data == {"requiredCapabilities": {"extensions": {TASKS: {}}}}
    else:
        assert refused == types.ErrorData(code=types.METHOD_NOT_FOUND, message="Method not found", data=method)


async def test_over_stdio_a_client_that_polls_gets_the_result(tmp_path: Path) -> None:
    polling = Polling()
    server = StdioServerParameters(
        command=sys.executable,
        args=[*COMMAND[1:], "serve", "--sandbox", "--speed", "100000"],
        env=environment(tmp_path),
    )
    with anyio.fail_after(30):
        async with Client(server, extensions=[polling]) as client:
            answer = await Agent(client).use("make_call", STDIO_CALL)

    assert answer.data["status"] == "success"
    assert len(polling.tasks) == 1
