"""Server processes that are measured, and their memory."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import httpx2

SECRET = "a-secret-of-the-bench"


def free_ports(count: int) -> list[int]:
    """Unused ports of 127.0.0.1."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def memory(pid: int, kind: Literal["VmHWM", "VmRSS"]) -> float:
    """The peak (VmHWM) or current (VmRSS) resident memory of a process in kB; not a number without /proc."""
    status = Path(f"/proc/{pid}/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else [f"{kind}: nan"]
    return next(float(line.split()[1]) for line in lines if line.startswith(kind))


@contextmanager
def upstream() -> Iterator[str]:
    """Run `upstream.py`; yields its URL."""
    with subprocess.Popen([sys.executable, "-m", "tests.bench.upstream"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


@contextmanager
def serving(command: list[str], port: int, env: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a server; yields its process once it answers on `port`."""
    with subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(port)
            yield process
        finally:
            process.terminate()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            httpx2.get(f"http://127.0.0.1:{port}/", timeout=5)
        except httpx2.TransportError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"nothing answers on port {port}")


def workers_command(count: int, port: int) -> list[str]:
    """The command in docs/hosting.md."""
    factory = ["--factory", "kallyai_mcp.cli.serve_http:from_environment"]
    protocol = ["--http", "kallyai_mcp.transports.uvicorn_server:HeaderTimeoutProtocol"]
    quiet = ["--ws", "none", "--no-access-log", "--no-server-header", "--log-level", "warning"]
    number = ["--workers", str(count), "--port", str(port)]
    return [sys.executable, "-m", "uvicorn", *factory, *protocol, *quiet, *number]
