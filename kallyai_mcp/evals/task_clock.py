"""The time of a task: it begins at the task's moment, and the bench can move it on.

The sandbox and the server are two processes. They share the time by a file with the seconds between
it and the machine's clock.
"""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio

from kallyai_mcp.clock import Clock
from kallyai_mcp.sandbox import clock as sandbox_clock

_LOOK_SECONDS = 0.05
"""How long a sleep lasts before it is looked whether the time was moved."""


class TaskTime:
    """The time in a file that other processes can read."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def begin_at(self, moment: datetime) -> None:
        """Set the time to `moment` (aware)."""
        self._write((moment - datetime.now(UTC)).total_seconds())

    def advance(self, seconds: float) -> None:
        """Move the time on."""
        self._write(self._offset() + seconds)

    def now(self) -> datetime:
        """The time, aware, in UTC."""
        return datetime.now(UTC) + timedelta(seconds=self._offset())

    def _offset(self) -> float:
        return float(self.file.read_text(encoding="ascii"))

    def _write(self, offset: float) -> None:
        new = self.file.with_suffix(".new")
        new.write_text(str(offset), encoding="ascii")
        os.replace(new, self.file)  # noqa: PTH105 - a reader finds the old or the new content


class ServerClock(Clock):
    """The clock of a server in a task; its pauses are the machine's."""

    def __init__(self, time: TaskTime) -> None:
        self._time = time

    def now(self) -> datetime:
        """The time of the task."""
        return self._time.now()

    def continuous(self) -> float:
        """Seconds by the time of the task, which never jumps back."""
        return self._time.now().timestamp()


class SandboxClock(sandbox_clock.Clock):
    """The clock of the sandbox in a task."""

    def __init__(self, time: TaskTime) -> None:
        self._time = time

    def now(self) -> datetime:
        """The time of the task."""
        return self._time.now()

    async def sleep_until(self, moment: datetime) -> None:
        """Return when the time of the task has reached `moment`."""
        while self.now() < moment:  # noqa: ASYNC110 - another thread moves the time
            await anyio.sleep(_LOOK_SECONDS)
