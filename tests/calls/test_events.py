"""Events in the ledger: each ended call gets one number, in the order of the ends, and only its account sees it."""

from dataclasses import replace
from datetime import timedelta

import anyio
import pytest

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.events import EventPage
from kallyai_mcp.calls.ledger.ledger import Ledger
from kallyai_mcp.calls.records import AccountKey, CallState
from kallyai_mcp.calls.schedule import Schedule
from tests.calls.ledgers import ledger_at
from tests.calls.manual_time import ManualClock
from tests.calls.samples import ACCOUNT, HERE, NOW, another, asked, ended, outcome, reserved, sent

OTHER = AccountKey(ACCOUNT.api, "account-2")


def told(page: EventPage) -> list[tuple[object, object]]:
    return [(event.data["tracking_id"], event.data["outcome"]) for event in page.events]


async def test_a_reader_gets_no_calls_that_ended_before_it_began_to_read(ledger: Ledger) -> None:
    await ended(ledger, asked())

    start = await ledger.events(ACCOUNT, None)

    assert start == EventPage((), 0)
    assert await ledger.events(ACCOUNT, 0) == EventPage((), 0)


async def test_each_call_that_ends_is_one_event_with_ids_outcome_and_callee(ledger: Ledger) -> None:
    start = await ledger.events(ACCOUNT, None)
    await ended(ledger, another(1))

    page = await ledger.events(ACCOUNT, start.position)
    again = await ledger.events(ACCOUNT, start.position)

    (event,) = page.events
    assert page == again
    assert (event.position, event.name, event.at, page.is_complete) == (1, "call.ended", NOW, True)
    assert event.data == {
        "tracking_id": "t-1",
        "call_id": "c-t-1",
        "status": "success",
        "outcome": "answered",
        "code": None,
        "callee": {"business_name": None, "respondent_phone": HERE},
    }
    assert (await ledger.events(ACCOUNT, page.position)).events == ()


async def test_a_page_holds_so_many_and_says_that_there_are_more(ledger: Ledger) -> None:
    start = await ledger.events(ACCOUNT, None)
    for number in range(3):
        await ended(ledger, another(number))

    first = await ledger.events(ACCOUNT, start.position, most=2)
    rest = await ledger.events(ACCOUNT, first.position, most=2)

    assert (len(first.events), first.is_complete) == (2, False)
    assert (len(rest.events), rest.is_complete) == (1, True)
    assert [event.position for event in (*first.events, *rest.events)] == [1, 2, 3]


async def test_a_call_whose_outcome_becomes_known_later_is_two_events(ledger: Ledger, clock: ManualClock) -> None:
    start = await ledger.events(ACCOUNT, None)
    record = await sent(ledger, asked())
    await ledger.finish(record, CallState.UNKNOWN, error=KallyAIError("lost", code="response_lost"))
    unknown = await ledger.events(ACCOUNT, start.position)
    clock.advance(60)
    await ledger.finish(record, CallState.ENDED, call=outcome())

    known = await ledger.events(ACCOUNT, unknown.position)

    assert told(unknown) == [("t-1", "unknown")]
    assert told(known) == [("t-1", "answered")]
    assert unknown.events[0].event_id != known.events[0].event_id


@pytest.mark.parametrize("how", ["refused", "canceled"])
async def test_a_call_that_is_not_placed_after_all_is_an_event_without_an_outcome(ledger: Ledger, how: str) -> None:
    start = await ledger.events(ACCOUNT, None)
    record = await reserved(ledger, asked())
    if how == "canceled":
        assert await ledger.cancel(ACCOUNT, record.tracking_id)
    else:
        await ledger.finish(record, CallState.REFUSED, error=KallyAIError("no", code="not_sent"))

    (event,) = (await ledger.events(ACCOUNT, start.position)).events

    assert (event.data["status"], event.data["outcome"]) == (how, None)
    assert event.data["code"] == ("not_sent" if how == "refused" else None)


async def test_an_attempt_that_is_followed_by_another_is_no_event(ledger: Ledger, clock: ManualClock) -> None:
    start = await ledger.events(ACCOUNT, None)
    record = await sent(ledger, replace(asked(), schedule=Schedule(attempts=2)))
    assert await ledger.bind_call(record, outcome("busy"), proven=True)
    await ledger.finish(record, CallState.ENDED, call=outcome("busy"))

    assert (await ledger.events(ACCOUNT, start.position)).events == ()
    clock.advance(30 * 86400)  # nobody has placed it again
    assert await ledger.expire() == 1
    (event,) = (await ledger.events(ACCOUNT, start.position)).events
    assert (event.data["status"], event.data["code"]) == ("expired", "expired")


async def test_other_accounts_have_events_of_their_own(ledger: Ledger) -> None:
    start, theirs = await ledger.events(ACCOUNT, None), await ledger.events(OTHER, None)
    await ended(ledger, asked())
    await ended(ledger, replace(another(2), account=OTHER))

    assert told(await ledger.events(ACCOUNT, start.position)) == [("t-1", "answered")]
    assert told(await ledger.events(OTHER, theirs.position)) == [("t-2", "answered")]


async def test_processes_that_read_at_once_see_the_same_events(place: str, ledger: Ledger, clock: ManualClock) -> None:
    start = await ledger.events(ACCOUNT, None)
    for number in range(3):
        await ended(ledger, another(number))
    others = [ledger_at(place, clock.now) for _ in range(3)]
    pages: list[EventPage] = []

    async def read(other: Ledger) -> None:
        pages.append(await other.events(ACCOUNT, start.position))

    async with anyio.create_task_group() as tasks:
        for other in others:
            tasks.start_soon(read, other)
    for other in others:
        await other.aclose()

    assert len(pages[0].events) == 3
    assert pages == [pages[0]] * 3


async def test_events_that_are_too_old_or_deleted_leave_a_gap(ledger: Ledger, clock: ManualClock) -> None:
    start = await ledger.events(ACCOUNT, None)
    await ended(ledger, another(1))
    await ledger.events(ACCOUNT, start.position)
    clock.advance(3600)
    await ended(ledger, another(2))

    recent = await ledger.events(ACCOUNT, start.position, since=NOW + timedelta(seconds=60))
    assert (told(recent), recent.has_gap) == ([("t-2", "answered")], True)
    clock.advance(86400 - 60)
    await ledger.purge(86400)
    kept = await ledger.events(ACCOUNT, start.position)
    assert (told(kept), kept.has_gap) == ([("t-2", "answered")], True)
    assert not (await ledger.events(ACCOUNT, 1)).has_gap


async def test_a_position_of_another_ledger_is_a_gap(ledger: Ledger) -> None:
    await ledger.events(ACCOUNT, None)
    await ended(ledger, asked())

    page = await ledger.events(ACCOUNT, 70)

    assert (page.events, page.position, page.has_gap) == ((), 1, True)
