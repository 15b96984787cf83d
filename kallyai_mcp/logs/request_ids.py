"""The ids that connect the lines of the log to an MCP request."""

import logging
import re
import secrets
from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from kallyai_mcp.logs.redaction import ID

if TYPE_CHECKING:
    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

_log = logging.getLogger(__name__)

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
    if isinstance(name, str) and re.fullmatch(ID, name):
        return name
    return None
