"""What a worker does in the background: it sleeps while there is nothing to do, and notices what
other processes do.
"""

from datetime import timedelta

import pytest

from kallyai_mcp.calls.ledger.base import Database
from kallyai_mcp.calls.ledger.rows import list_unsettled
from kallyai_mcp.calls.records import CallState
from kallyai_mcp.calls.timing import Timing
from tests.calls.ledgers import ACCOUNT, NOW, asked
from tests.calls.manual_time import ManualClock
from tests.calls.process.test_placing import never
from tests.calls.process.test_scheduled import DUE, schedule
from tests.calls.world import Service, shown, world
from tests.many_records import add_records


class CountingClock(ManualClock):
    """A clock that counts how often something wakes."""

    wakes = 0

    def advance(self, seconds: float) -> None:
        self.wakes += 1
        super().advance(seconds)


@pytest.fixture
def clock() -> CountingClock:
    return CountingClock(NOW)


@pytest.mark.parametrize("is_used", [False, True])
async def test_an_idle_server_wakes_once_in_ten_seconds(
    place: str, clock: CountingClock, *, is_used: bool
) -> None:
    async with world(Service(clock), place, timing=Timing()) as here:
        if is_used:
            await here.tell(await here.call())
            await schedule(here)
        await here.run(clock.sleep(60))
        wakes, transactions = clock.wakes, here.database.begun.total()
        await here.run(clock.sleep(1000))

        assert clock.wakes - wakes <= 101
        assert here.database.begun.total() - transactions <= (
            100 if place.startswith("postgresql:") else 0
        )


async def test_a_dead_workers_call_is_found_in_seconds(place: str, clock: ManualClock) -> None:
    survivor = Service(clock, [], [shown(at=NOW + timedelta(seconds=15))])
    async with world(survivor, place, timing=Timing()) as here:
        await here.run(clock.sleep(15))
        async with world(Service(clock, [never]), place) as dying:
            left = await dying.place()
            await here.run(clock.sleep(11))
        await here.run(clock.sleep(1.5))
        found = await here.find(left.tracking_id)
    assert found.call_id == "c-1"
    assert survivor.keys == []


async def test_a_dead_workers_many_calls_are_taken_over(
    place: str, clock: ManualClock, database: Database
) -> None:
    async with world(Service(clock), place, timing=Timing()) as here:
        await add_records(database, asked(worker="0000000a"), 250, interval=0)
        await here.run(clock.sleep(3.5))

        assert await here.ledger.read(list_unsettled, ACCOUNT) == []


@pytest.mark.parametrize("seconds", [5, 25])
async def test_a_call_due_soon_is_placed_then(
    place: str, clock: ManualClock, seconds: float
) -> None:
    service = Service(clock)
    async with world(service, place, timing=Timing()) as here:
        await here.run(clock.sleep(15))
        await schedule(here, clock.now() + timedelta(seconds=seconds))
        await here.run(clock.sleep(seconds - 0.5))
        before = len(service.keys)
        await here.run(clock.sleep(1))

    assert (before, len(service.keys)) == (0, 1)


async def test_a_read_only_server_places_no_due_call(place: str, clock: ManualClock) -> None:
    service = Service(clock)
    async with world(service, place) as other:
        placed = await schedule(other)
    async with world(service, place, is_read_only=True) as here:
        clock.advance((DUE - NOW).total_seconds())
        await here.find(placed.tracking_id)
        await here.run(clock.sleep(60))
        record = await here.find(placed.tracking_id)

    assert record.state is CallState.SCHEDULED
    assert service.keys == []
