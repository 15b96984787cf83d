"""uvicorn's own workers, as processes: `uvicorn --factory kallyai_mcp.cli.serve_http:from_environment`."""

import http.client
import json
import math
import os
import re
import shlex
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.abc
import anyio.to_thread

from kallyai_mcp.auth.tokens import Tokens
from kallyai_mcp.calls.ledger.base import Ledger
from kallyai_mcp.calls.records import AccountKey
from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.settings import Settings
from tests.processes import environment, free_port
from tests.transports.http_server import ACCEPT, CALL, LIMIT, initialize

COMMAND = (
    "uvicorn --factory kallyai_mcp.cli.serve_http:from_environment --workers 2 --host 0.0.0.0 --port 8000 "
    "--http kallyai_mcp.transports.uvicorn_server:HeaderTimeoutProtocol --ws none --no-access-log --no-server-header "
    "--timeout-keep-alive 75 --timeout-graceful-shutdown 1"
)
"""As the README has it."""


class Uvicorn:
    """A running `uvicorn`.

    Attributes:
        port: Where it listens.
        url: Where it answers.
        pids: Its workers, in the order in which they came to life; those that have died, too.
    """

    def __init__(self, port: int, process: anyio.abc.Process) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.pids: list[int] = []
        self._process = process
        self._said = ""
        self._news = anyio.Event()

    async def listen(self) -> None:
        """Follow what it says, until it ends."""
        assert self._process.stderr is not None
        async for chunk in self._process.stderr:
            self._said += chunk.decode(errors="replace")
            self.pids = [int(pid) for pid in re.findall(r"Started server process \[(\d+)\]", self._said)]
            self._news.set()
            self._news = anyio.Event()
        self._news.set()

    async def up(self, workers: int) -> None:
        """Wait until so many workers in all have started, and the port is open."""
        with anyio.fail_after(LIMIT):
            while self._said.count("Application startup complete.") < workers or "running on" not in self._said:
                assert self._process.returncode is None, self._said
                await self._news.wait()

    def kill_one(self) -> None:
        """End the worker that came first, as a loss of power does."""
        os.kill(self.pids[0], signal.SIGKILL)

    async def end(self) -> None:
        """Tell it to stop; it and its workers are killed if they don't."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        with anyio.move_on_after(LIMIT):
            await self._process.wait()
        if self._process.returncode is None:
            for pid in [self._process.pid, *self.pids]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            raise AssertionError(f"uvicorn did not stop: {self._said}")


@asynccontextmanager
async def uvicorn(home: Path, *, workers: int, **settings: str) -> AsyncIterator[Uvicorn]:
    """`COMMAND` with so many workers on a free port of 127.0.0.1; yields it once all have started."""
    port = free_port()
    where = {"--workers 2": f"--workers {workers}", "--host 0.0.0.0": "--host 127.0.0.1", "8000": str(port)}
    line = COMMAND
    for shown, used in where.items():
        line = line.replace(shown, used)
    process = await anyio.open_process(
        [sys.executable, "-m", *shlex.split(line)], stdin=None, stdout=None, env=environment(home, **settings)
    )
    server = Uvicorn(port, process)
    async with process, anyio.create_task_group() as tasks:
        tasks.start_soon(server.listen)
        try:
            await server.up(workers)
            yield server
        finally:
            with anyio.CancelScope(shield=True):
                await server.end()
            tasks.cancel_scope.cancel()


class Owners:
    """Which server carries out which call, as their ledger has it.

    Attributes:
        known: The tracking ids of all calls that were asked about.
    """

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        self._ledger = ledger
        assert settings.access_token is not None
        account = Tokens.from_document({"access_token": settings.access_token, "expires_at": math.inf}).account
        self._scope = AccountKey(settings.api_url, account)
        self.known: set[str] = set()

    async def of(self, tracking_id: str) -> str:
        """Who carries out this call."""
        self.known.add(tracking_id)
        record = await self._ledger.find(self._scope, tracking_id)
        assert record is not None
        return record.owner

    async def bury(self, owner: str) -> None:
        """Let a server that was killed count as dead now, as it does anyhow once it has been silent for ten seconds."""
        await self._ledger.leave(owner)


@asynccontextmanager
async def owners_of(settings: Settings) -> AsyncIterator[Owners]:
    """A look into the ledger of servers with these settings, for the account of their `ACCESS_TOKEN`."""
    ledger = Connection(settings).ledger()
    try:
        yield Owners(ledger, settings)
    finally:
        await ledger.aclose()


class Line:
    """One connection that stays open, and so leads to one worker."""

    def __init__(self, url: str, bearer: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=LIMIT)
        self._headers = ACCEPT | {"Content-Type": "application/json", "Authorization": f"Bearer {bearer}"}

    async def place(self, errand: str) -> str:
        """Place a call; its tracking id."""
        answer = await self.use("make_call", **CALL | {"task_description": errand, "wait_seconds": 0})
        found = re.search(r"t-[0-9a-f]{8}-[0-9a-f-]{27}", answer)
        assert found, answer
        return found[0]

    async def use(self, tool: str, **arguments: Any) -> str:
        """Call a tool; the answer as it is."""
        return await anyio.to_thread.run_sync(self._use, tool, arguments)

    def _use(self, tool: str, arguments: dict[str, Any]) -> str:
        message = initialize() | {"method": "tools/call", "params": {"name": tool, "arguments": arguments}}
        self._connection.request("POST", "/mcp", json.dumps(message), self._headers)
        response = self._connection.getresponse()
        answer = response.read().decode()
        assert response.status == 200, answer
        return answer

    async def is_dead(self) -> bool:
        """Whether the other side has closed it; waits a moment for that."""
        stream = self._connection.sock
        with anyio.move_on_after(1):
            await anyio.wait_readable(stream)
            return stream.recv(1) == b""
        return False

    def close(self) -> None:
        self._connection.close()
