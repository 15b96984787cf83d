"""What OpenTelemetry records of a scenario, which runs in a process of its own: providers can be
set once.

A test calls `recorded("a_call")`, which runs `python -m tests.recorded a_call`.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import httpx2
from mcp.server.auth.provider import AccessToken
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.responses import PlainTextResponse

from kallyai_mcp import telemetry
from kallyai_mcp.api.client import KallyAI
from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.timing import Timing
from kallyai_mcp.logs.request_ids import Correlation, correlation_id
from kallyai_mcp.transports.access import AccessMiddleware, AccessPolicy
from kallyai_mcp.transports.bearers import BearerCheck
from tests.api.raw_server import DETAILS, STATISTICS, SUBMISSION, TOKEN, Tokens, client_and_server
from tests.calls.ledgers import NOW
from tests.calls.manual_time import ManualClock
from tests.calls.world import LOST, PLACED, REFUSED, TABLE, Service, after, reply, world
from tests.fake_service import answer
from tests.processes import free_port

READER = InMemoryMetricReader()

Value = TypeVar("Value")

Point = tuple[dict[str, Any], float]
"""The attributes of a series, and its value; of a histogram, how many values it has."""


class Recorded:
    """The metrics and the spans of a scenario."""

    def __init__(self, found: dict[str, Any]) -> None:
        self.units: dict[str, str] = found["units"]
        self.spans: list[dict[str, Any]] = found["spans"]
        self.returned: Any = found["returned"]
        self._points: dict[str, list[Point]] = found["points"]

    def points(self, name: str) -> list[Point]:
        """The series of a metric."""
        return [(attributes, value) for attributes, value in self._points.get(name, [])]

    def values(self, name: str, attribute: str) -> dict[str, float]:
        """The values of a metric by an attribute, which each series has."""
        return {attributes[attribute]: value for attributes, value in self.points(name)}


_SCENARIOS: dict[str, Callable[[], Awaitable[object]]] = {}


def _scenario(work: Callable[[], Awaitable[Value]]) -> Callable[[], Awaitable[Value]]:
    """What `recorded` can run, by its name."""
    _SCENARIOS[work.__name__] = work
    return work


def recorded(scenario: str) -> Recorded:
    """Run the `_scenario` of this name; returns what it has recorded."""
    assert scenario in _SCENARIOS, f"write a @_scenario {scenario!r} in tests/recorded.py"
    done = subprocess.run(
        [sys.executable, "-m", "tests.recorded", scenario],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Recorded(json.loads(done.stdout))


@_scenario
async def requests() -> None:
    """Two requests, one of which is repeated after an error, and one that is refused."""
    unavailable, refused = answer({}, 503), answer({"error": {"code": "forbidden"}}, 403)
    async with client_and_server(unavailable, STATISTICS, DETAILS, refused) as (client, _):
        await client.get_statistics()
        await client.create_call(SUBMISSION)
        await _fails(client.get_transcript("c-1"))


@_scenario
async def a_request_without_connection() -> None:
    """A request to a server that is not there."""
    url = f"http://127.0.0.1:{free_port()}"
    async with aclosing(KallyAI(url, tokens=Tokens(TOKEN), user_agent="tests")) as client:
        await _fails(client.create_call(SUBMISSION))


@_scenario
async def transactions() -> None:
    """A call, and a write that fails."""
    clock = ManualClock(NOW)
    with tempfile.TemporaryDirectory() as folder:
        async with world(Service(clock), str(Path(folder) / "calls.db")) as here:
            await here.call()
            here.database.is_down = True
            await _fails(here.call(redial=True))


@_scenario
async def endings() -> None:
    """Calls that end in several ways; one is unknown."""
    clock = ManualClock(NOW)
    replies = [PLACED, reply("busy", "c-2"), REFUSED, LOST]
    with tempfile.TemporaryDirectory() as folder:
        async with world(Service(clock, replies), str(Path(folder) / "calls.db")) as here:
            for number in range(len(replies)):
                wanted = TABLE.model_copy(update={"task_description": f"Task {number}"})
                await here.call(wanted)


@_scenario
async def an_expiry() -> None:
    """A scheduled call that nobody places in its time, because nobody is signed in."""
    clock = ManualClock(NOW)
    with tempfile.TemporaryDirectory() as folder:
        async with world(Service(clock), str(Path(folder) / "calls.db")) as here:
            schedule = here.calls.schedule_for(NOW + timedelta(minutes=5), 0)
            request = replace(here.request(), schedule=schedule)
            record = await here.run(here.calls.place(request))
            account, here.session.name = here.session.name, None
            await here.run(clock.sleep(7200))
            here.session.name = account
            await here.outcome(record)


@_scenario
async def an_outage() -> None:
    """A write that the ledger does not confirm, and a lease that is lost."""
    clock = ManualClock(NOW)
    with tempfile.TemporaryDirectory() as folder:
        async with world(Service(clock), str(Path(folder) / "calls.db")) as here:
            await here.call()
            here.database.unconfirmed = 1
            await _fails(here.call(redial=True))
            await here.database.aclose()
            await _fails(here.call(TABLE.model_copy(update={"task_description": "Ask"})))


@_scenario
async def a_call_in_progress() -> dict[str, Any]:
    """A call that goes on for an hour.

    Returns what is measured after a minute, the number of reads in that minute, and what is
    measured after the ledger was down for a minute.
    """
    clock = ManualClock(NOW)
    slow = after(lambda: clock.sleep(3600), PLACED)
    seldom = Timing(watch_active=10_000, watch_idle=10_000, purge=10_000)
    with tempfile.TemporaryDirectory() as folder:
        place = str(Path(folder) / "calls.db")
        async with world(Service(clock, [slow]), place, timing=seldom) as here:
            await here.place()
            await here.run(clock.sleep(5))
            here.database.begun.clear()
            await here.run(clock.sleep(60))
            reads, measured = here.database.begun["read"], _measured()["points"]
            here.database.is_down = True
            await here.run(clock.sleep(60))
            return {"reads": reads, "up": measured, "down": _measured()["points"]}


@_scenario
async def refused_requests() -> None:
    """Requests of clients: without a token, one that is served, and one too many."""

    async def verify(bearer: str) -> AccessToken:
        return AccessToken(token=bearer, client_id="client-1", scopes=[])

    check = BearerCheck(verify, lambda _: True, lambda _: False)
    policy = AccessPolicy(None, (), check, "1/minute", None, ())
    app = AccessMiddleware(PlainTextResponse("served"), policy)
    transport, bearer = httpx2.ASGITransport(app), {"Authorization": "Bearer any"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://server") as client:
        await client.post("/mcp")
        for _ in range(2):
            await client.post("/mcp", headers=bearer)


@_scenario
async def a_correlated_request() -> str:
    """An MCP request inside of a span; returns its correlation id."""

    async def work(_: object) -> dict[str, str | None]:
        return {"id": correlation_id.get()}

    ctx = cast("Any", SimpleNamespace(method="ping", params=None, request_id=1))
    with trace.get_tracer("tests").start_as_current_span("request"):
        return cast("dict[str, str]", await Correlation()(ctx, cast("Any", work)))["id"]


@_scenario
async def counts() -> None:
    """Counters with a value from outside."""
    for outcome in ("success", "+1 415 555 1234"):
        telemetry.count("kallyai.calls.ended", {"kallyai.call.outcome": outcome})


async def _fails(work: Awaitable[object]) -> None:
    with suppress(KallyAIError):
        await work


def main(scenario: str) -> None:
    """Run a scenario, and print what OpenTelemetry has recorded of it."""
    exporter = InMemorySpanExporter()
    metrics.set_meter_provider(MeterProvider([READER]))
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)

    async def run() -> object:
        return await _SCENARIOS[scenario]()

    returned = asyncio.run(run())
    result = {
        **_measured(),
        "spans": list(map(_span, exporter.get_finished_spans())),
        "returned": returned,
    }
    print(json.dumps(result))


def _measured() -> dict[str, Any]:
    data = READER.get_metrics_data()
    found = [] if data is None else data.resource_metrics[0].scope_metrics[0].metrics
    return {
        "points": {metric.name: list(map(_point, metric.data.data_points)) for metric in found},
        "units": {metric.name: metric.unit for metric in found},
    }


def _point(point: Any) -> Point:
    value = point.count if isinstance(point, HistogramDataPoint) else point.value
    return dict(point.attributes), value


def _span(span: ReadableSpan) -> dict[str, Any]:
    return {
        "name": span.name,
        "kind": span.kind.name,
        "status": span.status.status_code.name,
        "attributes": dict(span.attributes or {}),
        "events": [event.name for event in span.events],
    }


if __name__ == "__main__":
    main(sys.argv[1])
