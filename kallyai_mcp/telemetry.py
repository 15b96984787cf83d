"""Metrics and traces, by the OpenTelemetry API; `configure_from_environment` sets up where they are exported to.

The MCP SDK starts a span for each request of a client; those of `api_request` are its children. Without an SDK in the
process, the API does nothing. `opentelemetry.metrics` is imported with the first value, because `tools/list` over stdio
does not need it.

Metrics: `kallyai.calls.ended` {outcome}, `kallyai.calls.duration` {outcome} in seconds, `kallyai.calls.in_progress`,
`kallyai.calls.refused` {code}, `kallyai.api.duration` {method, route, status} in seconds.
"""

import importlib.util
import logging
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from kallyai_mcp import __version__

if TYPE_CHECKING:
    from opentelemetry.metrics import Counter, Histogram, UpDownCounter
    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Tracer

_log = logging.getLogger(__name__)

_NAME = "kallyai-mcp"
_CALL_SECONDS = (5, 15, 30, 45, 60, 90, 120, 180, 240, 300, 600, 1200, 1800)
_API_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 1800)
"""Bucket boundaries: a phone call takes minutes, and `POST /v1/calls` is answered when it has ended."""

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
    """Counts a call that has ended.

    Args:
        outcome: The reference's `status`, or `unknown`.
        seconds: The time since it was placed.
    """
    attributes = {"outcome": _code(outcome)}
    _metrics().calls_ended.add(1, attributes)
    _metrics().call_duration.record(max(0.0, seconds), attributes)


def call_refused(code: str) -> None:
    """Counts a call that was not placed, by the error's `code`."""
    _metrics().calls_refused.add(1, {"code": _code(code)})


@contextmanager
def call_in_progress() -> Iterator[None]:
    """Counts a call as in progress in this process, while in the context."""
    _metrics().calls_in_progress.add(1)
    try:
        yield
    finally:
        _metrics().calls_in_progress.add(-1)


class ApiRequest:
    """A request to KallyAI that is being measured.

    Attributes:
        status: The HTTP status, or the code of the error if there was no response. The caller sets it.
    """

    status: int | str = "failed"


@contextmanager
def api_request(method: str, path: str) -> Iterator[ApiRequest]:
    """Measures a request to KallyAI, retries included: one span, and one value of `kallyai.api.duration`.

    Args:
        method: The HTTP method.
        path: The path of the URL. It is recorded as the reference writes it, with `{call_id}`.

    Yields:
        The request, which takes the `status`.
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
    # To make a span the current one takes longer than all the rest; without an SDK, none is recorded.
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
    """`value` if it looks like a code, else `other`: metrics and spans must not hold text from outside."""
    return value if re.fullmatch(_CODE, value) else "other"


def _route(path: str) -> str:
    """A path as the reference writes it, else `other`; call ids would make a new time series for each call."""
    from_v1 = path[max(0, path.find("/v1/")) :]
    if call := re.fullmatch(_CALL_ROUTE, from_v1):
        return f"/v1/calls/{{call_id}}{call['part'] or ''}"
    return from_v1 if from_v1 in _ROUTES else "other"


def configure_from_environment(environ: Mapping[str, str] | None = None) -> bool:
    """Sets up the OpenTelemetry SDK by OpenTelemetry's environment variables; imports it only if they ask for it.

    `OTEL_TRACES_EXPORTER` and `OTEL_METRICS_EXPORTER` list exporters, separated by commas: `otlp`, `console` (stderr),
    or `none`. If not set, each is `otlp` if a variable `OTEL_EXPORTER_OTLP_…` for that signal is set.
    `opentelemetry-sdk` must be installed, and for `otlp` also `opentelemetry-exporter-otlp-proto-http`.

    Args:
        environ: The environment; None for that of the process. The SDK itself always reads that of the process.

    Returns:
        Whether anything is exported now.
    """
    source = os.environ if environ is None else environ
    names = {signal: _exporter_names(source, signal) for signal in ("TRACES", "METRICS")}
    if not any(names.values()) or source.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if not _is_installed("opentelemetry.sdk"):
        _log.info("OpenTelemetry is asked for, but opentelemetry-sdk is not installed")
        return False
    span_exporters = [_span_exporter(name) for name in names["TRACES"] if _is_usable(name, source, "TRACES")]
    metric_exporters = [_metric_exporter(name) for name in names["METRICS"] if _is_usable(name, source, "METRICS")]
    _export(span_exporters, metric_exporters)
    return bool(span_exporters or metric_exporters)


def _exporter_names(source: Mapping[str, str], signal: str) -> list[str]:
    chosen = source.get(f"OTEL_{signal}_EXPORTER", "").strip().lower()
    if chosen:
        names = dict.fromkeys(name.strip() for name in chosen.split(","))
        return [name for name in names if name not in ("", "none")]
    other_signals = {"TRACES", "METRICS", "LOGS"} - {signal}
    for name, value in source.items():
        variable = name.removeprefix("OTEL_EXPORTER_OTLP_")
        if variable != name and value.strip() and variable.split("_")[0] not in other_signals:
            return ["otlp"]
    return []


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # its parent package is missing
        return False


def _is_usable(name: str, source: Mapping[str, str], signal: str) -> bool:
    """Whether there is an exporter of that name; logs a warning if not."""
    if name not in ("otlp", "console"):
        _log.warning("OTEL_%s_EXPORTER: %s is none of otlp, console, none", signal, name)
        return False
    protocols = (f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    protocol = next((source[variable] for variable in protocols if source.get(variable)), "http/protobuf").strip()
    if name == "otlp" and protocol.lower() != "http/protobuf":
        _log.warning("OpenTelemetry: OTLP goes over http/protobuf only, so nothing is exported over %s", protocol)
        return False
    if name == "otlp" and not _is_installed("opentelemetry.exporter.otlp.proto.http"):
        _log.warning("OpenTelemetry: for otlp, opentelemetry-exporter-otlp-proto-http must be installed")
        return False
    return True


def _span_exporter(name: str) -> "SpanExporter":
    if name == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return ConsoleSpanExporter(out=sys.stderr)  # stdout belongs to MCP
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


def _metric_exporter(name: str) -> "MetricExporter":
    if name == "console":
        from opentelemetry.sdk.metrics.export import ConsoleMetricExporter

        return ConsoleMetricExporter(out=sys.stderr)
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

    return OTLPMetricExporter()


def _export(span_exporters: "list[SpanExporter]", metric_exporters: "list[MetricExporter]") -> None:
    from opentelemetry import metrics, trace
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    ours = Resource.create({"service.name": _NAME, "service.version": __version__})
    resource = ours.merge(OTELResourceDetector().detect())  # a name from the environment wins
    if span_exporters:
        provider = TracerProvider(resource=resource)
        for exporter in span_exporters:
            provider.add_span_processor(BatchSpanProcessor(exporter))
        trace.set_tracer_provider(provider)
    if metric_exporters:
        readers = [PeriodicExportingMetricReader(exporter) for exporter in metric_exporters]
        metrics.set_meter_provider(MeterProvider(readers, resource))
