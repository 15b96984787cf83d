# mypy: disable-error-code="import-not-found"
# The framework is installed only in an environment of its own; drive.py runs this file there.
from typing import Any

from fastmcp.client.transports import StdioTransport
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.messages import (
    ModelResponse,
    RetryPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.models import Model
from pydantic_ai.models.function import FunctionModel

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


async def use(where: str, tool: str, arguments: dict[str, Any]) -> tuple[list[str], str]:
    names: list[str] = []

    def respond(messages: list[Any], info: Any) -> Any:
        names[:] = [each.name for each in info.function_tools]
        for part in messages[-1].parts:
            if isinstance(part, ToolReturnPart):
                return ModelResponse([TextPart(part.model_response_str())])
            if isinstance(part, RetryPromptPart):
                return ModelResponse([TextPart(part.model_response())])
        return ModelResponse([ToolCallPart(tool, arguments)])

    return names, await ask("Call them.", where, FunctionModel(respond))
