"""The three counters and the correlation id of the SDK's spans; in a process that can set providers once."""

import json
import subprocess
import sys

COUNTED = """
import json, sys
from kallyai_mcp import telemetry
telemetry.call_ended("success")
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
from kallyai_mcp.logs import Correlation, correlation_id

reader, spans = InMemoryMetricReader(), InMemorySpanExporter()
metrics.set_meter_provider(MeterProvider([reader]))
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)

telemetry.call_ended("success")
telemetry.call_ended("+1 415 555 1234")
telemetry.call_refused("toll_number")
telemetry.api_request_ended("GET", 200)
telemetry.api_request_ended("POST", "answer_lost")

server = MCPServer("test", middleware=[Correlation()])

@server.tool()
def work() -> str:
    return correlation_id()

async def main():
    with anyio.fail_after(20):
        async with Client(server) as client:
            return (await client.call_tool("work", {})).structured_content["result"]

id_ = anyio.run(main)
found = {
    metric.name: [[dict(point.attributes), point.value] for point in metric.data.data_points]
    for metric in reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
}
ids = [dict(span.attributes).get("kallyai.correlation_id") for span in spans.get_finished_spans()]
print(json.dumps([before, found, id_, ids]))
"""


def test_calls_and_requests_are_counted_and_a_span_has_the_correlation_id_of_its_log_lines() -> None:
    done = subprocess.run([sys.executable, "-c", COUNTED], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    imported, counted, correlation_id, ids = json.loads(done.stdout)

    assert imported == []  # without an operator's OpenTelemetry, nothing of it is imported
    assert counted == {
        "kallyai.calls.ended": [[{"outcome": "success"}, 1], [{"outcome": "other"}, 1]],
        "kallyai.calls.refused": [[{"code": "toll_number"}, 1]],
        "kallyai.api.requests": [
            [{"method": "GET", "status": "200"}, 1],
            [{"method": "POST", "status": "answer_lost"}, 1],
        ],
    }
    assert correlation_id in ids
