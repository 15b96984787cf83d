"""Which worker may send and settle which records, on both drivers; some workers are processes that
are killed.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.events import Adopt, Checked, Leave, Over, Requested
from kallyai_mcp.calls.ledger import upkeep
from kallyai_mcp.calls.ledger.base import Ledger
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState
from tests.calls.ledgers import (
    ACCOUNT,
    another,
    asked,
    ended,
    opened,
    reserved,
    state_of,
    system_now,
)
from tests.calls.manual_time import ManualClock
from tests.processes import LIMIT


@pytest.fixture
async def other(place: str, clock: ManualClock) -> AsyncIterator[Ledger]:
    """Another process's ledger at the same place."""
    async with opened(place, clock.now) as ledger:
        yield ledger


async def why_not_sent(ledger: Ledger, record: CallRecord) -> str:
    with pytest.raises(KallyAIError) as raised:
        await ledger.handle(ACCOUNT, Leave(record))
    return raised.value.code


async def leased(ledger: Ledger, record: CallRecord) -> CallRecord:
    """Reserve a call under a lease of its own."""
    return await reserved(ledger, replace(record, worker=await ledger.database.take_lease()))


async def test_no_request_leaves_another_workers_record(ledger: Ledger, other: Ledger) -> None:
    record = await leased(ledger, asked())
    mine = await other.database.take_lease()

    assert await why_not_sent(other, record) == "not_sent"
    assert await why_not_sent(other, replace(record, worker=mine)) == "not_sent"
    assert await state_of(other, record) is CallState.RESERVED


THEIRS = AccountKey(ACCOUNT.api, "account-2")


async def records_of_a_dead_worker(ledger: Ledger) -> None:
    """Two records of an account, one of another account, and two that have ended."""
    worker = await ledger.database.take_lease()
    for number, account in ((1, ACCOUNT), (2, THEIRS), (3, ACCOUNT)):
        await reserved(ledger, another(number, account=account, worker=worker))
    await ended(ledger, another(4, worker=worker))
    unknown = await reserved(ledger, another(5, worker=worker))
    await ledger.handle(ACCOUNT, Over(replace(unknown, state=CallState.UNKNOWN)))
    await ledger.database.aclose()


async def taken_over(
    ledger: Ledger, worker: str, account: AccountKey = ACCOUNT, *, known: Collection[str] = ()
) -> set[str]:
    """The records of an account that a worker takes over, besides those that it knows."""
    taken = await ledger.handle(account, Adopt(worker, known))
    return {record.tracking_id for record in taken}


async def is_abandoned(ledger: Ledger, worker: str, *known: str) -> bool:
    """Whether there is a record that no living worker has, as far as this one knows."""
    return (await ledger.read(upkeep.find_work, worker, known)).is_abandoned


async def test_records_are_taken_over_once(ledger: Ledger, other: Ledger) -> None:
    await records_of_a_dead_worker(ledger)
    worker = await other.database.take_lease()

    assert await taken_over(other, worker) == {"t-1", "t-3"}
    assert await taken_over(other, worker, known={"t-1", "t-3"}) == set()


async def test_each_account_takes_over_its_own_records(ledger: Ledger, other: Ledger) -> None:
    await records_of_a_dead_worker(ledger)
    worker = await other.database.take_lease()
    await taken_over(other, worker)

    assert await is_abandoned(other, worker, "t-1", "t-3")
    assert await taken_over(other, worker, THEIRS) == {"t-2"}
    assert not await is_abandoned(other, worker, "t-1", "t-2", "t-3")


async def test_a_worker_takes_over_its_own_record(ledger: Ledger, other: Ledger) -> None:
    """The confirmation of a transaction was lost, so it does not know of that record."""
    await records_of_a_dead_worker(ledger)
    worker = await other.database.take_lease()
    await taken_over(other, worker)
    await taken_over(other, worker, THEIRS)

    assert await is_abandoned(other, worker, "t-1", "t-2")
    assert await taken_over(other, worker, known={"t-1"}) == {"t-3"}


Send = Callable[[], Awaitable[bytes]]


@asynccontextmanager
async def another_process(place: str) -> AsyncIterator[tuple[Process, Send]]:
    """A process that has reserved a call (`hold_a_lease`), and what lets it send the request."""
    command = [sys.executable, "-m", "tests.calls.ledger.test_leases", place]
    async with await anyio.open_process(command, cwd=Path(__file__).parents[3]) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None
        printed = BufferedByteReceiveStream(stdout)

        async def send() -> bytes:
            await stdin.send(b"\n")
            return await printed.receive_until(b"\n", 100)

        await printed.receive_until(b"\n", 100)
        try:
            yield process, send
        finally:
            if process.returncode is None:
                process.kill()


@pytest.mark.programs
@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGSTOP")
async def test_a_suspended_process_keeps_its_records(place: str) -> None:
    async with another_process(place) as (process, send), opened(place) as here:
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)  # noqa: ASYNC222 - at once
        worker = await here.database.take_lease()
        duplicate = await here.handle(ACCOUNT, Requested(Checked(asked(2), redial=True)))
        is_free = await is_abandoned(here, worker)
        taken = await taken_over(here, worker)
        process.send_signal(signal.SIGCONT)
        state = await send()

    assert not is_free
    assert taken == set()
    assert duplicate.tracking_id == "t-1"
    assert not duplicate.is_new
    assert state == b"sent"


@pytest.mark.programs
@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGKILL")
async def test_a_killed_process_loses_its_records(place: str) -> None:
    async with another_process(place) as (process, send), opened(place) as here:
        worker = await here.database.take_lease()
        await send()
        process.kill()
        await process.wait()
        with anyio.fail_after(LIMIT):  # PostgreSQL learns of it within milliseconds
            while not await is_abandoned(here, worker):
                await anyio.lowlevel.checkpoint()
        [taken] = await here.handle(ACCOUNT, Adopt(worker, ()))

    assert taken.tracking_id == "t-1"
    assert taken.worker == worker
    assert taken.state is CallState.SENT


async def hold_a_lease(place: str) -> None:
    """Take a lease, reserve a call, and print the worker's name; then try to send it for each line
    of stdin.
    """
    async with opened(place) as ledger:
        worker = await ledger.database.take_lease()
        new = replace(asked(), worker=worker, asked_at=system_now())
        record = await ledger.handle(ACCOUNT, Requested(Checked(new, redial=False)))
        print(worker, flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            print(
                (await ledger.handle(ACCOUNT, Leave(record))).state.value,
                flush=True,
            )


if __name__ == "__main__":
    asyncio.run(hold_a_lease(sys.argv[1]))
