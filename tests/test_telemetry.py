"""What an operator's OpenTelemetry records."""

import json
import subprocess
import sys

COUNTED = """
import asyncio, json, sys
from types import SimpleNamespace
from kallyai_mcp import telemetry
from kallyai_mcp.logs.request_ids import Correlation, correlation_id
telemetry.count("kallyai.calls.ended", outcome="success")
before = [name for name in sys.modules if name.startswith("opentelemetry.sdk")]

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
trace.set_tracer_provider(TracerProvider())

telemetry.count("kallyai.calls.ended", outcome="success")
telemetry.count("kallyai.calls.ended", outcome="+1 415 555 1234")
telemetry.count("kallyai.calls.refused", code="toll_number")
telemetry.count("kallyai.api.requests", method="GET", status=200)

async def work(_):
    return {"id": correlation_id.get()}

with trace.get_tracer("tests").start_as_current_span("request") as span:
    ctx = SimpleNamespace(method="ping", params=None)
    id_ = asyncio.run(Correlation()(ctx, work))["id"]
found = {
    metric.name: [[dict(point.attributes), point.value] for point in metric.data.data_points]
    for metric in reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
}
print(json.dumps([before, found, id_, span.attributes["kallyai.correlation_id"]]))
"""


def test_calls_and_requests_are_counted() -> None:
    # In a process of its own, because providers can be set once.
    done = subprocess.run(
        [sys.executable, "-c", COUNTED], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    imported, counted, id_, span_id = json.loads(done.stdout)

    assert imported == []  # without an operator's OpenTelemetry, nothing of it is imported
    assert counted == {
        "kallyai.calls.ended": [[{"outcome": "success"}, 1], [{"outcome": "other"}, 1]],
        "kallyai.calls.refused": [[{"code": "toll_number"}, 1]],
        "kallyai.api.requests": [[{"method": "GET", "status": "200"}, 1]],
    }
    assert len(id_) == 12
    assert span_id == id_
