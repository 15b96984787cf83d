"""From spawning the server to its answer to `tools/list` over stdio, against a bare `MCPServer` with one tool.

    uv run python -m tests.bench.cold_start [RUNS]

The two are started in turn, so that a change in the machine's speed affects both. A figure is a median, a ratio the
median of the pairs' ratios.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.servers import memory
from tests.bench.table import Row, Target, command, compared

SLOWER = Target("at most", 1.1)
HEAVIER = Target("at most", 1.25)

_HELLO = (
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "bench", "version": "1"},
        },
    },
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
    {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
)


def until_tools_listed(command_line: list[str], home: str) -> tuple[float, float | None]:
    """Milliseconds from spawn to the answer to `tools/list`, and the peak memory in MB (None: not known)."""
    started = time.perf_counter()
    with subprocess.Popen(
        command_line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {"KALLYAI_HOME": home}
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write("".join(json.dumps(message) + "\n" for message in _HELLO).encode())
        server.stdin.flush()
        for line in server.stdout:
            answer = json.loads(line)
            if answer.get("id") == 2:
                assert answer["result"]["tools"], line
                break
        else:
            raise SystemExit(f"{command_line} ended without listing its tools")
        milliseconds = (time.perf_counter() - started) * 1000
        peak = memory(server.pid, "VmHWM")
        server.stdin.close()
        server.wait(timeout=10)
    return milliseconds, peak and peak / 1024


def rows(runs: int) -> list[Row]:
    """Time and memory, from `runs` pairs."""
    # The same as the installed script `kallyai-mcp`.
    ours = [sys.executable, "-c", "from kallyai_mcp.cli.main import main; main()"]
    bare = [sys.executable, str(Path(__file__).with_name("bare_server.py"))]
    with tempfile.TemporaryDirectory() as home:
        for server in (ours, bare):
            until_tools_listed(server, home)
        pairs = [(until_tools_listed(ours, home), until_tools_listed(bare, home)) for _ in range(runs)]
    our_times, bare_times = ([pair[server][0] for pair in pairs] for server in (0, 1))
    our_memory, bare_memory = ([pair[server][1] or 0 for pair in pairs] for server in (0, 1))
    what, against = "from spawning the server to its list of tools, over stdio", "bare MCPServer with one tool"
    time_row = compared(what, "ms", our_times, bare_times, against, SLOWER)
    if not all(our_memory + bare_memory):
        return [time_row, Row(f"{what}: memory", None, "MB", target=HEAVIER, reason="only Linux has /proc")]
    return [time_row, compared(what, "MB", our_memory, bare_memory, against, HEAVIER)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("runs", type=int, nargs="?", default=15)
    command("cold_start", parser, lambda options: rows(options.runs))


if __name__ == "__main__":
    main()
