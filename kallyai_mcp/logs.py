"""The log on stderr, as text or as JSON lines, and what ties its lines to a request.

Whatever is logged, by this program or a library, leaves without tokens, without phone numbers and without the words of
exceptions, which can quote anything: arguments, other people's names, what was said on the phone. Libraries that log
whole messages when they debug are not let to. Names can't be told from other words, so nobody logs them.
"""

import json
import logging
import re
import sys
import uuid
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import cache
from pathlib import PurePath
from traceback import extract_tb
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from typing_extensions import override

from kallyai_mcp.common_types import LogFormat

if TYPE_CHECKING:
    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

CORRELATION_HEADER = "X-Correlation-Id"
"""The HTTP header whose value becomes the correlation id of a request, if it can be one."""

_log = logging.getLogger(__name__)

_AT_LEAST = {
    "mcp": logging.INFO,
    "mcp.server.mcpserver.server": logging.WARNING,
    "sse_starlette": logging.INFO,
    "httpcore": logging.INFO,
    "hpack": logging.INFO,
}
"""From which level on libraries are heard: below it they log headers or whole messages, so arguments and transcripts,
and the MCP SDK the text of each tool error."""

_CONTROL = "[\x00-\x1f\x7f-\x9f\u2028\u2029]+"

_HIDDEN = r"""
      (?P<lead> authorization["']? \s* [:=] \s* ["']? (?:(?:bearer|basic) \s+)?
            | (?: access_token|refresh_token|id_token|identity_token|client_secret|mcp_token|password )
              ["']? \s* [:=] \s* ["']?
            | [?&] (?: code|state|token ) = ) [^\s"'&,;]+
    | \b bearer \s+ \S{16,}
    | (?<![A-Za-z0-9]) (?-i: ey[JA] ) [\w-]{5,} (?: \. [\w-]* )*
    | (?P<scheme> ://) [^/\s]+ @
"""
"""Secrets: by the name before them, as a bearer (RFC 6750), as a JWT (RFC 7519), or in front of a URL's host."""

_NUMBER = r"""
      (?P<kept> \b (?: 19|20 ) \d\d - (?: 0[1-9]|1[0-2] ) - (?: 0[1-9]|[12]\d|3[01] ) (?!\d)
                (?: [T\ ] \d\d : \d\d (?: : \d\d (?: [.,] \d{1,9} )? )? (?: Z | [+-] \d\d :? \d\d )? (?!\d) )?
              | \b [0-9a-f]{8} (?: - [0-9a-f]{4} ){3} - [0-9a-f]{12} \b
              | \b (?= [0-9]*[a-f] ) [0-9a-f]{24,64} \b )
    | (?P<plus> [+\uff0b] \s? )? \(? \d (?: [\s().\-/\u2010-\u2015\u2212\u200b\u2060]{0,3} \d ){6,}
"""
"""Seven digits or more, whatever stands between them; dates, UUIDs and long hexadecimal ids are kept."""

_SANE_ID = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"


def redact(text: str) -> str:
    """Take out of `text` what no log may hold.

    Args:
        text: Any text.

    Returns:
        The text with secrets as `[token]`, and phone numbers (7 digits or more) as their last two digits: `+1…34`,
        `…34`. Doing it again changes nothing.
    """
    secret, number = _patterns()
    return number.sub(_shortened, secret.sub(_hidden, text))


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Compiled when the first line is logged: at the start of a quiet server nobody waits for it."""
    return re.compile(_HIDDEN, re.VERBOSE | re.IGNORECASE), re.compile(_NUMBER, re.VERBOSE)


def _hidden(found: re.Match[str]) -> str:
    if found["scheme"]:
        return "://[token]@"
    return f"{found['lead'] or ''}[token]"


def _shortened(found: re.Match[str]) -> str:
    if found["kept"]:
        return found["kept"]
    digits = [char for char in found[0] if char.isdigit()]
    return f"{f'+{digits[0]}' if found['plus'] else ''}…{''.join(digits[-2:])}"


class _Request:
    """A request under way: its correlation id, and what a tool noted of its failure."""

    def __init__(self, correlation_id: str) -> None:
        self.correlation_id = correlation_id
        self.code: str | None = None
        self.api_correlation_id: str | None = None


_request: ContextVar[_Request | None] = ContextVar("kallyai_mcp_request", default=None)


def correlation_id() -> str | None:
    """The id of the MCP request that is worked for here; None outside of any."""
    request = _request.get()
    return None if request is None else request.correlation_id


def note_failure(code: str, api_correlation_id: str | None = None) -> None:
    """Note that the request under way fails; it is logged once the request is answered.

    Args:
        code: Why: an error code of the service or of this program.
        api_correlation_id: The service's own id of what went wrong there.
    """
    request = _request.get()
    if request is not None:
        request.code, request.api_correlation_id = code, api_correlation_id


class Correlation:
    """Middleware: gives each MCP request an id, and logs one line (INFO) for each that is refused or fails.

    The id is that of the header `X-Correlation-Id`, if it was sent over HTTP and is up to 64 letters, digits and
    `._-` that hide neither a token nor a phone number; else a new one of 12 hexadecimal digits.
    """

    async def __call__(self, ctx: "ServerRequestContext[Any, Any]", call_next: "CallNext") -> "HandlerResult":
        """Let a message through; what is logged meanwhile, also by tasks that it starts, carries its id."""
        from opentelemetry.trace import get_current_span  # imported late, as the MCP SDK is

        request = _Request(_given_id(ctx.request) or uuid.uuid4().hex[:12])
        token = _request.set(request)
        try:
            get_current_span().set_attribute("kallyai.correlation_id", request.correlation_id)
            try:
                result = await call_next(ctx)
            except Exception as error:
                _log_failure(ctx, request, request.code or _code_of(error))
                raise
            if request.code is not None or _is_error(result):
                _log_failure(ctx, request, request.code or "tool_error")
            return result
        finally:
            _request.reset(token)


def _given_id(http_request: Any) -> str | None:
    value: str | None = getattr(http_request, "headers", {}).get(CORRELATION_HEADER)
    return value if value is not None and _is_sane(value) else None


def _is_sane(id_: str) -> bool:
    return re.fullmatch(_SANE_ID, id_) is not None and redact(id_) == id_


def _is_error(result: "HandlerResult") -> bool:
    if isinstance(result, dict):
        return result.get("isError") is True
    return getattr(result, "is_error", None) is True


def _code_of(error: Exception) -> str:
    """The code of a JSON-RPC error, else what kind of exception it is."""
    code = getattr(getattr(error, "error", None), "code", None)
    return type(error).__name__ if code is None else str(code)


def _log_failure(ctx: "ServerRequestContext[Any, Any]", request: _Request, code: str) -> None:
    name = (ctx.params or {}).get("name") if ctx.method == "tools/call" else None
    tool = name if isinstance(name, str) and re.fullmatch(_SANE_ID, name) else None
    about = {"code": code, "tool": tool, "api_correlation_id": request.api_correlation_id}
    _log.info("%s failed: %s", tool or ctx.method, code, extra=about)


def _line(record: logging.LogRecord) -> str:
    """The message on one line, redacted."""
    return redact(re.sub(_CONTROL, " ", record.getMessage()))


def _ids(record: logging.LogRecord) -> dict[str, str]:
    """The ids that tie a line to a request, and to what the service knows of it."""
    given = {"correlation_id": correlation_id(), "api_correlation_id": getattr(record, "api_correlation_id", None)}
    return {name: id_ if re.fullmatch(_SANE_ID, id_) else redact(id_) for name, id_ in given.items() if id_}


def _chain(error: BaseException) -> list[BaseException]:
    """An exception and what led to it, the last one first."""
    chain: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in chain:
        chain.append(following)
        following = following.__cause__ or (None if following.__suppress_context__ else following.__context__)
    return chain


def _places(traceback: TracebackType | None) -> list[str]:
    """Where it went wrong, outermost first, without the folders of this machine."""
    return [f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}" for frame in extract_tb(traceback)]


class _TextFormatter(logging.Formatter):
    """The message, and below it what an exception was and where."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        ids = ", ".join(f"{name} {id_}" for name, id_ in _ids(record).items())
        lines = [f"{_line(record)} ({ids})" if ids else _line(record)]
        if record.exc_info and record.exc_info[1] is not None:
            for error in _chain(record.exc_info[1]):
                lines.append(f"  {type(error).__name__}")
                lines += [f"    {place}" for place in _places(error.__traceback__)]
        return "\n".join(lines)


class _JsonFormatter(logging.Formatter):
    """One object a line: `ts` (ISO 8601, UTC), `level`, `logger`, `message`, and what else there is."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        entry: dict[str, Any] = {
            "ts": when.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": _line(record),
            **_ids(record),
        }
        entry |= {name: redact(str(value)) for name in ("code", "tool") if (value := getattr(record, name, None))}
        if record.exc_info and record.exc_info[1] is not None:
            entry["exception"] = [
                {"type": type(error).__name__, "traceback": _places(error.__traceback__)}
                for error in _chain(record.exc_info[1])
            ]
        return json.dumps(entry)


class _Handler(logging.StreamHandler[TextIO]):
    """Writes lines. Of one that can't be written, logging itself would show message and arguments as they are."""

    @override
    def handleError(self, record: logging.LogRecord) -> None:
        kind = sys.exc_info()[0]
        try:
            self.stream.write(f"a line of {record.name} could not be logged: {kind.__name__ if kind else 'unknown'}\n")
        except (OSError, ValueError):
            return  # nobody reads stderr any more


def configure(
    level: str,
    format: LogFormat = "text",  # noqa: A002 - as logging itself calls it
    *,
    stream: TextIO | None = None,
) -> None:
    """Set up the log of this process. Call it before the server is built: the MCP SDK then leaves it as it is.

    Args:
        level: The least level that is logged: `DEBUG`, `INFO`, `WARNING` or `ERROR`.
        format: `text` for people, `json` for one JSON object a line.
        stream: Where to; None for stderr.
    """
    root = logging.getLogger()
    for former in [handler for handler in root.handlers if isinstance(handler, _Handler)]:
        root.removeHandler(former)
    handler = _Handler(stream or sys.stderr)
    handler.setFormatter(_JsonFormatter() if format == "json" else _TextFormatter())
    root.addHandler(handler)
    root.setLevel(level)
    for name, least in _AT_LEAST.items():
        logging.getLogger(name).setLevel(max(root.level, least))
