"""A real MCP client, the server, and the sandbox, in one process."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no types
from mcp import Client
from mcp.server.mcpserver.resources import ResourceTemplate
from mcp.types import CallToolResult, TextContent, TextResourceContents

from kallyai_mcp.calls.timing import Timing
from kallyai_mcp.cli.app_context import open_app_context
from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.clock import Clock
from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.server.build import build_server
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools.catalog import tools
from kallyai_mcp.tools.structure.models import ErrorAnswer
from tests.reference.cases import EXAMPLE
from tests.sandbox.manual_clock import ManualClock

BISTRO = EXAMPLE | {"task_description": "Book a table", "timezone": "America/New_York"}
"""Arguments of a call that succeeds, if placed when the tests' clock starts."""

_check_schema = Draft202012Validator.check_schema
_checked: set[str] = set()


def _check_schema_once(schema: Mapping[str, Any]) -> None:
    """Check that a schema is valid, unless that is known.

    Every client checks the schema of each result that it gets, which takes longer than the call of
    the tool.
    """
    text = json.dumps(schema)
    if text not in _checked:
        _check_schema(schema)
        _checked.add(text)


Draft202012Validator.check_schema = _check_schema_once

# Each server makes its resource templates anew, a class of pydantic for each, which is most of the
# time that building a server takes. They depend on nothing but the function and the texts that are
# given.
setattr(ResourceTemplate, "from_function", cache(ResourceTemplate.from_function))  # noqa: B010 - mypy wants no other type


class WallClock(Clock):
    """A clock of calls whose times are those of another clock, but for its pauses."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.now()

    def continuous(self) -> float:
        return self._clock.now().timestamp()


class ShortPauses(WallClock):
    """The same, with short pauses between two tries, or between two looks."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / 10)


class _Connection(Connection):
    """Looks every second whether a call is due: the tests' clock may have been set."""

    @property
    def timing(self) -> Timing:
        return replace(super().timing, watch_idle=1.0)


def connection_to(app: SandboxApp | None, settings: Settings) -> Connection:
    """A connection to that sandbox; for None, to the KallyAI of the settings."""
    connection = _Connection(replace(settings, sandbox=app is not None))
    if app is not None:
        connection.sandbox = app
    return connection


@dataclass(frozen=True)
class Answer:
    """A tool's result: the text that a model reads, and the structure for programs."""

    result: CallToolResult

    @property
    def text(self) -> str:
        return "\n".join(
            block.text for block in self.result.content if isinstance(block, TextContent)
        )

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = self.result.structured_content or {}
        return data

    @property
    def is_error(self) -> bool:
        return bool(self.result.is_error)


class Agent:
    """An agent that uses the tools by its client."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def use(
        self, tool: str, arguments: Mapping[str, Any] | None = None, /, **more: Any
    ) -> Answer:
        """Call a tool; the client validates the result against the tool's output schema.

        That allows further fields, so it is checked here that each field of the result is declared:
        in the schema, or as one of an error.
        """
        result = await self.client.call_tool(tool, {**(arguments or {}), **more})
        assert isinstance(result, CallToolResult)
        answer = Answer(result)
        assert answer.data.keys() <= _declared()[tool] | (
            ErrorAnswer.model_fields.keys() if answer.is_error else set()
        )
        return answer

    async def calls_made(self) -> int:
        """How many calls the agent's account has placed."""
        total: int = (await self.use("list_calls")).data["total"]
        return total

    async def read(self, uri: str) -> TextResourceContents:
        (contents,) = (await self.client.read_resource(uri)).contents
        assert isinstance(contents, TextResourceContents)
        return contents


@cache
def _declared() -> dict[str, frozenset[str]]:
    """The fields of each tool's results."""
    return {tool.name: frozenset((tool.output_schema or {})["properties"]) for tool in tools()}


@asynccontextmanager
async def open_agent(
    settings: Settings,
    *,
    mode: str,
    clock: ManualClock,
    app: SandboxApp | None = None,
    **client_options: Any,
) -> AsyncIterator[Agent]:
    """An agent whose client uses the protocol generation of `mode`; with `app`, that sandbox is
    KallyAI.
    """
    connection = connection_to(app, settings)
    connection.clock = ShortPauses(clock)
    server = build_server(lambda: open_app_context(connection, timezone="America/New_York"))
    async with Client(
        server, mode=mode, raise_exceptions=mode != "legacy", **client_options
    ) as client:
        yield Agent(client)


def settings_in(home: Path, **environment: str) -> Settings:
    """Settings with which all files are in `home`, no keyring is used, and no user is asked.

    Candidates are called one at a time: a call that sleeps moves the clock of tests for the others.
    """
    names = {f"KALLYAI_{name}": value for name, value in environment.items()}
    quiet = {"KALLYAI_TOKEN_STORE": "file", "KALLYAI_CONFIRM": "never", "KALLYAI_AT_ONCE": "1"}
    return Settings.from_env({"KALLYAI_HOME": str(home), **quiet, **names})
