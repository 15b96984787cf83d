"""The conversation of an agent with its user, in which it uses the tools of the run's server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio import to_thread
from inspect_ai.model import ChatMessageSystem, ChatMessageUser, Model, get_model
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.tool import Tool, ToolDef, ToolError, mcp_connection, mcp_server_stdio

from kallyai_mcp.evals.bench import Bench
from kallyai_mcp.evals.play import play_callees
from kallyai_mcp.evals.runs import OpenRun, open_run, run_of, uses_in

_CALLEE_SECONDS = 120
"""How much longer a client waits for a tool when a model plays the callee."""


@solver
def sandbox(server: str) -> Solver:
    """Opens the sample's sandbox; `server` is `ours`, or the command of another server."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:  # noqa: ARG001 - Inspect passes it by its name
        await open_run(state, server)
        return state

    return solve


@solver
def conversation() -> Solver:
    """The model talks with the user, and uses the server's tools, until the user has nothing to
    reply.
    """

    async def solve(state: TaskState, generate: Generate) -> TaskState:  # noqa: ARG001 - Inspect passes it by its name
        return await converse(state, get_model())

    return solve


async def converse(state: TaskState, model: Model) -> TaskState:
    """Let a model do the task of a sample."""
    bench = run_of(state).bench
    state.messages = [
        ChatMessageSystem(content=bench.system),
        ChatMessageUser(content=state.input_text),
    ]
    async with phone_tools(state) as tools:
        reply: str | None = ""
        while reply is not None:
            new, state.output = await model.generate_loop(state.messages, tools=tools)
            state.messages.extend(new)
            reply = await _reply(bench, state)
            if reply is not None:
                state.messages.append(ChatMessageUser(content=reply))
    return state


async def _reply(bench: Bench, state: TaskState) -> str | None:
    used = uses_in(state.messages)
    last_result = used[-1].text if used else None
    calls = await to_thread.run_sync(bench.calls)
    return bench.user.reply_to(state.output.completion, last_result, calls)


@asynccontextmanager
async def phone_tools(state: TaskState) -> AsyncIterator[list[Tool]]:
    """The tools of the sample's server, which runs until the block ends.

    Meanwhile, the model role `callee` answers the calls, if there is one.
    """
    run = run_of(state)
    command = run.bench.command
    server = mcp_server_stdio(
        name="kallyai", command=command.program, args=command.arguments, env=command.env
    )
    async with mcp_connection([server]), anyio.create_task_group() as tasks:
        if run.callee is not None:
            tasks.start_soon(play_callees, run.bench.sandbox.url, run.callee)
        yield [_with_limit(tool, run) for tool in await server.tools()]
        tasks.cancel_scope.cancel()


def _with_limit(tool: Tool, run: OpenRun) -> Tool:
    """The tool of a client that gives up after the task's `client_seconds`.

    Inspect's own client has no limit that can be set.
    """
    definition = ToolDef(tool)
    bench = run.bench
    seconds = bench.task.client_seconds
    if run.callee is not None:
        seconds += _CALLEE_SECONDS

    async def execute(**arguments: Any) -> Any:
        try:
            with anyio.fail_after(seconds):
                result = await tool(**arguments)
        except TimeoutError:
            await bench.after_tool(None)
            raise ToolError(f"Timed out after {seconds:g} seconds.") from None
        await bench.after_tool(result_text(result))
        return result

    return ToolDef(
        execute,
        name=definition.name,
        description=definition.description,
        parameters=definition.parameters,
    ).as_tool()


def result_text(result: Any) -> str:
    """The text of a tool's result, which is a text or a list of contents."""
    if isinstance(result, str):
        return result
    return "\n".join(getattr(content, "text", "") for content in result)
