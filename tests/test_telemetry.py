"""Metrics and traces; each test has a process of its own, because a process can set providers only once."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from typing import Any

import pytest

from tests.forked_python import FORKED

READ = """
import json
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from kallyai_mcp import telemetry

reader, spans = InMemoryMetricReader(), InMemorySpanExporter()
metrics.set_meter_provider(MeterProvider([reader]))
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)

def points():
    data = reader.get_metrics_data()
    found = {}
    for metric in data.resource_metrics[0].scope_metrics[0].metrics if data else []:
        for point in metric.data.data_points:
            value = getattr(point, "value", None)
            entry = [dict(point.attributes), value if value is not None else [point.count, point.sum]]
            found.setdefault(metric.name, []).append(entry)
    return found
"""


def python(code: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Runs `code` in a new interpreter, with only these OpenTelemetry variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [FORKED, "-c", code],
        env=kept | environment,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def printed(code: str) -> Any:
    """The JSON that `code` prints, with an SDK that keeps metrics and spans in memory."""
    return json.loads(python(READ + code).stdout)


def test_calls_are_counted_and_timed_by_their_outcome() -> None:
    points = printed("""
telemetry.call_ended("success", 90.0)
telemetry.call_ended("success", 30.0)
telemetry.call_ended("busy", -1.0)
telemetry.call_ended("+1 415 555 1234", 1.0)
print(json.dumps(points()))
""")

    assert points["kallyai.calls.ended"] == [
        [{"outcome": "success"}, 2],
        [{"outcome": "busy"}, 1],
        [{"outcome": "other"}, 1],
    ]
    assert points["kallyai.calls.duration"] == [
        [{"outcome": "success"}, [2, 120.0]],
        [{"outcome": "busy"}, [1, 0.0]],
        [{"outcome": "other"}, [1, 1.0]],
    ]


def test_refused_calls_are_counted_by_code_and_calls_in_progress_up_and_down() -> None:
    points = printed("""
telemetry.call_refused("toll_number")
telemetry.call_refused("Sample Guest said no")
within = []
try:
    with telemetry.call_in_progress(), telemetry.call_in_progress():
        within.append(points()["kallyai.calls.in_progress"])
        raise TimeoutError
except TimeoutError:
    pass
print(json.dumps([points(), within]))
""")

    after, within = points
    assert after["kallyai.calls.refused"] == [[{"code": "toll_number"}, 1], [{"code": "other"}, 1]]
    assert within == [[[{}, 2]]]
    assert after["kallyai.calls.in_progress"] == [[{}, 0]]


def test_requests_to_the_api_are_timed_by_method_route_and_status() -> None:
    points = printed("""
for path in ["/v1/calls", "/v1/calls/abc-1", "/v1/calls/abc-2", "/v1/calls/abc/transcript",
             "/v1/calls/abc/calendar.ics", "/base/v1/users/me/subscription", "/", "/v1/calls/a/b/c"]:
    with telemetry.api_request("GET", path) as request:
        request.status = 200
with telemetry.api_request("POST", "/v1/calls") as request:
    request.status = "answer_lost"
print(json.dumps(points()["kallyai.api.duration"]))
""")

    got = {(entry["method"], entry["route"], entry["status"]): value[0] for entry, value in points}
    assert all(0 <= seconds < 10 for _, (_, seconds) in points)
    assert got == {
        ("GET", "/v1/calls", "200"): 1,
        ("GET", "/v1/calls/{call_id}", "200"): 2,
        ("GET", "/v1/calls/{call_id}/transcript", "200"): 1,
        ("GET", "/v1/calls/{call_id}/calendar.ics", "200"): 1,
        ("GET", "/v1/users/me/subscription", "200"): 1,
        ("GET", "other", "200"): 2,
        ("POST", "/v1/calls", "answer_lost"): 1,
    }


def test_a_request_to_the_api_is_timed_and_is_a_child_span_of_the_mcp_request() -> None:
    points, spans = printed("""
with trace.get_tracer("test").start_as_current_span("tools/call make_call"):
    with telemetry.api_request("GET", "/v1/calls/abc") as request:
        request.status = 404
    with telemetry.api_request("GET", "/v1/users/me/statistics") as request:
        request.status = 200
    try:
        with telemetry.api_request("POST", "/v1/calls"):
            raise ValueError("Sample Guest, +14155551234")
    except ValueError:
        pass
kept = [
    [span.name, span.kind.name, span.status.status_code.name, dict(span.attributes), len(span.events),
     span.parent.span_id if span.parent else None, span.context.span_id]
    for span in spans.get_finished_spans()
]
print(json.dumps([points()["kallyai.api.duration"], kept]))
""")

    *children, parent = spans
    assert [entry for entry, _ in points] == [
        {"method": "GET", "route": "/v1/calls/{call_id}", "status": "404"},
        {"method": "GET", "route": "/v1/users/me/statistics", "status": "200"},
        {"method": "POST", "route": "/v1/calls", "status": "failed"},
    ]
    assert {child[5] for child in children} == {parent[6]}
    assert [child[:5] for child in children] == [
        [
            "GET /v1/calls/{call_id}",
            "CLIENT",
            "ERROR",
            {
                "http.request.method": "GET",
                "http.route": "/v1/calls/{call_id}",
                "http.response.status_code": 404,
                "error.type": "404",
            },
            0,
        ],
        [
            "GET /v1/users/me/statistics",
            "CLIENT",
            "UNSET",
            {
                "http.request.method": "GET",
                "http.route": "/v1/users/me/statistics",
                "http.response.status_code": 200,
            },
            0,
        ],
        [
            "POST /v1/calls",
            "CLIENT",
            "ERROR",
            {"http.request.method": "POST", "http.route": "/v1/calls", "error.type": "failed"},
            0,
        ],
    ]


def test_a_request_to_the_api_without_an_mcp_request_is_a_root_span() -> None:
    spans = printed("""
with telemetry.api_request("GET", "/v1/calls") as request:
    request.status = 200
print(json.dumps([[span.name, span.parent] for span in spans.get_finished_spans()]))
""")

    assert spans == [["GET /v1/calls", None]]


def test_the_span_of_an_mcp_request_has_the_correlation_id_of_its_log_lines() -> None:
    id_, attributes = printed("""
import anyio
from mcp import Client
from mcp.server.mcpserver import MCPServer
from kallyai_mcp.logs import Correlation, correlation_id
from kallyai_mcp.server.sdk_internals import skip_idle_tracing

server = MCPServer("test", middleware=[Correlation()])
skip_idle_tracing(server)

@server.tool()
def work() -> str:
    return correlation_id()

async def main():
    with anyio.fail_after(20):
        async with Client(server) as client:
            result = await client.call_tool("work", {})
    return result.structured_content["result"]

id_ = anyio.run(main)
print(json.dumps([id_, [dict(span.attributes) for span in spans.get_finished_spans() if span.kind.name == "SERVER"]]))
""")

    assert id_ in {entry.get("kallyai.correlation_id") for entry in attributes}


EVERYTHING = """
import json, sys
from kallyai_mcp import telemetry
configured = telemetry.configure_from_environment()
telemetry.call_ended("success", 90.0)
telemetry.call_refused("toll_number")
with telemetry.call_in_progress(), telemetry.api_request("GET", "/v1/calls") as request:
    request.status = 200
print(json.dumps([configured, sorted(name for name in sys.modules if name.startswith("opentelemetry.sdk"))]))
"""


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_SERVICE_NAME": "phone"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": " "},
        {
            "OTEL_TRACES_EXPORTER": "none",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://[::1]:1",
        },
        {"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://[::1]:1"},
        {"OTEL_SDK_DISABLED": "TRUE", "OTEL_METRICS_EXPORTER": "console"},
    ],
    ids=["nothing", "name only", "empty", "none", "logs only", "disabled"],
)
def test_the_sdk_is_imported_only_if_the_environment_asks_for_it(environment: dict[str, str]) -> None:
    done = python(EVERYTHING, **environment)

    assert json.loads(done.stdout) == [False, []]
    assert done.stderr == ""


def without(module: str) -> str:
    """Code after which `module` and its submodules cannot be imported."""
    return f"""
import sys, logging
logging.basicConfig(level="INFO", format="%(message)s")
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r} or name.startswith({module!r} + "."):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
"""


@pytest.mark.parametrize(
    ("missing", "environment"),
    [
        ("opentelemetry.sdk", {"OTEL_METRICS_EXPORTER": "console", "OTEL_TRACES_EXPORTER": "console"}),
        ("opentelemetry.exporter", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}),
        ("opentelemetry.exporter", {"OTEL_METRICS_EXPORTER": "otlp", "OTEL_TRACES_EXPORTER": "otlp"}),
    ],
    ids=["no SDK", "no exporter for an endpoint", "no exporter for otlp"],
)
def test_a_missing_package_is_logged_for_each_signal(missing: str, environment: dict[str, str]) -> None:
    done = python(without(missing) + EVERYTHING, **environment)

    assert json.loads(done.stdout) == [False, []]
    for signal in ("traces", "metrics"):
        assert f"OpenTelemetry exports no {signal}" in done.stderr
    assert "opentelemetry-exporter-otlp-proto-http" in done.stderr


@pytest.mark.parametrize("exporter", ["zipkin", "prometheus,zipkin"])
def test_an_unknown_exporter_is_logged_by_name(exporter: str) -> None:
    done = python(EVERYTHING, OTEL_TRACES_EXPORTER=exporter, OTEL_METRICS_EXPORTER=exporter)

    assert json.loads(done.stdout)[0] is False
    for signal in ("traces", "metrics"):
        assert f"OpenTelemetry exports no {signal}: no installed package has the exporter zipkin" in done.stderr


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL"])
def test_otlp_over_a_protocol_whose_exporter_is_not_installed_is_logged(variable: str) -> None:
    done = python(EVERYTHING, OTEL_TRACES_EXPORTER="none", OTEL_METRICS_EXPORTER="otlp", **{variable: "grpc"})

    assert json.loads(done.stdout)[0] is False
    assert "no installed package has the exporter otlp_proto_grpc" in done.stderr


SPAN = """
from opentelemetry import trace
with trace.get_tracer("test").start_as_current_span("tools/call check_quota"):
    pass
"""


def test_the_console_exporters_write_to_stderr() -> None:
    done = python(EVERYTHING + SPAN, OTEL_METRICS_EXPORTER="console", OTEL_TRACES_EXPORTER="console")

    assert json.loads(done.stdout)[0] is True
    for part in ("kallyai.calls.ended", "kallyai.calls.refused", "tools/call check_quota", "kallyai-mcp"):
        assert part in done.stderr


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({}, "kallyai-mcp"),
        ({"OTEL_SERVICE_NAME": "phone-1"}, "phone-1"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=phone-2"}, "phone-2"),
    ],
)
def test_the_service_name_is_kallyai_mcp_unless_the_environment_sets_one(
    environment: dict[str, str], name: str
) -> None:
    done = python(EVERYTHING + SPAN, OTEL_TRACES_EXPORTER="console", **environment)

    assert f'"service.name": "{name}"' in done.stderr
    assert '"service.version": "' in done.stderr


needs_exporter = pytest.mark.skipif(
    find_spec("opentelemetry.exporter") is None, reason="needs opentelemetry-exporter-otlp-proto-http"
)


@contextmanager
def collector() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """An OTLP server: its URL, and the path and body of each request it got."""
    received: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class calls it
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", received
        finally:
            server.shutdown()
            thread.join(10)


@needs_exporter
def test_an_otlp_endpoint_gets_metrics_and_traces_when_the_process_ends() -> None:
    with collector() as (url, received):
        done = python(EVERYTHING + SPAN, OTEL_EXPORTER_OTLP_ENDPOINT=url, NO_PROXY="127.0.0.1")

    assert json.loads(done.stdout)[0] is True
    bodies = dict(received)
    assert set(bodies) == {"/v1/metrics", "/v1/traces"}
    assert b"kallyai.calls.ended" in bodies["/v1/metrics"]
    assert b"tools/call check_quota" in bodies["/v1/traces"]


@needs_exporter
def test_an_endpoint_for_traces_gets_only_traces() -> None:
    with collector() as (url, received):
        python(EVERYTHING + SPAN, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{url}/v1/traces", NO_PROXY="127.0.0.1")

    assert [path for path, _ in received] == ["/v1/traces"]
