"""Three counters with the OpenTelemetry API; the MCP SDK makes the spans.

Without OpenTelemetry's SDK in the process, they do nothing. `opentelemetry-instrument kallyai-mcp serve …` brings it,
and exports as OpenTelemetry's own variables say. `opentelemetry.metrics` is imported with the first value, because
`tools/list` over stdio does not need it.
"""

import re
from functools import cache
from typing import TYPE_CHECKING

from kallyai_mcp import __version__

if TYPE_CHECKING:
    from opentelemetry.metrics import Counter

_CODE = r"[A-Za-z0-9][A-Za-z0-9_]{0,63}"


def call_ended(outcome: str) -> None:
    """Count a call that has ended, by the reference's `status`, or `unknown` (`kallyai.calls.ended`)."""
    _counter("kallyai.calls.ended", "Phone calls that ended, by outcome").add(1, {"outcome": _code(outcome)})


def call_refused(code: str) -> None:
    """Count a call that was not placed, by the code of the error (`kallyai.calls.refused`)."""
    _counter("kallyai.calls.refused", "Phone calls not placed, by error code").add(1, {"code": _code(code)})


def api_request_ended(method: str, status: int | str) -> None:
    """Count a request to KallyAI with its retries, by its HTTP status or the error's code (`kallyai.api.requests`)."""
    attributes = {"method": method, "status": _code(str(status))}
    _counter("kallyai.api.requests", "Requests to KallyAI, by status").add(1, attributes)


@cache
def _counter(name: str, description: str) -> "Counter":
    from opentelemetry import metrics

    return metrics.get_meter("kallyai-mcp", __version__).create_counter(name, description=description)


def _code(value: str) -> str:
    """`value` if it looks like a code, else `other`: metrics must not contain text from outside."""
    return value if re.fullmatch(_CODE, value) else "other"
