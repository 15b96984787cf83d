"""The benches of the samples that run now, and what has happened in each."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from anyio import to_thread
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageTool,
    get_model,
    model_roles,
)
from inspect_ai.solver import TaskState

from kallyai_mcp.evals.bench import Bench, open_bench
from kallyai_mcp.evals.callee import Callee, is_playable
from kallyai_mcp.evals.record import Record, ToolUse
from kallyai_mcp.evals.task_files import Task

CALLEE = "callee"
"""The model role that plays the callee."""

RECORD = "record"
"""The key in the sample's store."""


@dataclass(frozen=True)
class OpenRun:
    """A bench that is open; `callee` plays the callees, None if the scenario does."""

    bench: Bench
    callee: Callee | None
    stack: ExitStack


_open: dict[str, OpenRun] = {}
"""By the id of the run."""


async def open_run(state: TaskState, server: str) -> None:
    """Open the bench of a sample. The model role `callee` plays the callees, if there is one."""
    task = task_of(state)
    callee = _callee_of(task)
    scripted = None
    if callee is not None:
        scripted = [line for line in task.line if not is_playable(line)]

    def opened() -> OpenRun:
        with ExitStack() as stack:
            bench = stack.enter_context(open_bench(task, server, scripted=scripted))
            return OpenRun(bench, callee, stack.pop_all())

    _open[state.uuid] = await to_thread.run_sync(opened)


def _callee_of(task: Task) -> Callee | None:
    """The callee of a model; None without one, and where the task is about how long calls last."""
    if CALLEE not in model_roles() or task.is_slow:
        return None
    return Callee(task, get_model(role=CALLEE, required=True))


async def close_run(state: TaskState) -> None:
    """Close the bench of a sample; it may not have been opened."""
    run = _open.pop(state.uuid, None)
    if run is not None:
        await to_thread.run_sync(run.stack.close)


def run_of(state: TaskState) -> OpenRun:
    """The bench of a sample that runs, and its callee."""
    return _open[state.uuid]


def tokens_of(state: TaskState) -> int:
    """The tokens that the agent has used; not those of a model that plays the callee."""
    run = _open.get(state.uuid)
    if run is None or run.callee is None:
        return state.token_usage
    return state.token_usage - run.callee.tokens


def task_of(state: TaskState) -> Task:
    """The task of a sample."""
    return Task.model_validate(state.metadata["task"])


async def record_of(state: TaskState) -> Record:
    """What has happened in a sample: as its bench shows it, or as it is in a log."""
    if state.uuid not in _open:
        return Record.model_validate(state.store.get(RECORD))
    bench = run_of(state).bench
    messages = state.messages
    record = await to_thread.run_sync(
        bench.record, state.input_text, uses_in(messages), answers_in(messages)
    )
    state.store.set(RECORD, record.model_dump(mode="json"))
    return record


def uses_in(messages: Sequence[ChatMessage]) -> list[ToolUse]:
    """The tools that were used in a conversation."""
    return [
        ToolUse(tool=message.function or "", text=_text_of(message))
        for message in messages
        if isinstance(message, ChatMessageTool)
    ]


def _text_of(message: ChatMessageTool) -> str:
    """The text that a model got from a tool."""
    return message.error.message if message.error is not None else message.text


def answers_in(messages: list[ChatMessage]) -> list[str]:
    """The messages to the user in a conversation."""
    return [
        message.text
        for message in messages
        if isinstance(message, ChatMessageAssistant) and not message.tool_calls
    ]
