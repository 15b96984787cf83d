"""Starts Python programs by forking a process that has imported what they need; imports are most of a start's time.

A command that begins with `FORKED` is a process like any other: a child of the process that starts it by `subprocess`,
asyncio, or anyio, with arguments, environment, folder, and streams of its own. It is not for tests of what happens
before the program has imported its modules.
"""

import atexit
import ctypes
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

CAN_FORK = sys.platform == "linux"
"""Elsewhere a process can't be made another one's child."""

FORKED = "forked-python" if CAN_FORK else sys.executable
"""Stands for Python in a command; after it come `-m MODULE` or `-c CODE`, and the program's arguments."""

_IMPORTED = (
    "httpx2",
    "icalendar",
    "phonenumbers",
    "uvicorn",
    "keyring",
    "psycopg",
    "kallyai_mcp.calls.ledger.postgres",
    "kallyai_mcp.calls.ledger.sqlite",
    "kallyai_mcp.cli.demo",
    "kallyai_mcp.cli.main",
    "kallyai_mcp.cli.serve",
    "kallyai_mcp.cli.serve_http",
    "kallyai_mcp.sandbox.app",
    "kallyai_mcp.sandbox.serve",
)
_ROOT = Path(__file__).parent.parent
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER
_LIMIT = 1 << 20

_Fork = Callable[..., int]


def install() -> None:
    """Let this process start programs that way."""
    if CAN_FORK and not isinstance(fork_exec := _fork_exec(), _ForkExec):
        subprocess._fork_exec = _ForkExec(fork_exec)  # type: ignore[attr-defined]  # noqa: SLF001 - has no public name


def _fork_exec() -> _Fork:
    function: _Fork = subprocess._fork_exec  # type: ignore[attr-defined]  # noqa: SLF001 - has no public name
    return function


class _ForkExec:
    """What `subprocess` calls to start a program, which is where all ways to start one meet."""

    def __init__(self, otherwise: _Fork) -> None:
        self._otherwise = otherwise
        self._lock = threading.Lock()

    def __call__(self, arguments: Sequence[Any], *others: Any) -> int:
        if not arguments or arguments[0] != FORKED:
            return self._otherwise(arguments, *others)
        _, _, _, folder, variables, stdin, _, _, stdout, _, stderr, _, _, _, new_session, *_ = others
        env = dict(os.environ if variables is None else map(_pair, variables))
        start = {
            "arguments": [*map(os.fsdecode, arguments[1:])],
            "variables": env,
            "folder": os.fsdecode(folder or os.getcwd()),  # noqa: PTH109 - in bytes or text, as it was given
            "new_session": new_session,
        }
        streams = [default if given < 0 else given for default, given in enumerate((stdin, stdout, stderr))]
        with self._lock:
            return _Server.of(os.getpid()).start(json.dumps(start).encode(), streams)


def _pair(variable: bytes) -> tuple[str, str]:
    name, _, value = os.fsdecode(variable).partition("=")
    return name, value


class _Server:
    """The process that forks, seen from the one that asks it to."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-m", __name__, str(theirs.fileno())]
            self._process = subprocess.Popen(command, cwd=_ROOT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        atexit.register(self._end)

    @staticmethod
    @cache
    def of(pid: int) -> "_Server":
        """The server of this process, which starts with its first program."""
        del pid
        return _Server()

    def start(self, message: bytes, streams: Sequence[int]) -> int:
        """Start a program; returns its process id."""
        prctl = ctypes.CDLL(None, use_errno=True).prctl
        prctl(_SUBREAPER, 1, 0, 0, 0)
        try:
            socket.send_fds(self._ours, [message], streams)
            return int(self._ours.recv(_LIMIT))
        finally:
            prctl(_SUBREAPER, 0, 0, 0, 0)

    def _end(self) -> None:
        self._ours.close()
        self._process.wait()


def _serve(connection: socket.socket) -> None:
    """Fork a process for each message, until the other side ends. Returns in each of those processes, too."""
    gc.disable()
    for module in _IMPORTED:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    gc.enable()
    while True:
        message, streams, _, _ = socket.recv_fds(connection, _LIMIT, 3)
        if not message:
            return
        read, write = os.pipe()
        if between := os.fork():
            os.close(write)
            os.waitpid(between, 0)  # its child has another parent now
            connection.send(os.read(read, 20))
            for descriptor in (read, *streams):
                os.close(descriptor)
            continue
        if program := os.fork():
            os.write(write, str(program).encode())
            os.kill(os.getpid(), signal.SIGKILL)  # at once, and without writing what coverage has measured so far
        os.close(read)
        os.close(write)
        connection.close()
        _run(streams, **json.loads(message))
        return


def _run(
    streams: Sequence[int], *, arguments: Sequence[str], variables: Mapping[str, str], folder: str, new_session: bool
) -> None:
    """Be the program."""
    if new_session:
        os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    time.tzset()
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - open to the end
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, encoding="utf-8", closefd=False)  # noqa: SIM115
    option, program, *others = arguments
    if option == "-m":
        sys.argv = [program, *others]
        runpy.run_module(program, run_name="__main__", alter_sys=True)
        return
    sys.argv = ["-c", *others]
    sys.modules["__main__"] = main = ModuleType("__main__")
    exec(program, vars(main))  # noqa: S102 - what `python -c` does


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
