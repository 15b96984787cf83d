"""`kallyai-mcp demo`: a call on the sandbox, from sign-in to transcript, through a real MCP client."""

import itertools
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.cli.call_view import outcome_lines, transcript_lines
from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.cli.console import LiveLine, say, styled, wrapped
from kallyai_mcp.cli.local_timezone import local_timezone
from kallyai_mcp.cli.login import sign_in
from kallyai_mcp.cli.sandbox import need_sandbox
from kallyai_mcp.cli.words import Words
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools.results import CallAnswer, TranscriptAnswer
from kallyai_mcp.tools.text.plain import number

_SPEED = 20
"""How many times faster than real the demo's calls are: a call takes about three seconds."""

_RESTAURANT = "+14155551234"
_DO_NOT_CALL = "suppression_violation"

_CANDIDATES = (("First Bistro", "busy"), ("Second Bistro", "fully_booked"), ("Third Bistro", "success"))
"""Three restaurants, and the names of the sandbox's test numbers that they have."""

_CALLS = 1 + len(_CANDIDATES)
"""How many calls the demo places."""


class DemoError(Exception):
    """An answer in the demo was not the expected one."""


@dataclass
class Demo:
    """Numbers and prints the steps, and checks the answers of the tools.

    Attributes:
        client: The MCP client, once it is connected.
        verbose: Also print each use of a tool: its arguments, and the text that a model reads.
        step: The number of the current step.
    """

    client: Any
    verbose: bool = False
    step: int = 0

    def show(self, title: str) -> None:
        """Begin the next step."""
        self.step += 1
        say()
        say(wrapped(f"{self.step}. {title}"), bold=True)

    async def use(self, tool: str, /, *, expect: str, fails: bool = False, **arguments: Any) -> dict[str, Any]:
        """Call `tool`.

        Returns:
            Its structured result.

        Raises:
            DemoError: `expect` is not in the text, or the result is an error and should not be, or the reverse.
        """
        if self.verbose:
            shown_arguments = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
            _say(f"{tool}({shown_arguments})", fg="cyan")
        result = await self.client.call_tool(tool, arguments)
        text = "\n".join(block.text for block in result.content if block.type == "text")
        if self.verbose:
            for line in text.splitlines():
                _say(f"| {line}", dim=True)
        if result.is_error != fails:
            raise DemoError(f"{tool} {'should have been refused' if fails else 'failed'}: {text}")
        if expect not in text:
            raise DemoError(f"{tool} should have answered with {expect!r}: {text}")
        structured: dict[str, Any] = result.structured_content or {}
        return structured


def run_demo(*, verbose: bool = False) -> int:
    """Run the demo and print each step; returns the exit code, 0 only if each answer was the expected one.

    Args:
        verbose: Also print each use of a tool.
    """
    need_sandbox()
    say(wrapped("A phone call by an agent, from sign-in to transcript. It all happens here; nobody is called."))
    from kallyai_mcp.sandbox.browser_client import BrowserClientError

    failures: list[str] = []
    try:
        anyio.run(_demo, verbose)
    except* (DemoError, KallyAIError, BrowserClientError, OSError) as group:
        failures = [str(error) for error in _errors_in(group)]
    for failure in failures:
        say(f"\nThe demo failed: {failure}", err=True, fg="red")
    if not failures:
        say("\nEach answer was what it should be.", bold=True)
        say("Next: `kallyai-mcp install` adds it to your client; with --sandbox it needs no account.")
        say("`kallyai-mcp demo --verbose` shows what the agent sends and reads.")
    return 1 if failures else 0


def _errors_in(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from _errors_in(member)
    else:
        yield error


async def _demo(verbose: bool) -> None:
    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        demo = Demo(None, verbose)
        demo.show("A local KallyAI starts: the sandbox")
        from kallyai_mcp.sandbox.app import create_app
        from kallyai_mcp.sandbox.serve import running

        app = create_app(speed=_SPEED)
        stack.callback(app.state.sandbox.close)
        url = await stack.enter_async_context(running(app))
        _say(f"{url}, calls {_SPEED} times as fast as real ones")

        environment = {
            "KALLYAI_API_URL": url,
            "KALLYAI_HOME": str(home),
            "KALLYAI_TOKEN_STORE": "file",
            # By default the user is asked first when it is night where the number is. The demo must give the same
            # answers at every hour.
            "KALLYAI_CONFIRM": "never",
        }
        demo.show("You sign in through the browser; here a program takes your part")
        await _sign_in(Settings.from_env(environment), verbose=verbose)

        demo.show("Your agent's client starts the server")
        from mcp import Client
        from mcp.client.stdio import StdioServerParameters

        server = StdioServerParameters(
            command=sys.executable, args=["-m", "kallyai_mcp"], env=_inherited() | environment
        )
        demo.client = await stack.enter_async_context(Client(server))
        tools = (await demo.client.list_tools()).tools
        _say(f"{len(tools)} tools: {', '.join(tool.name for tool in tools)}")
        await _place_calls(demo)


async def _place_calls(demo: Demo) -> None:
    before = await demo.use("check_quota", expect="minutes")

    friday = date.today() + timedelta(days=(4 - date.today().weekday()) % 7 or 7)  # noqa: DTZ011 - the user's own day
    demo.show("You say: Book a table for 4 at Italian Bistro on Friday at 7 PM, by the window. I am Demo Guest.")
    with LiveLine(err=False) as live:
        live.show("   Calling Italian Bistro")
        structure = await _ticking(
            demo.use(
                "make_call",
                expect="Italian Bistro",
                task_category="restaurant",
                task_description="Book a table by the window",
                respondent_phone=_RESTAURANT,
                business_name="Italian Bistro",
                user_name="Demo Guest",
                appointment_date=friday.isoformat(),
                appointment_time="19:00",
                party_size=4,
            ),
            lambda seconds: live.update(f"   Calling Italian Bistro  {seconds} s"),
        )
    call = CallAnswer.model_validate(structure)
    if call.outcome != "booked":
        raise DemoError(f"the call should have booked a table, but the outcome is {call.outcome}")
    zone, now = local_timezone(), datetime.now(UTC)
    for line in outcome_lines(call, Words("en"), timezone=zone, now=now, commands=False, indent="   "):
        say(line)
    call_id = call.call_id

    demo.show("What was said")
    transcript = await demo.use("get_transcript", expect="Italian Bistro", call_id=call_id)
    entries = TranscriptAnswer.model_validate(transcript).entries
    if not any("table for 4" in entry.content for entry in entries):
        raise DemoError("the transcript should have mentioned a table for 4")
    for line in transcript_lines(entries, "Italian Bistro", indent="   "):
        say(line)

    demo.show("The appointment, for your calendar")
    event = await demo.use("get_calendar_event", expect="Italian Bistro", call_id=call_id)
    if not event["start"].startswith(f"{friday.isoformat()}T19:00"):
        raise DemoError(f"the event should begin on {friday} at 19:00, not {event['start']}")
    _say(f"{event['summary']}, {friday:%A}, {friday:%B} {friday.day}, 7:00 PM; and the same as an .ics file")

    await _call_around(demo, friday)

    demo.show("You ask for a call to a number that is on the do-not-call list")
    refused = await demo.use(
        "make_call",
        expect=_DO_NOT_CALL,
        fails=True,
        task_category="general",
        task_description="Ask for the opening hours",
        respondent_phone=_number_refused_with(_DO_NOT_CALL),
    )
    if refused["placed"] != "no":
        raise DemoError("the refusal should say that no call was placed")
    _say(f"{styled('Not called', bold=True, fg='red')}: the number is on the do-not-call list ({refused['code']}).")

    demo.show("What it cost")
    calls = await demo.use("list_calls", expect=str(call_id))
    if calls["total"] != _CALLS:
        raise DemoError(f"there should be {_CALLS} calls, not {calls['total']}")
    after = await demo.use("check_quota", expect="minutes")
    if after["period_start"] == before["period_start"]:
        if after["calls_used"] != before["calls_used"] + _CALLS:
            raise DemoError(
                f"{_CALLS} calls should have been counted, not {after['calls_used'] - before['calls_used']}"
            )
        minutes = after["minutes_used"] - before["minutes_used"]
        _say(f"{_CALLS} calls counted ({minutes:.1f} min), the refused one not.")
    else:
        _say("A new billing period began during the call, so the figures start anew.")
    left = f"{number(after['calls_remaining'])} of {number(after['calls_allocated'])} calls"
    _say(f"{left} and {number(after['minutes_remaining'])} of {number(after['minutes_allocated'])} minutes are left.")


async def _call_around(demo: Demo, friday: date) -> None:
    demo.show("You say: Find a table for 2 on Friday at 8 PM at one of these three")
    asked = {
        "candidates": [
            {"respondent_phone": _test_number(name), "business_name": business} for business, name in _CANDIDATES
        ],
        "until": "booked",
        "task_category": "restaurant",
        "task_description": "Book a table",
        "user_name": "Demo Guest",
        "appointment_date": friday.isoformat(),
        "appointment_time": "20:00",
        "party_size": 2,
    }
    first = await _list_ended(demo, asked)
    if first["status"] != "needs_decision":
        raise DemoError(f"the second restaurant should need a decision, not {first['status']}")
    busy, full = first["calls"]
    _say(f"{busy['business_name']}: busy, so the next one is called.")
    _say(f'{full["business_name"]}: answered. KallyAI: "{full["highlights"]}"')
    _say("Nobody else is called before you have decided: somebody talked, and may have booked.")
    _say("You say: Nothing was booked, so go on")
    last = await _list_ended(demo, asked | {"continue_after": first["calls"][-1]["call_id"]})
    outcomes = [call["outcome"] for call in last["calls"]]
    if (last["status"], outcomes) != ("booked", ["not_reached", "answered", "booked"]):
        raise DemoError(f"the third restaurant should have booked: {last['status']}, {outcomes}")
    _say(f"{last['calls'][-1]['business_name']}: {styled('booked', bold=True)}. Nobody else is called.")


async def _list_ended(demo: Demo, asked: dict[str, Any]) -> dict[str, Any]:
    """Use call_around; returns its result once the list has stopped."""
    with LiveLine(err=False) as live:
        live.show("   Calling one after another")
        work = demo.use("call_around", expect=_CANDIDATES[0][0], **asked)
        return await _ticking(work, lambda seconds: live.update(f"   Calling one after another  {seconds} s"))


async def _ticking(work: Awaitable[dict[str, Any]], tick: Callable[[int], None]) -> dict[str, Any]:
    """Await `work`, and call `tick` each second meanwhile with the seconds so far."""

    async def count() -> None:
        for seconds in itertools.count(1):
            await anyio.sleep(1)
            tick(seconds)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count)
        result = await work
        tasks.cancel_scope.cancel()
    return result


async def _sign_in(settings: Settings, *, verbose: bool) -> None:
    connection = Connection(settings)
    try:
        async with anyio.create_task_group() as tasks:

            async def open_link(link: str) -> bool:
                tasks.start_soon(_follow_link, link, verbose)
                return True

            tokens = await sign_in(connection, open_link, _say if verbose else _say_nothing)
    finally:
        await connection.close()
    _say(f"signed in as {tokens.who}")


async def _follow_link(link: str, verbose: bool) -> None:
    from kallyai_mcp.sandbox import browser_client

    page = await anyio.to_thread.run_sync(browser_client.sign_in, link)
    if verbose:
        _say(f"the browser's last page: {page}")


def _say(text: str, **style: Any) -> None:
    """Print lines, indented below the title of the step."""
    for line in text.splitlines():
        say(wrapped(line, "   "), **style)


def _say_nothing(text: str) -> None:
    """In place of `_say`."""


def _inherited() -> dict[str, str]:
    """This process's environment without the user's settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith("KALLYAI_")}


def _test_number(name: str) -> str:
    """The first of the sandbox's test numbers of this name."""
    from kallyai_mcp.sandbox.simulator.numbers import TEST_NUMBERS

    return next(number.number for number in TEST_NUMBERS if number.name == name)


def _number_refused_with(code: str) -> str:
    """The sandbox's test number whose calls are refused with `code`."""
    from kallyai_mcp.sandbox.simulator.numbers import TEST_NUMBERS

    return next(number.number for number in TEST_NUMBERS if number.refusal == code)
