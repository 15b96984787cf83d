"""The first answers over stdio: they are the server's own, and nothing is lost when the server
takes over.
"""

import inspect
import json
import os
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS

from kallyai_mcp.cli.start import plain_settings
from kallyai_mcp.server.build import build_server
from kallyai_mcp.transports.first_answers import CATALOG, FirstAnswers
from kallyai_mcp.transports.stdio import read_lines, serve_stdio
from tests import programs
from tests.agent import settings_in
from tests.processes import COMMAND, LIMIT, environment
from tests.update.first_answers import (
    INITIALIZED,
    METHODS,
    Json,
    answers_to,
    real_answers,
    request,
    server_of,
)

pytestmark = pytest.mark.skipif(os.name != "posix", reason="other systems can't wait for a pipe")

ROOT = Path(__file__).parent.parent.parent
NO_SDK = 'raise SystemExit("the SDK is imported")'

HANDSHAKE = [
    request(1, "initialize", "2025-11-25"),
    INITIALIZED,
    request("b", "tools/list", "2025-11-25"),
]
DISCOVERY = [request(1, "server/discover", "2026-07-28"), request("b", "tools/list", "2026-07-28")]


def test_every_protocol_version_has_its_answers() -> None:
    made = json.loads(CATALOG.read_text(encoding="utf-8"))

    assert set(made["versions"]) == {
        *HANDSHAKE_PROTOCOL_VERSIONS,
        *MODERN_PROTOCOL_VERSIONS,
    }


CAPABILITIES: Json = {
    "elicitation": {"form": {}, "url": {}},
    "sampling": {"context": {}, "tools": {}},
    "experimental": {"x": {"y": [1]}},
    "extensions": {"io.modelcontextprotocol/ui": {"mimeTypes": ["text/html;profile=mcp-app"]}},
    "tasks": {"list": {}, "requests": {"sampling": {"createMessage": {}}}},
    "roots": {"listChanged": True},
}
"""What a client is able to do, as it says it."""


async def test_settings_and_capabilities_change_no_first_answer(tmp_path: Path) -> None:
    others = settings_in(
        tmp_path,
        LOG_LEVEL="ERROR",
        KEEP_DAYS="1",
        CONFIRM="always",
        STOP_CALLS="1",
    )

    assert await real_answers(others, capabilities=CAPABILITIES) == await real_answers(
        settings_in(tmp_path)
    )
    # A new parameter may change an answer: then `cli.start` must leave it to the server.
    parameters = "open_app_context read_only sandbox wait_seconds request_state"
    assert set(inspect.signature(build_server).parameters) == set(parameters.split())


LAST = '{"jsonrpc":"2.0","id":"end","method":"no/such"}'
"""A request that every server refuses at once."""


async def with_first_answers(
    home: Path, lines: Sequence[str], cuts: Sequence[int], ready_after: int
) -> list[str]:
    """What a client gets whose data is cut into pieces, and whose first pieces come before the
    server is ready.
    """
    data = "".join(f"{line}\n" for line in (*lines, LAST)).encode()
    pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, None], strict=True)]
    ours, theirs = socket.socketpair()
    written: list[str] = []
    with ours, theirs, anyio.fail_after(LIMIT):
        first = FirstAnswers(theirs.fileno(), theirs.fileno())
        ours.sendall(b"".join(pieces[:ready_after]))
        first.start()

        async def go_on() -> None:
            await anyio.wait_all_tasks_blocked()
            ours.sendall(b"".join(pieces[ready_after:]))
            async for line in read_lines(ours.fileno()):
                written.append(line)
                if '"id":"end"' in line:
                    await anyio.wait_all_tasks_blocked()
                    ours.shutdown(socket.SHUT_WR)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(go_on)
            await serve_stdio(server_of(settings_in(home)), first)
            theirs.shutdown(socket.SHUT_WR)
    return written


async def test_a_client_may_begin_before_discovery_is_answered(
    tmp_path: Path,
) -> None:
    opening = [
        request(0, "server/discover", "2026-07-28"),
        request(1, "initialize", "2025-11-25"),
        INITIALIZED,
    ]
    lines = [json.dumps(message) for message in [*opening, request(2, "tools/list", "2025-11-25")]]

    for ready_after in (0, 1, 2):
        written = await with_first_answers(
            tmp_path, lines, [len(lines[0]) + 1, len(lines[0]) + 9], ready_after
        )
        answers = {answer["id"]: answer.get("result") for answer in map(json.loads, written)}

        assert answers[1]["protocolVersion"] == "2025-11-25"
        assert answers[2]["tools"][0]["name"] == "make_call"
        assert len(written) == 4


ODD = [
    request(90, "tools/list", "2025-11-25") | {"params": {"cursor": "x"}},
    request(91, "no/such", "2025-11-25"),
    request("92", "ping", "2025-11-25") | {"params": {"_meta": {"progressToken": "p"}}},
    request(93, "initialize", "2025-11-25", client={"name": "x"}),
    request(94, "ping", "2025-11-25") | {"jsonrpc": "1.0"},
]
"""Messages that are no first requests."""


@pytest.mark.parametrize("version", ["2025-11-25", "2026-07-28"])
async def test_a_message_cut_by_startup_is_answered_once(tmp_path: Path, version: str) -> None:
    methods = METHODS[1:] if version in MODERN_PROTOCOL_VERSIONS else METHODS
    lines = [json.dumps(request(number, method, version)) for number, method in enumerate(methods)]
    lines += lines
    alone = await answers_to([*lines, LAST], settings_in(tmp_path))
    for ready_after in range(5):
        together = await with_first_answers(tmp_path, lines, [60, 200, 333, 900], ready_after)
        assert sorted(together) == sorted(alone)


async def test_other_first_messages_wait_for_the_server(
    tmp_path: Path,
) -> None:
    for before in ([], HANDSHAKE):
        for odd in ODD:
            lines = [json.dumps(message) for message in [*before, odd]]
            alone = await answers_to([*lines, LAST], settings_in(tmp_path))
            assert sorted(await with_first_answers(tmp_path, lines, [10], 1)) == sorted(alone)


def without_sdk(
    home: Path, messages: list[dict[str, Any]], **variables: str
) -> "subprocess.CompletedProcess[str]":
    """Start the server where importing the SDK ends the process."""
    (home / "mcp.py").write_text(NO_SDK)
    own = environment(home) | {"PYTHONPATH": f"{home}{os.pathsep}{ROOT}"} | variables
    given = "".join(f"{json.dumps(message)}\n" for message in messages)
    return programs.run(COMMAND, variables=own, stdin=given, seconds=LIMIT)


@pytest.mark.programs
def test_first_answers_come_before_the_sdk(tmp_path: Path) -> None:
    for messages in (HANDSHAKE, DISCOVERY):
        done = without_sdk(tmp_path, messages)

        assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == [1, "b"]
        assert done.stderr == "the SDK is imported\n"


@pytest.mark.programs
def test_some_settings_leave_answers_to_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    assert plain_settings() is not None
    settings = {
        "FAST_START": "0",
        "SANDBOX": "1",
        "READ_ONLY": "1",
        "LOG_LEVEL": "DEBUG",
        "WAIT_SECONDS": "100",
        "KEEP_DAYS": "many",
    }
    for name, value in {
        **{f"KALLYAI_{name}": value for name, value in settings.items()},
        "OTEL_SDK": "1",
    }.items():
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            assert plain_settings() is None, name

    done = without_sdk(tmp_path, HANDSHAKE, KALLYAI_FAST_START="0")
    assert done.stdout == ""
    assert done.returncode != 0
