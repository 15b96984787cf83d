"""Metrics and traces for OpenTelemetry: `configure_from_environment` turns them on.

Any room may report here. As long as nobody has set OpenTelemetry up in this process, nothing of it is imported and a
report costs nothing. The MCP SDK makes a span for each request of a client; those of `api_request` hang below it.

Metrics: `kallyai.calls` {outcome}, `kallyai.call.duration` {outcome} in seconds, `kallyai.calls.under_way`,
`kallyai.refusals` {code}, `kallyai.api.duration` {method, route, status} in seconds.
"""

import importlib
import importlib.util
import logging
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from kallyai_mcp import __version__

if TYPE_CHECKING:
    from opentelemetry.metrics import Counter, Histogram, UpDownCounter
    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span

_log = logging.getLogger(__name__)

_NAME = "kallyai-mcp"
_OTLP = "opentelemetry.exporter.otlp.proto.http"
_CALL_SECONDS = (5, 15, 30, 45, 60, 90, 120, 180, 240, 300, 600, 1200, 1800)
_API_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 1800)
"""Bounds of the histograms: a phone call takes minutes, and POST /v1/calls is answered when it has ended."""

_WORD = r"[A-Za-z][A-Za-z0-9_]{0,63}"
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


class _Instruments(NamedTuple):
    calls: "Counter"
    call_duration: "Histogram"
    under_way: "UpDownCounter"
    refusals: "Counter"
    api_duration: "Histogram"


def call_ended(outcome: str, seconds: float) -> None:
    """Count a call that has come to its end.

    Args:
        outcome: The reference's `status`, or `unknown`.
        seconds: How long it was under way.
    """
    if instruments := _instruments():
        attributes = {"outcome": _word(outcome)}
        instruments.calls.add(1, attributes)
        instruments.call_duration.record(max(0.0, seconds), attributes)


def refused(code: str) -> None:
    """Count a call that was not dialled, by the error's `code`."""
    if instruments := _instruments():
        instruments.refusals.add(1, {"code": _word(code)})


@contextmanager
def call_under_way() -> Iterator[None]:
    """Within it a call counts as under way in this process."""
    instruments = _instruments()
    if instruments:
        instruments.under_way.add(1)
    try:
        yield
    finally:
        if instruments:
            instruments.under_way.add(-1)


def api_answered(method: str, path: str, status: int | str, seconds: float) -> None:
    """Record how long KallyAI took to answer.

    Args:
        method: Of the request.
        path: Of the request's URL; it is recorded as the reference writes it, with `{call_id}`.
        status: Of the answer; the code of the error when there was none.
        seconds: From the request to the answer, further tries included.
    """
    if instruments := _instruments():
        attributes = {"method": method, "route": _route(path), "status": _status(status)}
        instruments.api_duration.record(max(0.0, seconds), attributes)


class ApiRequest:
    """A request to KallyAI that is measured. Whoever made it says how it was answered."""

    status: int | str = "failed"
    """The HTTP status, or the code of the error when there was no answer."""


@contextmanager
def api_request(method: str, path: str) -> Iterator[ApiRequest]:
    """Measure a request: `api_answered` when it is over, and a span within the one of the MCP request, if it has one.

    Args:
        method: Of the request.
        path: Of the request's URL.

    Yields:
        What takes the `status`; it stays `failed` when something is raised before.
    """
    request = ApiRequest()
    began = time.perf_counter()
    with _child_span(method, path) as span:
        try:
            yield request
        finally:
            api_answered(method, path, request.status, time.perf_counter() - began)
            if span is not None:
                _close(span, request.status)


def correlate(correlation_id: str) -> None:
    """Mark the span of the request under way, if there is one, with the id that the log lines carry."""
    if (span := _recording_span()) is not None:
        span.set_attribute("kallyai.correlation_id", correlation_id)


def configure_from_environment(environ: Mapping[str, str] | None = None) -> bool:
    """Set OpenTelemetry up as its own environment variables say; without any of them nothing is imported.

    `OTEL_TRACES_EXPORTER` and `OTEL_METRICS_EXPORTER` name where to: `otlp`, `console` (stderr), `none`, or several
    with commas between. Not set, each is `otlp` if a variable `OTEL_EXPORTER_OTLP_…` is set that concerns it.
    `opentelemetry-sdk` must be installed, and for `otlp` also `opentelemetry-exporter-otlp-proto-http`.

    Args:
        environ: The environment; None for the process's own. What the SDK reads, it reads from the process's own.

    Returns:
        Whether anything is exported now.
    """
    source = os.environ if environ is None else environ
    signals = {signal: _exporters_named(source, signal) for signal in ("TRACES", "METRICS")}
    if not any(signals.values()) or source.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if not _is_installed("opentelemetry.sdk"):
        _log.info("OpenTelemetry is asked for, but opentelemetry-sdk is not installed")
        return False
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource

    ours = Resource.create({"service.name": _NAME, "service.version": __version__})
    resource = ours.merge(OTELResourceDetector().detect())  # a name that the environment gives counts for more
    span_exporters = [made for name in signals["TRACES"] if (made := _span_exporter(name, source)) is not None]
    metric_exporters = [ready for name in signals["METRICS"] if (ready := _metric_exporter(name, source)) is not None]
    if span_exporters:
        _export_spans(span_exporters, resource)
    if metric_exporters:
        _export_metrics(metric_exporters, resource)
    return bool(span_exporters or metric_exporters)


def _exporters_named(source: Mapping[str, str], signal: str) -> list[str]:
    chosen = source.get(f"OTEL_{signal}_EXPORTER", "").strip().lower()
    if chosen:
        names = dict.fromkeys(name.strip() for name in chosen.split(","))
        return [name for name in names if name not in ("", "none")]
    others = {"TRACES", "METRICS", "LOGS"} - {signal}
    for name, value in source.items():
        concern = name.removeprefix("OTEL_EXPORTER_OTLP_")
        if concern != name and value.strip() and concern.split("_")[0] not in others:
            return ["otlp"]
    return []


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package around it
        return False


def _otlp_is_possible(source: Mapping[str, str], signal: str) -> bool:
    protocol = (
        source.get(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL")
        or source.get("OTEL_EXPORTER_OTLP_PROTOCOL")
        or "http/protobuf"
    )
    if protocol.strip().lower() != "http/protobuf":
        _log.warning("OpenTelemetry: OTLP goes over http/protobuf only, so nothing is exported over %s", protocol)
        return False
    if not _is_installed(_OTLP):
        _log.warning("OpenTelemetry: for otlp, opentelemetry-exporter-otlp-proto-http must be installed")
        return False
    return True


def _span_exporter(name: str, source: Mapping[str, str]) -> "SpanExporter | None":
    if name == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return ConsoleSpanExporter(out=sys.stderr)
    if name != "otlp":
        _log.warning("OTEL_TRACES_EXPORTER: %s is none of otlp, console, none", name)
        return None
    if not _otlp_is_possible(source, "TRACES"):
        return None
    exporter: SpanExporter = importlib.import_module(f"{_OTLP}.trace_exporter").OTLPSpanExporter()
    return exporter


def _metric_exporter(name: str, source: Mapping[str, str]) -> "MetricExporter | None":
    if name == "console":
        from opentelemetry.sdk.metrics.export import ConsoleMetricExporter

        return ConsoleMetricExporter(out=sys.stderr)
    if name != "otlp":
        _log.warning("OTEL_METRICS_EXPORTER: %s is none of otlp, console, none", name)
        return None
    if not _otlp_is_possible(source, "METRICS"):
        return None
    exporter: MetricExporter = importlib.import_module(f"{_OTLP}.metric_exporter").OTLPMetricExporter()
    return exporter


def _export_spans(exporters: "list[SpanExporter]", resource: "Resource") -> None:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=resource)
    for exporter in exporters:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)


def _export_metrics(exporters: "list[MetricExporter]", resource: "Resource") -> None:
    from opentelemetry import metrics
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    readers = [PeriodicExportingMetricReader(exporter) for exporter in exporters]
    metrics.set_meter_provider(MeterProvider(readers, resource))


def _instruments() -> _Instruments | None:
    """The instruments, once something in this process has to do with OpenTelemetry's metrics."""
    return _made_instruments() if "opentelemetry.metrics" in sys.modules else None


@cache
def _made_instruments() -> _Instruments:
    from opentelemetry import metrics

    meter = metrics.get_meter(_NAME, __version__)
    return _Instruments(
        calls=meter.create_counter("kallyai.calls", "{call}", "Phone calls that came to their end, by outcome"),
        call_duration=meter.create_histogram(
            "kallyai.call.duration",
            "s",
            "How long phone calls were under way",
            explicit_bucket_boundaries_advisory=_CALL_SECONDS,
        ),
        under_way=meter.create_up_down_counter("kallyai.calls.under_way", "{call}", "Phone calls under way here"),
        refusals=meter.create_counter("kallyai.refusals", "{call}", "Phone calls that were not dialled, by code"),
        api_duration=meter.create_histogram(
            "kallyai.api.duration",
            "s",
            "How long KallyAI took to answer",
            explicit_bucket_boundaries_advisory=_API_SECONDS,
        ),
    )


def _recording_span() -> "Span | None":
    """The span that is current, if anybody records it."""
    if "opentelemetry.trace" not in sys.modules:
        return None
    from opentelemetry import trace

    span = trace.get_current_span()
    return span if span.is_recording() else None


@contextmanager
def _child_span(method: str, path: str) -> "Iterator[Span | None]":
    """A span below the current one; none where that isn't recorded."""
    if _recording_span() is None:
        yield None
        return
    from opentelemetry import trace

    route = _route(path)
    with trace.get_tracer(_NAME, __version__).start_as_current_span(
        f"{method} {route}",
        kind=trace.SpanKind.CLIENT,
        attributes={"http.request.method": method, "http.route": route},
        record_exception=False,  # its words may quote what nobody else is to read
        set_status_on_exception=False,
    ) as span:
        yield span


def _close(span: "Span", status: int | str) -> None:
    from opentelemetry.trace import StatusCode

    if isinstance(status, int):
        span.set_attribute("http.response.status_code", status)
    if not isinstance(status, int) or status >= 400:
        span.set_attribute("error.type", _status(status))
        span.set_status(StatusCode.ERROR)


def _status(status: int | str) -> str:
    return str(status) if isinstance(status, int) else _word(status)


def _word(value: str) -> str:
    """`value` as it is if it is a word such as a code; the service's own words could be anything, and any number."""
    return value if re.fullmatch(_WORD, value) else "other"


def _route(path: str) -> str:
    """The reference's name of a path; a call's id would make each a series of its own."""
    inside = path[max(0, path.find("/v1/")) :]
    if call := re.fullmatch(_CALL_ROUTE, inside):
        return f"/v1/calls/{{call_id}}{call['part'] or ''}"
    return inside if inside in _ROUTES else "other"
