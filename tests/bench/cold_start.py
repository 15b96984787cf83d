"""From spawning the server over stdio to its list of tools, and to its first tool answer with one API request.

    uv run python -m tests.bench.cold_start [RUNS]

Against a bare `MCPServer` that makes the same request. The client waits for each answer before its next message, as
real ones do. The two are started in turn, so that a change in the machine's speed affects both. A figure is a median, a
ratio the median of the pairs' ratios.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from tests.bench.servers import memory, processor_seconds, upstream
from tests.bench.table import Row, Target, command, compared
from tests.processes import COMMAND, environment

FIRST_LIST = Target("at most", 0.35)
FIRST_ANSWER = Target("at most", 1.1)
HEAVIER = Target("at most", 1.1)

_CLIENT = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}


class Start(NamedTuple):
    """One start of a server: milliseconds from the spawn, and of a processor; the peak memory in MB (0: not known)."""

    listed: float
    answered: float
    processor: float
    memory: float


def start(command_line: list[str], env: dict[str, str]) -> Start:
    """Start a server and use it once."""
    pipe = subprocess.PIPE
    began = time.perf_counter()
    with subprocess.Popen(command_line, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=env) as server:
        assert server.stdin is not None
        _ask(server, 1, "initialize", _CLIENT)
        server.stdin.write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
        assert _ask(server, 2, "tools/list", {})["tools"]
        listed = time.perf_counter()
        assert not _ask(server, 3, "tools/call", {"name": "check_quota", "arguments": {}}).get("isError")
        answered = time.perf_counter()
        processor = processor_seconds(server.pid) or 0
        peak = memory(server.pid, "VmHWM") or 0
        server.stdin.close()
        server.wait(timeout=10)
    return Start((listed - began) * 1000, (answered - began) * 1000, processor * 1000, peak / 1024)


def _ask(server: "subprocess.Popen[bytes]", id_: int, method: str, params: dict[str, Any]) -> dict[str, Any]:
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps({"jsonrpc": "2.0", "id": id_, "method": method, "params": params}).encode() + b"\n")
    server.stdin.flush()
    for line in server.stdout:
        answer = json.loads(line)
        if answer.get("id") == id_:
            result: dict[str, Any] = answer["result"]
            return result
    raise SystemExit(f"{server.args!r} ended without an answer to {method}")


def rows(runs: int) -> list[Row]:
    """Time and memory, from `runs` pairs."""
    # What `python -m kallyai_mcp` and the installed script run.
    bare = [sys.executable, "-m", "tests.bench.bare_http", "stdio"]
    with tempfile.TemporaryDirectory() as home, upstream() as url:
        ours = environment(Path(home), API_URL=url, ACCESS_TOKEN="a-token")
        pairs = [(start(COMMAND, ours), start([*bare, url], dict(os.environ))) for _ in range(runs + 1)][1:]
    against = "bare MCPServer, the same request"
    by_figure = [tuple(zip(*(pair[server] for pair in pairs), strict=True)) for server in (0, 1)]
    compare: tuple[tuple[str, str, Target | None], ...] = (
        ("from the spawn to the list of tools, over stdio", "ms", FIRST_LIST),
        ("from the spawn to a tool's answer with one API request", "ms", FIRST_ANSWER),
        ("the same, in time of a processor", "ms", None),
        ("the peak of memory until then", "MB", HEAVIER),
    )
    found = [
        compared(what, unit, our, their, against, target)
        for (what, unit, target), our, their in zip(compare, *by_figure, strict=True)
        if all(our)
    ]
    if len(found) < len(compare):
        found.append(Row(compare[-1][0], None, "MB", target=HEAVIER, reason="only Linux has /proc"))
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("runs", type=int, nargs="?", default=15)
    command("cold_start", parser, lambda options: rows(options.runs))


if __name__ == "__main__":
    main()
