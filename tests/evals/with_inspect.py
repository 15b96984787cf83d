# mypy: disable-error-code="import-not-found, misc, untyped-decorator, unused-ignore"
# Inspect AI is installed only in an environment of its own; __main__.py runs this file there.
"""The tasks as an evaluation of Inspect AI: what it is run on, with, and how it is graded."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from inspect_ai import Epochs
from inspect_ai import Task as InspectTask
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import (
    ChatMessage,
    ChatMessageSystem,
    ChatMessageTool,
    ChatMessageUser,
    Model,
    ModelOutput,
    ModelUsage,
    get_model,
)
from inspect_ai.scorer import (
    Score,
    Scorer,
    Target,
    accuracy,
    mean_score,
    model_graded_qa,
    pass_k,
    scorer,
    stderr,
)
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.tool import ToolDef, ToolError, ToolParams
from inspect_ai.util import store

from tests.evals.bench import Bench, ToolDescription, instructions_of, open_bench
from tests.evals.conversation import Conversation
from tests.evals.graders import grade
from tests.evals.script import Script, ScriptError
from tests.evals.task import Step, Task

_MOST_TURNS = 40
"""Turns of the model in one task before it is ended, with the state that it has by then."""

SCRIPTED = "mockllm/model"

JUDGE = "judge"
"""The role of the model that judges the wording."""

WORDING = """\
You judge only how a message is worded. Another program has checked whether it is true; do not.

The user asked: {question}

The assistant's last message:
{answer}

{criterion}

{instructions}"""
"""The question to the judge."""

CRITERION = (
    "The wording is good if the message begins with the outcome, is short, plain, and polite, in the user's language, "
    "and has no technical terms such as names of tools, ids, JSON, or status codes."
)


def evaluation(
    tasks: Sequence[Task],
    *,
    server: str,
    phrasings: Sequence[int],
    epochs: int = 1,
    scripts: Mapping[str, Sequence[Step]] | None = None,
    other_answers: Mapping[str, Mapping[str, str]] | None = None,
    judged: bool = False,
) -> InspectTask:
    """The tasks as one evaluation.

    Args:
        tasks: The tasks.
        server: As for `open_bench`.
        phrasings: Which phrasings of each task, from 0.
        epochs: How often each sample is run.
        scripts: The turns of each run in place of a model, by the sample's id: `task/name`; only these samples are run.
            Each is graded as if the user had used any of the phrasings: the turns depend on none of them.
        other_answers: Answers that are graded too, as if they were the last of a run, by their names, by its id.
        judged: The model with the role `JUDGE` judges the wording.
    """
    by_id = {task.id: task for task in tasks}
    samples = [
        Sample(
            id=f"{task.id}/{phrasing + 1}",
            input=task.phrasings[phrasing],
            metadata={"task": task.id, "theme": task.theme, "phrasing": phrasing},
        )
        for task in tasks
        for phrasing in phrasings
    ]
    if scripts is not None:
        samples = [
            Sample(
                id=id_,
                input=(task := by_id[id_.partition("/")[0]]).phrasings[0],
                metadata={"task": task.id, "theme": task.theme, "phrasing": 0},
            )
            for id_ in scripts
        ]
    return InspectTask(
        name="kallyai-mcp",
        dataset=MemoryDataset(samples),
        solver=converse(by_id, server, scripts, other_answers or {}),
        scorer=[outcome(), *([wording()] if judged else [])],
        epochs=Epochs(epochs, [mean_score(), pass_k(epochs)]),
        message_limit=4 * _MOST_TURNS,
        turn_limit=_MOST_TURNS,
        metadata={"server": server},
    )


@solver
def converse(
    tasks: Mapping[str, Task],
    server: str,
    scripts: Mapping[str, Sequence[Step]] | None,
    other_answers: Mapping[str, Mapping[str, str]],
) -> Solver:
    """The model talks with the user, and uses the server's tools, until the user has nothing to reply."""

    async def solve(state: TaskState, _: Generate) -> TaskState:
        task = tasks[state.metadata["task"]]
        model = get_model() if scripts is None else _scripted(Script(scripts[str(state.sample_id)]))
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
            async with open_bench(task, Path(home), server) as bench:
                conversation = Conversation(task, state.metadata["phrasing"], bench, instructions_of(server))
                try:
                    tools = await bench.tools(bare=server == "bare")
                    await _talk(state, conversation, model, [_tool(each, bench) for each in tools])
                finally:  # a limit was reached
                    run = await conversation.run()
                    store().set("wrong", grade(task.expect, run))
                    finals = {str(state.sample_id): run.final} if scripts is not None else {}
                    finals |= other_answers.get(str(state.sample_id), {})
                    by_phrasing = {
                        f"{name}, phrasing {number}": grade(
                            task.expect,
                            replace(run, asked=(conversation.system, words), answers=(*run.answers[:-1], answer)),
                        )
                        for name, answer in finals.items()
                        for number, words in enumerate(task.phrasings, 1)
                    }
                    store().set("by_phrasing", by_phrasing)
                    store().set("tool_calls", len(run.used))
        return state

    return solve


async def _talk(state: TaskState, conversation: Conversation, model: Model, tools: Sequence[ToolDef]) -> None:
    state.messages = [ChatMessageSystem(content=conversation.system), ChatMessageUser(content=conversation.request)]
    while True:
        new, state.output = await model.generate_loop(state.messages, tools=tools)
        state.messages.extend(new)
        reply = await conversation.reply_to(state.output.completion)
        if reply is None:
            return
        state.messages.append(ChatMessageUser(content=reply))


def _tool(described: ToolDescription, bench: Bench) -> ToolDef:
    """A tool of the server for Inspect.

    Inspect's own MCP client is not used: it has no time-out that can be set, and some tasks are about that.
    """

    async def execute(**arguments: Any) -> str:
        use = await bench.use(described.name, arguments)
        if use.is_error:
            raise ToolError(use.text)
        return use.text

    parameters = ToolParams.model_validate(described.schema)
    for name, parameter in parameters.properties.items():
        parameter.description = parameter.description or name
    return ToolDef(execute, name=described.name, description=described.description, parameters=parameters)


def _scripted(script: Script) -> Model:
    """A model that takes the turns of a script."""

    def respond(messages: list[ChatMessage], *_: Any) -> ModelOutput:
        results = [
            message.error.message if message.error is not None else message.text
            for message in messages
            if isinstance(message, ChatMessageTool)
        ]
        if [message.role for message in messages[:2]] != ["system", "user"]:
            raise ScriptError("the model does not get the whole conversation")
        step = script.turn(results)
        output = (
            ModelOutput.from_content(SCRIPTED, step.says or "")
            if step.tool is None
            else ModelOutput.for_tool_call(SCRIPTED, step.tool, step.args)
        )
        output.usage = ModelUsage()  # else the tokens are counted, with a table that has to be downloaded
        return output

    return get_model(SCRIPTED, memoize=False, custom_outputs=respond)


@scorer(metrics=[accuracy(), stderr(cluster="task")])
def outcome() -> Scorer:
    """1 if no grader finds anything wrong, else 0; the explanation says what is wrong."""

    async def score(_: TaskState, __: Target) -> Score:
        wrong: dict[str, list[str]] = store().get("wrong", {"calls": ["the run has ended early"]})
        metadata = {"wrong": wrong, "by_phrasing": store().get("by_phrasing", {})}
        return Score(value=0 if wrong else 1, explanation=in_words(wrong) or None, metadata=metadata)

    return score


def in_words(wrong: Mapping[str, Sequence[str]]) -> str:
    """What the graders have found, a line each."""
    return "\n".join(f"{name}: {line}" for name, found in wrong.items() for line in found)


@scorer(metrics=[accuracy(), stderr(cluster="task")])
def wording() -> Scorer:
    """What a model thinks of the wording; it has no part in `outcome`."""
    ask = model_graded_qa(template=WORDING, model_role=JUDGE)

    async def score(state: TaskState, _: Target) -> Score | None:
        return await ask(state, Target(CRITERION))

    return score
