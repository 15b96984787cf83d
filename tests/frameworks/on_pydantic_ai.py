# mypy: disable-error-code="import-not-found"
# The framework is installed only in an environment of its own; __main__.py runs this file there.
import asyncio

from fastmcp.client.transports import StdioTransport
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.models import Model

TIMEOUT = 60  # seconds for one tool call; the default is 300


def kallyai(where: str) -> MCPToolset:
    if where.startswith("http"):  # it ends in /mcp or in /sse
        return MCPToolset(where, read_timeout=TIMEOUT)
    command, *args = where.split()
    return MCPToolset(StdioTransport(command, args), read_timeout=TIMEOUT)


async def ask(task: str, where: str, model: str | Model) -> str:
    agent = Agent(model, toolsets=[kallyai(where)])
    async with agent:
        return str((await agent.run(task)).output)


if __name__ == "__main__":
    print(asyncio.run(ask("Call the bistro …", "kallyai-mcp serve --sandbox", "openai:gpt-5")))
