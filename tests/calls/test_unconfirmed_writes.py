"""What happens to calls whose records were written although the confirmation of the write was lost."""

from dataclasses import replace
from datetime import timedelta

import pytest

from kallyai_mcp.calls.call_lists import StopReason
from kallyai_mcp.calls.ledger.base import LedgerUnavailableError
from kallyai_mcp.calls.records import CallState
from tests.calls.ledgers import InterruptedDatabase, database_at
from tests.calls.manual_time import ManualClock
from tests.calls.test_call_lists import ended, reply, start
from tests.calls.test_service import never
from tests.calls.world import LOST, NOW, TABLE, Service, shown, world


@pytest.mark.parametrize("lost", [1, 2, 3, 4, 5])
async def test_no_unconfirmed_write_places_a_call_twice_or_leaves_a_record_active(
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


async def test_a_list_that_was_written_without_a_confirmation_calls_nobody(place: str, clock: ManualClock) -> None:
    service = Service(clock)
    database = InterruptedDatabase(database_at(place, clock.now))
    async with world(service, place, database=database) as here:
        await here.run(here.ledger.check())
        await here.run(here.calls.list_unsettled())
        database.lose_confirmations(2)  # the second: that it is undone
        with pytest.raises(LedgerUnavailableError):
            await start(here)
        await here.run(clock.sleep(600))
        calls = len(service.keys)
        found, is_new = await start(here)
        await ended(here, found)

    assert calls == 0
    assert is_new


async def test_a_list_that_goes_on_without_a_confirmation_stays_as_it_was(place: str, clock: ManualClock) -> None:
    service = Service(clock, [reply("success", "c-1"), reply("success", "c-2")])
    database = InterruptedDatabase(database_at(place, clock.now))
    async with world(service, place, database=database) as here:
        decided = await ended(here, (await start(here))[0])
        database.lose_confirmations(2)
        with pytest.raises(LedgerUnavailableError):
            await here.run(here.calls.continue_list(decided, after=1))
        await here.run(clock.sleep(600))
        found = await here.run(here.calls.find_list(decided.list_id))
        calls = len(service.keys)
        last = await ended(here, (await here.run(here.calls.continue_list(decided, after=1)))[0])

    assert found is not None
    assert replace(found, ended_at=decided.ended_at) == decided
    assert found.stop_reason is StopReason.NEEDS_DECISION
    assert calls == 1
    assert last.records[-1].call_id == "c-2"


async def test_an_attempt_whose_end_is_confirmed_only_after_the_next_one_was_placed_stops_nothing(
    place: str, clock: ManualClock
) -> None:
    service = Service(clock, [(201, {"call_id": f"c-{number}", "status": "busy"}) for number in (1, 2)])
    database = InterruptedDatabase(database_at(place, clock.now))

    async def lose_ends(result: object) -> None:
        if result is None and clock.now() < NOW + timedelta(minutes=40):  # the next one is due at 8:00 there
            raise LedgerUnavailableError("the confirmation was lost")

    database.after_write = lose_ends
    async with world(service, place, database=database) as here:
        again = here.calls.scheduled(None, 1)
        placed = await here.run(here.calls.place(TABLE, timezone="UTC", schedule=again))
        await here.run(clock.sleep(3600))
        record = await here.run(here.calls.find(placed.record.tracking_id))

    assert record is not None
    assert (record.state, record.call_id) == (CallState.ENDED, "c-2")
