"""Metrics and traces with the OpenTelemetry API. `configure_from_environment` sets up their export.

The MCP SDK starts a span for each request of a client, and `api_request` starts child spans. Without OpenTelemetry's
SDK in the process, its API does nothing. `opentelemetry.metrics` is imported with the first value, because `tools/list`
over stdio does not need it.

Metrics: `kallyai.calls.ended` {outcome}, `kallyai.calls.duration` {outcome} in seconds, `kallyai.calls.in_progress`,
`kallyai.calls.refused` {code}, `kallyai.api.duration` {method, route, status} in seconds.
"""

import logging
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from kallyai_mcp import __version__

if TYPE_CHECKING:
    from opentelemetry.metrics import Counter, Histogram, UpDownCounter
    from opentelemetry.trace import Tracer

_log = logging.getLogger(__name__)

_NAME = "kallyai-mcp"
_CALL_SECONDS = (5, 15, 30, 45, 60, 90, 120, 180, 240, 300, 600, 1200, 1800)
_API_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 1800)
"""The boundaries of the histograms' buckets. A call takes minutes, and `POST /v1/calls` is answered at its end."""

_CODE = r"[A-Za-z][A-Za-z0-9_]{0,63}"
_CALL_ROUTE = r"/v1/calls/[^/]+(?P<part>/transcript|/calendar\.ics)?"
_ROUTES = {
    "/v1/calls",
    "/v1/users/me/subscription",
    "/v1/users/me/statistics",
    "/v1/stripe/billing-portal",
    "/v1/auth/refresh",
    "/v1/auth/gpt/token",
    "/v1/auth/google/validate",
    "/v1/auth/apple/token",
}


def call_ended(outcome: str, seconds: float) -> None:
    """Count a call that has ended.

    Args:
        outcome: The reference's `status`, or `unknown`.
        seconds: The time since it was placed.
    """
    attributes = {"outcome": _code(outcome)}
    _metrics().calls_ended.add(1, attributes)
    _metrics().call_duration.record(max(0.0, seconds), attributes)


def call_refused(code: str) -> None:
    """Count a call that was not placed, by the `code` of the error."""
    _metrics().calls_refused.add(1, {"code": _code(code)})


@contextmanager
def call_in_progress() -> Iterator[None]:
    """A context in which a call counts as in progress in this process."""
    _metrics().calls_in_progress.add(1)
    try:
        yield
    finally:
        _metrics().calls_in_progress.add(-1)


class ApiRequest:
    """A request to KallyAI that is measured.

    Attributes:
        status: The HTTP status, or the code of the error if there was no response. The user of `api_request` sets it.
    """

    status: int | str = "failed"


@contextmanager
def api_request(method: str, path: str) -> Iterator[ApiRequest]:
    """A context for a request to KallyAI with its retries: one span, and one value of `kallyai.api.duration`.

    Args:
        method: The HTTP method.
        path: The path of the URL, which is recorded as the reference writes it, such as `/v1/calls/{call_id}`.

    Yields:
        An object whose `status` must be set before the end of the context.
    """
    from opentelemetry.trace import SpanKind, StatusCode, use_span

    route = _route(path)
    request = ApiRequest()
    started = time.perf_counter()
    span = _tracer().start_span(
        f"{method} {route}",
        kind=SpanKind.CLIENT,
        attributes={"http.request.method": method, "http.route": route},
    )
    # Only a recorded span becomes the current one, because that takes longer than all the rest.
    with (
        use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False)  # texts may quote data
        if span.is_recording()
        else nullcontext()
    ):
        try:
            yield request
        finally:
            status = request.status if isinstance(request.status, int) else _code(request.status)
            attributes = {"method": method, "route": route, "status": str(status)}
            _metrics().api_duration.record(time.perf_counter() - started, attributes)
            if isinstance(status, int):
                span.set_attribute("http.response.status_code", status)
            if not isinstance(status, int) or status >= 400:
                span.set_attribute("error.type", str(status))
                span.set_status(StatusCode.ERROR)


class _Metrics(NamedTuple):
    calls_ended: "Counter"
    call_duration: "Histogram"
    calls_in_progress: "UpDownCounter"
    calls_refused: "Counter"
    api_duration: "Histogram"


@cache
def _metrics() -> _Metrics:
    from opentelemetry import metrics

    meter = metrics.get_meter(_NAME, __version__)
    return _Metrics(
        calls_ended=meter.create_counter("kallyai.calls.ended", "{call}", "Phone calls that ended, by outcome"),
        call_duration=meter.create_histogram(
            "kallyai.calls.duration",
            "s",
            "Time from placing a phone call to its end",
            explicit_bucket_boundaries_advisory=_CALL_SECONDS,
        ),
        calls_in_progress=meter.create_up_down_counter(
            "kallyai.calls.in_progress", "{call}", "Phone calls in progress in this process"
        ),
        calls_refused=meter.create_counter("kallyai.calls.refused", "{call}", "Phone calls not placed, by error code"),
        api_duration=meter.create_histogram(
            "kallyai.api.duration",
            "s",
            "Time that requests to KallyAI took, retries included",
            explicit_bucket_boundaries_advisory=_API_SECONDS,
        ),
    )


@cache
def _tracer() -> "Tracer":
    from opentelemetry import trace

    return trace.get_tracer(_NAME, __version__)


def _code(value: str) -> str:
    """`value` if it looks like a code, else `other`: metrics and spans must not contain text from outside."""
    return value if re.fullmatch(_CODE, value) else "other"


def _route(path: str) -> str:
    """A path as the reference writes it, or `other`. With call ids, each call would be a new time series."""
    from_v1 = path[max(0, path.find("/v1/")) :]
    if call := re.fullmatch(_CALL_ROUTE, from_v1):
        return f"/v1/calls/{{call_id}}{call['part'] or ''}"
    return from_v1 if from_v1 in _ROUTES else "other"


def configure_from_environment() -> bool:
    """Set up OpenTelemetry's SDK by its environment variables. It is imported only if they name an exporter.

    `OTEL_TRACES_EXPORTER` and `OTEL_METRICS_EXPORTER` have exporters separated by commas: `otlp`, `console` (stderr),
    any other that an installed package registers, or `none`. Without a value, each is `otlp` if a variable
    `OTEL_EXPORTER_OTLP_…` for this signal is set.

    Returns:
        Whether anything is exported.
    """
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporters = {
        signal: [one for name in _exporter_names(signal) if (one := _exporter(signal, name)) is not None]
        for signal in ("traces", "metrics")
    }
    if not any(exporters.values()):
        return False
    from opentelemetry import metrics, trace
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    ours = Resource.create({"service.name": _NAME, "service.version": __version__})
    resource = ours.merge(OTELResourceDetector().detect())  # a name from the environment wins
    if exporters["traces"]:
        provider = TracerProvider(resource=resource)
        for exporter in exporters["traces"]:
            provider.add_span_processor(BatchSpanProcessor(exporter))
        trace.set_tracer_provider(provider)
    if exporters["metrics"]:
        readers = [
            exporter if isinstance(exporter, MetricReader) else PeriodicExportingMetricReader(exporter)
            for exporter in exporters["metrics"]
        ]
        metrics.set_meter_provider(MeterProvider(readers, resource))
    return True


def _exporter_names(signal: str) -> list[str]:
    chosen = os.environ.get(f"OTEL_{signal.upper()}_EXPORTER", "").strip().lower()
    if chosen:
        names = dict.fromkeys(name.strip() for name in chosen.split(","))
        return [name for name in names if name not in ("", "none")]
    other_signals = {"TRACES", "METRICS", "LOGS"} - {signal.upper()}
    for name, value in os.environ.items():
        variable = name.removeprefix("OTEL_EXPORTER_OTLP_")
        if variable != name and value.strip() and variable.split("_")[0] not in other_signals:
            return ["otlp"]
    return []


def _exporter(signal: str, name: str) -> Any | None:
    """A new exporter. None if no installed package registers one with this name; then a warning is logged."""
    from importlib.metadata import entry_points  # imported late: few servers export anything

    registered = name
    if name == "otlp":
        variables = (f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
        protocol = next(filter(None, (os.environ.get(variable, "").strip() for variable in variables)), "http/protobuf")
        registered = f"otlp_proto_{protocol.lower().partition('/')[0]}"
    for entry_point in entry_points(group=f"opentelemetry_{signal}_exporter", name=registered):
        try:
            create = entry_point.load()
        except ImportError:
            continue
        return create(out=sys.stderr) if name == "console" else create()  # stdout belongs to MCP
    _log.warning(
        "OpenTelemetry exports no %s: no installed package has the exporter %s; that over HTTP is in "
        "opentelemetry-exporter-otlp-proto-http",
        signal,
        registered,
    )
    return None
