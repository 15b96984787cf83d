"""What an operator sees: the log on stderr, the ids that connect its lines to a request, and three
counters.

No line, of this program or of a library, contains a token, a phone number, or the message of an
exception. Such a message may quote arguments, names, or a transcript. The debug logs of libraries
that log whole messages are off. Names of people can't be recognized, so this program never logs
them.
"""

import json
import logging
import os
import re
import secrets
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import cache
from pathlib import PurePath
from queue import SimpleQueue
from threading import Event, Thread
from traceback import extract_tb
from typing import TYPE_CHECKING, Any, Literal, TextIO

from kallyai_mcp import __version__

if TYPE_CHECKING:
    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
    from opentelemetry.metrics import Counter

_log = logging.getLogger(__name__)

_LIBRARY_LEVELS = {
    "mcp": logging.INFO,
    "mcp.server.mcpserver.server": logging.WARNING,
    "sse_starlette": logging.INFO,
    "httpcore2": logging.INFO,
}
"""The lowest level that is logged, by logger of a library.

Below it, these libraries log headers, whole messages with arguments and transcripts, or the text of
each tool error.
"""

_CONTROL = "[\x00-\x1f\x7f-\x9f\u2028\u2029]+"

_CREDENTIALS = r"""(?xi)
      (?P<lead> authorization["']? \s* [:=] \s* ["']? (?:(?:bearer|basic) \s+)?
            | (?: access_token|refresh_token|id_token|identity_token|client_secret
                  |mcp_token|password )
              ["']? \s* [:=] \s* ["']?
            | [?&] (?: code|state|token ) = ) [^\s"'&,;]+
    | \b bearer \s+ \S{16,}
    | (?<![A-Za-z0-9]) (?-i: ey[JA] ) [\w-]{5,} (?: \. [\w-]* )*
    | (?P<scheme> ://) [^/\s]+ @
"""
"""Secrets: text after a name such as `password`, a bearer token (RFC 6750), a JWT (RFC 7519), a
URL's user info.
"""

_NUMBER = r"""(?x)
      (?P<kept> \b (?: 19|20 ) \d\d - (?: 0[1-9]|1[0-2] ) - (?: 0[1-9]|[12]\d|3[01] ) (?!\d)
                (?: [T\ ] \d\d : \d\d (?: : \d\d (?: [.,] \d{1,9} )? )?
                    (?: Z | [+-] \d\d :? \d\d )? (?!\d) )?
              | \b [0-9a-f]{8} (?: - [0-9a-f]{4} ){3} - [0-9a-f]{12} \b
              | \b (?= [0-9]*[a-f] ) [0-9a-f]{24,64} \b )
    | (?P<plus> [+\uff0b] \s? )? \(? \d (?: [\s().\-/\u2010-\u2015\u2212\u200b\u2060]{0,3} \d ){6,}
"""
"""Seven digits or more, with separators between them; `kept` are dates, UUIDs, and long hexadecimal
ids.
"""

_ID = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"


def redact(text: str) -> str:
    """A text with `[token]` in place of each secret, and `+1…34` or `…34` in place of each phone
    number.

    Seven digits or more count as a phone number. Redacting the result again changes nothing.
    """
    # `re` compiles the patterns for the first line of the log: at import, that would delay the
    # start.
    return re.sub(_NUMBER, _shorten_number, re.sub(_CREDENTIALS, _hide_secret, text))


def _hide_secret(found: re.Match[str]) -> str:
    return "://[token]@" if found["scheme"] else f"{found['lead'] or ''}[token]"


def _shorten_number(found: re.Match[str]) -> str:
    if found["kept"]:
        return found["kept"]
    digits = re.sub(r"\D", "", found[0])
    if found["plus"]:
        return f"+{digits[0]}…{digits[-2:]}"
    return f"…{digits[-2:]}"


def _id_or(text: str, otherwise: str) -> str:
    """A text that is an id as it is; something else in place of any other."""
    return text if re.fullmatch(_ID, text) else otherwise


correlation_id: ContextVar[str | None] = ContextVar("kallyai_mcp_correlation_id", default=None)
"""The correlation id of the current MCP request; None outside of a request."""


class Correlation:
    """Middleware that gives each MCP request a correlation id, and logs one line (INFO) for each
    that fails.
    """

    async def __call__(
        self, ctx: "ServerRequestContext[Any, Any]", call_next: "CallNext"
    ) -> "HandlerResult":
        """Handle a message.

        All lines that it logs have its id, also those of tasks that it starts.
        """
        # Imported late: commands log without the MCP SDK.
        from opentelemetry.trace import get_current_span

        id_ = secrets.token_hex(6)
        token = correlation_id.set(id_)
        try:
            get_current_span().set_attribute("kallyai.correlation_id", id_)
            result = await call_next(ctx)
            if isinstance(result, dict) and result.get("isError"):
                _log_failure(ctx, {"code": "tool_error"} | (result.get("structuredContent") or {}))
        except Exception as error:
            json_rpc_code = getattr(getattr(error, "error", None), "code", None)
            _log_failure(ctx, {"code": json_rpc_code or type(error).__name__})
            raise
        else:
            return result
        finally:
            correlation_id.reset(token)


def _log_failure(ctx: "ServerRequestContext[Any, Any]", facts: Mapping[str, Any]) -> None:
    tool = _tool_of(ctx)
    code = facts["code"]
    fields = {"code": code, "tool": tool, "api_correlation_id": facts.get("correlation_id")}
    _log.info("%s failed: %s", tool or ctx.method, code, extra=fields)


def _tool_of(ctx: "ServerRequestContext[Any, Any]") -> str | None:
    """The tool that a request uses; None without one, and for what is no tool's name."""
    if ctx.method != "tools/call":
        return None
    name = (ctx.params or {}).get("name")
    if isinstance(name, str) and re.fullmatch(_ID, name):
        return name
    return None


class _Formatter(logging.Formatter):
    """A line of text, or one JSON object. Nothing of a record is written but what is named here.

    The object has `ts` (ISO 8601, UTC), `level`, `logger`, `message`, and what is known of
    `correlation_id`, `api_correlation_id`, `code`, `tool`, and `exception`.
    """

    def __init__(self, *, is_json: bool) -> None:
        super().__init__()
        self._is_json = is_json

    def format(self, record: logging.LogRecord) -> str:
        message = redact(re.sub(_CONTROL, " ", record.getMessage()))
        ids = {
            "correlation_id": correlation_id.get(),
            "api_correlation_id": getattr(record, "api_correlation_id", None),
        }
        fields = {name: _id_or(id_, redact(id_)) for name, id_ in ids.items() if id_}
        traces = _traces(record.exc_info[1] if record.exc_info else None)
        if self._is_json:
            return json.dumps(_entry(record, message, fields, traces))
        shown = ", ".join(f"{name} {id_}" for name, id_ in fields.items())
        return "\n".join([f"{message} ({shown})" if shown else message, *traces])


def _entry(
    record: logging.LogRecord, message: str, ids: Mapping[str, str], traces: list[str]
) -> dict[str, Any]:
    """The JSON object of a line; see `_Formatter`."""
    ts = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    entry: dict[str, Any] = {
        "ts": ts.replace("+00:00", "Z"),
        "level": record.levelname,
        "logger": record.name,
        "message": message,
        **ids,
    }
    for name in ("code", "tool"):
        value = getattr(record, name, None)
        if value:
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


_MOST_WAITING = 5_000
"""The most lines that wait to be written: a burst of failed requests, and a few MB of memory."""

_FLUSH_SECONDS = 0.5
"""How long the end of the process waits for the log.

A client kills its server after two seconds.
"""


class _Handler(logging.Handler):
    """Writes the log in a thread of its own, so that the program never waits for its reader.

    Lines wait in a queue. A line that finds it full is dropped, and so is one that can't be
    written. When no line waits any more, one line tells how many were dropped.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        super().__init__()
        self._write = write
        # Not a `Queue`: if a finalizer logs while its thread is in `put`, it would wait for itself.
        self._waiting: SimpleQueue[str | Event] = SimpleQueue()
        self._thread: Thread | None = None
        self._found_no_room = 0  # only `emit` changes it, under the handler's lock
        self._not_written = 0  # only the thread changes this one and the next one
        self._reported = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Have a line written later, or drop it."""
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - as in all handlers: a line never fails the code that logs it
            self.handleError(record)
            return
        if self._waiting.qsize() >= _MOST_WAITING:
            self._found_no_room += 1
            return
        self._waiting.put(line)
        if self._thread is None:
            self._thread = Thread(target=self._write_all, name="log", daemon=True)
            self._thread.start()

    def flush(self) -> None:
        """Wait until all lines are written, `_FLUSH_SECONDS` at most.

        `logging` calls it at the end of the process.
        """
        self.wait_until_written()

    def wait_until_written(self) -> bool:
        """Do what `flush` does; returns False if lines still wait."""
        if self._thread is None:
            return True
        written = Event()
        self._waiting.put(written)
        return written.wait(_FLUSH_SECONDS)

    def _write_all(self) -> None:
        while True:
            waiting = self._waiting.get()
            if isinstance(waiting, str) and not self._try_to_write(waiting):
                self._not_written += 1
            if self._waiting.empty():
                self._report_what_was_dropped()
            if isinstance(waiting, Event):
                waiting.set()

    def _try_to_write(self, line: str) -> bool:
        try:
            self._write(f"{line}\n")
        except (OSError, ValueError):  # the stream is closed or full
            return False
        return True

    def _report_what_was_dropped(self) -> None:
        dropped = self._found_no_room + self._not_written
        if dropped == self._reported:
            return
        # With commas, no number of lines looks like a phone number.
        number = f"{dropped - self._reported:,}"
        message = "Lines of the log that were dropped, because stderr was not read in time: %s"
        record = _log.makeRecord(_log.name, logging.WARNING, "", 0, message, (number,), None)
        if self._try_to_write(self.format(record)):
            self._reported = dropped


def _writer_of(stream: TextIO) -> Callable[[str], object]:
    """What writes text to a stream: to its descriptor, if it has one.

    A write to the stream itself holds its lock, for which the end of the process would wait.
    """
    try:
        descriptor = stream.fileno()
    except OSError:
        return stream.write

    def write(text: str) -> None:
        data = text.encode(stream.encoding, "replace")
        while data:
            data = data[os.write(descriptor, data) :]

    return write


def flush() -> bool:
    """Wait until the log is written, half a second at most; False if lines still wait."""
    return all(handler.wait_until_written() for handler in _own_handlers())


def _own_handlers() -> list[_Handler]:
    """The handlers that `configure` has set up."""
    handlers = logging.getLogger().handlers
    return [handler for handler in handlers if isinstance(handler, _Handler)]


def _replace_handlers(logger: logging.Logger) -> None:
    """Have a logger that writes to stderr by itself not wait for its reader, either.

    uvicorn sets up such a log, of its own format, where it imports this program.
    """
    for handler in list(logger.handlers):
        if type(handler) is logging.StreamHandler and handler.stream is sys.stderr:
            own = _Handler(_writer_of(sys.stderr))
            own.setFormatter(handler.formatter)
            logger.removeHandler(handler)
            logger.addHandler(own)


def configure(level: str, log_format: Literal["text", "json"] = "text") -> None:
    """Set up the log of this process.

    Call it before the server is built, so that the MCP SDK does not set up its own. `level` is the
    lowest level that is logged. A line that can't be formatted is left out, and all are if stderr
    is closed.
    """
    root = logging.getLogger()
    for former in _own_handlers():
        former.flush()
        root.removeHandler(former)
    if sys.stderr is None:
        handler: logging.Handler = logging.NullHandler()
    else:
        handler = _Handler(_writer_of(sys.stderr))
    handler.setFormatter(_Formatter(is_json=log_format == "json"))
    root.addHandler(handler)
    root.setLevel(level)
    _replace_handlers(logging.getLogger("uvicorn"))
    # Logging would print such a line's arguments, which are not redacted.
    logging.raiseExceptions = False
    for name, lowest in _LIBRARY_LEVELS.items():
        logging.getLogger(name).setLevel(max(root.level, lowest))


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
    _counter(name).add(1, {key: _id_or(str(value), "other") for key, value in attributes.items()})


@cache
def _counter(name: str) -> "Counter":
    from opentelemetry import metrics  # imported late: `tools/list` over stdio does not need it

    return metrics.get_meter("kallyai-mcp", __version__).create_counter(
        name, description=_COUNTED[name]
    )
