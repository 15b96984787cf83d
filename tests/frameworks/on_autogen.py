# mypy: disable-error-code="import-not-found"
"""The tools as AutoGen gives them to its agents; each use of one opens a connection of its own."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from autogen_core import CancellationToken
from autogen_ext.tools.mcp import SseServerParams, StdioServerParams, StreamableHttpServerParams, mcp_server_tools

TIMEOUT: float = 60  # seconds for one request; the default is 5 over stdio and 300 over HTTP


def _server(where: str) -> Any:
    if where.endswith("/mcp"):
        return StreamableHttpServerParams(url=where, sse_read_timeout=TIMEOUT)
    if where.endswith("/sse"):
        return SseServerParams(url=where, sse_read_timeout=TIMEOUT)
    command, *args = where.split()
    return StdioServerParams(command=command, args=args, read_timeout_seconds=TIMEOUT)


@asynccontextmanager
async def tools(where: str) -> AsyncIterator[Mapping[str, Any]]:
    """Each tool by its name: it takes the arguments and returns what a model gets."""

    async def use(tool: Any, **arguments: Any) -> str:
        return str(tool.return_value_as_string(await tool.run_json(arguments, CancellationToken())))

    yield {tool.name: partial(use, tool) for tool in await mcp_server_tools(_server(where))}
