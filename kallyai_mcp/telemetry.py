"""What an operator's OpenTelemetry records: metrics, and a span for each request to KallyAI.

Only OpenTelemetry's API is used. It records nothing unless a launcher has set up the rest of it
in this process before, as `opentelemetry-instrument kallyai-mcp serve …` does; then nothing of it
is imported, either. No value is text from outside.

| metric | kind, unit | attributes |
|---|---|---|
| `http.client.request.duration` | histogram, s | `http.request.method`, `url.template`, \
`server.address`, `server.port`, `http.response.status_code`, `error.type` |
| `kallyai.ledger.transaction.duration` | histogram, s | `db.system.name`, `db.operation.name`, \
`error.type` |
| `kallyai.ledger.calls` | gauge, {call} | `kallyai.call.state`: in_progress, due, late, unknown |
| `kallyai.calls.ended` | counter, {call} | `kallyai.call.outcome` |
| `kallyai.calls.refused` | counter, {call} | `error.type`: an error code, such as that of a \
setting |
| `kallyai.calls.expired` | counter, {call} | |
| `kallyai.ledger.writes.unconfirmed` | counter, {write} | |
| `kallyai.leases.lost` | counter, {lease} | |
| `kallyai.server.requests.refused` | counter, {request} | `http.response.status_code`, such as \
401 and 429 |

Counters of what should not happen, and of expired calls, begin with 0 when the server starts. The
gauge is the number in the whole ledger, which each process reports: don't add them up. It has
no value while the ledger can't be read.

A request to KallyAI is each attempt of it, from the search for a connection to the end of the
response. `POST /v1/calls` is answered when the phone call has ended. `error.type` is there only
after a failure: a status from 400 on, or an error code. A span has the request's attributes,
`url.full`, and `kallyai.tracking_id`, as the span of an MCP request that is about a call.
"""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

from kallyai_mcp import __version__
from kallyai_mcp.logs.redaction import id_or
from kallyai_mcp.logs.request_ids import tracking_id

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter
    from opentelemetry.trace import Span

Attributes = Mapping[str, str | int]

_NAME = "kallyai-mcp"
"""The instrumentation scope of the metrics and spans."""

_SECONDS_OF_REQUESTS = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10),
    *(30, 60, 120, 300, 600, 1800),
)
"""The bounds of OpenTelemetry's conventions, and more for the request that lasts as long as a phone
call.
"""

_SECONDS_OF_TRANSACTIONS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)
"""The bounds of OpenTelemetry's conventions for databases."""

_HISTOGRAMS = {
    "http.client.request.duration": (
        "Duration of HTTP client requests, which are those to KallyAI",
        _SECONDS_OF_REQUESTS,
    ),
    "kallyai.ledger.transaction.duration": (
        "Duration of transactions of the ledger, with the wait for a connection and for locks",
        _SECONDS_OF_TRANSACTIONS,
    ),
}

_COUNTERS = {
    "kallyai.calls.ended": ("{call}", "Phone calls that ended, by KallyAI's status, or unknown"),
    "kallyai.calls.refused": ("{call}", "Phone calls that were not placed, by error code"),
    "kallyai.calls.expired": ("{call}", "Scheduled calls that no worker placed in their time"),
    "kallyai.ledger.writes.unconfirmed": (
        "{write}",
        "Writes that the ledger did not confirm, each time they were tried",
    ),
    "kallyai.leases.lost": ("{lease}", "Leases that a worker has lost while it went on"),
    "kallyai.server.requests.refused": (
        "{request}",
        "Requests of clients that were refused before they reached MCP, by HTTP status",
    ),
}

_FROM_ZERO: Mapping[str, Sequence[Mapping[str, str | int]]] = {
    "kallyai.calls.expired": [{}],
    "kallyai.ledger.writes.unconfirmed": [{}],
    "kallyai.leases.lost": [{}],
    "kallyai.server.requests.refused": [{"http.response.status_code": each} for each in (401, 429)],
}
"""The series that begin with 0: those whose attributes are known before. An alert sees no increase
in the first value of a series.
"""

_GAUGES = {
    "kallyai.ledger.calls": (
        "kallyai.call.state",
        "{call}",
        "Calls in the ledger that are in progress, due, too late to be placed, or unknown",
    ),
}

_current: dict[str, Mapping[str, int]] = {}
"""The values of each gauge now, by the value of its attribute."""


def is_taken() -> bool:
    """Whether somebody takes the metrics of this process: a launcher has set up more than the API,
    which takes none.
    """
    metrics = _imported("metrics")
    if metrics is None:
        return False
    return not type(metrics.get_meter_provider()).__module__.startswith(metrics.__name__)


def set_gauge(name: str, values: Mapping[str, int]) -> None:
    """Set all values of a gauge, by the value of its attribute."""
    _current[name] = values
    if is_taken():
        _gauge(name)


def count(name: str, attributes: Mapping[str, str | int]) -> None:
    """Count one more of a counter."""
    if is_taken():
        _counter(name).add(1, {key: _harmless(value) for key, value in attributes.items()})


def start_counters() -> None:
    """Begin with 0 of each counter, as far as its attributes are known."""
    if is_taken():
        for name, series in _FROM_ZERO.items():
            for attributes in series:
                _counter(name).add(0, attributes)


def count_refused_request(status: int) -> None:
    """Count a request of a client that is refused with this HTTP status."""
    count("kallyai.server.requests.refused", {"http.response.status_code": status})


def _harmless(value: str | int) -> str | int:
    return id_or(value, "other") if isinstance(value, str) else value


class Exchange:
    """What came of a request to KallyAI: the status of the response, or the code of an error."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.error: str | None = None

    @property
    def attributes(self) -> dict[str, str | int]:
        """The attributes that say so."""
        if self.status is None:
            return {"error.type": self.error or "canceled"}
        found: dict[str, str | int] = {"http.response.status_code": self.status}
        if self.status >= 400:
            found["error.type"] = str(self.status)
        return found


@contextmanager
def observed_request(
    url: str, attributes: Attributes, *, resend_count: int = 0
) -> Iterator[Exchange]:
    """A context for one attempt of a request to KallyAI, which says there what came of it.

    `attributes` are those of the metric that are known before, among them the method and the
    template. `resend_count` is the number of attempts before. Without a result, the request was
    canceled.
    """
    exchange = Exchange()
    began = time.perf_counter()
    with _client_span(url, attributes, resend_count) as span:
        try:
            yield exchange
        finally:
            ended = exchange.attributes
            if span is not None:
                _end_client_span(span, ended)
            _record("http.client.request.duration", began, {**attributes, **ended})


@contextmanager
def observed_transaction(database: str, operation: str) -> Iterator[None]:
    """A context for a transaction of the ledger in such a `database`.

    `operation` is the name of the event or the function that it is for.
    """
    if not is_taken():
        yield
        return
    attributes: dict[str, str | int] = {"db.system.name": database, "db.operation.name": operation}
    began = time.perf_counter()
    try:
        yield
    except BaseException as error:
        attributes["error.type"] = _harmless(getattr(error, "code", type(error).__name__))
        raise
    finally:
        _record("kallyai.ledger.transaction.duration", began, attributes)


@contextmanager
def _client_span(url: str, attributes: Attributes, resend_count: int) -> "Iterator[Span | None]":
    """A span for a request, with the names of OpenTelemetry's conventions for HTTP.

    No exception is recorded in it: its message may quote the request.
    """
    trace = _imported("trace")
    if trace is None:
        yield None
        return
    more: dict[str, str | int] = {"url.full": url}
    about = tracking_id.get()
    if about is not None:
        more["kallyai.tracking_id"] = about
    if resend_count:
        more["http.request.resend_count"] = resend_count
    with trace.get_tracer(_NAME, __version__).start_as_current_span(
        f"{attributes['http.request.method']} {attributes['url.template']}",
        kind=trace.SpanKind.CLIENT,
        attributes={**attributes, **more},
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        yield span


def _end_client_span(span: "Span", ended: Attributes) -> None:
    from opentelemetry.trace import StatusCode  # which is imported: there is a span

    span.set_attributes(ended)
    if "error.type" in ended:
        span.set_status(StatusCode.ERROR)


def _record(name: str, began: float, attributes: Attributes) -> None:
    """Record the seconds since a time of `time.perf_counter`."""
    if is_taken():
        _histogram(name).record(time.perf_counter() - began, attributes)


def _imported(part: str) -> ModuleType | None:
    """A part of OpenTelemetry's API, if a launcher or a library has imported it.

    What records has imported it before. To import it costs a server more than its whole start.
    """
    return sys.modules.get(f"opentelemetry.{part}")


@cache
def _meter() -> "Meter":
    from opentelemetry import metrics

    return metrics.get_meter(_NAME, __version__)


@cache
def _counter(name: str) -> Any:
    unit, description = _COUNTERS[name]
    return _meter().create_counter(name, unit, description)


@cache
def _gauge(name: str) -> Any:
    from opentelemetry.metrics import Observation

    attribute, unit, description = _GAUGES[name]

    def observe(_: object) -> Iterator[Observation]:
        for value, number in _current[name].items():
            yield Observation(number, {attribute: value})

    return _meter().create_observable_gauge(name, [observe], unit, description)


@cache
def _histogram(name: str) -> Any:
    description, bounds = _HISTOGRAMS[name]
    return _meter().create_histogram(
        name, "s", description, explicit_bucket_boundaries_advisory=bounds
    )
