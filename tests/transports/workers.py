"""The server as the worker processes of `uvicorn --factory
kallyai_mcp.cli.serve_http:from_environment`.
"""

import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import anyio.abc

from tests.processes import environment, free_port
from tests.transports.http_server import LIMIT

COMMAND = (
    "uvicorn --factory kallyai_mcp.cli.serve_http:from_environment --workers 2 --host 127.0.0.1 "
    "--port 8000 "
    "--http kallyai_mcp.transports.uvicorn_server:HeaderTimeoutProtocol --ws none --no-access-log "
    "--no-server-header "
    "--timeout-keep-alive 75 --timeout-graceful-shutdown 1 --no-proxy-headers"
)
"""The command that docs/hosting.md shows."""

IN_CONTAINER = COMMAND.replace("127.0.0.1", "0.0.0.0")  # noqa: S104 - the container's own addresses
"""The same in a container, whose port compose.yaml publishes on 127.0.0.1."""


def workers_command(port: int, workers: int, finish_seconds: int = 1) -> list[str]:
    """`COMMAND` with so many workers on this port, which wait so long at their end."""
    changes = {
        "--port 8000": f"--port {port}",
        "--workers 2": f"--workers {workers}",
        "--timeout-graceful-shutdown 1": f"--timeout-graceful-shutdown {finish_seconds}",
    }
    command = COMMAND
    for original, changed in changes.items():
        command = command.replace(original, changed)
    return [sys.executable, "-m", *command.split()]


class Uvicorn:
    """A running `uvicorn` on a port of 127.0.0.1, whose stderr is a file."""

    def __init__(self, port: int, process: anyio.abc.Process, log: Path) -> None:
        self.port, self.url = port, f"http://127.0.0.1:{port}"
        self._process, self._log = process, log

    async def wait_for_workers(self, number: int) -> None:
        """Wait until it listens and has started `number` workers in all, dead ones included."""
        with anyio.fail_after(LIMIT):
            while (log := self._log.read_text()).count(
                "startup complete."
            ) < number or "running on" not in log:
                assert self._process.returncode is None, log
                await anyio.sleep(0.05)

    def kill_first_worker(self) -> None:
        """Kill the worker that it has started first, with SIGKILL."""
        os.kill(self._pids()[0], signal.SIGKILL)

    async def stop(self) -> None:
        """Tell it to stop; returns when a worker has heard it."""
        self._process.terminate()
        with anyio.fail_after(LIMIT):
            while "Shutting down" not in self._log.read_text():  # noqa: ASYNC110 - a file
                await anyio.sleep(0.05)

    def _pids(self) -> list[int]:
        """Of all workers that it has started, dead ones too, in the order of their start."""
        return [
            int(pid)
            for pid in re.findall(r"Started server process \[(\d+)\]", self._log.read_text())
        ]


@asynccontextmanager
async def uvicorn(
    home: Path, *, workers: int, finish_seconds: str = "1", **settings: str
) -> AsyncIterator[Uvicorn]:
    """Run `COMMAND` with `workers` workers on a free port of 127.0.0.1; yields it when all have
    started.
    """
    port = free_port()
    log = home / f"uvicorn-{port}.log"
    with log.open("wb") as stderr:
        process = await anyio.open_process(
            workers_command(port, workers, int(finish_seconds)),
            stdin=None,
            stdout=None,
            stderr=stderr,
            env=environment(home, **settings),
        )
    server = Uvicorn(port, process, log)
    try:
        await server.wait_for_workers(workers)
        yield server
    finally:
        with anyio.CancelScope(shield=True):
            with suppress(ProcessLookupError):
                process.terminate()
            with anyio.fail_after(LIMIT):
                await process.wait()
