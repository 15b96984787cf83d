"""What a worker does without a request: it takes over the calls of workers that died, and deletes old records."""

from dataclasses import replace
from datetime import timedelta

import pytest

from kallyai_mcp.calls.call_lists import ListConsent
from kallyai_mcp.calls.records import CallState
from kallyai_mcp.calls.timing import Timing
from tests.calls.ledgers import opened
from tests.calls.manual_time import ManualClock
from tests.calls.test_call_lists import ANY, NUMBERS, ended, reply, start
from tests.calls.test_service import left_behind, never
from tests.calls.world import NOW, TABLE, Service, shown, world
from tests.many_records import add_records

OTHER = TABLE.model_copy(update={"task_description": "Ask for the hours"})


async def test_the_call_of_a_worker_that_died_is_looked_for_within_two_seconds(place: str, clock: ManualClock) -> None:
    survivor = Service(clock, [], [shown(at=NOW + timedelta(seconds=10))])
    async with world(survivor, place, timing=Timing()) as here:
        await here.run(clock.sleep(10))
        async with left_behind(place, clock) as left:
            await here.run(clock.sleep(1.5))
            found = await here.run(here.calls.find(left.tracking_id))

    assert found is not None
    assert found.call_id == "c-1"
    assert survivor.keys == []


@pytest.mark.parametrize("keep_days", [0, 0.01])
async def test_what_the_rule_of_duplicates_needs_is_kept_for_a_day(
    place: str, clock: ManualClock, keep_days: float
) -> None:
    service = Service(clock)
    async with world(service, place, timing=Timing(watch=600, purge=600, keep_days=keep_days)) as here:
        await here.tell(await here.call())
        await here.run(clock.sleep(3000))
        again = await here.place()
        clock.advance(86_400)
        await here.run(clock.sleep(1200))
        found = await here.run(here.calls.find(again.record.tracking_id))

    assert not again.is_new
    assert found is None


async def test_a_list_that_waits_for_its_user_keeps_its_calls(place: str, clock: ManualClock) -> None:
    service = Service(clock, [reply("success", "c-1"), reply("success", "c-2"), reply("success", "c-3")])
    async with world(service, place, timing=Timing(watch=3600, purge=3600, keep_days=1)) as here:
        first = await ended(here, (await start(here))[0])
        await here.tell(first.records[0])
        await here.run(clock.sleep(3600 * 23))
        going_on, _ = await here.run(here.calls.continue_list(first, after=1, agreed=ListConsent(ANY, (None, None))))
        second = await ended(here, going_on)
        await here.tell(second.records[1])
        await here.run(clock.sleep(3600 * 30))
        same, is_new = await start(here)
        going_on, _ = await here.run(here.calls.continue_list(same, after=2, agreed=ListConsent(ANY, (None,))))
        third = await ended(here, going_on)

    assert not is_new
    assert same.list_id == first.list_id
    assert [record.call_id for record in third.records] == ["c-1", "c-2", "c-3"]
    assert len(service.keys) == len(NUMBERS)


async def test_a_call_in_progress_is_kept_whatever_the_clocks_of_others_say(place: str, clock: ManualClock) -> None:
    service = Service(clock, [never])
    async with world(service, place) as here:
        placed = await here.place()
        other = ManualClock(clock.now())
        other.set_wall_clock(86_400 * 30)
        async with opened(place, other.now) as theirs:
            await theirs.purge(0)
        again = await here.place()
        found = await here.run(here.ledger.find(placed.record.account, placed.record.tracking_id))

    assert not again.is_new
    assert found is not None


async def test_while_many_old_records_are_deleted_calls_are_placed_and_due_ones_too(
    place: str, clock: ManualClock
) -> None:
    service = Service(clock, [reply("success", "c-1"), reply("success", "c-2")])
    async with world(service, place, timing=Timing(poll=2, purge=30)) as here:
        first = await here.call()
        await here.tell(first)
        old = replace(first, call_id="c-old", placed_at=NOW - timedelta(days=100), delivered_at=NOW)
        await add_records(here.database, old, 2050)
        due = here.calls.scheduled(NOW + timedelta(seconds=10), 0)
        placed = await here.run(here.calls.place(OTHER, timezone="UTC", schedule=due))
        await here.run(clock.sleep(60))
        ended = await here.run(here.calls.find(placed.record.tracking_id))
        left = await here.run(here.ledger.list_newest(first.account, 3000))

    assert ended is not None
    assert ended.state is CallState.ENDED
    assert [record.call_id for record in left] == ["c-2", "c-1"]
