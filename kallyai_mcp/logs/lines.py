"""How a line of the log reads, as text or as JSON."""

import json
import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import PurePath
from traceback import extract_tb
from typing import Any

from kallyai_mcp.logs.redaction import CONTROL, id_or, redact
from kallyai_mcp.logs.request_ids import correlation_id, request_id, trace_id, tracking_id

_FACTS = ("code", "tool", "outcome", "seconds")
"""What else a line may have as extra fields, which only its JSON object shows."""


class LineFormatter(logging.Formatter):
    """A line of text, or one JSON object. Nothing of a record is written but what is named here.

    The object has `ts` (ISO 8601, UTC), `level`, `logger`, `message`, and what is known of
    the ids (`_ids_of`), `_FACTS`, and `exception`.
    """

    def __init__(self, *, is_json: bool) -> None:
        super().__init__()
        self._is_json = is_json

    def format(self, record: logging.LogRecord) -> str:
        """The line or the object of a record, with the ids of the request that it belongs to."""
        message = redact(re.sub(CONTROL, " ", record.getMessage()))
        fields = {name: id_or(id_, redact(id_)) for name, id_ in _ids_of(record).items() if id_}
        traces = _traces(record.exc_info[1] if record.exc_info else None)
        if self._is_json:
            return json.dumps(_entry(record, message, fields, traces))
        shown = ", ".join(f"{name} {id_}" for name, id_ in fields.items())
        return "\n".join([f"{message} ({shown})" if shown else message, *traces])


def _ids_of(record: logging.LogRecord) -> dict[str, str | None]:
    """What connects a line with others.

    That is the request, its id at the client, the trace, our id of the call and KallyAI's, and
    KallyAI's id of a request. A record may have those of a call and of KallyAI as extra fields.
    """
    ids = {
        "correlation_id": correlation_id.get(),
        "request_id": request_id.get(),
        "trace_id": trace_id(),
        "tracking_id": tracking_id.get(),
    }
    for name in ("tracking_id", "call_id", "api_correlation_id"):
        given = getattr(record, name, None)
        if given is not None:
            ids[name] = given
    return ids


def _entry(
    record: logging.LogRecord, message: str, ids: Mapping[str, str], traces: list[str]
) -> dict[str, Any]:
    """The JSON object of a line; see `LineFormatter`."""
    ts = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    entry: dict[str, Any] = {
        "ts": ts.replace("+00:00", "Z"),
        "level": record.levelname,
        "logger": record.name,
        "message": message,
        **ids,
    }
    for name in _FACTS:
        value = getattr(record, name, None)
        if isinstance(value, int | float):
            entry[name] = value
        elif value:
            entry[name] = redact(str(value))
    if traces:
        entry["exception"] = traces
    return entry


def _traces(error: BaseException | None) -> list[str]:
    """An exception and then always the cause of the one before: types and lines of code, the
    outermost call first.

    There are neither messages nor the folders of this machine.
    """
    if error is None:
        return []
    frames = [
        f"    {PurePath(frame.filename).name}:{frame.lineno} {frame.name}"
        for frame in extract_tb(error.__traceback__)
    ]
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return [f"  {type(error).__name__}", *frames, *_traces(cause)]
