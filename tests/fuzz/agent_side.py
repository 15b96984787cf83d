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

from kallyai_mcp.sandbox import calls_store
from kallyai_mcp.sandbox.app import SandboxApp, create_app
from tests.fuzz.arguments import SCHEMAS
from tests.sandbox.kit import ManualClock
from tests.telephone import Answer, settings_in, telephone

NOW = datetime(2026, 1, 25, 15, 30, tzinfo=UTC)
LIMIT = 20
"""Seconds until a tool counts as hung."""

LONGEST_ERROR = 4_000
"""Characters of an error's text: each is paid for, and none should be a megabyte that came in."""

JARGON = re.compile(
    r"Traceback|pydantic|validation error|Error executing|Input should|input_value|input_type|\[type=|NoneType"
    r"|object at 0x|Exception\b|site-packages|_error\b(?!\))"
)
"""Words of libraries, which tell an agent nothing."""

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
    """Use a tool, once, on a telephone of its own."""
    clock = ManualClock(NOW)
    app = create_app(clock=clock)
    with tempfile.TemporaryDirectory() as home, anyio.fail_after(LIMIT):
        async with telephone(settings_in(Path(home)), mode=mode, clock=clock, app=app) as agent:
            answer = await agent.use(tool, arguments)
            if tool == "make_call" and answer.data.get("status") == "in_progress":
                later = await agent.use("get_call", call_id=answer.data["tracking_id"], wait_seconds=LIMIT)
                return Seen(answer, _placed(app), later)
            return Seen(answer, _placed(app))


def _placed(app: SandboxApp) -> list[Mapping[str, Any]]:
    with app.state.sandbox.store.transaction() as db:
        return [call.submission for call in calls_store.everything(db)]


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
    if answer.is_error:
        _assert_clear(answer.text)
        if tool == "make_call":
            assert answer.text.startswith(("Not dialled", "Unknown: ")), f"was anything dialled? {answer.text[:300]!r}"
            assert not (seen.dialled and answer.text.startswith("Not dialled")), "it says so, but it was dialled"
            return "refused" if not seen.dialled else "failed"
        assert not seen.dialled
        return "refused"
    if seen.later is not None and seen.later.is_error:
        assert not seen.dialled, "refused, but dialled"
        assert_readable(seen.later.text)
        _assert_clear(seen.later.text)
        return "refused later"
    assert len(seen.dialled) == (tool == "make_call"), f"dialled {len(seen.dialled)} times"
    if seen.dialled:
        asked, got = asked_for(arguments), dict(seen.dialled[0])
        assert got == asked, f"asked for {asked!r}"[:600] + f", dialled {got!r}"[:600]
    assert not set(arguments) - set(SCHEMAS[tool]) - _blank(arguments), "an argument was dropped in silence"
    return "done"


def assert_readable(text: str) -> None:
    text.encode("utf-8")
    odd = {char for char in text if unicodedata.category(char) in {"Cc", "Cs"}} - {"\n"}
    assert not odd, f"control characters in what the agent reads: {odd}"


def _assert_clear(text: str) -> None:
    found = JARGON.search(text)
    assert found is None, f"jargon: {text[:300]!r}"
    assert len(text) <= LONGEST_ERROR, f"{len(text)} characters of error: {text[:100]!r}"


def _is_blank(value: Any) -> bool:
    """Nothing: null, white space, an empty list, and what JSON writes as null."""
    if isinstance(value, float):
        return not math.isfinite(value)
    return value is None or value == [] or (isinstance(value, str) and not value.strip())


def _blank(arguments: Mapping[str, Any]) -> set[str]:
    return {name for name, value in arguments.items() if _is_blank(value)}


def asked_for(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The submission that these arguments of make_call, once accepted, ask for: the reference's spelling of them."""
    return {
        name: _meant(name, value)
        for name, value in arguments.items()
        if name in SCHEMAS["make_call"] and name not in _NOT_SENT and not _is_blank(value)
    }


def _meant(name: str, value: Any) -> Any:
    match name:
        case "respondent_phone" | "user_phone":
            return "+" + "".join(str(unicodedata.digit(char)) for char in value if char.isdigit())
        case "party_size":
            return int(float(value))
        case "is_urgent":
            return str(value).strip().lower() in {"true", "t", "yes", "y", "on", "1", "1.0"}
        case "additional_instructions":
            return [each.strip(_SPACE) for each in (json.loads(value) if isinstance(value, str) else value)]
        case _:
            return value.strip(_SPACE)


_SPACE = "".join(chr(code) for code in range(0x110000) if chr(code).isspace() and not 0x1C <= code <= 0x1F)
"""What counts as white space (Unicode's White_Space; Python's `str.strip` takes four control characters too)."""
