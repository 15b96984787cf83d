"""Over stdio: from the start of the process to the list of tools and the first answer, and further
answers.

    uv run python -m tests.bench.over_stdio

Compared in turns with a bare `MCPServer` that makes the same two requests to a KallyAI that answers
at once. The client waits for each answer before its next message, as real ones do.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench.servers import memory, upstream
from tests.bench.table import IS_SMOKE, row
from tests.processes import COMMAND, environment
from tests.programs import ROOT

STARTS, CALLS, ROUNDS = (1, 2, 1) if IS_SMOKE else (15, 150, 10)
_AGAINST = "a bare MCPServer, the same two API requests"


class Server:
    """A server that was started and used once; `figures` are of that, in ms and MB.

    It has a pause of so many seconds between the list of tools and the first use, which takes
    `first_use` ms.
    """

    def __init__(self, command: list[str], env: dict[str, str], *, pause: float = 0) -> None:
        began, pipe = time.perf_counter(), subprocess.PIPE
        self._process = subprocess.Popen(
            command, env=env, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL
        )
        self._number = 0
        client = {"name": "bench", "version": "1"}
        self._ask(
            "initialize",
            {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client},
        )
        self._send({"method": "notifications/initialized"})
        assert self._ask("tools/list", {})["tools"]
        listed = time.perf_counter()
        time.sleep(pause)
        self.first_use = self.use()
        answered, self.pid = time.perf_counter(), self._process.pid
        self.figures = (
            (listed - began) * 1000,
            (answered - began) * 1000,
            memory(self.pid, "VmHWM") / 1024,
        )

    def use(self, tool: str = "check_quota", **arguments: str) -> float:
        """Use a tool, by default the one that asks the API and places no call; returns the
        milliseconds.
        """
        began = time.perf_counter()
        assert not self._ask("tools/call", {"name": tool, "arguments": arguments}).get("isError")
        return (time.perf_counter() - began) * 1000

    def milliseconds(self, calls: int) -> float:
        """The median of so many uses."""
        return statistics.median(self.use() for _ in range(calls))

    def close(self) -> "Server":
        """End it."""
        self._process.communicate(timeout=60)
        return self

    def _ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self._number += 1
        self._send({"id": self._number, "method": method, "params": params})
        assert self._process.stdout is not None
        for line in self._process.stdout:
            answer = json.loads(line)
            if answer.get("id") == self._number:
                result: dict[str, Any] = answer["result"]
                return result
        raise SystemExit(f"{self._process.args!r} ended without an answer to {method}")

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self._process.stdin.flush()


def main() -> None:
    """Print the rows."""
    with tempfile.TemporaryDirectory() as home, upstream() as url:
        ours = (COMMAND, environment(Path(home), API_URL=url, ACCESS_TOKEN="a-token"))
        bare = ([sys.executable, "-m", "tests.bench.bare", "stdio", url], dict(os.environ))
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "kallyai_mcp", Path(home) / "kallyai_mcp", ignore=ignore)
        copy = {"PYTHONPATH": home, "PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        kinds = (ours, bare, (COMMAND, ours[1] | copy))
        rounds = [[Server(*kind).close().figures for kind in kinds] for _ in range(STARTS + 1)][1:]
        our, their = Server(*ours), Server(*bare)
        warm = [(our.milliseconds(CALLS), their.milliseconds(CALLS)) for _ in range(ROUNDS)]
        our.close()
        their.close()
    goals = (
        ("from the start of the process to the list of tools, over stdio", "ms", 0.1),
        ("from the start of the process to the first answer of check_quota", "ms", 1.1),
        ("peak memory up to that answer", "MB", 1.1),
    )
    for number, (what, unit, goal) in enumerate(goals):
        mine, theirs, uncompiled = (
            [figures[kind][number] for figures in rounds] for kind in range(3)
        )
        row(what, unit, mine, theirs, _AGAINST, at_most=goal)
        if number == 1:
            row("the same, without bytecode of the program", unit, uncompiled, mine, "with it")
    our_uses, their_uses = zip(*warm, strict=True)
    row(
        "check_quota over stdio, not the first call",
        "ms",
        our_uses,
        their_uses,
        _AGAINST,
        at_most=1,
    )


if __name__ == "__main__":
    main()
