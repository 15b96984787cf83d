"""A warm `check_quota` over stdio and `/mcp`, compared with a bare `MCPServer` and with its HTTP call alone.

    uv run python -m tests.bench.warm [--calls CALLS] [--rounds ROUNDS]

One client makes one call after another, without a client library: over a pipe as of 2025-11-25, and over one connection
to `/mcp` as of 2026-07-28, which needs no session. The KallyAI behind all of them answers at once (`upstream.py`). The
bare server makes its HTTP call with a default `httpx2.AsyncClient`; for the HTTP call alone, this process makes it with
a default `httpx2.Client`. They are measured in turn in each round. A figure is the median of the rounds' medians, a
ratio the median of the rounds' ratios.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2

from tests.bench.http_load import is_answered, request
from tests.bench.servers import free_ports, serving, upstream
from tests.bench.table import Row, Target, command, compared
from tests.processes import COMMAND, LIMIT, environment

OVER_STDIO = Target("at most", 0.65)

_TOOL = "check_quota"
_WARM_UP = 20


class Pipe:
    """A client of a server over stdio, as of 2025-11-25."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._number = 0
        info = {"name": "bench", "version": "1"}
        self._ask("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info})
        self._send({"method": "notifications/initialized"})

    def call(self) -> None:
        """Call the tool.

        Raises:
            RuntimeError: The answer is an error.
            ConnectionError: The server ended.
        """
        answer = self._ask("tools/call", {"name": _TOOL, "arguments": {}})
        if answer.get("result", {}).get("isError", "error" in answer):
            raise RuntimeError(f"not an answer: {answer}")

    def _ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self._number += 1
        self._send({"id": self._number, "method": method, "params": params})
        assert self._process.stdout is not None
        for line in self._process.stdout:
            answer: dict[str, Any] = json.loads(line)
            if answer.get("id") == self._number:
                return answer
        raise ConnectionError("the server ended")

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self._process.stdin.flush()


class Connection:
    """A client with one connection to `/mcp` on a port of this machine."""

    def __init__(self, port: int) -> None:
        self._request = request(port, _TOOL, {})
        self._port = port
        self._socket = self._connect()

    def _connect(self) -> socket.socket:
        connected = socket.create_connection(("127.0.0.1", self._port), timeout=LIMIT)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connected

    def call(self) -> None:
        """Call the tool; once more if the connection was closed while the others were measured.

        Raises:
            RuntimeError: The answer is an error.
            ConnectionError: The server closed the connection.
        """
        try:
            self._call()
        except ConnectionError:
            self._socket.close()
            self._socket = self._connect()
            self._call()

    def _call(self) -> None:
        self._socket.sendall(self._request)
        answer = bytearray()
        while not is_answered(answer):
            received = self._socket.recv(65536)
            if not received:
                raise ConnectionError("the server closed the connection")
            answer += received

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


@contextmanager
def _piped(command_line: list[str], env: dict[str, str]) -> Iterator[Pipe]:
    pipe = subprocess.PIPE
    with subprocess.Popen(command_line, env=env, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as process:
        try:
            yield Pipe(process)
        finally:
            process.kill()


@contextmanager
def _connected(command_line: list[str], port: int, env: dict[str, str]) -> Iterator[Connection]:
    with serving(command_line, port, env):
        connection = Connection(port)
        try:
            yield connection
        finally:
            connection.close()


def _milliseconds(call: Callable[[], object], calls: int) -> float:
    """The median duration of `calls` calls, in milliseconds."""
    times = []
    for _ in range(calls):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000


def rows(calls: int, rounds: int) -> list[Row]:
    """Measure `rounds` rounds with `calls` calls of each."""
    bare_port, our_port = free_ports(2)
    bare = [sys.executable, "-m", "tests.bench.bare_http"]
    with tempfile.TemporaryDirectory() as home, upstream() as url, ExitStack() as stack:
        own = dict(os.environ)
        settings = environment(Path(home), API_URL=url, ACCESS_TOKEN="a-token", RATE_LIMIT="1000000/minute")
        serve = [*COMMAND, "serve", "--transport", "http", "--port", str(our_port)]
        client = stack.enter_context(httpx2.Client(base_url=url))
        callers: dict[str, Callable[[], object]] = {
            "alone": lambda: client.get("/v1/users/me/statistics").raise_for_status(),
            "bare stdio": stack.enter_context(_piped([*bare, "stdio", url], own)).call,
            "our stdio": stack.enter_context(_piped(COMMAND, settings)).call,
            "bare /mcp": stack.enter_context(_connected([*bare, str(bare_port), url], bare_port, own)).call,
            "our /mcp": stack.enter_context(_connected(serve, our_port, settings)).call,
        }
        for call in callers.values():
            _milliseconds(call, _WARM_UP)
        measured = [{name: _milliseconds(call, calls) for name, call in callers.items()} for _ in range(rounds)]
    times = {name: [round_[name] for round_ in measured] for name in callers}
    compared_with = {"bare MCPServer, the same call": "bare {}", "the HTTP call alone, by httpx2": "alone"}
    return [
        compared(
            f"a warm {_TOOL} over {transport}",
            "ms",
            times[f"our {transport}"],
            times[name.format(transport)],
            against,
            OVER_STDIO if (transport, name) == ("stdio", "bare {}") else None,
        )
        for transport in ("stdio", "/mcp")
        for against, name in compared_with.items()
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=10)
    command("warm", parser, lambda options: rows(options.calls, options.rounds))


if __name__ == "__main__":
    main()
