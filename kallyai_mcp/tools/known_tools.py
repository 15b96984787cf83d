"""Answers a call of an unknown tool with the names of the tools that exist."""

from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext

from kallyai_mcp.tools.catalog import tools
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.text.plain import one_line

_LONGEST_NAME = 60
"""Characters of an unknown name that the answer repeats."""


def known_tools(*, read_only: bool) -> ServerMiddleware[AppContext]:
    """Middleware: an unknown tool is answered with the names of the tools that exist."""
    names = [tool.name for tool in tools(read_only=read_only)]

    async def name_tools(ctx: ServerRequestContext[AppContext, object], call_next: CallNext) -> HandlerResult:
        result, name = await call_next(ctx), (ctx.params or {}).get("name")
        if name in names or not isinstance(result, dict):
            return result
        unknown, listed = one_line(str(name), _LONGEST_NAME), ", ".join(names)
        text = f"There is no tool {unknown}; there are {listed}."
        return {**result, "content": [{"type": "text", "text": text}]}

    return name_tools
