# mypy: disable-error-code="import-not-found"
"""The tools as LlamaIndex gives them to its agents; each use of one opens a connection of its own."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from llama_index.tools.mcp import BasicMCPClient, McpToolSpec

TIMEOUT: float = 60  # seconds for one request; the default is 30


@asynccontextmanager
async def tools(where: str) -> AsyncIterator[Mapping[str, Any]]:
    """Each tool by its name: it takes the arguments and returns what a model gets."""
    command, *args = where.split()
    offered = await McpToolSpec(BasicMCPClient(command, args=args, timeout=TIMEOUT)).to_tool_list_async()

    async def use(tool: Any, **arguments: Any) -> str:
        return str((await tool.acall(**arguments)).content)

    yield {tool.metadata.name: partial(use, tool) for tool in offered}
