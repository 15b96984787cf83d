"""Lists that call several candidates at a time, as a process runs them, on both drivers."""

from dataclasses import replace

from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.call_lists import CallList, StopReason
from kallyai_mcp.calls.records import CallState
from kallyai_mcp.clock import Stopwatch
from tests.calls.lists import FOR_THREE, ended, states_of, wanted
from tests.calls.manual_time import ManualClock
from tests.calls.world import LOST, TABLE, Reply, Service, World, after, reply, world

FIVE = [
    TABLE.model_copy(update={"respondent_phone": f"+1202555010{number}"}) for number in range(1, 6)
]
OTHERS = [one.model_copy(update={"task_description": "Ask something else"}) for one in FIVE]
SENT, ENDED, CANCELED = CallState.SENT, CallState.ENDED, CallState.CANCELED


def in_minutes(here: World, count: int) -> list[Reply]:
    """Calls of which the first one lasts a minute, and each following one a minute longer."""

    def lasting(number: int) -> Reply:
        return after(lambda: here.clock.sleep(60 * number), reply("busy", f"c-{number}"))

    return [lasting(number) for number in range(1, count + 1)]


async def begun(here: World, candidates: list[Submission]) -> CallList:
    requested = replace(await wanted(here, candidates, "all"), timezones=("UTC",) * 5)
    consent = replace(FOR_THREE, last_calls=(None,) * len(candidates))
    found, _ = await here.run(here.calls.place_list(requested, consent, Stopwatch(here.clock)))
    return found


async def read(here: World, found: CallList) -> CallList:
    again = await here.run(here.calls.find_list(found.list_id))
    assert again is not None
    return again


async def test_three_are_called_at_a_time(here: World) -> None:
    service = here.answering(in_minutes(here, 5))
    found = await begun(here, FIVE)
    await here.run(here.clock.sleep(30))
    during = states_of(await read(here, found))
    await here.run(here.clock.sleep(60))
    later = states_of(await read(here, found))

    assert during == [SENT] * 3
    assert later == [ENDED, SENT, SENT, SENT]
    assert len(service.keys) == 4


async def test_every_outcome_is_kept(here: World) -> None:
    service = here.answering(in_minutes(here, 5))
    found = await ended(here, await begun(here, FIVE))

    assert found.stop_reason is StopReason.DONE
    assert {one.call_id for one in found.records} == {f"c-{number}" for number in range(1, 6)}
    assert len(set(service.keys)) == 5


async def test_a_lost_answer_holds_up_no_other(here: World) -> None:
    here.answering([LOST, *(reply("busy", f"c-{number}") for number in range(2, 6))])
    found = await ended(here, await begun(here, FIVE))

    assert found.stop_reason is StopReason.DONE
    assert states_of(found) == [CallState.UNKNOWN, *[ENDED] * 4]


async def test_two_lists_share_the_calls(here: World) -> None:
    service = here.answering(in_minutes(here, 6))
    first = await begun(here, FIVE[:2])
    second = await begun(here, OTHERS[2:])
    await here.run(here.clock.sleep(30))
    during = len(service.keys)
    await ended(here, first)
    last = await ended(here, second)

    assert during == 3
    assert last.stop_reason is StopReason.DONE
    assert len(service.keys) == 5


async def test_a_canceled_list_ends_its_calls(here: World) -> None:
    service = here.answering(in_minutes(here, 5))
    found = await begun(here, FIVE)
    await here.run(here.clock.sleep(30))
    canceled = await here.run(here.calls.cancel_list(found))
    last = await ended(here, canceled)

    assert canceled.is_open
    assert states_of(last) == [ENDED] * 3
    assert len(service.keys) == 3


async def test_another_process_takes_all_over(place: str, clock: ManualClock) -> None:
    service = Service(clock, [])
    async with world(service, place) as dying:
        service.replies = in_minutes(dying, 5)
        found = await begun(dying, FIVE)
        await dying.run(clock.sleep(30))
    service.replies = [reply("busy", f"c-later-{number}") for number in range(5)]
    async with world(service, place) as here:
        last = await ended(here, found)

    assert last.stop_reason is StopReason.DONE
    assert len(last.records) == 5
    assert len({one.idempotency_key for one in last.records}) == 5
