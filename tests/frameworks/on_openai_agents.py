# mypy: disable-error-code="import-not-found"
# The framework is installed only in an environment of its own; drive.py runs this file there.
# docs/frameworks.md shows the following lines.
import asyncio

from agents import Agent, Model, Runner
from agents.mcp import MCPServer, MCPServerSse, MCPServerStdio, MCPServerStreamableHttp

TIMEOUT = 60  # seconds for one tool call; the default, 5, is shorter than any phone call


def kallyai(where: str) -> MCPServer:
    if where.endswith("/mcp"):
        return MCPServerStreamableHttp({"url": where}, client_session_timeout_seconds=TIMEOUT)
    if where.endswith("/sse"):
        return MCPServerSse({"url": where}, client_session_timeout_seconds=TIMEOUT)
    command, *args = where.split()
    return MCPServerStdio(
        {"command": command, "args": args}, client_session_timeout_seconds=TIMEOUT
    )


async def ask(task: str, where: str, model: str | Model) -> str:
    async with kallyai(where) as server:
        agent = Agent("Assistant", mcp_servers=[server], model=model)
        return str((await Runner.run(agent, task)).final_output)


if __name__ == "__main__":
    print(asyncio.run(ask("Call the bistro …", "kallyai-mcp serve --sandbox", "gpt-5")))
# It shows no more.


async def use(where: str, tool: str, arguments: dict[str, object]) -> tuple[list[str], str]:
    from agents.testing import ModelCall, ModelStep, ScriptedModel, assistant_message, function_call

    names: list[str] = []

    def respond(call: ModelCall) -> list[object]:
        names[:] = [each.name for each in call.tools]
        outputs = [
            item["output"] for item in call.input if isinstance(item, dict) and "output" in item
        ]
        return (
            [assistant_message(str(outputs[-1]))]
            if outputs
            else [function_call(tool, arguments, call_id="call")]
        )

    return names, await ask("Call them.", where, ScriptedModel([ModelStep.respond(respond)] * 2))
