# mypy: disable-error-code="import-not-found"
# The framework is installed only in an environment of its own; drive.py runs this file there.
from typing import Any

from fastmcp import Client
from fastmcp.client.transports import StdioTransport

TIMEOUT = 60  # seconds for one request; by default there is none


def kallyai(where: str) -> Client[Any]:
    if where.startswith("http"):  # it ends in /mcp or in /sse
        return Client(where, timeout=TIMEOUT)
    command, *args = where.split()
    return Client(StdioTransport(command, args), timeout=TIMEOUT)


async def use(where: str, tool: str, arguments: dict[str, Any]) -> tuple[list[str], str]:
    async with kallyai(where) as client:
        names = [each.name for each in await client.list_tools()]
        answer = await client.call_tool(tool, arguments, raise_on_error=False)
        return names, answer.content[0].text
