# mypy: disable-error-code="import-not-found"
# The framework is installed only in an environment of its own; __main__.py runs this file there.
import asyncio
from typing import Any

from fastmcp import Client
from fastmcp.client.transports import StdioTransport

TIMEOUT = 60  # seconds for one request; by default there is none


def kallyai(where: str) -> Client[Any]:
    if where.startswith("http"):  # it ends in /mcp or in /sse
        return Client(where, timeout=TIMEOUT)
    command, *args = where.split()
    return Client(StdioTransport(command, args), timeout=TIMEOUT)


async def place_call(where: str, call: dict[str, Any]) -> dict[str, Any]:
    async with kallyai(where) as client:
        print("tools:", *[tool.name for tool in await client.list_tools()])
        tool, arguments = "make_call", call
        while True:
            answer = await client.call_tool(tool, arguments, raise_on_error=False)
            print(answer.content[0].text.replace("\n", " "))
            outcome: dict[str, Any] = answer.structured_content or {}
            if outcome.get("status") != "in_progress":
                return outcome
            tool, arguments = "get_call", {"call_id": outcome["tracking_id"], "wait_seconds": 45}


if __name__ == "__main__":
    call = {"task_category": "general", "task_description": "Ask when they close"}
    asyncio.run(place_call("kallyai-mcp serve --sandbox", call | {"respondent_phone": "+14155551234"}))
