"""`kallyai-mcp demo`: the main job on the sandbox, from sign-in to transcript, through a real MCP client."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import click

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.cli.login import sign_in
from kallyai_mcp.cli.sandbox import need_sandbox
from kallyai_mcp.settings import Settings

_SPEED = 20
"""How many times faster than real the demo's calls are: a call takes some three seconds."""

_RESTAURANT = "+14155551234"
_DO_NOT_CALL = "suppression_violation"


class DemoError(Exception):
    """An answer of the demo was not what it should be."""


@dataclass
class Stage:
    """Where the demo plays: it numbers and prints the steps, and checks what comes back."""

    client: Any
    step: int = 0

    def show(self, title: str) -> None:
        """Begin a step."""
        self.step += 1
        click.echo()
        click.secho(f"{self.step}. {title}", bold=True)

    async def use(self, tool: str, /, *, expect: str, fails: bool = False, **arguments: Any) -> dict[str, Any]:
        """Call `tool`, print the answer as an agent reads it, and give back its structured half.

        Raises:
            DemoError: `expect` is not in the answer, or it is an error and should not be one, or the other way round.
        """
        given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        click.secho(f"   {tool}({given})", fg="cyan")
        result = await self.client.call_tool(tool, arguments)
        text = "\n".join(block.text for block in result.content if block.type == "text")
        for line in text.splitlines():
            click.echo(f"   | {line}")
        if result.is_error != fails:
            raise DemoError(f"{tool} {'should have been refused' if fails else 'failed'}: {text}")
        if expect not in text:
            raise DemoError(f"{tool} should have answered with {expect!r}: {text}")
        structured: dict[str, Any] = result.structured_content or {}
        return structured


def run_demo() -> int:
    """Run the demo, printing each step; returns the exit code: 0 only if each answer was what it should be."""
    need_sandbox()
    from kallyai_mcp.sandbox.browser_client import BrowserClientError

    failures: list[str] = []
    try:
        anyio.run(_demo)
    except* (DemoError, KallyAIError, BrowserClientError, OSError) as group:
        failures = [str(error) for error in _leaves(group)]
    for failure in failures:
        click.secho(f"\nThe demo failed: {failure}", fg="red", err=True)
    if not failures:
        click.secho("\nEach answer was what it should be. It was all the sandbox: nobody was rung.", bold=True)
    return 1 if failures else 0


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from _leaves(member)
    else:
        yield error


async def _demo() -> None:
    from mcp import Client
    from mcp.client.stdio import StdioServerParameters

    from kallyai_mcp.sandbox.app import create_app
    from kallyai_mcp.sandbox.serve import running

    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        app = create_app(speed=_SPEED)
        stack.callback(app.state.sandbox.close)
        url = await stack.enter_async_context(running(app))
        stage = Stage(None)
        stage.show("A sandbox KallyAI starts on this machine; no account is needed")
        click.echo(f"   {url}, calls {_SPEED} times as fast as real ones")

        environment = {
            "KALLYAI_API_URL": url,
            "KALLYAI_HOME": str(home),
            "KALLYAI_TOKEN_STORE": "file",
            # The default mode asks the user first when it is night where the number is. The sandbox calls nobody,
            # so the demo gives the same answers at every hour.
            "KALLYAI_CONFIRM": "never",
        }
        stage.show("Signing in, as `kallyai-mcp login` does; an HTTP client plays the browser")
        await _sign_in(Settings.from_env(environment))

        stage.show("An agent's client starts `kallyai-mcp` and connects over stdio")
        server = StdioServerParameters(
            command=sys.executable, args=["-m", "kallyai_mcp"], env=_inherited() | environment
        )
        stage.client = await stack.enter_async_context(Client(server))
        tools = (await stage.client.list_tools()).tools
        click.echo(f"   MCP {stage.client.protocol_version}; tools: {', '.join(tool.name for tool in tools)}")
        await _errand(stage)


async def _errand(stage: Stage) -> None:
    stage.show("How many minutes are left?")
    before = await stage.use("check_quota", expect="minutes")

    stage.show("Book a table")
    friday = date.today() + timedelta(days=(4 - date.today().weekday()) % 7 or 7)  # noqa: DTZ011 - the user's own day
    call = await stage.use(
        "make_call",
        expect="Done: ",
        task_category="restaurant",
        task_description="Book a table by the window",
        respondent_phone=_RESTAURANT,
        business_name="Italian Bistro",
        user_name="Demo Guest",
        appointment_date=friday.isoformat(),
        appointment_time="19:00",
        party_size=4,
    )
    if call["status"] != "success":
        raise DemoError(f"the call should have succeeded, but is {call['status']}")
    call_id = call["call_id"]

    stage.show("What was said?")
    transcript = await stage.use("get_transcript", expect="Italian Bistro", call_id=call_id)
    if not any("table for 4" in entry["content"] for entry in transcript["entries"]):
        raise DemoError("the transcript should have spoken of a table for 4")

    stage.show("The appointment, for the calendar")
    event = await stage.use("get_calendar_event", expect="Italian Bistro", call_id=call_id)
    if not event["start"].startswith(f"{friday.isoformat()}T19:00"):
        raise DemoError(f"the event should begin on {friday} at 19:00, not {event['start']}")

    stage.show("All calls so far")
    calls = await stage.use("list_calls", expect=call_id)
    if calls["total"] != 1:
        raise DemoError(f"there should be one call, not {calls['total']}")

    stage.show("A call that is refused: this number is on the do-not-call list")
    await stage.use(
        "make_call",
        expect=_DO_NOT_CALL,
        fails=True,
        task_category="general",
        task_description="Ask for the opening hours",
        respondent_phone=_number_that_meets(_DO_NOT_CALL),
    )

    stage.show("The refused call cost nothing")
    after = await stage.use("check_quota", expect="minutes")
    if after["calls_used"] != before["calls_used"] + 1:
        raise DemoError(f"one call should have been counted, not {after['calls_used'] - before['calls_used']}")


async def _sign_in(settings: Settings) -> None:
    connection = Connection(settings)
    try:
        async with anyio.create_task_group() as tasks:

            async def open_link(link: str) -> bool:
                tasks.start_soon(_play_browser, link)
                return True

            tokens = await sign_in(connection, open_link, _indented)
    finally:
        await connection.close()
    click.echo(f"   signed in as {tokens.who}")


async def _play_browser(link: str) -> None:
    from kallyai_mcp.sandbox import browser_client

    page = await anyio.to_thread.run_sync(browser_client.sign_in, link)
    click.echo(f"   the browser's last page: {page}")


def _indented(text: str) -> None:
    for line in text.splitlines():
        click.echo(f"   {line}")


def _inherited() -> dict[str, str]:
    """What a child needs of our environment, and none of the settings that a person may have there."""
    return {name: value for name, value in os.environ.items() if not name.startswith("KALLYAI_")}


def _number_that_meets(code: str) -> str:
    """The sandbox's test number that is refused with `code`."""
    from kallyai_mcp.sandbox.simulator.numbers import TEST_NUMBERS

    return next(number.number for number in TEST_NUMBERS if number.refusal == code)
