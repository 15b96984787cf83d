import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from kallyai_mcp.tools.catalog import tools
from tests.agent import Agent
from tests.forked_python import FORKED
from tests.processes import COMMAND, FORKED_COMMAND, environment, run, started, started_anew

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


def test_a_read_only_server_never_offers_to_place_calls(tmp_path: Path) -> None:
    """Also not in the first answers, which are made before it is imported."""
    with started_anew(tmp_path, READ_ONLY="1") as process:
        connect(process)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(request(2, "tools/list"))
        process.stdin.flush()
        names = [tool["name"] for tool in json.loads(process.stdout.readline())["result"]["tools"]]

    assert "list_calls" in names
    assert "make_call" not in names


def place_slow_call(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(request(2, "tools/call", name="make_call", arguments=SLOW))
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["result"]["structuredContent"]["status"] == "in_progress"


async def test_a_client_can_use_the_tools_over_stdio(tmp_path: Path) -> None:
    server = StdioServerParameters(
        command=COMMAND[0],
        args=[*COMMAND[1:], "serve", "--transport", "stdio"],
        env=environment(tmp_path, SANDBOX="1"),
    )
    with anyio.fail_after(30):
        async with Client(server, mode="legacy") as client:
            agent = Agent(client)
            assert [tool.name for tool in (await client.list_tools()).tools] == [tool.name for tool in tools()]
            quota = await agent.use("check_quota")
            version = client.protocol_version

    assert quota.data["minutes_remaining"] == 165
    assert version == "2025-11-25"


async def test_the_embedded_sandbox_keeps_its_calls(tmp_path: Path) -> None:
    server = StdioServerParameters(
        command=FORKED,
        args=[*FORKED_COMMAND[1:], "serve", "--sandbox", "--speed", "100000"],
        env=environment(tmp_path),
    )
    with anyio.fail_after(30):
        async with Client(server) as client:
            served = [tool.name for tool in (await client.list_tools()).tools]
            version = client.protocol_version
            made = await Agent(client).use("make_call", CALL)
        async with Client(server) as client:
            listed = await Agent(client).use("list_calls")

    assert served == [tool.name for tool in tools()]
    assert version == "2026-07-28"
    assert made.data["call_id"] in listed.text


def test_nothing_but_the_protocol_is_on_stdout(tmp_path: Path) -> None:
    with started(tmp_path, "serve", "--sandbox", LOG_LEVEL="DEBUG") as process:
        connect(process)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(request(2, "tools/list") + request(3, "tools/call", name="check_quota", arguments={}))
        process.stdin.flush()
        answered = {json.loads(process.stdout.readline())["id"] for _ in range(2)}
        process.stdin.close()
        rest = process.stdout.read()
        code = process.wait(timeout=10)

    assert answered == {2, 3}
    assert rest == ""
    assert code == 0


def test_a_client_that_leaves_during_a_call_ends_the_server_within_two_seconds(tmp_path: Path) -> None:
    with started(tmp_path, "serve", "--sandbox", "--speed", "1") as process:
        connect(process)
        place_slow_call(process)
        assert process.stdin is not None
        left_at = time.monotonic()
        process.stdin.close()
        assert process.wait(timeout=10) == 0
        assert time.monotonic() - left_at < 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows can't send signals to a process")
@pytest.mark.parametrize(("number", "busy"), [(signal.SIGTERM, True), (signal.SIGINT, False)])
def test_a_signal_ends_the_server_within_two_seconds(tmp_path: Path, number: signal.Signals, *, busy: bool) -> None:
    with started(tmp_path, "serve", "--sandbox", "--speed", "1") as process:
        connect(process)
        if busy:
            place_slow_call(process)
        signaled_at = time.monotonic()
        process.send_signal(number)
        assert process.wait(timeout=10) in (0, 128 + number)
        assert time.monotonic() - signaled_at < 2


def test_listing_the_tools_imports_nothing_that_it_does_not_need(tmp_path: Path) -> None:
    messages = INITIALIZE + request(2, "tools/list")
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "kallyai_mcp"],
        input=messages,
        capture_output=True,
        text=True,
        env=environment(tmp_path) | {"COVERAGE_PROCESS_START": "", "COV_CORE_SOURCE": ""},
        timeout=30,
        check=True,
    )

    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time")}
    assert "kallyai_mcp.server.build" in imported
    late = {"httpcore2", "keyring", "phonenumbers", "filelock", "icalendar", "fastapi", "platformdirs", "sqlite3"}
    late |= {"kallyai_mcp.api.client", "opentelemetry.metrics"}
    if "coverage" not in imported:  # measuring coverage imports sqlite3 itself
        assert not imported & late
    assert not imported & (late - {"sqlite3"})


def test_help_lists_the_commands_and_version_is_printed(tmp_path: Path) -> None:
    help_ = run(tmp_path, "--help")
    version = run(tmp_path, "--version")

    assert help_.returncode == version.returncode == 0
    for command in ("serve", "login", "logout", "status", "sandbox", "demo"):
        assert command in help_.stdout
    assert version.stdout.startswith("kallyai-mcp, version 0.")


def test_an_unknown_command_is_reported(tmp_path: Path) -> None:
    done = run(tmp_path, "order")

    assert done.returncode == 2
    assert "No such command 'order'" in done.stderr


def test_empty_settings_count_as_not_set_and_stderr_is_empty_when_all_is_well(tmp_path: Path) -> None:
    names = ("API_URL", "ACCESS_TOKEN", "WAIT_SECONDS", "SANDBOX", "USER_AGENT", "LOG_LEVEL")
    done = run(tmp_path, "serve", "--sandbox", given=INITIALIZE + request(2, "tools/list"), **dict.fromkeys(names, ""))

    assert done.returncode == 0
    assert done.stderr == ""


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
