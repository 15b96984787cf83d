"""The log on stderr, as text or JSON lines, and the ids that connect its lines to a request.

No line, of this program or of a library, contains a token, a phone number, or the message of an exception. Such a
message may quote arguments, names, or a transcript. The debug logs of libraries that log whole messages are off. Names
of people can't be recognized, so this program never logs them.
"""

import json
import logging
import re
import sys
import uuid
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import PurePath
from traceback import extract_tb
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TextIO

if TYPE_CHECKING:
    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

CORRELATION_HEADER = "X-Correlation-Id"
"""The HTTP header with the correlation id of a request, if its value is a valid one."""

_log = logging.getLogger(__name__)

_LIBRARY_LEVELS = {
    "mcp": logging.INFO,
    "mcp.server.mcpserver.server": logging.WARNING,
    "sse_starlette": logging.INFO,
    "httpcore2": logging.INFO,
}
"""The lowest level that is logged, by logger of a library. Below it, these libraries log headers, whole messages with
arguments and transcripts, or the text of each tool error."""

_CONTROL = "[\x00-\x1f\x7f-\x9f\u2028\u2029]+"

_CREDENTIALS = r"""
      (?P<lead> authorization["']? \s* [:=] \s* ["']? (?:(?:bearer|basic) \s+)?
            | (?: access_token|refresh_token|id_token|identity_token|client_secret|mcp_token|password )
              ["']? \s* [:=] \s* ["']?
            | [?&] (?: code|state|token ) = ) [^\s"'&,;]+
    | \b bearer \s+ \S{16,}
    | (?<![A-Za-z0-9]) (?-i: ey[JA] ) [\w-]{5,} (?: \. [\w-]* )*
    | (?P<scheme> ://) [^/\s]+ @
"""
"""Secrets: text after a name such as `password`, a bearer token (RFC 6750), a JWT (RFC 7519), a URL's user info."""

_NUMBER = r"""
      (?P<kept> \b (?: 19|20 ) \d\d - (?: 0[1-9]|1[0-2] ) - (?: 0[1-9]|[12]\d|3[01] ) (?!\d)
                (?: [T\ ] \d\d : \d\d (?: : \d\d (?: [.,] \d{1,9} )? )? (?: Z | [+-] \d\d :? \d\d )? (?!\d) )?
              | \b [0-9a-f]{8} (?: - [0-9a-f]{4} ){3} - [0-9a-f]{12} \b
              | \b (?= [0-9]*[a-f] ) [0-9a-f]{24,64} \b )
    | (?P<plus> [+\uff0b] \s? )? \(? \d (?: [\s().\-/\u2010-\u2015\u2212\u200b\u2060]{0,3} \d ){6,}
"""
"""Seven digits or more, with separators between them; `kept` are dates, UUIDs, and long hexadecimal ids."""

_ID = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"


def redact(text: str) -> str:
    """A text with `[token]` in place of each secret, and `+1…34` or `…34` in place of each phone number.

    Seven digits or more count as a phone number. Redacting the result again changes nothing.
    """
    secret, number = _patterns()
    return number.sub(_shorten_number, secret.sub(_hide_secret, text))


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """The compiled patterns. They are compiled for the first line of the log, because that would delay the start."""
    return re.compile(_CREDENTIALS, re.VERBOSE | re.IGNORECASE), re.compile(_NUMBER, re.VERBOSE)


def _hide_secret(found: re.Match[str]) -> str:
    if found["scheme"]:
        return "://[token]@"
    return f"{found['lead'] or ''}[token]"


def _shorten_number(found: re.Match[str]) -> str:
    if found["kept"]:
        return found["kept"]
    digits = [char for char in found[0] if char.isdigit()]
    return f"{f'+{digits[0]}' if found['plus'] else ''}…{''.join(digits[-2:])}"


@dataclass
class _Request:
    """A request in progress: its correlation id, and the error's code and correlation id of `note_failure`."""

    correlation_id: str
    code: str | None = None
    api_correlation_id: str | None = None


_request: ContextVar[_Request | None] = ContextVar("kallyai_mcp_request", default=None)


def correlation_id() -> str | None:
    """The correlation id of the current MCP request; None outside of a request."""
    request = _request.get()
    return None if request is None else request.correlation_id


def note_failure(code: str, api_correlation_id: str | None = None) -> None:
    """Note why the current request fails, for the line that `Correlation` logs.

    `api_correlation_id` is the service's id of the request that failed.
    """
    request = _request.get()
    if request is not None:
        request.code, request.api_correlation_id = code, api_correlation_id


class Correlation:
    """Middleware that gives each MCP request a correlation id, and logs one line (INFO) for each that fails.

    The id is the value of the HTTP header `X-Correlation-Id` if that is up to 64 letters, digits, and `._-` without a
    token or a phone number; else 12 new hexadecimal digits.
    """

    async def __call__(self, ctx: "ServerRequestContext[Any, Any]", call_next: "CallNext") -> "HandlerResult":
        """Handle a message. All lines that it logs have its id, also those of tasks that it starts."""
        from opentelemetry.trace import get_current_span  # imported late: commands log without the MCP SDK

        request = _Request(_given_id(ctx.request) or uuid.uuid4().hex[:12])
        token = _request.set(request)
        try:
            get_current_span().set_attribute("kallyai.correlation_id", request.correlation_id)
            result = await call_next(ctx)
        except Exception as error:
            json_rpc_code = getattr(getattr(error, "error", None), "code", None)
            _log_failure(ctx, request, request.code or str(json_rpc_code or type(error).__name__))
            raise
        else:
            is_error = result.get("isError") if isinstance(result, dict) else getattr(result, "is_error", False)
            if request.code is not None or is_error is True:
                _log_failure(ctx, request, request.code or "tool_error")
            return result
        finally:
            _request.reset(token)


def _given_id(http_request: Any) -> str | None:
    value: str | None = getattr(http_request, "headers", {}).get(CORRELATION_HEADER)
    return value if value is not None and re.fullmatch(_ID, value) and redact(value) == value else None


def _log_failure(ctx: "ServerRequestContext[Any, Any]", request: _Request, code: str) -> None:
    name = (ctx.params or {}).get("name") if ctx.method == "tools/call" else None
    tool = name if isinstance(name, str) and re.fullmatch(_ID, name) else None
    fields = {"code": code, "tool": tool, "api_correlation_id": request.api_correlation_id}
    _log.info("%s failed: %s", tool or ctx.method, code, extra=fields)


class _Formatter(logging.Formatter):
    """A line of text, or one JSON object. Nothing of a record is written but what is named here.

    The object has `ts` (ISO 8601, UTC), `level`, `logger`, `message`, and what is known of `correlation_id`,
    `api_correlation_id`, `code`, `tool`, and `exception`.
    """

    def __init__(self, *, is_json: bool) -> None:
        super().__init__()
        self._is_json = is_json

    def format(self, record: logging.LogRecord) -> str:
        message = redact(re.sub(_CONTROL, " ", record.getMessage()))
        ids = {"correlation_id": correlation_id(), "api_correlation_id": getattr(record, "api_correlation_id", None)}
        fields = {name: id_ if re.fullmatch(_ID, id_) else redact(id_) for name, id_ in ids.items() if id_}
        errors = _with_causes(record.exc_info[1]) if record.exc_info and record.exc_info[1] is not None else []
        traces = [{"type": type(error).__name__, "traceback": _lines_of_code(error.__traceback__)} for error in errors]
        if self._is_json:
            ts = f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%S}.{int(record.msecs):03}Z"
            entry = {"ts": ts, "level": record.levelname, "logger": record.name, "message": message}
            more = {name: redact(str(value)) for name in ("code", "tool") if (value := getattr(record, name, None))}
            return json.dumps(entry | fields | more | ({"exception": traces} if traces else {}))
        shown = ", ".join(f"{name} {id_}" for name, id_ in fields.items())
        lines = [f"{message} ({shown})" if shown else message]
        for trace in traces:
            lines += [f"  {trace['type']}", *(f"    {line}" for line in trace["traceback"])]
        return "\n".join(lines)


def _with_causes(error: BaseException) -> list[BaseException]:
    """An exception and its causes: the exception first, and then always the cause of the one before."""
    chain: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in chain:
        chain.append(following)
        following = following.__cause__ or (None if following.__suppress_context__ else following.__context__)
    return chain


def _lines_of_code(traceback: TracebackType | None) -> list[str]:
    """The lines of a traceback, the outermost call first, without the folders of this machine."""
    return [f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}" for frame in extract_tb(traceback)]


class _Handler(logging.StreamHandler[TextIO]):
    """Writes to stderr. A line that can't be formatted is written without its arguments, which are not redacted."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name of logging
        kind = sys.exc_info()[0]
        with suppress(OSError, ValueError):  # stderr is closed
            self.stream.write(f"a line of {record.name} could not be logged: {kind.__name__ if kind else 'unknown'}\n")


def configure(
    level: str,
    format: Literal["text", "json"] = "text",  # noqa: A002 - as logging itself calls it
    *,
    stream: TextIO | None = None,
) -> None:
    """Set up the log of this process. Call it before the server is built, so that the MCP SDK does not set up its own.

    `level` is the lowest level that is logged; `stream` is where the lines are written, None for stderr.
    """
    root = logging.getLogger()
    for former in [handler for handler in root.handlers if isinstance(handler, _Handler)]:
        root.removeHandler(former)
    handler = _Handler(stream or sys.stderr)
    handler.setFormatter(_Formatter(is_json=format == "json"))
    root.addHandler(handler)
    root.setLevel(level)
    for name, lowest in _LIBRARY_LEVELS.items():
        logging.getLogger(name).setLevel(max(root.level, lowest))
