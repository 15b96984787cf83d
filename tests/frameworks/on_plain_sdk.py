from typing import Any

from mcp import Client, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.types import TextContent

TIMEOUT = 60  # seconds for one request; by default there is none


def kallyai(where: str) -> Client:
    if where.startswith("http"):
        return Client(
            sse_client(where) if where.endswith("/sse") else where, read_timeout_seconds=TIMEOUT
        )
    command, *args = where.split()
    return Client(StdioServerParameters(command=command, args=args), read_timeout_seconds=TIMEOUT)


async def use(where: str, tool: str, arguments: dict[str, Any]) -> tuple[list[str], str]:
    async with kallyai(where) as client:
        names = [each.name for each in (await client.list_tools()).tools]
        answer = await client.call_tool(tool, arguments)
        return names, " ".join(
            block.text for block in answer.content if isinstance(block, TextContent)
        )
