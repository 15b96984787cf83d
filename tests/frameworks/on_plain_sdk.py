import asyncio
from typing import Any

from mcp import Client, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.types import TextContent

TIMEOUT = 60  # seconds for one request; by default there is none


def kallyai(where: str) -> Client:
    if where.startswith("http"):
        return Client(sse_client(where) if where.endswith("/sse") else where, read_timeout_seconds=TIMEOUT)
    command, *args = where.split()
    return Client(StdioServerParameters(command=command, args=args), read_timeout_seconds=TIMEOUT)


async def place_call(where: str, call: dict[str, Any]) -> dict[str, Any]:
    async with kallyai(where) as client:
        print("tools:", *[tool.name for tool in (await client.list_tools()).tools])
        tool, arguments = "make_call", call
        while True:
            answer = await client.call_tool(tool, arguments)
            print(*[block.text for block in answer.content if isinstance(block, TextContent)])
            outcome = answer.structured_content or {}
            if outcome.get("status") != "in_progress":
                return outcome
            tool, arguments = "get_call", {"call_id": outcome["tracking_id"], "wait_seconds": 45}


if __name__ == "__main__":
    call = {"task_category": "general", "task_description": "Ask when they close"}
    asyncio.run(place_call("kallyai-mcp serve --sandbox", call | {"respondent_phone": "+14155551234"}))
