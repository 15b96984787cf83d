"""From spawning the server to its answer to `tools/list` over stdio, against a bare `MCPServer` with one tool.

    uv run python -m tests.bench.cold_start [RUNS]

The two are started in turn, so that a machine that gets slower or faster meanwhile weighs on both; the figures are
medians, and the ratio is the median of the pairs' ratios.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

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


def until_tools_listed(command: list[str], home: str) -> tuple[float, int]:
    """Seconds from spawn to the answer of `tools/list`, and the process's peak memory in kB (0: not known here)."""
    started = time.perf_counter()
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {"KALLYAI_HOME": home}
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
            raise SystemExit(f"{command} ended without listing its tools")
        seconds = time.perf_counter() - started
        memory = _peak_memory(server.pid)
        server.stdin.close()
        server.wait(timeout=10)
    return seconds, memory


def _peak_memory(pid: int) -> int:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return 0
    return next((int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")), 0)


def main() -> None:
    """Print the table."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    # What the installed script `kallyai-mcp` does.
    ours = [sys.executable, "-c", "from kallyai_mcp.cli.main import main; main()"]
    bare = [sys.executable, str(Path(__file__).with_name("bare_server.py"))]
    with tempfile.TemporaryDirectory() as home:
        for command in (ours, bare):
            until_tools_listed(command, home)
        pairs = [(until_tools_listed(ours, home), until_tools_listed(bare, home)) for _ in range(runs)]
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores, {runs} pairs")
    for name, index in (("kallyai-mcp", 0), ("bare MCPServer", 1)):
        seconds = statistics.median(pair[index][0] for pair in pairs)
        memory = statistics.median(pair[index][1] for pair in pairs)
        print(f"{name:15} {seconds * 1000:7.0f} ms  {memory / 1024:6.1f} MB")
    ratio = statistics.median(a[0] / b[0] for a, b in pairs)
    heavier = statistics.median(a[1] / b[1] for a, b in pairs) if pairs[0][1][1] else float("nan")
    print(f"ratio           {ratio:7.2f}     {heavier:6.2f}")


if __name__ == "__main__":
    main()
