# mypy: disable-error-code="import-not-found, misc, untyped-decorator, unused-ignore"
# Inspect AI is installed only in an environment of its own; __main__.py runs this file there.
"""Lets a model do the tasks with Inspect AI; the arguments are those of `python -m tests.evals`."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inspect_ai import Epochs
from inspect_ai import Task as InspectTask
from inspect_ai import eval as inspect_eval
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessageSystem, ChatMessageUser, get_model
from inspect_ai.scorer import (
    Score,
    Scorer,
    Target,
    accuracy,
    grouped,
    mean_score,
    pass_k,
    scorer,
    stderr,
)
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.tool import ToolDef, ToolError, ToolParams
from inspect_ai.util import store
from mcp.types import Tool

from tests.evals.__main__ import parser
from tests.evals.bench import Bench, open_bench
from tests.evals.graders import grade, in_words
from tests.evals.task import Task, chosen, load_tasks

_SEED = 20260126
_MOST_TURNS = 40
"""Turns of the model in one task before it is ended, with the state that it has by then."""


def main() -> int:
    """Let the model do the tasks; Inspect AI prints how many passed, in all and by theme."""
    options = parser().parse_args()
    tasks = {task.id: task for task in chosen(load_tasks(), options.tasks)}
    samples = [
        Sample(
            id=f"{task.id}/{phrasing + 1}",
            input=task.phrasings[phrasing],
            metadata={"task": task.id, "theme": task.theme, "phrasing": phrasing},
        )
        for task in tasks.values()
        for phrasing in range(options.phrasings)
    ]
    evaluation = InspectTask(
        name="kallyai-mcp",
        dataset=MemoryDataset(samples),
        solver=converse(tasks, options.server),
        scorer=outcome(),
        epochs=Epochs(options.epochs, [mean_score(), pass_k(options.epochs)]),
        message_limit=4 * _MOST_TURNS,
        turn_limit=_MOST_TURNS,
        metadata={"server": options.server},
    )
    (log,) = inspect_eval(
        evaluation,
        model=options.model,
        log_dir="logs",
        max_samples=8,
        fail_on_error=False,
        display="plain",
        seed=_SEED,
    )
    print(f"Inspect's log, with every conversation: {log.location}")
    return 0 if log.status == "success" else 1


@solver
def converse(tasks: Mapping[str, Task], server: str) -> Solver:
    """The model talks with the user, and uses the server's tools, until the user has nothing to
    reply.
    """

    async def solve(state: TaskState, _: Generate) -> TaskState:
        task, phrasing = tasks[state.metadata["task"]], state.metadata["phrasing"]
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
            async with open_bench(task, Path(home), server) as bench:
                tools = [_tool(each, bench) for each in await bench.tools()]
                state.messages = [
                    ChatMessageSystem(content=bench.system),
                    ChatMessageUser(content=state.input_text),
                ]
                try:
                    reply: str | None = ""
                    while reply is not None:
                        new, state.output = await get_model().generate_loop(
                            state.messages, tools=tools
                        )
                        state.messages.extend(new)
                        if (reply := await bench.reply_to(state.output.completion)) is not None:
                            state.messages.append(ChatMessageUser(content=reply))
                finally:  # a limit may have been reached
                    run = await bench.run(phrasing)
                    store().set("wrong", grade(task.expect, run))
        return state

    return solve


def _tool(tool: Tool, bench: Bench) -> ToolDef:
    """A tool of the server for Inspect, whose own MCP client has no time-out that can be set."""

    async def execute(**arguments: Any) -> str:
        use = await bench.use(tool.name, arguments)
        if use.is_error:
            raise ToolError(use.text)
        return use.text

    parameters = ToolParams.model_validate(tool.input_schema)
    for name, parameter in parameters.properties.items():
        parameter.description = parameter.description or name
    return ToolDef(
        execute, name=tool.name, description=tool.description or tool.name, parameters=parameters
    )


@scorer(metrics=[accuracy(), stderr(cluster="task"), grouped(accuracy(), "theme")])
def outcome() -> Scorer:
    """1 if no grader finds anything wrong, else 0; the explanation says what is wrong."""

    async def score(_: TaskState, __: Target) -> Score:
        wrong: dict[str, list[str]] = store().get("wrong", {"calls": ["the run has ended early"]})
        return Score(value=0 if wrong else 1, explanation=in_words(wrong) or None)

    return score


if __name__ == "__main__":
    raise SystemExit(main())
