"""The agent's side: whatever a tool is called with, it is a clear error, or the call that was asked for."""

import json
import logging
import math
import re
import tempfile
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio

from kallyai_mcp.sandbox import call_table
from kallyai_mcp.sandbox.app import SandboxApp
from tests.agent import BISTRO, Answer, agent_on, settings_in
from tests.fuzz.arguments import PLACED, SCHEMAS
from tests.sandbox.manual_clock import ManualClock
from tests.sandbox.sandbox_app import sandbox_app

NOW = datetime(2026, 1, 25, 15, 30, tzinfo=UTC)
LIMIT = 20
"""Seconds until a tool counts as hung."""

LONGEST_ERROR = 4_000
"""Characters of an error's text: each is paid for, and none should be a megabyte that came in."""

BIDI_MARKS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""What turns the direction of writing round (Unicode's UAX #9)."""

JARGON = re.compile(
    r"Traceback|pydantic|validation error|Error executing|Input should|input_value|input_type|\[type=|NoneType"
    r"|object at 0x|Exception\b|site-packages|_error\b(?!\))"
)
"""Words of libraries, which tell an agent nothing."""

_NUMBERS = {"respondent_phone", "user_phone"}

_TRUNK = re.compile(r"^(\+1(?=1)|\+4[49](?=0)).")
"""A country's code with the prefix of calls within it, as in "+44 (0)20": from abroad that is not dialled."""

_NOT_SENT = {"timezone", "wait_seconds", "redial", "confirmation"}


class Crashes(logging.Handler):
    """While entered, notes what the MCP SDK logs of exceptions that no tool of ours has put into words."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and "unexpected" in record.getMessage():
            self.seen.append(f"{record.getMessage()}: {record.exc_info[1]!r}"[:600])

    def __enter__(self) -> Self:
        logging.getLogger("mcp").addHandler(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        logging.getLogger("mcp").removeHandler(self)
        if kind is None:
            assert not self.seen, self.seen[0]


@dataclass(frozen=True)
class Seen:
    """What one use of a tool came to: its answer, the submissions that the sandbox took, and what was told later."""

    answer: Answer
    dialled: list[Mapping[str, Any]]
    later: Answer | None = None


async def use(tool: str, arguments: Mapping[str, Any], mode: str) -> Seen:
    """Use a tool, once, on a telephone of its own; a call that it asks about by `PLACED` is made first."""
    clock = ManualClock(NOW)
    with tempfile.TemporaryDirectory() as home, anyio.fail_after(LIMIT), sandbox_app(clock=clock) as app:
        async with agent_on(settings_in(Path(home)), mode=mode, clock=clock, app=app) as agent:
            before = []
            if arguments.get("call_id") == PLACED:
                made = await agent.use("make_call", BISTRO)
                arguments = {**arguments, "call_id": made.data["call_id"]}
                before = _placed(app)
            answer = await agent.use(tool, arguments)
            later = None
            if tool == "make_call" and answer.data.get("status") == "in_progress":
                later = await agent.use("get_call", call_id=answer.data["tracking_id"], wait_seconds=LIMIT)
            return Seen(answer, _placed(app)[len(before) :], later)


def _placed(app: SandboxApp) -> list[Mapping[str, Any]]:
    with app.state.sandbox.store.transaction() as db:
        return [call.submission for call in call_table.all_calls(db)]


def hold_to_the_law(tool: str, arguments: Mapping[str, Any], mode: str) -> str:
    """Use a tool and check what it came to.

    Returns:
        What it was: `refused`, `failed` (once it was sent) or `done`.

    Raises:
        AssertionError: It was neither a clear error nor what was asked for.
    """
    with Crashes():
        seen = anyio.run(use, tool, arguments, mode)
    answer = seen.answer
    assert answer.text.strip(), "an answer without a word"
    assert_readable(answer.text)
    assert_all_readable(answer.data)
    if answer.is_error:
        assert_clear(answer.text)
        if tool == "make_call":
            assert answer.text.startswith(("Not dialled", "Unknown: ")), f"was anything dialled? {answer.text[:300]!r}"
            assert not (seen.dialled and answer.text.startswith("Not dialled")), "it says so, but it was dialled"
            return "refused" if not seen.dialled else "failed"
        assert not seen.dialled
        return "refused"
    if seen.later is not None and seen.later.is_error:
        assert not seen.dialled, "refused, but dialled"
        assert_readable(seen.later.text)
        assert_clear(seen.later.text)
        return "refused later"
    assert len(seen.dialled) == (tool == "make_call"), f"dialled {len(seen.dialled)} times"
    if seen.dialled:
        asked, got = asked_for(arguments), dict(seen.dialled[0])
        for name in _NUMBERS & asked.keys():
            if got.get(name) == _TRUNK.sub(r"\1", asked[name]):
                asked[name] = got[name]
        assert got == asked, f"asked for {asked!r}"[:600] + f", dialled {got!r}"[:600]
    assert not set(arguments) - set(SCHEMAS[tool]) - _blank(arguments), "an argument was dropped in silence"
    return "done"


def assert_readable(text: str) -> None:
    """Nothing in `text` that a terminal takes for an order, or that no encoder takes."""
    text.encode("utf-8")
    odd = {char for char in text if unicodedata.category(char) in {"Cc", "Cs"} or char in BIDI_MARKS} - {"\n"}
    assert not odd, f"control characters in what the agent reads: {odd}"


def assert_all_readable(data: Any) -> None:
    """The same of every text in `data`: many a client hands its model the structured content."""
    match data:
        case str():
            assert_readable(data)
        case dict():
            assert_all_readable([*data.items()])
        case list() | tuple():
            for each in data:
                assert_all_readable(each)
        case _:
            pass


def assert_clear(text: str) -> None:
    """No words of libraries in `text`, but for what it quotes of the service, and not too many words."""
    found = JARGON.search(text.partition("KallyAI says:")[0])
    assert found is None, f"jargon: {text[:300]!r}"
    assert len(text) <= LONGEST_ERROR, f"{len(text)} characters of error: {text[:100]!r}"


def _is_blank(name: str, value: Any) -> bool:
    """Nothing: null, white space, a list of that, what JSON writes as null; "null" where not any text will do."""
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, list):
        return all(isinstance(each, str) and not each.strip() for each in value)
    if name == "additional_instructions" and isinstance(value, str) and value.lstrip().startswith("["):
        return _is_blank(name, json.loads(value))
    return value is None or (isinstance(value, str) and value.strip() in {"", "null" if name in _PICKY else ""})


_PICKY = {
    *("task_category", "appointment_date", "appointment_time", "party_size", "language", "call_language", "is_urgent"),
    *("additional_instructions", "wait_seconds", "redial", "limit", "offset"),
}
"""The arguments that do not take any text."""


def _blank(arguments: Mapping[str, Any]) -> set[str]:
    return {name for name, value in arguments.items() if _is_blank(name, value)}


def asked_for(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The submission that these arguments of make_call, once accepted, ask for: the reference's spelling of them."""
    return {
        name: _meant(name, value)
        for name, value in arguments.items()
        if name in SCHEMAS["make_call"] and name not in _NOT_SENT and not _is_blank(name, value)
    }


def _meant(name: str, value: Any) -> Any:
    match name:
        case _ if name in _NUMBERS:
            return "+" + "".join(str(unicodedata.digit(char)) for char in value if char.isdigit())
        case "party_size":
            return int(float(value))
        case "is_urgent":
            return str(value).strip().lower() in {"true", "t", "yes", "y", "on", "1", "1.0"}
        case "additional_instructions":
            items = json.loads(value) if isinstance(value, str) else value
            return [each.strip() for each in items if each.strip()]
        case _:
            return value.strip()
