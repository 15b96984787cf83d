"""Lists of candidates that are called one after another, on both drivers of the ledger."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from kallyai_mcp.calls.call_lists import CallList, StopReason, Until
from kallyai_mcp.calls.policy import ConsentKind
from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.clock import Stopwatch
from tests.calls.lists import (
    BUSY,
    EVENT,
    FOR_THREE,
    NUMBERS,
    SUCCESS,
    THREE,
    asked_for,
    calls_of,
    ended,
    not_called,
    read_again,
    said_of,
    started,
    states_of,
    stopped,
    wanted,
    went_on,
)
from tests.calls.manual_time import ManualClock
from tests.calls.world import LOST, Reply, Service, World, after, end_of, reply, world

ENDS: dict[str, tuple[Until, list[Reply], str, int]] = {
    "booked": ("booked", [BUSY[0], reply("success", "c-booked"), SUCCESS[2]], "booked", 2),
    "unknown": ("booked", [LOST], "unknown", 1),
    "answered": ("answered", [reply("voicemail", "c-1"), *SUCCESS[1:]], "answered", 2),
    "all": ("all", SUCCESS, "done", 3),
}


@pytest.mark.parametrize(("until", "replies", "why", "called"), ENDS.values(), ids=ENDS)
async def test_a_list_ends_with_the_wanted_result(
    here: World, until: Until, replies: list[Reply], why: str, called: int
) -> None:
    service = here.answering(replies, calendars={"c-booked": EVENT})
    found = await stopped(here, until=until)

    assert found.stop_reason == why
    assert not_called(found) == [*NUMBERS[called:]]
    assert len(found.records) == called
    assert len(set(service.keys)) == called


async def test_a_list_goes_on_after_a_machine(here: World) -> None:
    menu = "For reservations, press 1. For opening hours, press 2."
    here.answering(SUCCESS, transcripts={"c-1": menu})
    found = await stopped(here, until="answered")

    assert found.stop_reason is StopReason.ANSWERED
    assert len(found.records) == 2


async def test_each_call_of_a_list_is_audited(here: World) -> None:
    here.answering([BUSY[0], SUCCESS[1]], calendars={"c-2": EVENT})
    await stopped(here)
    audit = await here.run(here.calls.audit_trail(100))
    placed = [entry["number"] for entry in audit if entry["outcome"] == "placed"]
    agreed = [one for one in audit if one["asked_by"] == "test" and one["how"] == "never_asks"]

    assert sorted(placed) == [*NUMBERS[:2]]
    assert {one["tracking_id"] for one in agreed} == {one["tracking_id"] for one in audit}


@pytest.mark.parametrize(
    ("how", "placed", "reason"),
    [("never_asks", 0, StopReason.REFUSED), ("form", 1, StopReason.NEEDS_DECISION)],
)
async def test_a_list_calls_nobody_long_after_its_request(
    here: World, how: ConsentKind, placed: int, reason: StopReason
) -> None:
    """The machine is suspended before the list is written; a form is answered after that."""
    service = here.answering(SUCCESS)
    requested, arrived = await wanted(here), Stopwatch(here.clock)
    here.clock.suspend(600)
    consent = replace(FOR_THREE, how=how)
    begun, _ = await here.run(here.calls.place_list(requested, consent, arrived))
    found = await ended(here, begun)

    assert len(service.keys) == placed
    assert found.stop_reason is reason


# The user has asked for a call of the list alone.


async def call_in_an_hour(here: World) -> CallRecord:
    """A call to the first candidate, asked for alone; it lasts ten minutes."""
    in_ten_minutes = after(lambda: here.clock.sleep(600), SUCCESS[0])
    here.answering([in_ten_minutes, SUCCESS[1]], calendars={"c-1": EVENT, "c-2": EVENT})
    schedule = here.calls.schedule_for(here.clock.now() + timedelta(hours=1), 0)
    own = replace(here.request(THREE[0]), schedule=schedule)
    return await here.run(here.calls.place(own))


async def test_a_list_stops_at_a_scheduled_call(here: World) -> None:
    own = await call_in_an_hour(here)
    found = await stopped(here)

    assert found.stop_reason is StopReason.NEEDS_DECISION
    assert [record.tracking_id for record in found.records] == [own.tracking_id]
    assert here.service.keys == []


async def test_a_list_books_no_second_table(here: World) -> None:
    """The scheduled call is in progress when the list is to go on."""
    await call_in_an_hour(here)
    found = await stopped(here)
    await here.run(here.clock.sleep(3700))
    during = await read_again(here, found)
    last = await went_on(here, during)

    assert said_of(here, during)[0].startswith("Stopped for the user to decide: ")
    assert states_of(during) == [CallState.SENT]
    assert last.stop_reason is StopReason.NEEDS_DECISION
    assert len(here.service.keys) == 1


async def test_a_list_replaces_an_expired_call(here: World) -> None:
    await call_in_an_hour(here)
    found = await stopped(here)
    here.session.name = None
    await here.run(here.clock.sleep(7200))
    here.session.name = "account-1"
    expired = await read_again(here, found)
    last = await went_on(here, expired)

    assert said_of(here, expired)[0].startswith("Stopped: ")
    assert states_of(expired) == [CallState.EXPIRED]
    assert last.stop_reason is StopReason.BOOKED
    assert calls_of(last) == ["c-1"]
    assert len(here.service.keys) == 1


async def two_lists_beside_a_call(here: World) -> tuple[CallRecord, CallList, CallList]:
    """A call to the first candidate, asked for alone, and two lists with it, at their ends."""
    in_a_minute = after(lambda: here.clock.sleep(60), reply("busy"))
    here.answering([in_a_minute, *BUSY[1:]], [{"call_id": "c-1", "status": "busy"}])
    alone = await here.place(THREE[0])
    first, other = await started(here), await started(here, THREE[::2])
    return alone, await ended(here, first), await ended(here, other)


async def test_a_list_goes_on_after_a_call_alone(place: str, clock: ManualClock) -> None:
    async with world(Service(clock), place, works_alone=False) as here:
        alone, first, _ = await two_lists_beside_a_call(here)

    assert calls_of(first) == ["c-1", "c-2", "c-3"]
    assert first.records[0].tracking_id == alone.tracking_id


async def test_a_second_list_stops_at_the_same_call(place: str, clock: ManualClock) -> None:
    async with world(Service(clock), place, works_alone=False) as here:
        _, _, other = await two_lists_beside_a_call(here)

    assert other.stop_reason is StopReason.REFUSED
    assert [end_of(record) for record in other.records] == [(CallState.REFUSED, "in_another_list")]
    assert not other.may_go_on


async def test_a_list_stops_at_an_expired_retry(here: World) -> None:
    """The retry is of a call that was asked for alone; nobody is signed in when it is due."""
    here.answering([after(lambda: here.clock.sleep(60), BUSY[0])])
    with_retry = replace(here.request(THREE[0]), schedule=here.calls.schedule_for(None, 1))
    await here.run(here.calls.place(with_retry))
    found = await started(here)
    await here.run(here.clock.sleep(120))
    here.session.name = None
    await here.run(here.clock.sleep(3600))
    written = await here.run(here.ledger.read(lambda tx: tx.rows("SELECT why FROM call_lists")))
    here.session.name = "account-1"

    assert written == [{"why": "refused"}]
    assert (await read_again(here, found)).stop_reason is StopReason.REFUSED


# The same list is asked for again.


async def test_an_answered_list_answers_the_same_request(here: World) -> None:
    here.answering(SUCCESS)
    answered = await stopped(here, THREE[:2], "answered")
    here.clock.advance(3700)
    again, is_new = await asked_for(here, THREE[:2], "answered")

    assert again.list_id == answered.list_id
    assert not is_new
    assert await here.run(here.calls.unfinished_lists()) == []


async def test_an_answered_list_may_go_on(here: World) -> None:
    here.answering(SUCCESS)
    answered = await stopped(here, THREE[:2], "answered")
    last = await went_on(here, answered)

    assert last.stop_reason is StopReason.ANSWERED
    assert calls_of(last) == ["c-1", "c-2"]


async def canceled_in_its_second_call(here: World) -> CallList:
    """A list that was canceled while its second call was in progress, which then books."""
    in_a_minute = after(lambda: here.clock.sleep(60), SUCCESS[1])
    here.answering([BUSY[0], in_a_minute, SUCCESS[2]], calendars={"c-2": EVENT, "c-3": EVENT})
    found = await started(here)
    await here.run(here.clock.sleep(5))
    return await here.run(here.calls.cancel_list(found))


async def test_a_canceled_list_answers_during_its_call(here: World) -> None:
    canceled = await canceled_in_its_second_call(here)
    again, is_new = await asked_for(here)

    assert again.list_id == canceled.list_id
    assert not is_new


async def test_a_canceled_list_that_booked_answers_still(here: World) -> None:
    canceled = await canceled_in_its_second_call(here)
    await ended(here, canceled)
    again, is_new = await asked_for(here)

    assert again.list_id == canceled.list_id
    assert not is_new
    assert again.stop_reason is StopReason.CANCELED
    assert len(here.service.keys) == 2


async def test_a_canceled_list_is_begun_again_later(here: World) -> None:
    canceled = await canceled_in_its_second_call(here)
    await ended(here, canceled)
    here.clock.advance(3700)
    again = await started(here)

    assert again.list_id != canceled.list_id


async def test_another_time_needs_a_decision(here: World) -> None:
    service = here.answering(SUCCESS)
    service.calendars["c-1"] = EVENT.replace("20260130T200000Z", "20270305T203000")
    dated = [one.model_copy(update={"appointment_date": date(2027, 3, 4)}) for one in THREE]
    found = await stopped(here, dated)
    first, *_, advice = said_of(here, found)

    assert found.stop_reason is StopReason.NEEDS_DECISION
    assert first.endswith(", booked for another time. Tell the user now and ask if that works.")
    assert advice.startswith("If it does not work: make_call with changes_call_id ")
    assert len(service.keys) == 1
