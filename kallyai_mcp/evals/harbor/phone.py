"""The server of a task in its container: a sandbox, and kallyai-mcp with it, over stdio.

An agent may start it several times. What has happened stays in the folder of the phone, and so does
each message between the agent and the server: they show what the agent could know.
"""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from kallyai_mcp.evals.bench import Bench, bench_in
from kallyai_mcp.evals.harbor.places import DATA, MESSAGES, PORT, STATE, TASK
from kallyai_mcp.evals.record import ToolUse
from kallyai_mcp.evals.task_files import Task

_CLOSE_SECONDS = 10.0


def serve(folder: Path) -> None:
    """Serve one client on stdin and stdout until it leaves."""
    with kept_bench(folder, read_task(folder / TASK)) as bench:
        command = bench.command
        server = subprocess.Popen(  # noqa: S603 - it is our own server
            [command.program, *command.arguments],
            env={**os.environ, **command.env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        requests = cast("IO[bytes]", server.stdin)
        answers = cast("IO[bytes]", server.stdout)
        messages = folder / MESSAGES
        back = threading.Thread(target=_pass_on, args=(answers, sys.stdout.buffer, messages))
        back.start()
        _pass_on(sys.stdin.buffer, requests, messages)
        requests.close()
        server.wait(_CLOSE_SECONDS)
        back.join()


@contextmanager
def kept_bench(folder: Path, task: Task) -> Iterator[Bench]:
    """The bench of a task whose state stays in a folder, for the next start and for the grading."""
    home = folder / DATA
    home.mkdir(exist_ok=True)
    with bench_in(home, task, data=folder / STATE, port=_port(folder / PORT)) as bench:
        yield bench


def _port(file: Path) -> int:
    """The port of the sandbox, which is a part of each account's name in the ledger."""
    if not file.exists():
        with socket.create_server(("127.0.0.1", 0)) as listener:
            file.write_text(str(listener.getsockname()[1]), encoding="ascii")
    return int(file.read_text(encoding="ascii"))


def read_task(file: Path) -> Task:
    """The task in a file of JSON."""
    return Task.model_validate_json(file.read_text(encoding="utf-8"))


def _pass_on(source: IO[bytes], target: IO[bytes], copy: Path) -> None:
    """Pass lines on until the source ends, and append each to a file."""
    for line in source:
        with copy.open("ab") as messages:
            messages.write(line)
        target.write(line)
        target.flush()


def uses_in(messages: Path) -> list[ToolUse]:
    """The tools that were used, by the messages of the client and the server."""
    if not messages.exists():
        return []
    asked: dict[Any, str] = {}
    uses = []
    for message in map(json.loads, messages.read_text(encoding="utf-8").splitlines()):
        if message.get("method") == "tools/call":
            asked[message["id"]] = message["params"]["name"]
        elif "result" in message and message["id"] in asked:
            text = "\n".join(_texts_in(message["result"]))
            uses.append(ToolUse(tool=asked.pop(message["id"]), text=text))
    return uses


def _texts_in(result: dict[str, Any]) -> Iterator[str]:
    for content in result.get("content", []):
        if content["type"] == "text":
            yield content["text"]
