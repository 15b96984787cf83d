"""Over stdio, an outcome is delivered when the client has read it; one that nobody read is told to
the next client.
"""

import select
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from tests.agent import open_agent
from tests.processes import COMMAND, LIMIT
from tests.transports.http_server import CALL, RunningSandbox, running_sandbox, wait_until
from tests.transports.stdio_peer import Connected, Peer, initialization, line, on_sockets, piped

pytestmark = pytest.mark.programs

SERVE = [*COMMAND, "serve"]
MAKE_CALL = line(2, "tools/call", name="make_call", arguments=CALL)
OTHER = CALL | {"respondent_phone": "+12025550199"}
ANOTHER_CALL = line(3, "tools/call", name="make_call", arguments=OTHER)
LISTS = b"".join(line(number, "tools/list") for number in range(100, 200))
"""Requests whose answers are longer than any pipe."""

LINUX = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells what was read of a pipe"
)


def settings_of(sandbox: RunningSandbox, *, is_full: bool = False) -> dict[str, Any]:
    """`is_full`: the server takes calls also while its client has not read the first answers."""
    return {
        "API_URL": sandbox.url,
        "ACCESS_TOKEN": sandbox.token(),
        "FAST_START": "0" if is_full else "1",
    }


async def answer_to(peer: Peer, id_: int) -> dict[str, Any]:
    """Read until the answer to a request of a tool; returns its structure."""

    def read() -> dict[str, Any]:
        while (answer := peer.answer())["id"] != id_:
            pass
        structure: dict[str, Any] = answer["result"]["structuredContent"]
        return structure

    return await anyio.to_thread.run_sync(read)


async def until(condition: str, home: Path) -> None:
    """Wait until there is a record for which this SQL is true."""
    with closing(sqlite3.connect(f"{(home / 'ledger.db').as_uri()}?mode=ro", uri=True)) as ledger:
        await wait_until(
            lambda: bool(ledger.execute(f"SELECT 1 FROM calls WHERE {condition}").fetchall())  # noqa: S608
        )


async def ended(peer: Peer) -> None:
    assert await anyio.to_thread.run_sync(peer.process.wait, LIMIT) is not None


async def told_to_the_next_client(sandbox: RunningSandbox, placed: int = 2) -> list[dict[str, Any]]:
    """What a client that redials both numbers on another server, in this process, is told; it
    leaves after `placed`.
    """
    async with open_agent(sandbox.settings(), mode="auto", clock=sandbox.clock) as agent:
        told = [(await agent.use("make_call", call, redial=True)).data for call in (CALL, OTHER)]
        await sandbox.wait_for_calls(placed)
        return told


def leave(left: Peer) -> None:
    left.reads.close()
    left.writes.close()


def ask_more_and_leave(left: Peer) -> None:
    left.reads.close()
    left.send(line(4, "ping"))
    left.writes.close()


@LINUX
@pytest.mark.parametrize(("connected", "end"), [(piped, ask_more_and_leave), (on_sockets, leave)])
async def test_only_an_unread_outcome_is_told_again(
    tmp_path: Path, connected: Connected, end: Callable[[Peer], None]
) -> None:
    async with running_sandbox(tmp_path) as sandbox:
        with connected(tmp_path, SERVE, **settings_of(sandbox)) as left:
            left.send(initialization() + MAKE_CALL)
            await sandbox.wait_for_calls()
            sandbox.end_calls()
            await answer_to(left, 2)
            await until("delivered_at IS NOT NULL", tmp_path)
            left.send(ANOTHER_CALL)
            await sandbox.wait_for_calls(2)
            sandbox.end_calls()
            ready, _, _ = await anyio.to_thread.run_sync(select.select, [left.reads], [], [], LIMIT)
            end(left)
            await ended(left)
        told = await told_to_the_next_client(sandbox, placed=3)
        placed = await sandbox.calls()

    assert ready
    assert [answer["placed_now"] for answer in told] == [True, False]
    assert told[1]["outcome"] == "answered"
    assert len(placed) == 3


async def test_an_outcome_in_a_full_pipe_is_retold(
    tmp_path: Path,
) -> None:
    async with running_sandbox(tmp_path) as sandbox:
        with piped(tmp_path, SERVE, **settings_of(sandbox, is_full=True)) as left:
            await anyio.to_thread.run_sync(left.send, initialization() + LISTS + MAKE_CALL)
            await sandbox.wait_for_calls()
            sandbox.end_calls()
            await until("state = 'ended'", tmp_path)
            left.send(ANOTHER_CALL)
            # Meanwhile, the answer with the outcome waits for the pipe.
            await sandbox.wait_for_calls(2)
            leave(left)
            await ended(left)
        told = await told_to_the_next_client(sandbox)
        placed = await sandbox.calls()

    assert (told[0]["outcome"], told[0]["placed_now"]) == ("answered", False)
    assert len(placed) == 2


async def test_an_outcome_in_a_file_is_delivered_later(
    tmp_path: Path,
) -> None:
    """No system tells what was read of a file, or of a pipe of Windows."""
    answers = tmp_path / "answers"

    async def finish(number: int) -> None:
        await sandbox.wait_for_calls(number)
        sandbox.end_calls()
        await wait_until(lambda: answers.read_bytes().count(b'"outcome":"answered"') == number)

    async with running_sandbox(tmp_path) as sandbox:
        with (
            answers.open("wb") as stdout,
            piped(tmp_path, SERVE, stdout=stdout, **settings_of(sandbox)) as left,
        ):
            left.send(initialization() + MAKE_CALL)
            await finish(1)
            left.send(ANOTHER_CALL)
            await finish(2)
            await until("delivered_at IS NOT NULL", tmp_path)
            left.process.kill()
            await ended(left)
        told = await told_to_the_next_client(sandbox)

    assert [answer["placed_now"] for answer in told] == [True, False]
