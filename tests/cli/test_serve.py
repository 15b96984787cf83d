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

pytestmark = pytest.mark.programs

SLOW = {
    "task_category": "general",
    "task_description": "Ask for the opening hours",
    "respondent_phone": "+12025550110",
    "wait_seconds": 0,
}


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


def make_slow_call(process: subprocess.Popen[str]) -> str:
    """Connect with the protocol of 2025, and place a call that takes many minutes; returns its
    tracking id.
    """
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def ask(messages: str) -> dict[str, Any]:
        stdin.write(messages)
        stdin.flush()
        result: dict[str, Any] = json.loads(stdout.readline())["result"]
        return result

    assert ask(INITIALIZE)["serverInfo"]["name"] == "kallyai-mcp"
    made = ask(request(2, "tools/call", name="make_call", arguments=SLOW))["structuredContent"]
    listing = request(3, "tools/call", name="list_calls", arguments={})
    while not ask(listing)["structuredContent"]["total"]:
        pass  # until KallyAI has the call
    assert made["status"] == "in_progress"
    return str(made["tracking_id"])


async def test_the_next_client_finds_the_call_before(
    tmp_path: Path,
) -> None:
    with started(tmp_path, "serve", "--sandbox", "--speed", "0.1") as process:
        made = make_slow_call(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=LIMIT) == 0
    server = StdioServerParameters(
        command=sys.executable,
        args=[*COMMAND[1:], "serve", "--transport", "stdio", "--speed", "0.1"],
        env=environment(tmp_path, SANDBOX="1"),
    )
    with anyio.fail_after(LIMIT):
        async with Client(server, mode="auto") as client:
            served = [tool.name for tool in (await client.list_tools()).tools]
            version = client.protocol_version
            found = await Agent(client).use("get_call", call_id=made, wait_seconds=0)
            total = await Agent(client).calls_made()

    assert served == [tool.name for tool in tools()]
    assert version == "2026-07-28"
    assert (found.data["status"], total) == ("in_progress", 1)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows can't send signals to a process")
def test_a_signal_ends_serve_before_the_call(tmp_path: Path) -> None:
    with started(tmp_path, "serve", "--sandbox", "--speed", "0.1") as process:
        make_slow_call(process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=LIMIT) in (0, 128 + signal.SIGTERM)


def test_listing_the_tools_imports_little(tmp_path: Path) -> None:
    imported = imported_by(tmp_path, given=INITIALIZE + request(2, "tools/list"))

    assert "kallyai_mcp.server.build" in imported
    late = {"httpcore2", "keyring", "phonenumbers", "filelock", "icalendar", "fastapi", "sqlite3"}
    late |= {"kallyai_mcp.api.client", "opentelemetry.metrics", "rich"}
    if "coverage" not in imported:  # measuring coverage imports sqlite3 itself
        assert not imported & late
    assert not imported & (late - {"sqlite3"})


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals in Python")
def test_on_a_terminal_serve_explains_itself(tmp_path: Path) -> None:
    from tests.cli.pseudo_terminal import on_terminal

    with on_terminal(tmp_path) as terminal:
        said = terminal.read_until("Ctrl-C ends it.")
        terminal.process.send_signal(signal.SIGINT)

        assert terminal.wait() == 130
    for words in (
        "waits for an MCP client",
        "kallyai-mcp demo",
        "kallyai-mcp install",
        "kallyai-mcp --help",
    ):
        assert words in said
