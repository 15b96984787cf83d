"""Lists that have stopped, and go on when the user wants that, on both drivers of the ledger."""

from dataclasses import replace

import pytest

from kallyai_mcp.calls.call_lists import CallList, StopReason
from kallyai_mcp.calls.errors import ConsentOutdatedError
from kallyai_mcp.calls.policy import CallPolicy
from kallyai_mcp.calls.records import CallState
from kallyai_mcp.clock import Stopwatch
from kallyai_mcp.settings import Settings
from tests.calls.lists import (
    BUSY,
    EVENT,
    NOBODY,
    NUMBERS,
    SUCCESS,
    THREE,
    agreed_now,
    asked_for,
    calls_of,
    ended,
    read_again,
    started,
    states_of,
    stopped,
    went_on,
)
from tests.calls.manual_time import ManualClock
from tests.calls.world import LOST, TABLE, Service, World, reply, shown, world


async def answered_first(here: World) -> CallList:
    """A list whose first candidate was answered, without a booking, 30 hours ago."""
    here.answering([SUCCESS[0], BUSY[1], SUCCESS[2]], calendars={"c-3": EVENT})
    found = await stopped(here)
    here.clock.advance(30 * 3600)
    return found


async def test_a_waiting_list_answers_the_same_request(here: World) -> None:
    waiting = await answered_first(here)
    again, is_new = await asked_for(here, THREE[::-1])
    [unfinished] = await here.run(here.calls.unfinished_lists())

    assert again.list_id == unfinished.list_id == waiting.list_id
    assert again.stop_reason is StopReason.NEEDS_DECISION
    assert not is_new


async def test_a_waiting_list_goes_on_with_new_consent(here: World) -> None:
    waiting = await answered_first(here)
    last = await went_on(here, waiting)

    assert last.list_id == waiting.list_id
    assert last.stop_reason is StopReason.BOOKED
    assert calls_of(last) == ["c-1", "c-2", "c-3"]


async def test_a_list_goes_on_once(here: World) -> None:
    """Of two requests, the second one has read the list before the first one let it go on."""
    here.answering([SUCCESS[0], SUCCESS[1], SUCCESS[2]])
    read_before = await stopped(here)
    await went_on(here, read_before)
    second = await went_on(here, read_before)

    assert calls_of(second) == ["c-1", "c-2"]
    assert second.stop_reason is StopReason.NEEDS_DECISION
    assert len(here.service.keys) == 2


async def test_a_call_since_makes_consent_outdated(here: World) -> None:
    waiting = await answered_first(here)
    before = replace(await agreed_now(here, waiting), how="form")
    await here.call(TABLE.model_copy(update={"respondent_phone": NUMBERS[2], "party_size": 9}))
    with pytest.raises(ConsentOutdatedError):
        await here.run(here.calls.place_list(waiting, before, Stopwatch(here.clock)))

    assert len(here.service.keys) == 2


LIMITED = CallPolicy(Settings(calls_per_hour=1, deny_numbers=(NUMBERS[0],)))
"""It refuses the first candidate of three, and the third one, because the second one was called."""


async def test_a_limit_stops_a_list(place: str, clock: ManualClock) -> None:
    async with world(Service(clock, [*BUSY]), place, policy=LIMITED) as here:
        found = await stopped(here)
        again, is_new = await asked_for(here)

    assert states_of(found) == [CallState.REFUSED, CallState.ENDED, CallState.REFUSED]
    assert found.stop_reason is again.stop_reason is StopReason.REFUSED
    assert not is_new
    assert len(here.service.keys) == 1


async def test_a_yes_does_not_raise_a_limit(place: str, clock: ManualClock) -> None:
    async with world(Service(clock, [*BUSY]), place, policy=LIMITED) as here:
        found = await went_on(here, await stopped(here), "a yes")

    assert found.stop_reason is StopReason.REFUSED
    assert states_of(found) == [CallState.REFUSED, CallState.ENDED, CallState.REFUSED]
    assert len(here.service.keys) == 1


async def test_a_limited_list_goes_on_later(place: str, clock: ManualClock) -> None:
    async with world(Service(clock, [*BUSY]), place, policy=LIMITED) as here:
        found = await stopped(here)
        clock.advance(3601)
        last = await went_on(here, found)

    assert last.stop_reason is StopReason.DONE
    assert states_of(last) == [CallState.REFUSED, CallState.ENDED, CallState.ENDED]
    assert len(here.service.keys) == 2


async def test_a_yes_lets_a_list_go_on_once(place: str, clock: ManualClock) -> None:
    async with world(Service(clock, [*BUSY]), place, policy=LIMITED) as here:
        found = await went_on(here, await stopped(here), "a yes")
        clock.advance(3601)
        with pytest.raises(ConsentOutdatedError):
            await went_on(here, found, "a yes")

    assert len(here.service.keys) == 1


async def test_words_that_come_late_stop_a_list(place: str, clock: ManualClock) -> None:
    """Somebody talked in the call before the one that a limit has refused."""
    service = Service(clock, [(201, NOBODY), SUCCESS[1]], [NOBODY])
    async with world(service, place, policy=CallPolicy(Settings(calls_per_hour=1))) as here:
        limited = await stopped(here)
        service.transcripts["c-1"] = "Yes, you have a table"
        clock.advance(3700)
        found = await went_on(here, limited)

    assert limited.stop_reason is StopReason.REFUSED
    assert found.stop_reason is StopReason.UNKNOWN
    assert len(service.keys) == 1


async def signed_out_after_one_call(here: World) -> CallList:
    """A list whose user has signed in as somebody else during the first call."""
    service = here.answering(BUSY)
    here.database.after_write = lambda _: setattr(
        here.session, "name", "account-2" if service.keys else "account-1"
    )
    found = await started(here)
    await here.run(here.clock.sleep(3))
    here.database.after_write = lambda _: None
    here.session.name = "account-1"
    return await ended(here, found)


async def test_who_signs_out_is_asked_to_sign_in(here: World) -> None:
    found = await signed_out_after_one_call(here)

    assert found.stop_reason is StopReason.NEEDS_SIGN_IN
    assert here.service.accounts == ["account-1"]


async def test_who_signs_in_again_lets_it_go_on(here: World) -> None:
    last = await went_on(here, await signed_out_after_one_call(here))

    assert last.stop_reason is StopReason.DONE
    assert len(here.service.keys) == 3
    assert set(here.service.accounts) == {"account-1"}


async def unknown_then_found(here: World, status: str) -> CallList:
    """A list that has stopped at a lost call, which KallyAI shows with this status later."""
    service = here.answering([LOST])
    found = await stopped(here)
    assert found.stop_reason is StopReason.UNKNOWN
    service.calls = [shown("c-1", status, respondent_phone=NUMBERS[0], party_size=4)]
    service.calendars["c-2"] = EVENT
    if status == "success":
        service.calendars["c-1"] = EVENT
    service.replies = [reply("success", "c-2")]
    service.keys.clear()
    return await read_again(here, found)


async def test_a_lost_call_that_booked_ends_the_list(here: World) -> None:
    found = await unknown_then_found(here, "success")
    last = await went_on(here, found)

    assert not found.waits_for_user
    assert last.stop_reason is StopReason.BOOKED
    assert here.service.keys == []


async def test_after_a_lost_busy_call_it_goes_on(here: World) -> None:
    found = await unknown_then_found(here, "busy")
    last = await went_on(here, found)

    assert found.waits_for_user
    assert last.stop_reason is StopReason.BOOKED
    assert len(here.service.keys) == 1
