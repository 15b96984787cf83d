"""The calls of the demo: it uses the tools as an agent does, prints the answers, and checks them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import anyio

from kallyai_mcp.background import background_task
from kallyai_mcp.cli.call_view import TerminalReader, outcome_lines, transcript_lines
from kallyai_mcp.cli.console import LiveLine, say, styled, wrapped
from kallyai_mcp.cli.demo_words import SAY
from kallyai_mcp.cli.local_timezone import local_timezone
from kallyai_mcp.cli.words import Words
from kallyai_mcp.tools.results import CallAnswer, TranscriptAnswer
from kallyai_mcp.tools.text.plain import number
from kallyai_mcp.tools.text.times import day_and_hour

_RESTAURANT = "+14155551234"
_DO_NOT_CALL = "suppression_violation"

_CANDIDATES = (("First Bistro", "busy"), ("Second Bistro", "fully_booked"), ("Third Bistro", "success"))
"""Three restaurants, each with the name of the sandbox's test number that it has."""

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
        now: Returns the current time, with a time zone.
    """

    client: Any
    verbose: bool = False
    step: int = 0
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def text(self, key: str, **values: object) -> str:
        """A sentence of the demo."""
        return SAY[key].format(**values)

    def show(self, key: str) -> None:
        """Begin the next step."""
        self.step += 1
        say()
        say(wrapped(f"{self.step}. {self.text(key)}"), bold=True)

    def tell(self, key: str, **values: object) -> None:
        """Print a sentence below the title of the step."""
        say_below(self.text(key, **values))

    async def use(self, tool: str, /, *, expect: str, fails: bool = False, **arguments: Any) -> dict[str, Any]:
        """Call `tool`.

        Returns:
            Its structured result.

        Raises:
            DemoError: `expect` is not in the text, or the result is an error without `fails`, or none with `fails`.
        """
        if self.verbose:
            shown_arguments = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
            say_below(f"{tool}({shown_arguments})", fg="cyan")
        result = await self.client.call_tool(tool, arguments)
        text = "\n".join(block.text for block in result.content if block.type == "text")
        if self.verbose:
            for line in text.splitlines():
                say_below(f"| {line}", dim=True)
        if fails and not result.is_error:
            raise DemoError(f"{tool} should have been refused: {text}")
        if result.is_error and not fails:
            raise DemoError(f"{tool} failed: {text}")
        if expect not in text:
            raise DemoError(f"{tool} should have answered with {expect!r}: {text}")
        structured: dict[str, Any] = result.structured_content or {}
        return structured

    def check(self, is_expected: bool, tool: str, answer: object) -> None:
        """Check an answer of `tool`.

        Raises:
            DemoError: `is_expected` is false.
        """
        if not is_expected:
            raise DemoError(f"{tool} should not have answered {answer}")


def say_below(text: str, **style: Any) -> None:
    """Print lines, indented below the title of the step."""
    for line in text.splitlines():
        say(wrapped(line, "   "), **style)


async def place_calls(demo: Demo) -> None:
    """Place the demo's calls, and print their outcomes.

    Raises:
        DemoError: An answer is not the expected one.
    """
    before = await demo.use("check_quota", expect="35")
    today = demo.now().astimezone().date()
    friday = today + timedelta(days=(4 - today.weekday()) % 7 or 7)
    call_id = await _book(demo, friday)
    await _call_around(demo, friday)
    await _be_refused(demo)
    demo.show("cost")
    calls = await demo.use("list_calls", expect=call_id)
    demo.check(calls["total"] == _CALLS, "list_calls", calls)
    after = await demo.use("check_quota", expect="35")
    if after["period_start"] == before["period_start"]:
        demo.check(after["calls_used"] == before["calls_used"] + _CALLS, "check_quota", after)
        demo.tell("counted", count=_CALLS, minutes=f"{after['minutes_used'] - before['minutes_used']:.1f}")
    else:
        demo.tell("new_period")
    left = {
        name: number(after[key])
        for name, key in (
            ("calls", "calls_remaining"),
            ("all_calls", "calls_allocated"),
            ("minutes", "minutes_remaining"),
            ("all_minutes", "minutes_allocated"),
        )
    }
    demo.tell("left", **left)


async def _book(demo: Demo, friday: date) -> str:
    demo.show("book")
    work = demo.use(
        "make_call",
        expect="Italian Bistro",
        task_category="restaurant",
        task_description=demo.text("book_task"),
        respondent_phone=_RESTAURANT,
        business_name="Italian Bistro",
        user_name="Demo Guest",
        appointment_date=friday.isoformat(),
        appointment_time="19:00",
        party_size=4,
    )
    booked = await _shown_while(work, demo.text("calling"))
    demo.check(booked["outcome"] == "booked", "make_call", booked)
    call_id: str = booked["call_id"]
    reader = TerminalReader(Words(), local_timezone(), demo.now())
    for line in outcome_lines(CallAnswer.model_validate(booked), reader, commands=False, indent="   "):
        say(line)

    demo.show("said")
    transcript = await demo.use("get_transcript", expect="Italian Bistro", call_id=call_id)
    entries = TranscriptAnswer.model_validate(transcript).entries
    demo.check(any("table for 4" in entry.content for entry in entries), "get_transcript", entries)
    for line in transcript_lines(entries, "Italian Bistro", indent="   "):
        say(line)

    demo.show("event")
    event = await demo.use("get_calendar_event", expect="Italian Bistro", call_id=call_id)
    demo.check(event["start"].startswith(f"{friday.isoformat()}T19:00"), "get_calendar_event", event)
    at_seven = datetime(friday.year, friday.month, friday.day, 19)  # noqa: DTZ001 - the callee's own time
    when = day_and_hour(at_seven, demo.now().astimezone())
    demo.tell("event_is", what=event["summary"], when=when)
    return call_id


async def _call_around(demo: Demo, friday: date) -> None:
    demo.show("around")
    asked = {
        "candidates": [
            {"respondent_phone": _test_number(name), "business_name": business} for business, name in _CANDIDATES
        ],
        "until": "booked",
        "task_category": "restaurant",
        "task_description": demo.text("around_task"),
        "user_name": "Demo Guest",
        "appointment_date": friday.isoformat(),
        "appointment_time": "20:00",
        "party_size": 2,
    }
    first = await _list_ended(demo, asked)
    demo.check(first["status"] == "needs_decision", "call_around", first)
    busy, full = first["calls"]
    demo.tell("is_busy", name=busy["business_name"])
    demo.tell("answered", name=full["business_name"], said=full["highlights"])
    demo.tell("decide")
    demo.tell("go_on")
    last = await _list_ended(demo, asked | {"continue_after": first["calls"][-1]["call_id"]})
    outcomes = [call["outcome"] for call in last["calls"]]
    is_booked = last["status"] == "booked" and outcomes == ["not_reached", "answered", "booked"]
    demo.check(is_booked, "call_around", last)
    demo.tell("is_booked", name=last["calls"][-1]["business_name"], booked=styled(demo.text("booked"), bold=True))


async def _be_refused(demo: Demo) -> None:
    demo.show("do_not_call")
    refused = await demo.use(
        "make_call",
        expect=_DO_NOT_CALL,
        fails=True,
        task_category="general",
        task_description=demo.text("hours_task"),
        respondent_phone=_test_number(_DO_NOT_CALL),
    )
    demo.check(refused["placed"] == "no", "make_call", refused)
    demo.tell("is_listed", not_called=styled(demo.text("not_called"), bold=True, fg="red"), code=refused["code"])


async def _list_ended(demo: Demo, asked: dict[str, Any]) -> dict[str, Any]:
    """Use call_around; returns its result once the list has stopped."""
    work = demo.use("call_around", expect=_CANDIDATES[0][0], **asked)
    return await _shown_while(work, demo.text("one_after_another"))


async def _shown_while(work: Awaitable[dict[str, Any]], text: str) -> dict[str, Any]:
    """Await `work`; meanwhile, show `text` with the seconds so far."""
    began = anyio.current_time()
    with LiveLine(err=False) as live:
        live.show(f"   {text}")
        async with background_task(live.keep, lambda: f"   {text}  {anyio.current_time() - began:.0f} s"):
            return await work


def _test_number(name: str) -> str:
    """The first of the sandbox's test numbers of this name."""
    from kallyai_mcp.sandbox.simulator.numbers import TEST_NUMBERS

    return next(number.number for number in TEST_NUMBERS if number.name == name)
