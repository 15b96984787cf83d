"""Runs with real processes: a server ends while a call is on its way, and another one is asked for the same call.

Servers over stdio share an SQLite file; workers over HTTP share a PostgreSQL database, which has troubles, too. The
simulation (`tests.faults.simulation`) has everything else.
"""

import json
import random
import secrets
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import anyio
import anyio.to_thread
import httpx2
import psycopg
from psycopg.rows import dict_row

from kallyai_mcp.sandbox.app import create_app
from kallyai_mcp.sandbox.faults import KINDS
from kallyai_mcp.sandbox.serve import running
from tests.faults.machine import fast_folder
from tests.faults.violations import Rule, Violation
from tests.postgres_server import PostgresServer
from tests.processes import COMMAND, environment, free_port
from tests.transports.http_server import ACCEPT
from tests.transports.stdio_peer import initialization, line

STDIO_ENDS = (
    *("is killed", "gets SIGTERM", "loses its client", "goes on", "ends before it begins"),
    *("is not read and killed", "is not read and gets SIGTERM", "is not read and loses both pipes"),
)
"""What happens to the server that was asked first."""

WORKER_ENDS = (
    *("is killed", "gets SIGTERM", "goes on", "is killed at once"),
    *("has its database killed", "has its database restarted", "has a database that hangs"),
)

_FAULTS = (None, *sorted(KINDS), None)

_SPEED = 12.0
"""The sandbox's speed, relative to real time: a call takes five seconds."""

_LONG = 60.0
"""Seconds until something counts as hung."""

_UNREAD_LISTS = 10
"""So many lists of tools are more than a pipe holds."""


@dataclass(frozen=True)
class Plan:
    """One run.

    Attributes:
        ends: What happens to the first server, `after` so many seconds; if it is not read, so long after the call.
        fault: What the service does with the first request for a call; None for nothing.
        lists: How many lists the client asks for and does not read.
    """

    seed: int
    driver: str
    ends: str
    fault: str | None
    after: float
    lists: int

    @classmethod
    def of(cls, seed: int, driver: str) -> "Plan":
        """The plan of a seed, always the same; the ends come in turn."""
        rng = random.Random(f"{driver} {seed}")  # noqa: S311 - it has to be repeatable, not secret
        ends = STDIO_ENDS if driver == "stdio" else WORKER_ENDS
        end = ends[seed % len(ends)]
        after = rng.choice((rng.uniform(0, 0.3), rng.uniform(0, 6)))
        return cls(seed, driver, end, rng.choice(_FAULTS), after, rng.choice((0, _UNREAD_LISTS)))

    @property
    def is_unread(self) -> bool:
        """Whether the client reads nothing, and then redials."""
        return "not read" in self.ends


class StdioServer:
    """A server over stdio."""

    def __init__(self, env: dict[str, str], errors: IO[bytes], command: Sequence[str] = COMMAND) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, env=env, stdin=pipe, stdout=pipe, stderr=errors)
        self._number = 0
        self._write(initialization())

    def send(self, method: str, **params: Any) -> int:
        """Send a request, and read nothing."""
        self._number += 1
        self._write(line(self._number + 100, method, **params))
        return self._number + 100

    def use(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Use a tool; returns its result."""
        number = self.send("tools/call", name=tool, arguments=arguments)
        assert self.process.stdout is not None
        for answer in map(json.loads, self.process.stdout):
            if answer.get("id") == number:
                result: dict[str, Any] = answer["result"]
                return result
        raise ConnectionError("the server ended")

    def close(self, *, reads: bool = True) -> None:
        """Close the pipe to it, and the one from it unless somebody `reads`."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        if not reads:
            self.process.stdout.close()
        with suppress(BrokenPipeError):
            self.process.stdin.close()

    def _write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(data)
            self.process.stdin.flush()


class Worker:
    """A worker over HTTP."""

    def __init__(self, env: dict[str, str], errors: IO[bytes]) -> None:
        self._url = f"http://127.0.0.1:{free_port()}"
        command = [*COMMAND, "serve", "--transport", "http", "--port", self._url.rpartition(":")[2]]
        self.process = subprocess.Popen(command, env=env, stderr=errors)
        _wait(self._is_up)

    def send(self, method: str, **params: Any) -> int:
        """Send a request, and don't wait for the answer."""

        def post() -> None:
            with suppress(httpx2.TransportError):  # the worker ends
                self._post(line(1, method, **params))

        threading.Thread(target=post, daemon=True).start()
        return 1

    def use(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Use a tool; returns its result."""
        answer = self._post(line(1, "tools/call", name=tool, arguments=arguments))
        [data] = [text for text in answer.splitlines() if '"result":' in text]
        result: dict[str, Any] = json.loads(data.removeprefix("data: "))["result"]
        return result

    def close(self, *, reads: bool = True) -> None:  # noqa: ARG002 - as for `StdioServer`
        """End it."""
        self.process.terminate()

    def _post(self, body: bytes) -> str:
        headers = ACCEPT | {"Content-Type": "application/json", "MCP-Protocol-Version": "2025-11-25"}
        return httpx2.post(f"{self._url}/mcp", content=body, headers=headers, timeout=_LONG).text

    def _is_up(self) -> bool:
        with suppress(httpx2.TransportError):
            return httpx2.get(self._url, timeout=5).status_code > 0
        return False


def _wait(is_true: Any) -> None:
    until = time.monotonic() + _LONG
    while not is_true():
        if time.monotonic() > until:
            raise TimeoutError(f"nothing came of it within {_LONG:g} s")
        time.sleep(0.05)


class Run:
    """One run; `url` and `token` are of a sandbox that no other run uses meanwhile."""

    def __init__(self, plan: Plan, url: str, token: str, folder: Path, command: Sequence[str] = COMMAND) -> None:
        self._plan, self._url, self._token, self._command = plan, url, token, command
        self._home = folder / "home"
        self._errors = folder / "stderr"
        self._env = environment(self._home, API_URL=url, ACCESS_TOKEN=token, SETTLE_SECONDS="7")
        self._database: PostgresServer | None = None
        self._servers: list[StdioServer | Worker] = []
        task = f"Ask for the opening hours, run {plan.seed}"
        self._task = {"task_category": "general", "task_description": task, "respondent_phone": "+12025550100"}

    def violations(self) -> list[Violation]:
        """Carry it out."""
        with ExitStack() as stack, self._errors.open("wb") as errors:
            if self._plan.driver == "workers":
                self._database = stack.enter_context(PostgresServer(folder=fast_folder()))
                self._env |= {
                    "KALLYAI_DATABASE_URL": self._database.url(),
                    "KALLYAI_SECRET_KEYS": secrets.token_hex(32),
                }
            try:
                outcome = self._use_two(errors)
            except (TimeoutError, ConnectionError, subprocess.TimeoutExpired, httpx2.TransportError) as error:
                return [Violation(Rule.FAILED, f"{error!r}: {self._errors.read_text(errors='replace')[-500:]}")]
            finally:
                for server in self._servers:
                    server.process.kill()
                    server.process.wait()
            return list(self._judge(outcome, self._rows()))

    def _use_two(self, errors: IO[bytes]) -> dict[str, Any]:
        """Ask the first server, let it end, and ask the second one until there is an end; returns what it said last."""
        first = self._open(errors)
        fault = [{"kind": self._plan.fault, "seconds": 3.0}] if self._plan.fault else []
        httpx2.put(f"{self._url}/_sandbox/faults", json={"faults": fault}).raise_for_status()
        for _ in range(self._plan.lists if self._plan.is_unread else 0):
            first.send("tools/list")
        first.send("tools/call", name="make_call", arguments=self._task | {"wait_seconds": 30})
        if self._plan.is_unread:
            _wait(lambda: [row for row in self._rows() if row["state"] not in ("reserved", "sent")])
        if self._plan.ends not in ("ends before it begins", "is killed at once"):
            time.sleep(self._plan.after)
        self._end(first)
        second = self._open(errors)
        redial = {"redial": True} if self._plan.is_unread else {}
        answer = second.use("make_call", self._task | redial | {"wait_seconds": 30})
        tracking_id = answer.get("structuredContent", {}).get("tracking_id")
        while tracking_id and answer.get("structuredContent", {}).get("status") == "in_progress":
            answer = second.use("get_call", {"call_id": tracking_id, "wait_seconds": 15})
        _wait(lambda: all(datetime.fromisoformat(call["ends_at"]) <= datetime.now(UTC) for call in self._placed()))
        if tracking_id:
            answer = second.use("get_call", {"call_id": tracking_id, "wait_seconds": 15})
        second.close()
        second.process.wait(_LONG)
        return answer

    def _open(self, errors: IO[bytes]) -> StdioServer | Worker:
        is_worker = self._plan.driver == "workers"
        server = Worker(self._env, errors) if is_worker else StdioServer(self._env, errors, self._command)
        self._servers.append(server)
        return server

    def _end(self, server: StdioServer | Worker) -> None:
        database = self._database
        match self._plan.ends:
            case "has its database killed" | "has its database restarted" if database is not None:
                (database.kill if "killed" in self._plan.ends else database.stop)()
                time.sleep(1)
                database.start()
            case "has a database that hangs" if database is not None:
                database.pause()
                time.sleep(3)
                database.resume()
            case "loses its client" | "is not read and loses both pipes":
                server.close(reads=not self._plan.is_unread)
                server.process.wait(_LONG)
            case ends if "killed" in ends or ends == "ends before it begins":
                server.process.kill()
                server.process.wait(_LONG)
            case ends if "SIGTERM" in ends:
                server.process.terminate()
                server.process.wait(_LONG)

    def _judge(self, outcome: dict[str, Any], rows: list[dict[str, Any]]) -> Iterator[Violation]:
        placed, told = self._placed(), outcome.get("structuredContent") or {}
        if len(placed) > 1:
            yield Violation(Rule.TWICE, f"{len(placed)} calls were placed")
        for row in rows:
            if row["state"] in ("reserved", "sent"):
                yield Violation(Rule.STUCK, f"{row['tracking_id']} is still {row['state']}")
        for call in placed[:1]:
            if not any((row["call_id"], row["state"]) == (call["call_id"], "ended") for row in rows):
                yield Violation(Rule.LOST, f"{call['call_id']} was placed, but no record says so")
            if (told.get("call_id"), told.get("status")) != (call["call_id"], call["status"]):
                yield Violation(Rule.LOST, f"{call['call_id']} was placed, but the client was told {outcome}")
        if not placed and told.get("status") not in (None, "unknown", "refused"):
            yield Violation(Rule.UNTRUE, f"no call was placed, but the client was told {outcome}")
        texts = self._errors.read_text(errors="replace") + json.dumps([outcome, rows], default=str)
        if "Traceback" in texts or any(part in texts for part in self._token.split(".") if len(part) > 12):
            yield Violation(Rule.LEAKED, "the output has a traceback or a part of the token")

    def _placed(self) -> list[dict[str, Any]]:
        calls = httpx2.get(f"{self._url}/_sandbox/calls").json()["calls"]
        return [call for call in calls if call["task_description"] == self._task["task_description"]]

    def _rows(self) -> list[dict[str, Any]]:
        if self._database is not None:
            with psycopg.connect(self._database.url(), row_factory=dict_row) as connection:
                return connection.execute("SELECT * FROM calls").fetchall()
        path = self._home / "ledger.db"
        if not path.exists():
            return []
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5)) as ledger:
            ledger.row_factory = sqlite3.Row
            with suppress(sqlite3.OperationalError):  # another process is creating it
                return [dict(row) for row in ledger.execute("SELECT * FROM calls")]
        return []


async def run_plan(plan: Plan, command: Sequence[str] = COMMAND) -> list[Violation]:
    """Carry out one run with a sandbox of its own."""
    app = create_app(speed=_SPEED)
    token: str = app.state.sandbox.issue_tokens("acct-business")["access_token"]
    try:
        async with running(app) as url:
            with tempfile.TemporaryDirectory(prefix="faults-", dir=fast_folder()) as folder:
                run = Run(plan, url, token, Path(folder), command)
                return await anyio.to_thread.run_sync(run.violations, limiter=anyio.CapacityLimiter(1))
    finally:
        app.state.sandbox.close()


def _command(plan: Plan) -> str:
    workers = " --workers" if plan.driver == "workers" else ""
    return f"uv run python -m tests.faults{workers} --runs 1 --seed {plan.seed}"


async def run_all(driver: str, first: int, runs: int, jobs: int) -> bool:
    """Carry out the runs of so many seeds, and print those that broke a rule; returns whether none did."""
    slots, broken, began = anyio.CapacityLimiter(jobs), 0, time.monotonic()

    async def run(plan: Plan) -> None:
        nonlocal broken
        async with slots:
            violations = await run_plan(plan)
        for violation in violations:
            print(f"{_command(plan)}\n{plan}\n  VIOLATED {violation.rule}: {violation.text}", flush=True)
        broken += bool(violations)

    async with anyio.create_task_group() as tasks:
        for seed in range(first, first + runs):
            tasks.start_soon(run, Plan.of(seed, driver))
    print(f"{driver}: {runs} runs, {broken} of them broke a rule, {time.monotonic() - began:.0f} s")
    return not broken
