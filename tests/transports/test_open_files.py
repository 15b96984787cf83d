"""A server over stdio has as many calls in progress as the system allows open files, not as the shell's limit does."""

import sys
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from tests.processes import COMMAND
from tests.transports.http_server import CALL, running_sandbox
from tests.transports.stdio_peer import initialization, line, piped

CALLS = 80


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
async def test_more_calls_than_the_soft_limit_of_open_files_are_in_progress(tmp_path: Path) -> None:
    limited = ["sh", "-c", 'ulimit -Sn 64 && exec "$@"', "sh", *COMMAND, "serve"]
    calls = [
        line(number, "tools/call", name="make_call", arguments={**CALL, "task_description": f"Ask question {number}"})
        for number in range(2, CALLS + 2)
    ]
    async with running_sandbox(tmp_path) as sandbox:
        settings: dict[str, Any] = {
            "API_URL": sandbox.url,
            "ACCESS_TOKEN": sandbox.token("acct-business"),
            "WAIT_SECONDS": "0",
        }
        with piped(tmp_path, limited, **settings) as peer:
            peer.send(initialization() + b"".join(calls))
            answers = [await anyio.to_thread.run_sync(peer.answer) for _ in range(CALLS + 1)]
            placed = await sandbox.wait_for_calls(CALLS)
            peer.send(line(CALLS + 2, "tools/call", name="check_quota", arguments={}))
            quota = await anyio.to_thread.run_sync(peer.answer)

    assert [one["result"]["isError"] for one in answers[1:]] == [False] * CALLS
    assert len(placed) == CALLS
    assert quota["result"]["isError"] is False
