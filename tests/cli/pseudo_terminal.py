"""Runs `kallyai-mcp` on a pseudo-terminal, as a person does."""

import os
import pty
import re
import select
import subprocess
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.processes import COMMAND, LIMIT, environment


class PseudoTerminal:
    """A command on a terminal of its own."""

    def __init__(self, process: "subprocess.Popen[bytes]", descriptor: int) -> None:
        self.process = process
        self.descriptor = descriptor
        self.output = ""

    def read_until(self, wanted: str) -> str:
        """Read until `wanted` was printed, on one line or on several; returns all that was printed
        so far.
        """
        deadline = time.monotonic() + LIMIT
        while wanted not in re.sub(r"\s+", " ", self.output):
            assert self._read(deadline), f"{wanted!r} was not printed: {self.output}"
        return self.output

    def type(self, text: str) -> None:
        """Press the keys of `text`."""
        os.write(self.descriptor, text.encode())

    def wait_for_keys(self) -> None:
        """Wait until the command reads single keys, in place of lines of limited length."""
        deadline = time.monotonic() + LIMIT
        while termios.tcgetattr(self.descriptor)[3] & termios.ICANON:
            assert time.monotonic() < deadline, self.output
            time.sleep(0.01)

    def wait(self) -> int:
        """Read until the command has ended; returns its exit code."""
        deadline = time.monotonic() + LIMIT
        while self._read(deadline):
            pass
        return self.process.wait(timeout=LIMIT)

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select(
            [self.descriptor], [], [], max(0.0, deadline - time.monotonic())
        )
        if not ready:
            return False
        try:
            data = os.read(self.descriptor, 4096)
        except OSError:  # what Linux reports when the last process has left the terminal
            return False
        self.output += data.decode(errors="replace")
        return bool(data)


@contextmanager
def on_terminal(
    home: Path,
    *arguments: str,
    command: Sequence[str] = COMMAND,
    columns: str = "100",
    **settings: str,
) -> Iterator[PseudoTerminal]:
    """Start a command on a terminal of its own; if it has not ended by the end of the block, it is
    killed.
    """
    own, its = pty.openpty()
    with subprocess.Popen(
        [*command, *arguments],
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
        env=environment(home, **settings) | {"COLUMNS": columns, "TERM": "xterm"},
    ) as process:
        os.close(its)
        try:
            yield PseudoTerminal(process, own)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(timeout=LIMIT)
            os.close(own)
