"""What one task runs on: a sandbox and a clock of its own, a server that uses them, and an MCP client."""

import json
import shlex
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters
from mcp.shared.exceptions import MCPError
from mcp.types import CallToolResult, TextContent, Tool

from kallyai_mcp.calls.records import CallState
from kallyai_mcp.cli.app_context import open_app_context
from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.sandbox.app import SandboxApp, create_app
from kallyai_mcp.sandbox.serve import running
from kallyai_mcp.server.build import INSTRUCTIONS, build_server
from kallyai_mcp.settings import Settings
from kallyai_mcp.testing import KallyAISandbox
from tests.clocks.shifted_clock import LIBRARY, shifted_to
from tests.evals.graders import ScheduledCall, ToolUse
from tests.evals.task import NOW, TIMEZONE, Task
from tests.sandbox.manual_clock import ManualClock

_REQUEST_TIMED_OUT = -32001
_CALL_SECONDS = 600
"""How long a call lasts at most on the sandbox."""

_TO_SANDBOX = Path(__file__).parent / "to_sandbox.mjs"
"""What keeps a server that Node runs on the sandbox."""


@dataclass(frozen=True)
class ToolDescription:
    """A tool as a model is told about it.

    Attributes:
        name: Its name.
        description: Its description.
        schema: The JSON schema of its arguments.
    """

    name: str
    description: str
    schema: dict[str, Any]


class Bench:
    """The client of one task, and what is known of the sandbox behind it.

    Args:
        task: The task.
        client: The client of the server.
        app: The sandbox.
        sandbox: KallyAI, as tests see it.
        connection: The server's; None for a command.

    Attributes:
        sandbox: As given.
        used: The tools that were used.
    """

    def __init__(
        self, task: Task, client: Client, app: SandboxApp, sandbox: KallyAISandbox, connection: Connection | None
    ) -> None:
        self._task = task
        self._client = client
        self._sandbox = app.state.sandbox
        self._connection = connection
        self.sandbox = sandbox
        self.used: list[ToolUse] = []

    async def tools(self, *, bare: bool) -> list[ToolDescription]:
        """The server's tools.

        Args:
            bare: Without descriptions: a tool has only its name, and the names and types of its arguments.
        """
        found = (await self._client.list_tools()).tools
        return [
            ToolDescription(tool.name, tool.name, _without_words(tool.input_schema)) if bare else _described(tool)
            for tool in found
        ]

    async def use(self, tool: str, arguments: Mapping[str, Any]) -> ToolUse:
        """Use a tool, and give up after the task's `client_seconds`."""
        try:
            result = await self._client.call_tool(tool, dict(arguments), read_timeout_seconds=self._task.client_seconds)
        except MCPError as error:
            timed_out = error.error.code == _REQUEST_TIMED_OUT
            words = f"Timed out after {self._task.client_seconds:g} seconds." if timed_out else error.error.message
            use = ToolUse(tool, dict(arguments), words, is_error=True)
        else:
            assert isinstance(result, CallToolResult)
            text = "\n".join(block.text for block in result.content if isinstance(block, TextContent))
            use = ToolUse(tool, dict(arguments), text, is_error=bool(result.is_error))
        if self._task.is_slow or any(call.status == "in_progress" for call in self.sandbox.calls):
            self._sandbox.clock.advance(seconds=_CALL_SECONDS)
        self.used.append(use)
        return use

    async def scheduled(self) -> list[ScheduledCall]:
        """The calls that the server is to place later; none are known of a server that is a command."""
        if self._connection is None:
            return []
        account = await self._connection.account_key()
        return [
            ScheduledCall(
                record.submission.respondent_phone,
                record.schedule.not_before,
                record.submission.model_dump(mode="json", exclude_none=True),
            )
            for record in await self._connection.ledger().list_unsettled(account)
            if record.state is CallState.SCHEDULED and record.schedule.not_before is not None
        ]

    @property
    def refused(self) -> int:
        """How many requests KallyAI refused."""
        return len(self._sandbox.refused_calls())


@asynccontextmanager
async def open_bench(task: Task, home: Path, server: str) -> AsyncIterator[Bench]:
    """Open a sandbox, a server, and a client for one task.

    Args:
        task: The task.
        home: An empty folder.
        server: `ours`, `bare`, or the command of a server; see `_command`.
    """
    clock = ManualClock(NOW)
    app = create_app(clock=clock, lines=task.line)
    try:
        if task.is_slow:
            clock.hold()
        async with running(app) as url:
            sandbox = KallyAISandbox(app, url, home, account_id=task.account)
            settings = {f"KALLYAI_{name}": value for name, value in task.settings.items()}
            env = {**sandbox.env, "KALLYAI_CONFIRM": "auto", "KALLYAI_TOKEN_STORE": "file", **settings}
            if server in ("ours", "bare"):
                connection = Connection(Settings.from_env(env), now=clock.now)
                built = build_server(lambda: open_app_context(connection, timezone=TIMEZONE))
                async with Client(built) as client:
                    yield Bench(task, client, app, sandbox, connection)
            else:
                async with Client(_command(server, env, home)) as client:
                    yield Bench(task, client, app, sandbox, None)
    finally:
        app.state.sandbox.close()


def _command(server: str, env: Mapping[str, str], home: Path) -> StdioServerParameters:
    """How to start another server over stdio.

    It gets `KALLYAI_API_URL` and `KALLYAI_ACCESS_TOKEN`, a home folder of its own, in which its user is signed in as
    the vendor's tools keep a sign-in, and, where libfaketime is installed, the time of the evaluation. In the command,
    `{url}` and `{token}` stand for the same, for a server with other settings. If Node runs it, it reaches the sandbox
    only, also by the address of the live service.
    """
    url, token = env["KALLYAI_API_URL"], env["KALLYAI_ACCESS_TOKEN"]
    # Some of the vendor's tools take only a whole second and a refresh token that is not empty.
    sign_in = {"access_token": token, "refresh_token": "unused", "expires_at": int(time.time()) + 86400 * 3650}
    (home / ".kallyai_token.json").write_text(json.dumps(sign_in), encoding="utf-8")
    (home / ".kallyai_token.json").chmod(0o600)
    command, *arguments = [part.replace("{url}", url).replace("{token}", token) for part in shlex.split(server)]
    clock = shifted_to(NOW, TIMEZONE) if LIBRARY is not None else {"TZ": TIMEZONE}
    node = {"NODE_OPTIONS": f"--import {_TO_SANDBOX.as_uri()}"}
    return StdioServerParameters(command=command, args=arguments, env={**env, "HOME": str(home), **clock, **node})


def instructions_of(server: str) -> str:
    """What a client shows its model of the server besides its tools; for a command, nothing."""
    return INSTRUCTIONS if server == "ours" else ""


def _described(tool: Tool) -> ToolDescription:
    return ToolDescription(tool.name, tool.description or tool.name, tool.input_schema)


def _without_words(schema: Any) -> Any:
    """A JSON schema without what it says to a reader."""
    if isinstance(schema, dict):
        return {
            key: {name: _without_words(inner) for name, inner in value.items()}
            if key == "properties"
            else _without_words(value)
            for key, value in schema.items()
            if key not in ("title", "description", "examples")
        }
    return [_without_words(each) for each in schema] if isinstance(schema, list) else schema
