"""The log and the counters: what they contain, in both formats, and what they must not contain."""

import io
import json
import logging
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, redirect_stderr, suppress
from datetime import datetime
from typing import Any, Literal

import anyio
import httpx2
import pytest
from mcp import Client, MCPError
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult
from starlette.applications import Starlette

from kallyai_mcp.logs import Correlation, configure, correlation_id, note_failure, redact

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1c2VyIn0.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg"
OPAQUE = "kat_5f0c-6b9e.d1c2~a3b4+c5d6-e7f8=="
API_ID = "0b5f5c2e-6a4e-4f63-9d0c-1f6a3f1d2b10"
Format = Literal["text", "json"]
FORMATS = pytest.mark.parametrize("format_", ["text", "json"])
logger = logging.getLogger("tests.somewhere")


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    """Restores the handlers and levels that a test changes."""
    root = logging.getLogger()
    libraries = ("mcp", "mcp.server.mcpserver.server", "sse_starlette", "httpcore2")
    named = [logging.getLogger(name) for name in libraries]
    handlers, levels = list(root.handlers), [(known, known.level) for known in (root, *named)]
    yield
    root.handlers[:] = handlers
    for known, level in levels:
        known.setLevel(level)


def logging_to(format_: Format, level: str = "INFO") -> io.StringIO:
    stream = io.StringIO()
    with redirect_stderr(stream):
        configure(level, format_)
    return stream


def entries(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


NUMBERS = {
    "+14155551234": "+1…34",
    "+1 415 555 1234": "+1…34",
    "+1 (415) 555-1234": "+1…34",
    "+34-912-345-678": "+3…78",
    "(415) 555-1234": "…34",
    "415.555.1234": "…34",
    "555-1234": "…34",
    "01 23 45 67 89": "…89",
    "415\u2011555\u20111234": "…34",
    "0049/30/1234567": "…67",
    "tel:+14155551234;ext=5": "tel:+1…34;ext=5",
    "phone4155551234x": "phone…34x",
    "%2B14155551234": "%2B…34",
    "١٢٣٤٥٦٧٨٩": "…٨٩",
    "2026-01-28 4155551234": "2026-01-28 …34",
    "2026-01-28-4155551234": "2026-01-28-…34",
}

HARMLESS = (
    "Sample Guest at Italian Bistro, table for 4",
    "HTTP 503 in 1200 ms; port 8000, 123456",
    "at 2026-01-28T19:00:00.123456+00:00 or 2026-01-28T19:00:00Z",
    f"call {API_ID} ended",
    "t-11111111-2222-3333-4444-555555555555",
    "3f786850e387550fdab836ed7e6dc881de23001b",
    "bearer token expired; Bearer authentication",
    "keyAcme, eyebrow, they jumped; code: quota_exceeded",
    "GET /v1/calls?limit=1&offset=0 http://127.0.0.1:8000/mcp",
)


def test_a_phone_number_is_shortened_to_its_last_two_digits_and_other_text_is_not_changed() -> None:
    for written, left in NUMBERS.items():
        assert redact(f"to {written}, please") == redact(f"to {left}, please") == f"to {left}, please"
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


def test_a_secret_is_hidden_by_the_text_around_it_or_by_its_form() -> None:
    for around in SECRETS:
        for token in (JWT, OPAQUE, "short", JWT.split(".")[0]):
            left = redact(around.format(token))

            assert token not in left, around
            assert "[token]" in left
            assert redact(left) == left
    for text in (f"it was {JWT}", f"x_{JWT}", f"bearer {OPAQUE}", f"BEARER\t{OPAQUE}", f"[{JWT}]"):
        left = redact(text)

        assert "[token]" in left
        assert not any(part in left for token in (JWT, OPAQUE) for part in (token, *token.split(".")))


@FORMATS
def test_both_formats_hide_numbers_and_tokens(format_: Format) -> None:
    stream = logging_to(format_)

    logger.warning("calling %s with %s", "+14155551234", f"Bearer {OPAQUE}")
    logger.warning("415\n555\n1234 %(token)s", {"token": JWT})

    assert "…34" in stream.getvalue() or "\\u202634" in stream.getvalue()
    for secret in ("4155551234", "555", OPAQUE, JWT, "eyJ"):
        assert secret not in stream.getvalue()


def test_a_line_is_a_message_without_line_breaks_or_a_json_object() -> None:
    as_text, as_json = logging_to("text"), logging_to("json")  # which replaces the first one
    logger.info("ready for %d", 2)
    (entry,) = entries(as_json)
    again = logging_to("text")
    logger.info("first\nforged \x1b[31mline")

    assert entry == {"ts": entry["ts"], "level": "INFO", "logger": "tests.somewhere", "message": "ready for 2"}
    assert entry["ts"].endswith("Z")
    assert datetime.fromisoformat(entry["ts"]).utcoffset() is not None
    assert as_text.getvalue() == ""
    assert again.getvalue() == "first forged  [31mline\n"


@FORMATS
def test_debug_logs_of_libraries_that_log_whole_messages_are_off(format_: Format) -> None:
    stream = logging_to(format_, "DEBUG")

    for library in ("mcp.server.sse", "sse_starlette.sse", "httpcore2.http11"):
        logging.getLogger(library).debug("Received JSON: somebody's words")
        logging.getLogger(library).info("started")
    logger.debug("ours")

    assert "somebody" not in stream.getvalue()
    assert stream.getvalue().count("started") == 3
    assert "ours" in stream.getvalue()


@FORMATS
def test_an_exception_is_logged_as_types_and_lines_of_code_without_its_messages(format_: Format) -> None:
    stream = logging_to(format_)

    def look_up() -> None:
        raise KeyError("Sample Guest said: my number is +14155551234")

    def fail() -> None:
        try:
            look_up()
        except KeyError as error:
            raise ValueError(f"transcript of Sample Guest, {JWT}") from error

    try:
        fail()
    except ValueError:
        logger.exception("A call could not be followed to its end")

    text = stream.getvalue()
    for words in ("ValueError", "KeyError", "test_logs.py:", " fail"):
        assert words in text
    for words in ("Sample Guest", "transcript", "…34", "eyJ", "/tests/"):
        assert words not in text


def test_a_line_that_can_not_be_formatted_or_written_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger().handlers.clear()  # pytest's own handler raises
    configure("INFO")
    logger.warning("%d calls", "+14155551234")
    stream = logging_to("text")
    stream.close()
    logger.warning("lost")

    assert capsys.readouterr() == ("", "")


def server() -> MCPServer[Any]:
    built: MCPServer[Any] = MCPServer("test", middleware=[Correlation()])

    @built.tool()
    async def work() -> str:
        async def background() -> None:
            logger.info("from a task")

        logger.info("working")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(background)
        return correlation_id() or "none"

    @built.tool()
    async def refuse() -> CallToolResult:
        note_failure("quota_exceeded", API_ID)
        return CallToolResult(content=[], is_error=True)

    @built.tool()
    async def reject() -> str:
        raise ToolError("Not called: Sample Guest has no such table")

    @built.tool()
    async def protest() -> str:
        raise MCPError(-32050, "Sample Guest, +14155551234")

    return built


@asynccontextmanager
async def connected() -> AsyncIterator[Client]:
    with anyio.fail_after(20):
        async with Client(server()) as client:
            yield client


async def test_all_lines_of_a_request_have_its_id_and_each_request_has_another() -> None:
    async with connected() as client:
        stream = logging_to("json")
        answers = [await client.call_tool("work", {}) for _ in range(2)]

    ids = [answer.structured_content["result"] for answer in answers if answer.structured_content]
    lines = [entry for entry in entries(stream) if entry["logger"] == "tests.somewhere"]
    assert len(set(ids)) == 2
    assert all(len(id_) == 12 for id_ in ids)
    assert [(line["message"], line["correlation_id"]) for line in lines] == [
        (message, id_) for id_ in ids for message in ("working", "from a task")
    ]
    assert correlation_id() is None


async def test_a_failed_tool_call_is_one_line_with_its_code_and_both_ids() -> None:
    async with connected() as client:
        stream = logging_to("json")
        await client.call_tool("refuse", {})
        text = logging_to("text")
        await client.call_tool("refuse", {})

    (line,) = [entry for entry in entries(stream) if entry["logger"] == "kallyai_mcp.logs"]
    assert (line["level"], line["message"]) == ("INFO", "refuse failed: quota_exceeded")
    assert (line["code"], line["tool"], line["api_correlation_id"]) == ("quota_exceeded", "refuse", API_ID)
    assert len(line["correlation_id"]) == 12
    ids = rf"\(correlation_id [0-9a-f]{{12}}, api_correlation_id {API_ID}\)"
    assert re.search(rf"^refuse failed: quota_exceeded {ids}$", text.getvalue(), re.MULTILINE)


async def test_other_failures_are_one_line_without_their_messages() -> None:
    async with connected() as client:
        stream = logging_to("json", "DEBUG")
        for tool in ("reject", "protest", "+14155551234"):
            with suppress(MCPError):
                await client.call_tool(tool, {})

    lines = [entry["message"] for entry in entries(stream) if entry["logger"] == "kallyai_mcp.logs"]
    assert lines == ["reject failed: tool_error", "protest failed: -32050", "tools/call failed: tool_error"]
    assert "Sample Guest" not in stream.getvalue()
    assert "4155551234" not in stream.getvalue()


async def test_over_http_the_id_is_that_of_the_header_if_it_is_a_valid_one() -> None:
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "work", "arguments": {}}}
    built = server()
    app: Starlette = built.streamable_http_app(stateless_http=True, json_response=True)
    transport = httpx2.ASGITransport(app)
    with anyio.fail_after(20):
        async with (
            built.session_manager.run(),
            httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client,
        ):

            async def used(given: str) -> str:
                headers = {"Accept": "application/json, text/event-stream", "X-Correlation-Id": given}
                answer = (await client.post("/mcp", json=request, headers=headers)).json()
                return str(answer["result"]["structuredContent"]["result"])

            for good in ("abc-123", API_ID, "Root.1_a", "x" * 64):
                assert await used(good) == good
            for bad in ("", "x" * 65, "a b", "-rf", "4155551234", JWT[:40], "a;b", "x%0aforged"):
                assert len(await used(bad)) == 12


COUNTED = """
import json, sys
from kallyai_mcp import logs
logs.call_ended("success")
before = [name for name in sys.modules if name.startswith("opentelemetry.sdk")]

import anyio
from mcp import Client
from mcp.server.mcpserver import MCPServer
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

reader, spans = InMemoryMetricReader(), InMemorySpanExporter()
metrics.set_meter_provider(MeterProvider([reader]))
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)

logs.call_ended("success")
logs.call_ended("+1 415 555 1234")
logs.call_refused("toll_number")
logs.api_request_ended("GET", 200)
logs.api_request_ended("POST", "answer_lost")

server = MCPServer("test", middleware=[logs.Correlation()])
server.tool("work")(lambda: logs.correlation_id())

async def main():
    with anyio.fail_after(20):
        async with Client(server) as client:
            return (await client.call_tool("work", {})).content[0].text

id_ = anyio.run(main)
found = {
    metric.name: [[dict(point.attributes), point.value] for point in metric.data.data_points]
    for metric in reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
}
ids = [dict(span.attributes).get("kallyai.correlation_id") for span in spans.get_finished_spans()]
print(json.dumps([before, found, id_, ids]))
"""


def test_calls_and_requests_are_counted_and_a_span_has_the_correlation_id_of_its_log_lines() -> None:
    # In a process of its own, because providers can be set once.
    done = subprocess.run([sys.executable, "-c", COUNTED], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    imported, counted, id_, ids = json.loads(done.stdout)

    assert imported == []  # without an operator's OpenTelemetry, nothing of it is imported
    assert counted == {
        "kallyai.calls.ended": [[{"outcome": "success"}, 1], [{"outcome": "other"}, 1]],
        "kallyai.calls.refused": [[{"code": "toll_number"}, 1]],
        "kallyai.api.requests": [
            [{"method": "GET", "status": "200"}, 1],
            [{"method": "POST", "status": "answer_lost"}, 1],
        ],
    }
    assert id_ in ids
