"""Server processes that are measured, and their memory."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import httpx2


def memory(pid: int, kind: Literal["VmHWM", "VmRSS"]) -> float:
    """The peak (VmHWM) or current (VmRSS) resident memory of a process in kB; not a number without
    /proc.
    """
    status = Path(f"/proc/{pid}/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else [f"{kind}: nan"]
    return next(float(line.split()[1]) for line in lines if line.startswith(kind))


@contextmanager
def upstream() -> Iterator[str]:
    """Run `upstream.py`; yields its URL."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.bench.upstream"], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


@contextmanager
def serving(
    command: list[str], port: int, env: dict[str, str], folder: Path | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a server in a folder; yields its process once it answers on `port`."""
    with subprocess.Popen(command, env=env, cwd=folder, stderr=subprocess.DEVNULL) as process:
        try:
            # Within two minutes.
            with httpx2.Client(transport=httpx2.HTTPTransport(retries=9), timeout=60) as client:
                client.get(f"http://127.0.0.1:{port}/")
            yield process
        finally:
            process.terminate()
