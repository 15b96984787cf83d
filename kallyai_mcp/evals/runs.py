"""The benches of the samples that run now, and what has happened in each."""

from contextlib import ExitStack

from anyio import to_thread
from inspect_ai.model import ChatMessage, ChatMessageAssistant, ChatMessageTool
from inspect_ai.solver import TaskState

from kallyai_mcp.evals.bench import Bench, open_bench
from kallyai_mcp.evals.record import Record, ToolUse
from kallyai_mcp.evals.task_files import Task

RECORD = "record"
"""The key in the sample's store."""

_open: dict[str, tuple[Bench, ExitStack]] = {}
"""By the id of the run."""


async def open_run(state: TaskState, task: Task, server: str) -> None:
    """Open the bench of a sample."""

    def opened() -> tuple[Bench, ExitStack]:
        with ExitStack() as stack:
            bench = stack.enter_context(open_bench(task, server))
            return bench, stack.pop_all()

    _open[state.uuid] = await to_thread.run_sync(opened)


async def close_run(state: TaskState) -> None:
    """Close the bench of a sample; it may not have been opened."""
    run = _open.pop(state.uuid, None)
    if run is not None:
        await to_thread.run_sync(run[1].close)


def bench_of(state: TaskState) -> Bench:
    """The bench of a sample that runs."""
    return _open[state.uuid][0]


def task_of(state: TaskState) -> Task:
    """The task of a sample."""
    return Task.model_validate(state.metadata["task"])


async def record_of(state: TaskState) -> Record:
    """What has happened in a sample: as its bench shows it, or as it is in a log."""
    if state.uuid not in _open:
        return Record.model_validate(state.store.get(RECORD))
    bench, messages = bench_of(state), state.messages
    record = await to_thread.run_sync(
        bench.record, state.input_text, uses_in(messages), answers_in(messages)
    )
    state.store.set(RECORD, record.model_dump(mode="json"))
    return record


def uses_in(messages: list[ChatMessage]) -> list[ToolUse]:
    """The tools that were used in a conversation."""
    return [
        ToolUse(tool=message.function or "", text=text_of(message))
        for message in messages
        if isinstance(message, ChatMessageTool)
    ]


def text_of(message: ChatMessageTool) -> str:
    """The text that a model got from a tool."""
    return message.error.message if message.error is not None else message.text


def answers_in(messages: list[ChatMessage]) -> list[str]:
    """The messages to the user in a conversation."""
    return [
        message.text
        for message in messages
        if isinstance(message, ChatMessageAssistant) and not message.tool_calls
    ]
