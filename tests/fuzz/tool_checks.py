"""Checks that a tool answers any arguments with a clear error, or places the call that was asked
for.
"""

import logging
import re
import tempfile
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio

from kallyai_mcp.api.models import Submission
from kallyai_mcp.sandbox import call_table
from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.tools.argument_types import json_list
from kallyai_mcp.tools.arguments import read
from kallyai_mcp.tools.catalog import tools
from tests.agent import BISTRO, Answer, open_agent, settings_in
from tests.limits import ERROR_CHARACTERS
from tests.sandbox.manual_clock import ManualClock
from tests.sandbox.sandbox_app import sandbox_app

NOW = datetime(2026, 1, 25, 15, 30, tzinfo=UTC)
PLACED = "c-placed"
"""A `call_id` that stands for the id of a call that is placed first."""

SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    tool.name: tool.parameters["properties"] for tool in tools()
}
"""The schemas of each tool's arguments, by name."""

LIMIT = 120
"""Seconds until a tool counts as hung."""

BIDI_MARKS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""The characters that change the direction of text (Unicode, UAX #9)."""

JARGON = re.compile(
    r"Traceback|pydantic|validation error|Error executing|Input "
    r"should|input_value|input_type|\[type=|NoneType"
    r"|object at 0x|Exception\b|site-packages|_error\b(?!\))"
)
"""Words of libraries' messages, which do not help an agent."""

_NUMBERS = {"respondent_phone", "user_phone"}

_OTHER_TIME = re.compile("(Do not agree to|If that day|No aceptes un|Si ese d).*")
"""What KallyAI is told about another day or time."""

_TRUNK = re.compile(r"^(\+1(?=1)|\+4[49](?=0)).")
"""A country code followed by the trunk prefix, as in "+44 (0)20"; an E.164 number does not have
it.
"""


class _Crashes(logging.Handler):
    """Collects the exceptions that the MCP SDK logs."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and "unexpected" in record.getMessage():
            self.seen.append(f"{record.getMessage()}: {record.exc_info[1]!r}"[:600])


@contextmanager
def without_crash() -> Iterator[None]:
    """Fails the block if the MCP SDK logs an exception that no tool turned into a tool error."""
    crashes, logger = _Crashes(), logging.getLogger("mcp")
    logger.addHandler(crashes)
    try:
        yield
    finally:
        logger.removeHandler(crashes)
    assert not crashes.seen, crashes.seen[0]


@dataclass(frozen=True)
class ToolResult:
    """The answer of one use of a tool, the submissions that it placed, and what `get_call` answered
    `later`.
    """

    answer: Answer
    placed: list[Mapping[str, Any]]
    later: Answer | None = None


async def use(tool: str, arguments: Mapping[str, Any], mode: str) -> ToolResult:
    """Use a tool once, on a new server and sandbox; if `call_id` is `PLACED`, a call is placed
    first.
    """
    clock = ManualClock(NOW)
    with (
        tempfile.TemporaryDirectory() as home,
        anyio.fail_after(LIMIT),
        sandbox_app(clock=clock) as app,
    ):
        async with open_agent(settings_in(Path(home)), mode=mode, clock=clock, app=app) as agent:
            before = []
            if arguments.get("call_id") == PLACED:
                made = await agent.use("make_call", BISTRO)
                arguments = {**arguments, "call_id": made.data["call_id"]}
                before = _placed(app)
            answer = await agent.use(tool, arguments)
            later = None
            if tool == "make_call" and answer.data.get("status") == "in_progress":
                later = await agent.use(
                    "get_call", call_id=answer.data["tracking_id"], wait_seconds=LIMIT
                )
            return ToolResult(answer, _placed(app)[len(before) :], later)


def _placed(app: SandboxApp) -> list[Mapping[str, Any]]:
    with app.state.sandbox.store.transaction() as db:
        return [call.submission for call in call_table.all_calls(db)]


def check_tool_use(tool: str, arguments: Mapping[str, Any], mode: str) -> str:
    """Use a tool, and check that its answer is a clear error or what was asked for.

    Returns `refused`, `refused later`, `failed` (after a call was placed), or `done`.
    """
    with without_crash():
        result = anyio.run(use, tool, arguments, mode)
    answer, parameters = (
        result.answer,
        next(known for known in tools() if known.name == tool).parameters,
    )
    assert answer.text.strip(), "an empty answer"
    assert_readable(answer.text)
    assert_all_readable(answer.data)
    if answer.is_error:
        assert_clear(answer.text, arguments)
        if tool == "make_call":
            not_called = answer.text.startswith("Not called")
            assert not_called or answer.text.startswith("Unknown: "), (
                f"was it? {answer.text[:300]!r}"
            )
            assert not (result.placed and not_called), "a call was placed all the same"
            return "refused" if not result.placed else "failed"
        assert not result.placed
        return "refused"
    if result.later is not None and result.later.is_error:
        assert not result.placed, "a call was placed all the same"
        assert_readable(result.later.text)
        assert_clear(result.later.text, arguments)
        return "refused later"
    assert len(result.placed) == (tool == "make_call"), f"{len(result.placed)} calls were placed"
    if result.placed:
        wanted, got = expected_submission(read(arguments, parameters)), dict(result.placed[0])
        for name in _NUMBERS & wanted.keys():
            if got.get(name) == _TRUNK.sub(r"\1", wanted[name]):
                wanted[name] = got[name]
        if {"appointment_date", "appointment_time"} & wanted.keys():
            told = any(map(_OTHER_TIME.fullmatch, got["additional_instructions"]))
            assert told or "other_times" in arguments, "nothing is said about other times"
        asked = wanted.get("additional_instructions", [])
        got["additional_instructions"] = [
            text for text in got.get("additional_instructions", []) if text in asked
        ]
        got = {name: value for name, value in got.items() if value != []}
        assert got == wanted, f"asked for {wanted!r}"[:600] + f", placed {got!r}"[:600]
    assert not read(arguments, parameters).keys() - SCHEMAS[tool].keys(), "an argument was ignored"
    return "done"


def assert_readable(text: str) -> None:
    """Check that `text` has no control characters and can be encoded."""
    text.encode("utf-8")
    odd = {
        char for char in text if unicodedata.category(char) in {"Cc", "Cs"} or char in BIDI_MARKS
    } - {"\n"}
    assert not odd, f"control characters in the answer: {odd}"


def assert_all_readable(data: Any) -> None:
    """Check every string in `data`: some clients show the structured content to the model."""
    match data:
        case str():
            assert_readable(data)
        case dict():
            assert_all_readable([*data.items()])
        case list() | tuple():
            for each in data:
                assert_all_readable(each)


def assert_clear(text: str, arguments: Mapping[str, Any] | None = None) -> None:
    """Check that an error is not too long and, but for what it quotes of the service or of the
    `arguments`, has no words of libraries.
    """
    own = text.partition("KallyAI:")[0]
    for value in (arguments or {}).values():
        if isinstance(value, str):
            own = own.replace(f'"{value}"', "")
    found = JARGON.search(own)
    assert found is None, f"jargon: {text[:300]!r}"
    ERROR_CHARACTERS.check(len(text), f"the error {text[:100]!r}")


def expected_submission(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The submission that `make_call` should send for these arguments, in the reference's
    format.
    """
    given = {
        name: _normalized(name, value)
        for name, value in arguments.items()
        if name in Submission.model_fields
    }
    # What says nothing is left out.
    return {name: value for name, value in given.items() if value not in ([], False)}


def _normalized(name: str, value: Any) -> Any:
    match name:
        case _ if name in _NUMBERS:
            return "+" + "".join(str(unicodedata.digit(char)) for char in value if char.isdigit())
        case "party_size":
            return int(float(value))
        case "is_urgent":
            return str(value).strip().lower() in {"true", "t", "yes", "y", "on", "1", "1.0"}
        case "additional_instructions":
            return json_list(value)
        case _:
            return value.strip()
