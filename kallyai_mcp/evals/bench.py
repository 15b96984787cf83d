"""What one run of a task needs: a sandbox with the task's lines and time, a server, and a user."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import anyio

from kallyai_mcp.evals.record import Record, RecordedCall, ToolUse
from kallyai_mcp.evals.server_command import OURS, ServerCommand, server_command
from kallyai_mcp.evals.task_clock import SandboxClock, ServerClock, TaskTime
from kallyai_mcp.evals.task_files import NOW, Task
from kallyai_mcp.evals.user import User
from kallyai_mcp.sandbox.app import create_app
from kallyai_mcp.sandbox.simulator.scenario import Line
from kallyai_mcp.sandbox.state import Sandbox
from kallyai_mcp.testing.sandbox import AT_ONCE, KallyAISandbox, running_sandbox
from kallyai_mcp.testing.scheduled_calls import ScheduledCall, scheduled_calls

SITUATION = """\
You are the assistant of Ada. You can have phone calls placed with the tools that you have.
It is Monday, January 26, 2026, 10:00 AM in New York (America/New_York), where Ada is.
Ada reads your last message only. Say what came of the task, in a few sentences,
in Ada's language."""

_SOON = 60.0
_CALL_SECONDS = 600
"""How long a call lasts at most on the sandbox."""


class Bench:
    """The sandbox, the server's command, and the user of one run."""

    def __init__(
        self,
        task: Task,
        sandbox: KallyAISandbox,
        state: Sandbox,
        time: TaskTime,
        command: ServerCommand,
    ) -> None:
        self.task = task
        self.user = User(task)
        self.sandbox = sandbox
        self.command = command
        self._state = state
        self._time = time

    @property
    def system(self) -> str:
        """The system prompt: the user's situation, and the server's instructions."""
        return f"{SITUATION}\n{self.command.instructions}"

    def scheduled(self) -> list[ScheduledCall]:
        """The calls that our own server is to place later; it blocks."""
        if not self.command.is_ours:
            return []
        return scheduled_calls(self.sandbox.env, ServerClock(self._time))

    def calls(self) -> int:
        """How many calls there are, placed or scheduled; it blocks."""
        return len(self.sandbox.calls) + len(self.scheduled())

    async def after_tool(self, text: str | None) -> None:
        """Let calls end that go on after a tool's result, or (None) after the client gave up."""
        with anyio.move_on_after(_SOON):
            while _is_on_its_way(text) and not self.sandbox.calls:  # noqa: ASYNC110 - in a thread
                await anyio.sleep(0.02)
        is_in_progress = any(call.status == "in_progress" for call in self.sandbox.calls)
        if self.task.is_slow and is_in_progress:
            self._time.advance(_CALL_SECONDS)

    def record(self, words: str, used: list[ToolUse], answers: list[str]) -> Record:
        """What has happened until now; `words` are what the user asked for. It blocks."""
        return Record(
            asked=(self.system, words),
            placed=tuple(RecordedCall.of(call) for call in self.sandbox.calls),
            scheduled=tuple(self.scheduled()),
            refused=len(self._state.refused_calls()),
            used=tuple(used),
            replies=tuple(self.user.given),
            answers=tuple(answers),
        )


def _is_on_its_way(text: str | None) -> bool:
    return text is None or text.startswith("In progress")


@contextmanager
def open_bench(
    task: Task, server: str = OURS, *, scripted: Sequence[Line] | None = None
) -> Iterator[Bench]:
    """Open the bench of one run in a folder of its own; see `bench_in`."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        bench_in(Path(folder), task, server, scripted=scripted) as bench,
    ):
        yield bench


@contextmanager
def bench_in(
    home: Path,
    task: Task,
    server: str = OURS,
    *,
    scripted: Sequence[Line] | None = None,
    data: Path | None = None,
    port: int = 0,
) -> Iterator[Bench]:
    """Open the bench of one run; `server` is `ours`, or the command of another server.

    With `scripted`, somebody plays the callee on all lines but these. `data` is the file in which
    the sandbox keeps its state, None if it keeps none. What is in `home` and `data` goes on,
    if the sandbox has the same port.

    Raises `ValueError` for another server on a machine without libfaketime.
    """
    task_time = TaskTime(home / "clock")
    if not task_time.file.exists():
        task_time.begin_at(NOW)
    app = create_app(
        data=data,
        speed=1.0 if task.is_slow else AT_ONCE,
        clock=SandboxClock(task_time),
        lines=task.line if scripted is None else scripted,
        plays=scripted is not None,
    )
    with running_sandbox(home, app=app, account_id=task.account, port=port) as sandbox:
        sandbox.env |= {
            "KALLYAI_CONFIRM": "auto",
            "KALLYAI_TOKEN_STORE": "file",
            **{f"KALLYAI_{name}": value for name, value in task.settings.items()},
        }
        command = server_command(server, sandbox.env, home, task_time)
        yield Bench(task, sandbox, app.state.sandbox, task_time, command)
