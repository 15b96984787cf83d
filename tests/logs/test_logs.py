"""The log: what it contains, in both formats, and what it must not contain."""

import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult

from kallyai_mcp.logs.redaction import redact
from kallyai_mcp.logs.request_ids import Correlation, correlation_id
from tests.logs.captured import Format, entries, logging_to, written_to

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1c2VyIn0.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg"
OPAQUE = "kat_5f0c-6b9e.d1c2~a3b4+c5d6-e7f8=="
API_ID = "0b5f5c2e-6a4e-4f63-9d0c-1f6a3f1d2b10"
logger = logging.getLogger("tests.somewhere")


NUMBERS = {
    "+14155551234": "+1…34",
    "+1 (415) 555-1234": "+1…34",
    "415.555.1234": "…34",
    "0049/30/1234567": "…67",
    "tel:+14155551234;ext=5": "tel:+1…34;ext=5",
    "١٢٣٤٥٦٧٨٩": "…٨٩",
    "2026-01-28-4155551234": "2026-01-28-…34",
}

HARMLESS = (
    "HTTP 503 in 1200 ms; port 8000, 123456",
    "at 2026-01-28T19:00:00.123456+00:00 or 2026-01-28T19:00:00Z",
    f"call {API_ID} ended",
    "3f786850e387550fdab836ed7e6dc881de23001b",
    "bearer token expired; Bearer authentication",
    "keyAcme, eyebrow, they jumped; code: quota_exceeded",
)


def test_the_log_shortens_phone_numbers_alone() -> None:
    for written, left in NUMBERS.items():
        assert (
            redact(f"to {written}, please") == redact(f"to {left}, please") == f"to {left}, please"
        )
    for text in HARMLESS:
        assert redact(text) == text
    with_gaps = "1 2 3 4 5 6    " * 20_000  # takes hours if the pattern tries every way to split it
    assert len(redact(with_gaps)) <= len(with_gaps)


SECRETS = [
    "Authorization: Bearer {}",
    "authorization: {}",
    "{{'Authorization': 'Bearer {}'}}",
    '{{"access_token": "{}"}}',
    "refresh_token={}&grant_type=refresh_token",
    "http://127.0.0.1:5000/?code={}&state=abc",
    "client_secret = {} was refused",
    "postgresql://user:{}@db.example.com:5432/calls",
]


def test_the_log_hides_a_secret() -> None:
    for around in SECRETS:
        for token in (JWT, OPAQUE, "short", JWT.split(".")[0]):
            left = redact(around.format(token))

            assert token not in left, around
            assert "[token]" in left
            assert redact(left) == left
    for text in (f"it was {JWT}", f"x_{JWT}", f"bearer {OPAQUE}", f"BEARER\t{OPAQUE}", f"[{JWT}]"):
        left = redact(text)

        assert "[token]" in left
        assert not any(
            part in left for token in (JWT, OPAQUE) for part in (token, *token.split("."))
        )


@pytest.mark.parametrize("format_", ["text", "json"])
def test_both_log_formats_hide_private_text(format_: Format) -> None:
    stream = logging_to(format_, "DEBUG")

    def look_up() -> None:
        raise KeyError("Sample Guest said: my number is +14155551234")

    def fail() -> None:
        try:
            look_up()
        except KeyError as error:
            raise ValueError(f"transcript of Sample Guest, {JWT}") from error

    logger.warning("calling %s with %s", "+14155551234", f"Bearer {OPAQUE}")
    logger.warning("415\n555\n1234 %(token)s", {"token": JWT})
    for library in ("mcp.server.sse", "sse_starlette.sse", "httpcore2.http11"):
        logging.getLogger(library).debug("Received JSON: Sample Guest's words")
        logging.getLogger(library).info("started")
    logger.debug("%d calls by Sample Guest", "four")  # which can't be formatted
    try:
        fail()
    except ValueError:
        logger.exception("A call could not be followed to its end")

    text = written_to(stream)
    assert text.count("…34" if format_ == "text" else "\\u202634") == 2
    assert text.count("started") == 3
    for words in ("ValueError", "KeyError", "test_logs.py:", " fail"):
        assert words in text
    for words in ("4155551234", OPAQUE, "eyJ", "Sample Guest", "transcript", "/tests/"):
        assert words not in text
    # A time may have these digits, but not together.
    assert re.search(r"415(?:\s|\\n)*555", text) is None


def test_a_log_line_is_text_or_json() -> None:
    as_json = logging_to("json")
    logger.info("ready for %d", 2)
    as_text = logging_to("text")  # which replaces the first one
    logger.info("first\nforged \x1b[31mline")
    (entry,) = entries(as_json)

    assert entry == {
        "ts": entry["ts"],
        "level": "INFO",
        "logger": "tests.somewhere",
        "message": "ready for 2",
    }
    assert datetime.fromisoformat(entry["ts"]).utcoffset() is not None
    assert written_to(as_text) == "first forged  [31mline\n"


def server() -> MCPServer[Any]:
    built: MCPServer[Any] = MCPServer("test", middleware=[Correlation()])

    @built.tool()
    async def work() -> str:
        async def background() -> None:
            logger.info("from a task")

        logger.info("working")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(background)
        return correlation_id.get() or "none"

    @built.tool()
    async def refuse() -> CallToolResult:
        facts = {"code": "quota_exceeded", "correlation_id": API_ID}
        return CallToolResult(content=[], is_error=True, structured_content=facts)

    @built.tool()
    async def reject() -> str:
        raise ToolError("Not called: Sample Guest has no such table")

    @built.tool()
    async def protest() -> str:
        raise MCPError(-32050, "Sample Guest, +14155551234")

    return built


@asynccontextmanager
async def connected() -> AsyncIterator[Client]:
    with anyio.fail_after(60):
        async with Client(server()) as client:
            yield client


FAILING = ("refuse", "reject", "protest", "+14155551234")


async def fail(client: Client) -> None:
    """Call each tool that fails."""
    for tool in FAILING:
        with suppress(MCPError):
            await client.call_tool(tool, {})


async def test_the_lines_of_a_request_share_its_id() -> None:
    async with connected() as client:
        stream = logging_to("json", "DEBUG")
        worked = [await client.call_tool("work", {}) for _ in range(2)]
    ids = [answer.structured_content["result"] for answer in worked if answer.structured_content]

    assert len(set(ids)) == 2
    assert [
        (line["message"], line["correlation_id"])
        for line in entries(stream)
        if line["logger"] == logger.name
    ] == [(message, id_) for id_ in ids for message in ("working", "from a task")]
    assert correlation_id.get() is None


async def test_a_failed_tool_call_is_one_line() -> None:
    async with connected() as client:
        stream = logging_to("json", "DEBUG")
        await fail(client)
    lines = [line for line in entries(stream) if line["logger"] == "kallyai_mcp.logs.request_ids"]

    assert [line["message"] for line in lines] == [
        "refuse failed: quota_exceeded",
        "reject failed: tool_error",
        "protest failed: -32050",
        "tools/call failed: tool_error",
    ]
    assert len({line["correlation_id"] for line in lines}) == len(FAILING)
    assert not re.search("Sample Guest|4155551234", written_to(stream))


async def test_a_failed_tool_calls_line_has_its_code() -> None:
    async with connected() as client:
        stream = logging_to("json", "DEBUG")
        await client.call_tool("refuse", {})
    (line,) = [line for line in entries(stream) if line["logger"] == "kallyai_mcp.logs.request_ids"]
    expected = {
        "level": "INFO",
        "code": "quota_exceeded",
        "tool": "refuse",
        "api_correlation_id": API_ID,
    }

    assert {name: line[name] for name in expected} == expected


async def test_a_failed_tool_calls_text_has_both_ids() -> None:
    async with connected() as client:
        text = logging_to("text")
        await client.call_tool("refuse", {})

    shown = rf"\(correlation_id [0-9a-f]{{12}}, request_id \d+, api_correlation_id {API_ID}\)"
    assert re.search(rf"^refuse failed: quota_exceeded {shown}$", written_to(text), re.MULTILINE)
