"""The ids by which an operator follows one call through the log."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from opentelemetry import trace

from kallyai_mcp.api.client import KallyAI
from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.logs.request_ids import Correlation, request_id
from tests.agent import BISTRO, Agent
from tests.api.raw_server import TOKEN, Tokens, client_and_server
from tests.fake_service import answer
from tests.logs.captured import entries, logging_to
from tests.processes import free_port

TRACE = trace.SpanContext(0xABC, 0xDEF, is_remote=False)
END = "kallyai_mcp.calls.endings"
REQUEST = "kallyai_mcp.api.transport"


async def logged_request_id(given: int | str | None) -> str | None:
    """What a line has of a request with this id."""

    async def work(_: object) -> dict[str, str | None]:
        return {"id": request_id.get()}

    ctx = cast("Any", SimpleNamespace(method="ping", params=None, request_id=given))
    return cast("dict[str, str | None]", await Correlation()(ctx, cast("Any", work)))["id"]


def lines_of(lines: list[dict[str, Any]], logger: str) -> list[dict[str, Any]]:
    return [line for line in lines if line["logger"] == logger]


async def test_all_lines_of_a_call_have_its_ids(agent: Agent) -> None:
    stream = logging_to("json")
    made = (await agent.use("make_call", BISTRO)).data
    lines = entries(stream)
    [end] = lines_of(lines, END)
    posts = [line for line in lines_of(lines, REQUEST) if line["message"].startswith("POST")]

    assert (end["call_id"], end["outcome"]) == (made["call_id"], "success")
    assert end["level"] == "INFO"
    assert posts
    for name in ("tracking_id", "request_id", "correlation_id"):
        assert {line.get(name) for line in posts} == {end[name]}


async def test_a_later_request_has_its_calls_id(agent: Agent) -> None:
    stream = logging_to("json")
    made = (await agent.use("make_call", BISTRO)).data
    [end] = lines_of(entries(stream), END)
    later = logging_to("json")
    await agent.use("get_call", call_id=made["call_id"])
    lines = lines_of(entries(later), REQUEST)

    assert lines
    assert {line.get("tracking_id") for line in lines} == {end["tracking_id"]}


async def test_a_line_has_the_id_of_its_trace(agent: Agent) -> None:
    stream = logging_to("json")
    with trace.use_span(trace.NonRecordingSpan(TRACE)):
        await agent.use("make_call", BISTRO)
    [end] = lines_of(entries(stream), END)

    assert end["trace_id"] == f"{0xABC:032x}"


async def test_an_id_of_a_client_shows_no_text() -> None:
    for given, shown in (
        (7, "7"),
        ("req-1", "req-1"),
        ("call +14155551234", "other"),
        ("4155551234", "other"),
        (None, None),
    ):
        assert await logged_request_id(given) == shown


@pytest.mark.parametrize("status", [503, 404])
async def test_a_failure_of_kallyai_is_a_warning(status: int) -> None:
    stream = logging_to("json")
    async with client_and_server(answer({}, status), *[answer({}, status)] * 3) as (client, _):
        with pytest.raises(KallyAIError):
            await client.get_statistics()
    [line] = lines_of(entries(stream), REQUEST)

    assert line["level"] == ("WARNING" if status >= 500 else "INFO")
    assert line["message"].endswith(f"/v1/users/me/statistics: {status}")


async def test_an_unreached_kallyai_is_a_warning() -> None:
    stream = logging_to("json", "WARNING")
    client = KallyAI(
        f"http://127.0.0.1:{free_port()}", tokens=Tokens(TOKEN), user_agent="tests", retry_backoff=0
    )
    with pytest.raises(KallyAIError):
        await client.get_statistics()
    [line] = lines_of(entries(stream), REQUEST)

    assert line["message"].endswith("/v1/users/me/statistics: connection_failed")
