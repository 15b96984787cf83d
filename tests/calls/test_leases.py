"""Which worker may send and settle which records, on both drivers; some workers are processes that
are killed.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.events import Adopt, Cancel, Checked, Leave, Over, Requested
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


@pytest.mark.parametrize(
    ("seconds", "leaves"), [(121, False), (-3600, False), (120, True), (-0.5, True)]
)
async def test_a_request_leaves_only_while_its_record_is_young(
    ledger: Ledger, clock: ManualClock, seconds: float, *, leaves: bool
) -> None:
    record = await leased(ledger, asked())
    clock.set_wall_clock(seconds)
    if leaves:
        assert (await ledger.handle(ACCOUNT, Leave(record))).state is CallState.SENT
    else:
        assert await why_not_sent(ledger, record) == "too_late"
        assert await state_of(ledger, record) is CallState.RESERVED


async def test_no_request_leaves_for_a_record_that_has_ended(ledger: Ledger) -> None:
    for number, state in enumerate(
        (CallState.ENDED, CallState.REFUSED, CallState.UNKNOWN, CallState.CANCELED)
    ):
        record = await leased(ledger, another(number))
        if state is CallState.CANCELED:
            await ledger.handle(ACCOUNT, Cancel(record.tracking_id))
        else:
            await ledger.handle(ACCOUNT, Over(replace(record, state=state)))
        assert await why_not_sent(ledger, record) == "not_sent"
        assert await state_of(ledger, record) is state


async def test_no_request_leaves_for_the_record_of_another_worker(
    ledger: Ledger, other: Ledger
) -> None:
    record = await leased(ledger, asked())
    mine = await other.database.take_lease()

    assert await why_not_sent(other, record) == "not_sent"
    assert await why_not_sent(other, replace(record, worker=mine)) == "not_sent"
    assert await state_of(other, record) is CallState.RESERVED


async def test_records_are_taken_over_once_and_only_those_of_the_account(
    ledger: Ledger, other: Ledger
) -> None:
    theirs = AccountKey(ACCOUNT.api, "account-2")
    worker = await ledger.database.take_lease()
    for number, account in ((1, ACCOUNT), (2, theirs), (3, ACCOUNT)):
        await reserved(ledger, another(number, account=account, worker=worker))
    await ended(ledger, another(4, worker=worker))
    unknown = await reserved(ledger, another(5, worker=worker))
    await ledger.handle(ACCOUNT, Over(replace(unknown, state=CallState.UNKNOWN)))
    await ledger.database.aclose()

    first = await other.database.take_lease()
    taken = await other.handle(ACCOUNT, Adopt(first, ()))
    assert {record.tracking_id for record in taken} == {"t-1", "t-3"}
    assert await other.handle(ACCOUNT, Adopt(first, {"t-1", "t-3"})) == ()
    assert (await other.read(upkeep.find_work, first, {"t-1", "t-3"})).is_abandoned
    assert [record.tracking_id for record in await other.handle(theirs, Adopt(first, ()))] == [
        "t-2"
    ]
    assert not (await other.read(upkeep.find_work, first, {"t-1", "t-2", "t-3"})).is_abandoned
    # If the confirmation of a transaction was lost, a worker does not know of a record that is its
    # own.
    assert (await other.read(upkeep.find_work, first, {"t-1", "t-2"})).is_abandoned
    assert [each.tracking_id for each in await other.handle(ACCOUNT, Adopt(first, {"t-1"}))] == [
        "t-3"
    ]


@pytest.mark.skipif(os.name != "posix", reason="Windows has neither SIGSTOP nor SIGKILL")
async def test_only_a_killed_process_loses_its_records(
    place: str,
) -> None:
    command = [sys.executable, "-m", "tests.calls.test_leases", place]
    async with await anyio.open_process(command, cwd=Path(__file__).parents[2]) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        printed = BufferedByteReceiveStream(process.stdout)
        async with opened(place) as here:  # by the clock of the machine, as the process has it
            await printed.receive_until(b"\n", 100)
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)  # noqa: ASYNC222 - at once
            worker = await here.database.take_lease()
            is_abandoned = (await here.read(upkeep.find_work, worker)).is_abandoned
            taken_over = await here.handle(ACCOUNT, Adopt(worker, ()))
            duplicate = await here.handle(ACCOUNT, Requested(Checked(asked(2), redial=True)))
            process.send_signal(signal.SIGCONT)
            await process.stdin.send(b"\n")
            state = await printed.receive_until(b"\n", 100)
            process.kill()
            await process.wait()
            with anyio.fail_after(LIMIT):  # PostgreSQL learns of it within milliseconds
                while not (await here.read(upkeep.find_work, worker)).is_abandoned:
                    await anyio.lowlevel.checkpoint()
            [taken] = await here.handle(ACCOUNT, Adopt(worker, ()))
            await here.database.take_lease()

    assert (is_abandoned, taken_over) == (False, ())
    assert (duplicate.tracking_id, duplicate.is_new) == ("t-1", False)
    assert state == b"sent"
    assert (taken.tracking_id, taken.worker, taken.state) == ("t-1", worker, CallState.SENT)


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
