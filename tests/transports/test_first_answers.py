"""The first answers over stdio: they are the server's own, and nothing is lost when the server takes over."""

import inspect
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kallyai_mcp.server.build import build_server
from kallyai_mcp.transports.first_answers import CATALOG, FirstAnswers
from tests.agent import settings_in
from tests.first_answers import INITIALIZED, METHODS, catalog, real_answers, request
from tests.processes import COMMAND, LIMIT, environment
from tests.transports.first_answers_check import CAPABILITIES, VERSIONS, check_first_answers, with_first_answers

pytestmark = pytest.mark.skipif(os.name != "posix", reason="other systems can't wait for a pipe")

ROOT = Path(__file__).parent.parent.parent
NO_SDK = 'raise SystemExit("the SDK is imported")'

HANDSHAKE = [request(1, "initialize", "2025-11-25"), INITIALIZED, request("b", "tools/list", "2025-11-25")]
DISCOVERY = [request(1, "server/discover", "2026-07-28"), request("b", "tools/list", "2026-07-28")]


async def test_the_answers_are_those_of_the_server_for_every_protocol_version(tmp_path: Path) -> None:
    made = await catalog(settings_in(tmp_path))

    assert made == CATALOG.read_text(encoding="utf-8"), "run `uv run python -m tests.first_answers`"
    assert set(json.loads(made)["versions"]) == set(VERSIONS)


async def test_no_capability_of_a_client_changes_them(tmp_path: Path) -> None:
    answers = await real_answers(settings_in(tmp_path))
    for capabilities in CAPABILITIES:
        assert await real_answers(settings_in(tmp_path), capabilities=capabilities) == answers


async def test_no_setting_changes_them(tmp_path: Path) -> None:
    others = settings_in(tmp_path, LOG_LEVEL="ERROR", KEEP_DAYS="1", CONFIRM="always", WAIT_SECONDS="1", STOP_CALLS="1")

    assert await real_answers(others) == await real_answers(settings_in(tmp_path))
    # A new parameter may change an answer: then `cli.start` must leave it to the server.
    assert set(inspect.signature(build_server).parameters) == {
        "open_app_context",
        "log_level",
        "keep_days",
        "read_only",
        "request_state",
    }


@pytest.mark.parametrize("ready_after", [1, 2])
async def test_a_client_that_did_not_wait_for_the_discovery_can_begin_with_a_handshake(ready_after: int) -> None:
    opening = [request(0, "server/discover", "2026-07-28"), request(1, "initialize", "2025-11-25"), INITIALIZED]
    lines = [json.dumps(message) for message in [*opening, request(2, "tools/list", "2025-11-25")]]

    written, early = await with_first_answers(lines, [len(lines[0]) + 1, len(lines[0]) + 9], ready_after)
    answers = {answer["id"]: answer.get("result") for answer in map(json.loads, written)}

    assert early == 1
    assert answers[1]["protocolVersion"] == "2025-11-25"
    assert answers[2]["tools"][0]["name"] == "make_call"


@pytest.mark.parametrize(
    ("messages", "told"), [(HANDSHAKE, HANDSHAKE[:2]), (DISCOVERY, DISCOVERY)], ids=["handshake", "discovery"]
)
def test_the_server_is_told_what_changes_its_answers(
    messages: list[dict[str, Any]], told: list[dict[str, Any]]
) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall("".join(f"{json.dumps(message)}\n" for message in messages).encode())
        ours.shutdown(socket.SHUT_WR)
        first = FirstAnswers(theirs.fileno(), theirs.fileno())
        first.start()
        first.stop()

    assert [json.loads(line) for line in first.answered] == told
    assert first.requests == sum("id" in message for message in told)


ODD = [
    request(90, "tools/list", "2025-11-25") | {"params": {"cursor": "x"}},
    request(91, "no/such", "2025-11-25"),
    request("92", "ping", "2025-11-25") | {"params": {"_meta": {"progressToken": "p"}}},
    request(93, "initialize", "2025-11-25", client={"name": "x"}),
    {"jsonrpc": "2.0", "id": None, "method": "ping"},
    {"jsonrpc": "1.0", "id": 94, "method": "ping"},
]
"""Messages that are left to the server."""


@pytest.mark.parametrize("ready_after", range(5))
@pytest.mark.parametrize("version", ["2025-11-25", "2026-07-28"])
def test_a_message_that_is_cut_by_the_servers_start_is_answered_once(version: str, ready_after: int) -> None:
    messages = [request(number, method, version) for number, method in enumerate(METHODS)]
    messages = messages[1:] if version in DISCOVERY[0]["params"].get("_meta", {}).values() else messages
    lines = [json.dumps(message) for message in messages]
    check_first_answers([*lines, *lines], [60, 200, 333, 900], ready_after)


def test_a_message_that_is_no_first_request_is_left_to_the_server() -> None:
    for odd in ODD:
        for before in ([], HANDSHAKE):
            check_first_answers([json.dumps(message) for message in [*before, odd]], [10], 2)


def without_sdk(home: Path, messages: list[dict[str, Any]], **variables: str) -> "subprocess.CompletedProcess[str]":
    """Start the server where importing the SDK ends the process."""
    (home / "mcp.py").write_text(NO_SDK)
    return subprocess.run(
        COMMAND,
        input="".join(f"{json.dumps(message)}\n" for message in messages),
        capture_output=True,
        text=True,
        env=environment(home) | {"PYTHONPATH": f"{home}{os.pathsep}{ROOT}"} | variables,
        timeout=LIMIT,
        check=False,
    )


@pytest.mark.parametrize("messages", [HANDSHAKE, DISCOVERY], ids=["handshake", "discovery"])
def test_a_client_is_answered_before_the_sdk_is_imported(tmp_path: Path, messages: list[dict[str, Any]]) -> None:
    done = without_sdk(tmp_path, messages)

    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == [1, "b"]
    assert done.stderr == "the SDK is imported\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KALLYAI_FAST_START", "0"),
        ("KALLYAI_SANDBOX", "1"),
        ("KALLYAI_READ_ONLY", "1"),
        ("KALLYAI_LOG_LEVEL", "DEBUG"),
        ("KALLYAI_WAIT_SECONDS", "soon"),
        ("OTEL_TRACES_EXPORTER", "console"),
    ],
)
def test_a_setting_that_could_matter_leaves_every_answer_to_the_server(tmp_path: Path, name: str, value: str) -> None:
    done = without_sdk(tmp_path, HANDSHAKE, **{name: value})

    assert done.stdout == ""
    assert done.returncode != 0


def test_nothing_but_the_standard_library_is_imported_before_the_first_answers(tmp_path: Path) -> None:
    code = (
        "import sys; before = set(sys.modules)\n"
        "import kallyai_mcp.cli.start, kallyai_mcp.transports.first_answers, kallyai_mcp.transports.standard_streams\n"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment(tmp_path),
        timeout=LIMIT,
        check=True,
    )

    assert done.stdout.split() == ["kallyai_mcp"]
