"""The counters of an operator's OpenTelemetry."""

from functools import cache
from typing import TYPE_CHECKING

from kallyai_mcp import __version__
from kallyai_mcp.logs.redaction import id_or

if TYPE_CHECKING:
    from opentelemetry.metrics import Counter

_COUNTED = {
    "kallyai.calls.ended": "Phone calls that ended, by the reference's status, or unknown",
    "kallyai.calls.refused": "Phone calls not placed, by error code",
    "kallyai.api.requests": (
        "Requests to KallyAI with their retries, by method, and by HTTP status or error code"
    ),
}


def count(name: str, **attributes: str | int) -> None:
    """Count one of `_COUNTED` with the OpenTelemetry API.

    Without OpenTelemetry's SDK in the process, it does nothing. `opentelemetry-instrument
    kallyai-mcp serve …` brings it, and exports as OpenTelemetry's own variables say.
    """
    # Metrics must not contain text from outside.
    _counter(name).add(1, {key: id_or(str(value), "other") for key, value in attributes.items()})


@cache
def _counter(name: str) -> "Counter":
    from opentelemetry import metrics  # imported late: `tools/list` over stdio does not need it

    return metrics.get_meter("kallyai-mcp", __version__).create_counter(
        name, description=_COUNTED[name]
    )
