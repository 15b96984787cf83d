"""Which worker may send and settle which records, on both drivers; some workers are processes that are killed."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.ledger.ledger import Ledger
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState
from tests.calls.ledgers import opened
from tests.calls.manual_time import ManualClock
from tests.calls.samples import ACCOUNT, another, asked, ended, outcome, reserved, state_of
from tests.processes import LIMIT

FOLDER = Path(__file__).parents[2]


@pytest.fixture
async def other(place: str, clock: ManualClock) -> AsyncIterator[Ledger]:
    """Another process's ledger at the same place."""
    async with opened(place, clock.now) as ledger:
        yield ledger


async def why_not_sent(ledger: Ledger, record: CallRecord) -> str:
    with pytest.raises(KallyAIError) as raised:
        await ledger.mark_sent(record, service_time=lambda: None)
    return raised.value.code


async def leased(ledger: Ledger, record: CallRecord) -> CallRecord:
    """Reserve a call under a lease of its own."""
    return await reserved(ledger, replace(record, worker=await ledger.take_lease()))


@pytest.mark.parametrize(("seconds", "code"), [(120, ""), (121, "too_late"), (-0.5, ""), (-3600, "too_late")])
async def test_a_request_leaves_only_while_its_record_is_young(
    ledger: Ledger, clock: ManualClock, seconds: float, code: str
) -> None:
    record = await leased(ledger, asked())
    clock.set_wall_clock(seconds)

    if code:
        assert await why_not_sent(ledger, record) == code
        assert await state_of(ledger, record) is CallState.RESERVED
    else:
        assert (await ledger.mark_sent(record, service_time=lambda: None)).state is CallState.SENT


@pytest.mark.parametrize("state", [CallState.ENDED, CallState.REFUSED, CallState.UNKNOWN, CallState.CANCELED])
async def test_no_request_leaves_for_a_record_that_has_ended(ledger: Ledger, state: CallState) -> None:
    record = await leased(ledger, asked())
    if state is CallState.CANCELED:
        await ledger.cancel(ACCOUNT, "t-1")
    else:
        await ledger.finish(record, state, call=outcome() if state is CallState.ENDED else None)

    assert await why_not_sent(ledger, record) == "not_sent"
    assert await state_of(ledger, record) is state


async def test_no_request_leaves_for_the_record_of_another_worker(ledger: Ledger, other: Ledger) -> None:
    record = await leased(ledger, asked())
    mine = await other.take_lease()

    assert await why_not_sent(other, record) == "not_sent"
    assert await why_not_sent(other, replace(record, worker=mine)) == "not_sent"
    assert await state_of(other, record) is CallState.RESERVED


async def test_records_are_taken_over_once_and_only_those_of_the_account(ledger: Ledger, other: Ledger) -> None:
    theirs = AccountKey(ACCOUNT.api, "account-2")
    worker = await ledger.take_lease()
    for number, account in ((1, ACCOUNT), (2, theirs), (3, ACCOUNT)):
        await reserved(ledger, another(number, account=account, worker=worker))
    await ended(ledger, another(4, worker=worker))
    unknown = await reserved(ledger, another(5, worker=worker))
    await ledger.finish(unknown, CallState.UNKNOWN)
    await ledger.aclose()

    first = await other.take_lease()
    taken = await other.take_over(ACCOUNT, first, ())
    assert {record.tracking_id for record in taken} == {"t-1", "t-3"}
    assert await other.take_over(ACCOUNT, first, {"t-1", "t-3"}) == []
    assert (await other.find_work(first, {"t-1", "t-3"})).is_abandoned
    assert [record.tracking_id for record in await other.take_over(theirs, first, ())] == ["t-2"]
    assert not (await other.find_work(first, {"t-1", "t-2", "t-3"})).is_abandoned


async def test_a_record_that_its_own_worker_does_not_know_of_is_given_to_it(ledger: Ledger) -> None:
    """Its reservation, or the transaction that took it over, was committed although the confirmation was lost."""
    worker = await ledger.take_lease()
    for number in (1, 2):
        await reserved(ledger, another(number, worker=worker))

    assert (await ledger.find_work(worker, {"t-1"})).is_abandoned
    assert [record.tracking_id for record in await ledger.take_over(ACCOUNT, worker, {"t-1"})] == ["t-2"]
    assert not (await ledger.find_work(worker, {"t-1", "t-2"})).is_abandoned


# Processes


class Holder:
    """A process that holds a lease and has reserved a call."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.worker = self._line()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def send(self) -> str:
        """Let it try to send its request; returns the state, or why not."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self._line()

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)
        if number is signal.SIGKILL:
            self.process.wait(LIMIT)
        if number is signal.SIGSTOP:
            os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)


@contextmanager
def holder(place: str, *, send: bool = False) -> Iterator[Holder]:
    command = [sys.executable, "-m", "tests.calls.lease_holder", place, "send" if send else "wait"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=FOLDER) as process:
        try:
            yield Holder(process)
        finally:
            process.kill()


@pytest.fixture
async def here(place: str) -> AsyncIterator[Ledger]:
    """A ledger at the same place, by the clock of the machine, as the processes have it."""
    async with opened(place) as ledger:
        yield ledger


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("send", [False, True])
async def test_the_records_of_a_killed_process_are_taken_over_at_once(place: str, here: Ledger, *, send: bool) -> None:
    with holder(place, send=send) as dead:
        worker = await here.take_lease()
        assert not (await here.find_work(worker)).is_abandoned
        dead.signal(signal.SIGKILL)
        with anyio.fail_after(LIMIT):
            while not (await here.find_work(worker)).is_abandoned:  # PostgreSQL learns of it within milliseconds
                await anyio.lowlevel.checkpoint()
        [record] = await here.take_over(ACCOUNT, worker, ())

    assert (record.tracking_id, record.worker) == ("t-1", worker)
    assert record.state is (CallState.SENT if send else CallState.RESERVED)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGSTOP")
async def test_a_suspended_process_keeps_its_records_and_sends_when_it_goes_on(place: str, here: Ledger) -> None:
    with holder(place) as suspended:
        suspended.signal(signal.SIGSTOP)
        worker = await here.take_lease()
        abandoned = (await here.find_work(worker)).is_abandoned, await here.take_over(ACCOUNT, worker, ())
        duplicate, is_new = await here.reserve(asked(2), redial=True)
        suspended.signal(signal.SIGCONT)
        state = suspended.send()

    assert abandoned == (False, [])
    assert (duplicate.tracking_id, is_new) == ("t-1", False)
    assert state == "sent"
