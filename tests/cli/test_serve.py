import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from kallyai_mcp.tools.catalog import tools
from tests.agent import Agent
from tests.processes import COMMAND, LIMIT, environment, imported_by, started

CALL = {
    "task_category": "general",
    "task_description": "Ask for the opening hours",
    "respondent_phone": "+12025550100",
}
SLOW = CALL | {"respondent_phone": "+12025550110", "wait_seconds": 0}


def request(number: int, method: str, **params: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}) + "\n"


INITIALIZE = (
    request(
        1,
        "initialize",
        protocolVersion="2025-11-25",
        capabilities={},
        clientInfo={"name": "tests", "version": "1"},
    )
    + json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"})
    + "\n"
)


def connect(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(INITIALIZE)
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["result"]["serverInfo"]["name"] == "kallyai-mcp"


async def test_a_client_uses_the_tools_over_stdio_and_the_embedded_sandbox_keeps_its_calls(tmp_path: Path) -> None:
    server = StdioServerParameters(
        command=sys.executable,
        args=[*COMMAND[1:], "serve", "--transport", "stdio", "--speed", "100000"],
        env=environment(tmp_path, SANDBOX="1"),
    )
    with anyio.fail_after(30):
        async with Client(server, mode="legacy") as client:
            served = [tool.name for tool in (await client.list_tools()).tools]
            versions = [client.protocol_version]
            made = await Agent(client).use("make_call", CALL)
        async with Client(server, mode="auto") as client:
            versions.append(client.protocol_version)
            listed = await Agent(client).use("list_calls")

    assert served == [tool.name for tool in tools()]
    assert versions == ["2025-11-25", "2026-07-28"]
    assert made.data["call_id"] in listed.text


@pytest.mark.skipif(sys.platform == "win32", reason="Windows can't send signals to a process")
@pytest.mark.parametrize("number", [None, signal.SIGTERM])
def test_a_client_that_leaves_or_a_signal_ends_the_server_long_before_the_call_ends(
    tmp_path: Path, number: signal.Signals | None
) -> None:
    with started(tmp_path, "serve", "--sandbox", "--speed", "0.1") as process:  # the call takes many minutes
        connect(process)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(request(2, "tools/call", name="make_call", arguments=SLOW))
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["result"]["structuredContent"]["status"] == "in_progress"
        if number is None:
            process.stdin.close()
        else:
            process.send_signal(number)
        assert process.wait(timeout=LIMIT) in ((0,) if number is None else (0, 128 + number))


def test_listing_the_tools_imports_nothing_that_it_does_not_need(tmp_path: Path) -> None:
    imported = imported_by(tmp_path, given=INITIALIZE + request(2, "tools/list"))

    assert "kallyai_mcp.server.build" in imported
    late = {"httpcore2", "keyring", "phonenumbers", "filelock", "icalendar", "fastapi", "sqlite3"}
    late |= {"kallyai_mcp.api.client", "opentelemetry.metrics"}
    if "coverage" not in imported:  # measuring coverage imports sqlite3 itself
        assert not imported & late
    assert not imported & (late - {"sqlite3"})


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals in Python")
def test_on_a_terminal_it_says_what_it_waits_for_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    from tests.cli.pseudo_terminal import on_terminal

    with on_terminal(tmp_path) as terminal:
        said = terminal.read_until("Ctrl-C ends it.")
        terminal.process.send_signal(signal.SIGINT)

        assert terminal.wait() == 130
        assert terminal.output.rstrip().endswith("Stopped.")
    for words in ("waits for an MCP client", "kallyai-mcp demo", "kallyai-mcp install", "kallyai-mcp --help"):
        assert words in said
