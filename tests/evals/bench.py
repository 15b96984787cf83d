"""One run of a task: a sandbox with a clock of its own, a server that uses it, an MCP client, and a
scripted user.
"""

import json
import re
import shlex
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
from mcp import Client, StdioServerParameters
from mcp.shared.exceptions import MCPError
from mcp.types import CallToolResult, TextContent, Tool

from kallyai_mcp.calls.ledger import rows
from kallyai_mcp.calls.records import CallState
from kallyai_mcp.cli.app_context import open_app_context
from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.sandbox.app import SandboxApp, create_app
from kallyai_mcp.sandbox.serve import running
from kallyai_mcp.server.build import INSTRUCTIONS, build_server
from kallyai_mcp.settings import Settings
from kallyai_mcp.testing import KallyAISandbox
from tests.agent import WallClock
from tests.clocks.shifted_clock import LIBRARY, shifted_to
from tests.evals.graders import GivenReply, Run, ScheduledCall, ToolUse
from tests.evals.task import NOW, TIMEZONE, Reply, Step, Task
from tests.sandbox.manual_clock import ManualClock

OURS = "ours"
SYSTEM = """\
You are the assistant of Ada. You can have phone calls placed with the tools that you have.
It is Monday, January 26, 2026, 10:00 AM in New York (America/New_York), where Ada is.
Ada reads your last message only. Say what came of the task, in a few sentences,
in Ada's language."""

_REQUEST_TIMED_OUT = -32001
_SOON = 10.0
_CALL_SECONDS = 600
"""How long a call lasts at most on the sandbox."""


class Bench:
    """The client of one task and its user; `connection` is None for a server that is a command."""

    def __init__(self, task: Task, client: Client, app: SandboxApp, url: str, home: Path) -> None:
        self._task, self._client = task, client
        self._state = app.state.sandbox
        self.sandbox = KallyAISandbox(app, url, home, account_id=task.account)
        self.connection: Connection | None = None
        self._used: list[ToolUse] = []
        self._given: list[GivenReply] = []
        self._answers: list[str] = []
        self.system = SYSTEM

    async def tools(self) -> list[Tool]:
        return (await self._client.list_tools()).tools

    async def use(self, tool: str, arguments: Mapping[str, Any]) -> ToolUse:
        """Use a tool, and give up after the task's `client_seconds`."""
        try:
            result = await self._client.call_tool(
                tool, dict(arguments), read_timeout_seconds=self._task.client_seconds
            )
        except MCPError as error:
            timed_out = error.error.code == _REQUEST_TIMED_OUT
            words = (
                f"Timed out after {self._task.client_seconds:g} seconds."
                if timed_out
                else error.error.message
            )
            use = ToolUse(tool, dict(arguments), words, is_error=True)
        else:
            assert isinstance(result, CallToolResult)
            text = "\n".join(
                block.text for block in result.content if isinstance(block, TextContent)
            )
            use = ToolUse(tool, dict(arguments), text, is_error=bool(result.is_error))
        with anyio.move_on_after(_SOON):
            # The request is on its way.
            while use.text.startswith("In progress") and not self.sandbox.calls:
                await anyio.lowlevel.checkpoint()
        if self._task.is_slow or any(call.status == "in_progress" for call in self.sandbox.calls):
            self._state.clock.advance(seconds=_CALL_SECONDS)
        self._used.append(use)
        return use

    async def reply_to(self, answer: str) -> str | None:
        """What the user replies to an answer of the assistant; None: the conversation is over."""
        self._answers.append(answer)
        if "?" not in answer:
            return None
        replies = [*self._task.reply]
        if self._task.otherwise and (not self._used or "confirmation" in self._used[-1].text):
            replies.append(Reply(id="", when=r"\?\W*$", says=self._task.otherwise))
        given = {each.reply.id for each in self._given}
        fitting = (
            each
            for each in replies
            if each.id not in given and re.search(each.when, answer, re.IGNORECASE)
        )
        if (reply := next(fitting, None)) is None:
            return None
        self._given.append(
            GivenReply(reply, len(self.sandbox.calls) + len(await self._scheduled()))
        )
        return reply.says

    async def run(self, phrasing: int) -> Run:
        """What has happened."""
        return Run(
            asked=(self.system, self._task.phrasings[phrasing]),
            placed=tuple(self.sandbox.calls),
            scheduled=tuple(await self._scheduled()),
            refused=len(self._state.refused_calls()),
            used=tuple(self._used),
            replies=tuple(self._given),
            answers=tuple(self._answers),
        )

    async def _scheduled(self) -> list[ScheduledCall]:
        """The calls that our own server is to place later."""
        if self.connection is None:
            return []
        account = await self.connection.account_key()
        return [
            ScheduledCall(
                record.submission.respondent_phone,
                record.schedule.not_before,
                record.submission.as_json(),
            )
            for record in await self.connection.ledger().read(rows.list_newest, account, 100)
            if record.state is CallState.SCHEDULED and record.schedule.not_before is not None
        ]


@asynccontextmanager
async def open_bench(task: Task, home: Path, server: str) -> AsyncIterator[Bench]:
    """Open a sandbox, a server, and a client for one task; `server` is `ours`, or the command of
    another server.
    """
    clock = ManualClock(NOW)
    app = create_app(clock=clock, lines=task.line)
    try:
        if task.is_slow:
            clock.hold()
        async with running(app) as url:
            settings = {f"KALLYAI_{name}": value for name, value in task.settings.items()}
            sandbox = KallyAISandbox(app, url, home, account_id=task.account)
            env = {
                **sandbox.env,
                "KALLYAI_CONFIRM": "auto",
                "KALLYAI_TOKEN_STORE": "file",
                **settings,
            }
            if server != OURS:
                async with Client(_command(server, env, home)) as client:
                    yield Bench(task, client, app, url, home)
                return
            connection = Connection(Settings.from_env(env))
            connection.clock = WallClock(clock)
            async with Client(
                build_server(lambda: open_app_context(connection, timezone=TIMEZONE))
            ) as client:
                bench = Bench(task, client, app, url, home)
                bench.connection, bench.system = connection, f"{SYSTEM}\n{INSTRUCTIONS}"
                yield bench
    finally:
        app.state.sandbox.close()


def _command(server: str, env: Mapping[str, str], home: Path) -> StdioServerParameters:
    """How to start another server over stdio, with a home folder in which its user is signed in.

    In the command, `{url}` and `{token}` stand for KALLYAI_API_URL and KALLYAI_ACCESS_TOKEN, for a
    server with other settings. With libfaketime, it has the time of the task.
    """
    url, token = env["KALLYAI_API_URL"], env["KALLYAI_ACCESS_TOKEN"]
    # Some of the vendor's tools take only a whole second and a refresh token that is not empty.
    sign_in = {
        "access_token": token,
        "refresh_token": "unused",
        "expires_at": int(time.time()) + 86400 * 3650,
    }
    (home / ".kallyai_token.json").write_text(json.dumps(sign_in), encoding="utf-8")
    (home / ".kallyai_token.json").chmod(0o600)
    command, *arguments = [
        part.replace("{url}", url).replace("{token}", token) for part in shlex.split(server)
    ]
    clock = shifted_to(NOW, TIMEZONE) if LIBRARY is not None else {"TZ": TIMEZONE}
    return StdioServerParameters(
        command=command, args=arguments, env={**env, "HOME": str(home), **clock}
    )


_IDS = {
    "confirmation": re.compile(r'confirmation "([^"]+)"'),
    "tracking_id": re.compile(r"\b(t-[0-9a-f-]{8,})"),
    "id": re.compile(r"\b((?:t-)?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\b"),
    "call_id": re.compile(r"\b([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\b"),
}


async def play(task: Task, steps: Sequence[Step], home: Path, server: str = OURS) -> Run:
    """What happens when a script takes the place of the model."""
    results: list[str] = []

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: filled(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [filled(each) for each in value]
        return (
            re.sub(r"\{(confirmation|tracking_id|call_id|id)\}", newest, value)
            if isinstance(value, str)
            else value
        )

    def newest(name: re.Match[str]) -> str:
        found = [ids[-1] for result in results if (ids := _IDS[name[1]].findall(result))]
        if not found:
            raise LookupError(f"{task.id}: no result has a {name[1]}: {results}")
        return str(found[-1])

    async with open_bench(task, home, server) as bench:
        for step in steps:
            if step.tool is not None:
                results.append((await bench.use(step.tool, filled(step.args))).text)
            elif await bench.reply_to(step.says or "") is None:
                break
        return await bench.run(0)
