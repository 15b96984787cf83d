"""Starts servers by forking a process that has imported the program, which takes a fraction of a start's time.

Some servers are still started as a user's client starts them: those whose clock differs, and a fifth of all others.
"""

import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread
from anyio.abc import SocketStream

from tests.faults.forked import CAN_FORK, processes
from tests.processes import COMMAND

_IMPORTED = (
    "httpx",
    "icalendar",
    "phonenumbers",
    "psycopg",
    "uvicorn",
    "kallyai_mcp.calls.ledger.postgres",
    "kallyai_mcp.calls.ledger.sqlite",
    "kallyai_mcp.cli.main",
    "kallyai_mcp.cli.serve",
    "kallyai_mcp.cli.serve_http",
)


def is_forked(seed: int) -> bool:
    """Whether the servers of this seed are forked, where that is possible."""
    return CAN_FORK and seed % 5 != 0


async def start(
    arguments: Sequence[str], env: Mapping[str, str], *, stderr: Path | None = None, forked: bool
) -> anyio.abc.Process:
    """Start `python -m kallyai_mcp`.

    Args:
        arguments: Of the command line.
        env: All environment variables.
        stderr: Where its stderr goes; None for a stream.
        forked: Fork it; otherwise start Python anew.
    """
    if forked:
        return await _forked(arguments, env, stderr)
    if stderr is None:
        return await anyio.open_process([*COMMAND, *arguments], env=env)
    with stderr.open("wb") as errors:
        return await anyio.open_process([*COMMAND, *arguments], stderr=errors, env=env)


async def _forked(arguments: Sequence[str], env: Mapping[str, str], stderr: Path | None) -> "ForkedProcess":
    ours, theirs = zip(*(socket.socketpair() for _ in range(3)), strict=True)
    process = ForkedProcess(arguments, env, theirs, stderr)
    await anyio.to_thread.run_sync(process.start)
    for one in theirs:
        one.close()
    process.streams = [await SocketStream.from_socket(one) for one in ours]
    return process


class ForkedProcess(anyio.abc.Process):
    """A server that was forked; see `anyio.abc.Process`."""

    streams: Sequence[SocketStream]

    def __init__(
        self, arguments: Sequence[str], env: Mapping[str, str], ends: Sequence[socket.socket], stderr: Path | None
    ) -> None:
        self._process = processes(_IMPORTED).Process(
            target=_serve, args=(list(arguments), dict(env), list(ends), stderr), daemon=True
        )
        self._waiting = anyio.Lock()
        self.start = self._process.start

    async def aclose(self) -> None:
        """Close its streams, and wait until it has ended."""
        with anyio.CancelScope(shield=True):
            for stream in self.streams:
                await stream.aclose()
            await self.wait()

    async def wait(self) -> int:
        """See `anyio.abc.Process.wait`."""
        async with self._waiting:
            while (code := self.returncode) is None:
                await anyio.wait_readable(self._process.sentinel)
        return code

    def terminate(self) -> None:
        """See `anyio.abc.Process.terminate`."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """See `anyio.abc.Process.kill`."""
        self.send_signal(signal.SIGKILL)

    def send_signal(self, signal: signal.Signals) -> None:
        """See `anyio.abc.Process.send_signal`."""
        if self.returncode is None:
            os.kill(self.pid, signal)

    @property
    def pid(self) -> int:
        """See `anyio.abc.Process.pid`."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """See `anyio.abc.Process.returncode`."""
        return self._process.exitcode

    @property
    def stdin(self) -> SocketStream:
        """See `anyio.abc.Process.stdin`."""
        return self.streams[0]

    @property
    def stdout(self) -> SocketStream:
        """See `anyio.abc.Process.stdout`."""
        return self.streams[1]

    @property
    def stderr(self) -> SocketStream:
        """See `anyio.abc.Process.stderr`."""
        return self.streams[2]


def _serve(arguments: list[str], env: dict[str, str], ends: list[socket.socket], stderr: Path | None) -> None:
    """What a forked process does."""
    os.environ.clear()
    os.environ.update(env)
    for number, end in enumerate(ends):
        os.dup2(end.fileno(), number)
        end.close()
    if stderr is not None:
        with stderr.open("wb") as errors:
            os.dup2(errors.fileno(), 2)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - open to the end of the process
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.argv = ["kallyai-mcp", *arguments]
    from kallyai_mcp.cli.start import main

    main()
