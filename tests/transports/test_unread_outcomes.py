"""Over stdio, an outcome is delivered when the client has read it; one that nobody read is told to the next client."""

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

SERVE = [*COMMAND, "serve"]
MAKE_CALL = line(2, "tools/call", name="make_call", arguments=CALL)
ANOTHER_CALL = line(3, "tools/call", name="make_call", arguments=CALL | {"respondent_phone": "+12025550199"})
LISTS = b"".join(line(number, "tools/list") for number in range(100, 200))
"""Requests whose answers are longer than any pipe."""

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what was read of a pipe")


def settings_of(sandbox: RunningSandbox, *, is_full: bool = False) -> dict[str, Any]:
    """`is_full`: the server takes calls also while its client has not read the first answers."""
    return {"API_URL": sandbox.url, "ACCESS_TOKEN": sandbox.token(), "FAST_START": "0" if is_full else "1"}


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
        await wait_until(lambda: bool(ledger.execute(f"SELECT 1 FROM calls WHERE {condition}").fetchall()))  # noqa: S608


async def readable(peer: Peer) -> None:
    ready, _, _ = await anyio.to_thread.run_sync(select.select, [peer.reads], [], [], LIMIT)
    assert ready


async def ended(peer: Peer) -> None:
    assert await anyio.to_thread.run_sync(peer.process.wait, LIMIT) is not None


async def told_to_the_next_client(sandbox: RunningSandbox) -> dict[str, Any]:
    """What a client that redials on another server, in this process, is told."""
    async with open_agent(sandbox.settings(), mode="auto", clock=sandbox.clock) as agent:
        return (await agent.use("make_call", CALL, redial=True)).data


def kill(left: Peer) -> None:
    left.process.kill()


def leave(left: Peer) -> None:
    left.reads.close()
    left.writes.close()


def ask_more_and_leave(left: Peer) -> None:
    left.reads.close()
    left.send(line(3, "ping"))
    left.writes.close()


@LINUX
@pytest.mark.parametrize(("connected", "end"), [(piped, ask_more_and_leave), (on_sockets, leave)])
async def test_an_outcome_that_was_not_read_is_told_to_the_next_client(
    tmp_path: Path, connected: Connected, end: Callable[[Peer], None]
) -> None:
    async with running_sandbox(tmp_path) as sandbox:
        with connected(tmp_path, SERVE, **settings_of(sandbox)) as left:
            left.send(initialization() + MAKE_CALL)
            await sandbox.wait_for_calls()
            await anyio.to_thread.run_sync(left.answer)
            sandbox.end_calls()
            await readable(left)
            end(left)
            await ended(left)
        told = await told_to_the_next_client(sandbox)
        placed = await sandbox.calls()

    assert (told["outcome"], told["placed_now"]) == ("answered", False)
    assert len(placed) == 1


async def test_an_outcome_that_did_not_fit_into_a_full_pipe_is_told_to_the_next_client(tmp_path: Path) -> None:
    async with running_sandbox(tmp_path) as sandbox:
        with piped(tmp_path, SERVE, **settings_of(sandbox, is_full=True)) as left:
            await anyio.to_thread.run_sync(left.send, initialization() + LISTS + MAKE_CALL)
            await sandbox.wait_for_calls()
            sandbox.end_calls()
            await until("state = 'ended'", tmp_path)
            left.send(ANOTHER_CALL)
            await sandbox.wait_for_calls(2)  # meanwhile, the answer with the outcome waits for the pipe
            leave(left)
            await ended(left)
        told = await told_to_the_next_client(sandbox)
        placed = await sandbox.calls()

    assert (told["outcome"], told["placed_now"]) == ("answered", False)
    assert len(placed) == 2


# What was read is delivered


@LINUX
@pytest.mark.parametrize(("connected", "end"), [(piped, leave), (on_sockets, kill)])
async def test_an_outcome_that_was_read_is_not_told_again(
    tmp_path: Path, connected: Connected, end: Callable[[Peer], None]
) -> None:
    async with running_sandbox(tmp_path) as sandbox:
        with connected(tmp_path, SERVE, **settings_of(sandbox)) as left:
            left.send(initialization() + MAKE_CALL)
            await sandbox.wait_for_calls()
            sandbox.end_calls()
            await answer_to(left, 2)
            if end is not leave:  # such an end leaves no time to look what was read
                await until("delivered_at IS NOT NULL", tmp_path)
            end(left)
            await ended(left)
        told = await told_to_the_next_client(sandbox)

    assert told["placed_now"] is True


@pytest.mark.parametrize("asks_more", [False, True])
async def test_an_outcome_in_a_file_is_delivered_when_another_message_follows(tmp_path: Path, asks_more: bool) -> None:
    """No system tells what was read of a file, or of a pipe of Windows."""
    answers = tmp_path / "answers"
    async with running_sandbox(tmp_path) as sandbox:
        with answers.open("wb") as stdout, piped(tmp_path, SERVE, stdout=stdout, **settings_of(sandbox)) as left:
            left.send(initialization() + MAKE_CALL)
            await sandbox.wait_for_calls()
            sandbox.end_calls()
            await wait_until(lambda: b'"outcome":"answered"' in answers.read_bytes())
            if asks_more:
                left.send(line(3, "ping"))
                await until("delivered_at IS NOT NULL", tmp_path)
            kill(left)
            await ended(left)
        told = await told_to_the_next_client(sandbox)

    assert told["placed_now"] is asks_more
