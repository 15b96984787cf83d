"""A tool reports progress at once, and again and again, so that a client with a short time-out
waits on.
"""

from pathlib import Path
from typing import Any

import anyio
import pytest

from kallyai_mcp.tools import catalog
from tests.agent import Agent
from tests.transports.http_server import (
    CALL,
    CONNECTIONS,
    LIMIT,
    RunningSandbox,
    connected_agent,
    running_sandbox,
    running_server,
)


class Messages:
    """The messages of progress that a client gets."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.texts: list[str | None] = []
        self.enough = anyio.Event()

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None:
        assert total is None  # nobody knows how long a call will last
        self.values.append(progress)
        self.texts.append(message)
        if len(self.values) >= 3 and (message or "").startswith("Calling, "):
            self.enough.set()


async def call_tool(agent: Agent, tool: str, arguments: dict[str, Any], messages: Messages) -> None:
    await agent.client.call_tool(tool, arguments, progress_callback=messages)


async def test_a_waiting_client_gets_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "PROGRESS_EVERY", 0.01)
    async with running_sandbox(tmp_path) as sandbox, running_server(sandbox.settings()) as url:
        for number, connection in enumerate(CONNECTIONS, 1):
            messages, arguments = (
                Messages(),
                CALL | {"business_name": connection, "wait_seconds": LIMIT},
            )
            with anyio.fail_after(LIMIT):
                async with (
                    connected_agent(url, connection) as agent,
                    anyio.create_task_group() as tasks,
                ):
                    tasks.start_soon(call_tool, agent, "make_call", arguments, messages)
                    await messages.enough.wait()
                    await sandbox.wait_for_calls(number)
                    sandbox.end_calls()

            # Each is greater, as the protocol demands.
            assert messages.values == sorted(set(messages.values))


async def test_the_first_message_comes_at_once(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "PROGRESS_EVERY", LIMIT)
    async with running_server(sandbox.settings()) as url, connected_agent(url) as agent:
        messages = Messages()
        await call_tool(agent, "make_call", CALL | {"wait_seconds": 0}, messages)

    assert messages.texts == [None]
