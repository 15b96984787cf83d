"""Lists between two calls: a process dies, the ledger is down, or KallyAI tells more about the call
before.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from kallyai_mcp.calls.call_lists import CallList, StopReason
from kallyai_mcp.calls.events import Due, Late, Release
from kallyai_mcp.calls.ledger import lists
from kallyai_mcp.calls.ledger.apply import handle
from kallyai_mcp.calls.ledger.base import Tx
from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.calls.timing import Timing
from tests.calls.ledgers import ACCOUNT
from tests.calls.lists import (
    BUSY,
    NOBODY,
    SUCCESS,
    THREE,
    calls_of,
    ended,
    left_after_one_call,
    started,
    states_of,
    stopped,
    wanted,
)
from tests.calls.manual_time import ManualClock
from tests.calls.world import Service, World, reply, world

WORKS = pytest.mark.parametrize(
    "works_alone", [True, False], ids=["one account", "an account for each request"]
)
SAID_YES = "Yes, you have a table"
FAILED = {"call_id": "c-1", "status": "failed"}


@WORKS
async def test_another_process_places_the_next_call(
    place: str, clock: ManualClock, *, works_alone: bool
) -> None:
    service = Service(clock, [BUSY[1], SUCCESS[2]], [NOBODY])
    async with world(service, place, works_alone=works_alone) as here:
        left = await left_after_one_call(here, await wanted(here))
    async with world(service, place, works_alone=works_alone) as here:
        await here.run(here.calls.account_of_request())
        found = await ended(here, left)

    assert calls_of(found)[1:] == ["c-2", "c-3"]
    assert len(service.keys) == 2


async def words_came_late(place: str, service: Service, *, is_taken: bool) -> CallList:
    """A list a minute after its process died, in whose first call somebody talked after all.

    `is_taken`: The next call was taken by another process, which died, too.
    """
    async with world(service, place) as here:
        left = await left_after_one_call(here, await wanted(here))
        if is_taken:
            worker = await here.run(here.ledger.database.take_lease())
            await here.run(here.ledger.handle(ACCOUNT, Due(worker, [left.list_id])))
        service.transcripts["c-1"] = SAID_YES
    async with world(service, place) as here:
        await here.run(service.clock.sleep(60))
        found = await here.run(here.calls.find_list(left.list_id))
    assert found is not None
    return found


@pytest.mark.parametrize("is_taken", [False, True], ids=["left", "taken by a process that died"])
async def test_words_that_come_late_cancel_the_next_call(
    place: str, clock: ManualClock, *, is_taken: bool
) -> None:
    service = Service(clock, calls=[NOBODY])
    found = await words_came_late(place, service, is_taken=is_taken)

    assert found.stop_reason is StopReason.UNKNOWN
    assert len(found.records) == 1
    assert service.keys == []


SELDOM = Timing(watch_active=300, watch_idle=300, reread_others=60, longest_pause=300)
"""So few looks at the ledger that hours pass soon."""

UNCLEAR = {
    "the transcript comes later": (503, 200, "needs_decision", 1),
    "the transcript never comes": (503, 503, "refused", 1),
    "there is no transcript": (410, 410, "unknown", 2),
}
"""The status of the first request for a transcript, and of later ones; why the list stops; and how
many calls it has made by then.
"""


@WORKS
@pytest.mark.parametrize(("first", "later", "why", "calls"), UNCLEAR.values(), ids=UNCLEAR)
async def test_nobody_is_called_after_an_unclear_call(
    place: str,
    clock: ManualClock,
    first: int,
    later: int,
    why: str,
    calls: int,
    *,
    works_alone: bool,
) -> None:
    service = Service(clock, [reply("failed")], [FAILED], transcript_status=first)
    service.transcripts["c-1"] = SAID_YES
    async with world(service, place, works_alone=works_alone, timing=SELDOM) as here:
        found = await started(here)
        await here.run(here.clock.sleep(3600))
        service.transcript_status = later
        last = await ended(here, found)

    assert last.stop_reason == why
    assert len(set(service.keys)) == calls


async def test_after_an_outage_an_unclear_call_counts(here: World) -> None:
    """The ledger is down for a second when the first call has ended; the second one is unclear."""
    service = here.answering(
        [BUSY[0], reply("failed", "c-2")], [{"call_id": "c-2", "status": "failed"}]
    )
    service.transcripts["c-2"] = SAID_YES

    def fail(result: object) -> None:
        here.database.is_down = isinstance(result, CallRecord) and result.state is CallState.ENDED

    here.database.after_write = fail
    await started(here)
    await here.run(here.clock.sleep(1))
    here.database.after_write = lambda _: None
    here.database.is_down = False
    service.transcript_status = 503
    await here.run(here.clock.sleep(600))

    assert len(service.keys) == 2


@pytest.mark.parametrize("state", ["refused", "expired"])
async def test_the_end_of_a_passed_call_stops_nothing(here: World, state: str) -> None:
    """The user has passed a scheduled call of their own, and the next call of the list is due."""
    in_an_hour = here.calls.schedule_for(here.clock.now() + timedelta(hours=1), 0)
    own = replace(here.request(THREE[0]), schedule=in_an_hour)
    id_ = (await here.run(here.calls.place(own))).tracking_id
    left = await left_after_one_call(here, await stopped(here))
    here.clock.advance(5600)
    end = Late([id_]) if state == "expired" else Release(id_)

    def list_after(tx: Tx) -> CallList | None:
        handle(tx, ACCOUNT, end)
        return lists.find_list(tx, ACCOUNT, left.list_id)

    found = await here.run(here.ledger.write(ACCOUNT, list_after))
    assert found is not None
    assert states_of(found)[::2] == [state, CallState.SCHEDULED]
    assert found.stop_reason is None
