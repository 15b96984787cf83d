# mypy: disable-error-code="import-not-found"
# The framework is installed only in an environment of its own; drive.py runs this file there.
from datetime import timedelta
from typing import Any

from langchain.agents import create_agent
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_mcp_adapters.tools import load_mcp_tools

from tests.frameworks.chat_model import ChatModel

# For one tool call; by default there is none.
TIMEOUT = {"read_timeout_seconds": timedelta(seconds=60)}


def kallyai(where: str) -> dict[str, Any]:
    if where.startswith("http"):
        transport = "sse" if where.endswith("/sse") else "streamable_http"
        return {"transport": transport, "url": where, "session_kwargs": TIMEOUT}
    command, *args = where.split()
    return {"transport": "stdio", "command": command, "args": args, "session_kwargs": TIMEOUT}


async def ask(task: str, where: str, model: Any) -> str:
    async with MultiServerMCPClient({"kallyai": kallyai(where)}).session("kallyai") as session:
        agent = create_agent(model, await load_mcp_tools(session))
        return str((await agent.ainvoke({"messages": task}))["messages"][-1].text)


async def use(where: str, tool: str, arguments: dict[str, Any]) -> tuple[list[str], str]:
    model = ChatModel(tool=tool, arguments=arguments)
    answer = await ask("Call them.", where, model)
    return model.names, answer
