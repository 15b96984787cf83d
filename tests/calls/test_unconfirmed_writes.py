"""What becomes of calls whose records were written although the confirmation was lost."""

import pytest

from kallyai_mcp.calls.ledger.base import LedgerUnavailableError
from kallyai_mcp.calls.records import CallState
from tests.calls.ledgers import InterruptedDatabase, database_at
from tests.calls.manual_time import ManualClock
from tests.calls.test_service import never
from tests.calls.world import LOST, Service, shown, world


@pytest.mark.parametrize("lost", [1, 2, 3, 4, 5])
async def test_whatever_is_not_confirmed_nothing_is_placed_twice_and_nothing_stays_active(
    place: str, clock: ManualClock, lost: int
) -> None:
    service = Service(clock)
    database = InterruptedDatabase(database_at(place, clock.now))
    async with world(service, place, database=database) as here:
        await here.run(here.ledger.check())
        await here.run(here.calls.list_unsettled())
        database.lose_confirmations(lost)
        for _ in range(2):
            try:
                placed = await here.place()
            except LedgerUnavailableError:
                await here.run(clock.sleep(30))
            else:
                await here.outcome(placed)
                break
        await here.run(clock.sleep(600))
        unsettled = await here.run(here.calls.list_unsettled())

    assert unsettled == []
    assert len(service.keys) <= 1


@pytest.mark.parametrize("lost", [1, 2])
async def test_records_taken_over_without_a_confirmation_are_settled_all_the_same(
    place: str, clock: ManualClock, lost: int
) -> None:
    async with world(Service(clock, [never]), place) as dead:
        left = await dead.place()
        await dead.run(clock.sleep(0.01))
    database = InterruptedDatabase(database_at(place, clock.now))
    async with world(Service(clock, [LOST], [shown()]), place, database=database) as here:
        await here.run(here.ledger.check())
        database.lose_confirmations(lost)
        await here.run(clock.sleep(60))
        found = await here.run(here.calls.find(left.record.tracking_id))

    assert found is not None
    assert found.state is CallState.ENDED
