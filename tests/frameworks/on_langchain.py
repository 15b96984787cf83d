# mypy: disable-error-code="import-not-found"
# The framework is installed only in an environment of its own; drive.py runs this file there.
from typing import Any

from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from langchain.agents import create_agent
from langchain.mcp import MCPAdapter

from tests.frameworks.chat_model import ChatModel

TIMEOUT = 60  # seconds for one tool call; by default there is none


def kallyai(where: str) -> MCPAdapter:
    if where.startswith("http"):  # it ends in /mcp or in /sse
        return MCPAdapter(Client(where, timeout=TIMEOUT))
    command, *args = where.split()
    return MCPAdapter(Client(StdioTransport(command, args), timeout=TIMEOUT))


async def ask(task: str, where: str, model: Any) -> str:
    async with kallyai(where) as adapter:
        agent = create_agent(model, await adapter.list_tools())
        return str((await agent.ainvoke({"messages": task}))["messages"][-1].text)


async def use(where: str, tool: str, arguments: dict[str, Any]) -> tuple[list[str], str]:
    model = ChatModel(tool=tool, arguments=arguments)
    answer = await ask("Call them.", where, model)
    return model.names, answer
