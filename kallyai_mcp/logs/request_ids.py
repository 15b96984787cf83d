"""The ids that connect the lines of the log to an MCP request, a trace, and a call."""

import logging
import re
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from kallyai_mcp.logs.redaction import ID, id_or, redact

if TYPE_CHECKING:
    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

_log = logging.getLogger(__name__)

correlation_id: ContextVar[str | None] = ContextVar("kallyai_mcp_correlation_id", default=None)
"""The correlation id of the current MCP request; None outside of a request."""

request_id: ContextVar[str | None] = ContextVar("kallyai_mcp_request_id", default=None)
"""The id that the client gave the current MCP request; None for a notification."""

tracking_id: ContextVar[str | None] = ContextVar("kallyai_mcp_tracking_id", default=None)
"""The tracking id of the call that this request or task is about; None without one."""


def about_call(id_: str) -> None:
    """Say that this request or task is about the call with this tracking id, to its end."""
    tracking_id.set(id_)
    trace = sys.modules.get("opentelemetry.trace")
    if trace is not None and trace.get_current_span().is_recording():
        trace.get_current_span().set_attribute("kallyai.tracking_id", id_)


def trace_id() -> str | None:
    """The id of the current trace, as W3C Trace Context writes it; None without one."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else None


@contextmanager
def _ids_of(ctx: "ServerRequestContext[Any, Any]") -> Iterator[str]:
    """A context with the ids of a request, which begins without a call; returns its correlation
    id.
    """
    id_ = secrets.token_hex(6)
    tokens = (
        (correlation_id, correlation_id.set(id_)),
        (request_id, request_id.set(_id_of_client(ctx))),
        (tracking_id, tracking_id.set(None)),
    )
    try:
        yield id_
    finally:
        for variable, token in tokens:
            variable.reset(token)


def _id_of_client(ctx: "ServerRequestContext[Any, Any]") -> str | None:
    """The client's id of a request; "other" in place of a text that may be private."""
    if isinstance(ctx.request_id, str):
        return id_or(redact(ctx.request_id), "other")
    return str(ctx.request_id) if isinstance(ctx.request_id, int) else None


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

        with _ids_of(ctx) as id_:
            get_current_span().set_attribute("kallyai.correlation_id", id_)
            try:
                result = await call_next(ctx)
            except Exception as error:
                json_rpc_code = getattr(getattr(error, "error", None), "code", None)
                _log_failure(ctx, {"code": json_rpc_code or type(error).__name__})
                raise
            if isinstance(result, dict) and result.get("isError"):
                _log_failure(ctx, {"code": "tool_error"} | (result.get("structuredContent") or {}))
            return result


def _log_failure(ctx: "ServerRequestContext[Any, Any]", facts: Mapping[str, Any]) -> None:
    tool = _tool_of(ctx)
    code = facts["code"]
    fields = {
        "code": code,
        "tool": tool,
        "tracking_id": facts.get("tracking_id"),
        "api_correlation_id": facts.get("correlation_id"),
    }
    _log.info("%s failed: %s", tool or ctx.method, code, extra=fields)


def _tool_of(ctx: "ServerRequestContext[Any, Any]") -> str | None:
    """The tool that a request uses; None without one, and for what is no tool's name."""
    if ctx.method != "tools/call":
        return None
    name = (ctx.params or {}).get("name")
    if isinstance(name, str) and re.fullmatch(ID, name):
        return name
    return None
