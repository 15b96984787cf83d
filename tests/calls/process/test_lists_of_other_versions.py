"""A list of another version, which still runs on the same ledger: what can't be read is not
claimed.
"""

import pytest

from kallyai_mcp.calls.call_lists import CallList, StopReason, Until
from kallyai_mcp.calls.errors import LedgerUnavailableError
from kallyai_mcp.calls.ledger.base import Tx
from kallyai_mcp.calls.records import CallState
from kallyai_mcp.tools.text.plain import party_of
from tests.calls.ledgers import ACCOUNT
from tests.calls.lists import (
    BUSY,
    EVENT,
    NUMBERS,
    SUCCESS,
    THREE,
    calls_of,
    ended,
    left_after_one_call,
    not_called,
    read_again,
    said_of,
    started,
    stopped,
    wanted,
    went_on,
)
from tests.calls.world import TABLE, World, after


def as_an_older_version_wrote_it(tx: Tx) -> None:
    """It has the calls of a list in a table of their own, and no column for the list in a call."""
    numbered = "SELECT plan_id, ROW_NUMBER() OVER (ORDER BY placed_at), tracking_id FROM calls"
    tx.run(f"INSERT INTO call_list_calls (list_id, position, tracking_id) {numbered}")
    tx.run("UPDATE calls SET plan_id = NULL")


def without_its_calls(tx: Tx) -> None:
    tx.run("UPDATE calls SET plan_id = NULL")


async def spoil(here: World, call_id: str, column: str = "submission") -> None:
    """Write a record as a newer version might, so that this one can't read it."""
    newer = f"UPDATE calls SET {column} = :newer WHERE call_id = :id"  # noqa: S608 - ours

    def write(tx: Tx) -> None:
        tx.run(newer, newer='{"version": 9}', id=call_id)

    await here.run(here.ledger.write(ACCOUNT, write))


async def answered_once(here: World) -> CallList:
    """A list that an older version has stopped after its first call was answered."""
    here.answering(SUCCESS, calendars={"c-2": EVENT})
    found = await stopped(here)
    await here.run(here.ledger.write(ACCOUNT, as_an_older_version_wrote_it))
    return found


async def test_an_older_list_is_found_by_its_call(here: World) -> None:
    found = await answered_once(here)
    known = await here.run(here.calls.list_of(await wanted(here), "c-1"))

    assert known is not None
    assert known.list_id == found.list_id
    assert known.stop_reason is StopReason.NEEDS_DECISION


async def test_an_older_list_goes_on(here: World) -> None:
    found = await answered_once(here)
    await went_on(here, await read_again(here, found))
    done = await read_again(here, found)

    assert calls_of(done) == ["c-1", "c-2"]
    assert [record.plan_id for record in done.records] == [found.list_id] * 2
    assert len(here.service.keys) == 2


async def test_the_calls_of_an_older_list_are_read(here: World) -> None:
    here.answering(SUCCESS)
    found = await stopped(here, until="all")
    await here.run(here.ledger.write(ACCOUNT, as_an_older_version_wrote_it))
    again = await read_again(here, found)

    assert calls_of(again) == ["c-1", "c-2", "c-3"]
    assert again.not_called == ()


async def test_a_done_list_claims_no_unread_call(here: World) -> None:
    here.answering(SUCCESS)
    found = await stopped(here, until="all")
    await here.run(here.ledger.write(ACCOUNT, without_its_calls))
    again = await read_again(here, found)

    assert again.records == ()
    assert again.not_called == ()
    assert again.unread == 3
    assert said_of(here, again) == [
        "Done: all 3 were called. What became of 3 of these calls can't be read here: list_calls."
    ]


@pytest.mark.parametrize("position", range(3))
async def test_a_done_list_counts_an_unread_call(here: World, position: int) -> None:
    here.answering(BUSY)
    found = await stopped(here)
    await spoil(here, f"c-{position + 1}")
    again = await read_again(here, found)

    assert again.unreadable == {NUMBERS[position]}
    assert again.not_called == ()
    assert again.unread == 1
    assert not again.may_go_on
    assert said_of(here, again)[0].startswith(
        "Done: all 3 were called. What became of 1 of these calls"
    )


async def test_an_unread_call_is_not_missing(here: World) -> None:
    here.answering([BUSY[0], SUCCESS[1]], calendars={"c-2": EVENT})
    found = await stopped(here)
    await spoil(here, "c-1")
    again = await read_again(here, found)

    assert again.stop_reason is StopReason.BOOKED
    assert not_called(again) == [NUMBERS[2]]
    assert f"can't be read here: {party_of(THREE[0])}." in "\n".join(said_of(here, again))


async def test_an_open_list_stops_at_an_unread_call(here: World) -> None:
    in_progress = after(lambda: here.clock.sleep(60), BUSY[1])
    here.answering([BUSY[0], in_progress, BUSY[2]])
    found = await started(here)
    await here.run(here.clock.sleep(30))
    await spoil(here, "c-1")
    last = await ended(here, found)

    assert last.stop_reason is StopReason.UNKNOWN
    assert len(here.service.keys) == 2
    assert said_of(here, last)[0].startswith("Stopped: ")


async def test_an_unread_call_keeps_no_later_outcome(here: World) -> None:
    in_progress = after(lambda: here.clock.sleep(60), SUCCESS[1])
    here.answering([BUSY[0], in_progress], calendars={"c-2": EVENT})
    found = await started(here)
    await here.run(here.clock.sleep(30))
    await spoil(here, "c-1", "outcome")
    last = await ended(here, found)

    assert calls_of(last) == ["c-2"]
    assert last.stop_reason is StopReason.BOOKED


async def spoil_list(here: World, column: str, value: str) -> None:
    """Write a list as a newer version might, so that this one can't read it."""
    newer = f"UPDATE call_lists SET {column} = :newer"  # noqa: S608 - ours
    await here.run(here.ledger.write(ACCOUNT, lambda tx: tx.run(newer, newer=value)))


@pytest.mark.parametrize(("column", "value"), [("request", '{"version": 9}'), ("why", "moved")])
async def test_an_unreadable_list_breaks_no_other(here: World, column: str, value: str) -> None:
    here.answering(SUCCESS)
    newer = await stopped(here)
    await spoil_list(here, column, value)
    unfinished = await here.run(here.calls.unfinished_lists())
    with pytest.raises(LedgerUnavailableError, match="newer version"):
        await here.run(here.calls.find_list(newer.list_id))
    alone = await here.call(TABLE.model_copy(update={"task_description": "Ask for the hours"}))

    assert unfinished == []
    assert alone.state is CallState.ENDED


async def test_an_unreadable_lists_next_call_waits(here: World) -> None:
    left = await left_after_one_call(here, await wanted(here))
    await spoil_list(here, "request", '{"version": 9}')
    await here.run(here.clock.sleep(120))
    waiting = await here.find(left.records[-1].tracking_id)

    assert waiting.state is CallState.SCHEDULED
    assert here.service.keys == []


async def test_a_candidates_unread_call_stops_the_list(here: World) -> None:
    here.answering([BUSY[1], BUSY[0], BUSY[2]])
    await here.call(THREE[1])
    await spoil(here, "c-2")
    found = await stopped(here)

    assert calls_of(found) == ["c-1"]
    assert found.stop_reason is StopReason.UNKNOWN
    assert len(here.service.keys) == 2


@pytest.mark.parametrize("until", ["booked", "answered"])
async def test_no_list_claims_that_nobody_was_called(here: World, until: Until) -> None:
    here.answering(SUCCESS)
    found = await stopped(here, until=until)
    await here.run(here.ledger.write(ACCOUNT, without_its_calls))
    again = await read_again(here, found)
    said = "\n".join(said_of(here, again))

    assert again.not_called == ()
    assert again.unread == 3
    assert "Not called" not in said
    assert "can't be read here" in said
