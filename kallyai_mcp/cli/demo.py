"""`kallyai-mcp demo`: a call on the sandbox, from sign-in to transcript, through a real MCP client."""

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
"""How many times faster than real the demo's calls are: a call takes about three seconds."""

_RESTAURANT = "+14155551234"
_DO_NOT_CALL = "suppression_violation"


class DemoError(Exception):
    """An answer in the demo was not the expected one."""


@dataclass
class Demo:
    """Numbers and prints the steps, and checks the answers of the tools.

    Attributes:
        client: The MCP client, once it is connected.
        step: The number of the current step.
    """

    client: Any
    step: int = 0

    def show(self, title: str) -> None:
        """Begin the next step."""
        self.step += 1
        click.echo()
        click.secho(f"{self.step}. {title}", bold=True)

    async def use(self, tool: str, /, *, expect: str, fails: bool = False, **arguments: Any) -> dict[str, Any]:
        """Call `tool`, and print its text.

        Returns:
            Its structured result.

        Raises:
            DemoError: `expect` is not in the text, or the result is an error and should not be, or the reverse.
        """
        shown_arguments = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        click.secho(f"   {tool}({shown_arguments})", fg="cyan")
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
    """Run the demo and print each step; returns the exit code, 0 only if each answer was the expected one."""
    need_sandbox()
    from kallyai_mcp.sandbox.browser_client import BrowserClientError

    failures: list[str] = []
    try:
        anyio.run(_demo)
    except* (DemoError, KallyAIError, BrowserClientError, OSError) as group:
        failures = [str(error) for error in _errors_in(group)]
    for failure in failures:
        click.secho(f"\nThe demo failed: {failure}", fg="red", err=True)
    if not failures:
        click.secho("\nEach answer was what it should be. It was all the sandbox: nobody was called.", bold=True)
    return 1 if failures else 0


def _errors_in(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from _errors_in(member)
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
        demo = Demo(None)
        demo.show("A sandbox KallyAI starts on this machine; no account is needed")
        click.echo(f"   {url}, calls {_SPEED} times as fast as real ones")

        environment = {
            "KALLYAI_API_URL": url,
            "KALLYAI_HOME": str(home),
            "KALLYAI_TOKEN_STORE": "file",
            # By default the user is asked first when it is night where the number is. The demo must give the same
            # answers at every hour.
            "KALLYAI_CONFIRM": "never",
        }
        demo.show("Signing in, as `kallyai-mcp login` does; an HTTP client takes the part of the browser")
        await _sign_in(Settings.from_env(environment))

        demo.show("An agent's client starts `kallyai-mcp` and connects over stdio")
        server = StdioServerParameters(
            command=sys.executable, args=["-m", "kallyai_mcp"], env=_inherited() | environment
        )
        demo.client = await stack.enter_async_context(Client(server))
        tools = (await demo.client.list_tools()).tools
        click.echo(f"   MCP {demo.client.protocol_version}; tools: {', '.join(tool.name for tool in tools)}")
        await _place_calls(demo)


async def _place_calls(demo: Demo) -> None:
    demo.show("How many minutes are left?")
    before = await demo.use("check_quota", expect="minutes")

    demo.show("Book a table")
    friday = date.today() + timedelta(days=(4 - date.today().weekday()) % 7 or 7)  # noqa: DTZ011 - the user's own day
    call = await demo.use(
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

    demo.show("What was said?")
    transcript = await demo.use("get_transcript", expect="Italian Bistro", call_id=call_id)
    if not any("table for 4" in entry["content"] for entry in transcript["entries"]):
        raise DemoError("the transcript should have mentioned a table for 4")

    demo.show("The appointment, for the calendar")
    event = await demo.use("get_calendar_event", expect="Italian Bistro", call_id=call_id)
    if not event["start"].startswith(f"{friday.isoformat()}T19:00"):
        raise DemoError(f"the event should begin on {friday} at 19:00, not {event['start']}")

    demo.show("All calls so far")
    calls = await demo.use("list_calls", expect=call_id)
    if calls["total"] != 1:
        raise DemoError(f"there should be one call, not {calls['total']}")

    demo.show("A call that is refused: this number is on the do-not-call list")
    await demo.use(
        "make_call",
        expect=_DO_NOT_CALL,
        fails=True,
        task_category="general",
        task_description="Ask for the opening hours",
        respondent_phone=_number_refused_with(_DO_NOT_CALL),
    )

    demo.show("The refused call cost nothing")
    after = await demo.use("check_quota", expect="minutes")
    if after["calls_used"] != before["calls_used"] + 1:
        raise DemoError(f"one call should have been counted, not {after['calls_used'] - before['calls_used']}")


async def _sign_in(settings: Settings) -> None:
    connection = Connection(settings)
    try:
        async with anyio.create_task_group() as tasks:

            async def open_link(link: str) -> bool:
                tasks.start_soon(_follow_link, link)
                return True

            tokens = await sign_in(connection, open_link, _indented)
    finally:
        await connection.close()
    click.echo(f"   signed in as {tokens.who}")


async def _follow_link(link: str) -> None:
    from kallyai_mcp.sandbox import browser_client

    page = await anyio.to_thread.run_sync(browser_client.sign_in, link)
    click.echo(f"   the browser's last page: {page}")


def _indented(text: str) -> None:
    for line in text.splitlines():
        click.echo(f"   {line}")


def _inherited() -> dict[str, str]:
    """This process's environment without the user's settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith("KALLYAI_")}


def _number_refused_with(code: str) -> str:
    """The sandbox's test number whose calls are refused with `code`."""
    from kallyai_mcp.sandbox.simulator.numbers import TEST_NUMBERS

    return next(number.number for number in TEST_NUMBERS if number.refusal == code)
