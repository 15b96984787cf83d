"""A warm `check_quota` over stdio, against a bare `MCPServer` whose tool makes the same HTTP call with default httpx.

    uv run python -m tests.bench.warm [--calls CALLS] [--rounds ROUNDS]

One call after another over a pipe, without a client library; the KallyAI behind both answers at once (`upstream.py`).
The servers take turns in each round; a figure is the median of all calls. The HTTP call alone is made by this process.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.bench.measured import upstream
from tests.processes import COMMAND, environment


class Pipe:
    """A server on the other end of a pipe, spoken to in the 2025 era."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._number = 0
        info = {"name": "bench", "version": "1"}
        self._ask("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info})
        self._send({"method": "notifications/initialized"})

    def call(self, tool: str) -> float:
        """Call `tool` without arguments; how many seconds it took.

        Raises:
            RuntimeError: It answered with an error.
        """
        started = time.perf_counter()
        answer = self._ask("tools/call", {"name": tool, "arguments": {}})
        taken = time.perf_counter() - started
        if answer.get("result", {}).get("isError", "error" in answer):
            raise RuntimeError(f"not an answer: {answer}")
        return taken

    def _ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self._number += 1
        self._send({"id": self._number, "method": method, "params": params})
        assert self._process.stdout is not None
        while True:
            answer: dict[str, Any] = json.loads(self._process.stdout.readline())
            if answer.get("id") == self._number:
                return answer

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self._process.stdin.flush()


@contextmanager
def _piped(command: list[str], env: dict[str, str]) -> Iterator[Pipe]:
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=env, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as process:
        try:
            yield Pipe(process)
        finally:
            process.kill()


def _alone(client: httpx.Client) -> float:
    started = time.perf_counter()
    client.get("/v1/users/me/statistics").raise_for_status()
    return time.perf_counter() - started


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    times: dict[str, list[float]] = {"the HTTP call alone": [], "bare MCPServer": [], "kallyai-mcp": []}
    with tempfile.TemporaryDirectory() as home, upstream() as url, httpx.Client(base_url=url) as client:
        settings = environment(Path(home), API_URL=url, ACCESS_TOKEN="a-token")
        bare_command = [sys.executable, "-m", "tests.bench.bare_http", "stdio", url]
        with _piped(bare_command, dict(os.environ)) as bare, _piped(COMMAND, settings) as ours:
            for pipe in (bare, ours):
                for _ in range(20):  # warm up
                    pipe.call("check_quota")
            for _ in range(options.rounds):
                times["the HTTP call alone"] += [_alone(client) for _ in range(options.calls)]
                times["bare MCPServer"] += [bare.call("check_quota") for _ in range(options.calls)]
                times["kallyai-mcp"] += [ours.call("check_quota") for _ in range(options.calls)]
    calls = options.calls * options.rounds
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores, {calls} calls each")
    for name, taken in times.items():
        print(f"{name:20} {statistics.median(taken) * 1000:6.2f} ms")
    ratio = statistics.median(times["kallyai-mcp"]) / statistics.median(times["bare MCPServer"])
    print(f"{'ratio':20} {ratio:6.2f}")


if __name__ == "__main__":
    main()
