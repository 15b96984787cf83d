"""A list of another version, which still runs on the same ledger: what can't be read is not
claimed.
"""

from functools import partial

import pytest

from kallyai_mcp.calls.call_lists import CallList, StopReason
from kallyai_mcp.calls.ledger import lists
from kallyai_mcp.calls.ledger.base import Tx
from kallyai_mcp.tools.facets.call import CallView
from kallyai_mcp.tools.text.call_lists import call_list
from kallyai_mcp.tools.text.plain import Reader, party_of
from tests.calls.ledgers import ACCOUNT, NOW
from tests.calls.test_call_lists import EVENT, NUMBERS, THREE, ended, start, wanted, went_on
from tests.calls.world import World, after, reply

BUSY = [reply("busy", f"c-{number}") for number in range(3)]


def as_an_older_version_wrote_it(tx: Tx) -> None:
    """It has the calls of a list in a table of their own, and no column for the list in a call."""
    numbered = "SELECT plan_id, ROW_NUMBER() OVER (ORDER BY placed_at), tracking_id FROM calls"
    tx.run(f"INSERT INTO call_list_calls (list_id, position, tracking_id) {numbered}")
    tx.run("UPDATE calls SET plan_id = NULL")


def with_a_call_that_cannot_be_read(tx: Tx, call_id: str) -> None:
    tx.run(
        "UPDATE calls SET submission = :newer WHERE call_id = :id",
        newer='{"version": 9}',
        id=call_id,
    )


def said_of(found: CallList) -> str:
    views = [CallView.of_record(record) for record in found.records]
    return call_list(found, Reader(timezone="UTC", now=NOW), views)


async def read_again(here: World, found: CallList) -> CallList:
    again = await here.run(here.calls.find_list(found.list_id))
    assert again is not None
    return again


async def test_a_list_of_an_older_version_goes_on_after_its_last_call(here: World) -> None:
    service = here.answering(
        [reply("success", "c-0"), reply("success", "c-1")], calendars={"c-1": EVENT}
    )
    found = await ended(here, (await start(here))[0])
    await here.run(here.ledger.write(ACCOUNT, as_an_older_version_wrote_it))
    known = await here.run(here.ledger.read(lists.find_list_of, await wanted(here), "c-0"))
    assert known is not None
    done = await went_on(here, known)
    planned = [record.plan_id for record in (await read_again(here, found)).records]

    assert known.stop_reason is StopReason.NEEDS_DECISION
    assert [record.call_id for record in done.records] == ["c-0", "c-1"]
    assert planned == [found.list_id] * 2
    assert len(service.keys) == 2


@pytest.mark.parametrize("position", range(3))
async def test_a_done_list_has_a_call_that_cannot_be_read(here: World, position: int) -> None:
    here.answering([*BUSY])
    found = await ended(here, (await start(here))[0])
    spoil = partial(with_a_call_that_cannot_be_read, call_id=f"c-{position}")
    await here.run(here.ledger.write(ACCOUNT, spoil))
    again = await read_again(here, found)

    assert again.unreadable == {NUMBERS[position]}
    assert (again.not_called, again.unread) == ((), 1)
    assert not again.may_go_on
    assert said_of(again).startswith("Done: all 3 were called. What became of 1 of these calls")


async def test_a_call_that_cannot_be_read_is_not_missing(here: World) -> None:
    here.answering([BUSY[0], reply("success", "c-1")], calendars={"c-1": EVENT})
    found = await ended(here, (await start(here))[0])
    spoil = partial(with_a_call_that_cannot_be_read, call_id="c-0")
    await here.run(here.ledger.write(ACCOUNT, spoil))
    again = await read_again(here, found)

    assert again.stop_reason is StopReason.BOOKED
    assert [one.respondent_phone for one in again.not_called] == [NUMBERS[2]]
    assert f"can't be read here: {party_of(THREE[0])}." in said_of(again)


async def test_an_open_list_stops_at_a_call_that_cannot_be_read(here: World) -> None:
    in_progress = after(lambda: here.clock.sleep(60), reply("busy", "c-1"))
    service = here.answering([BUSY[0], in_progress, BUSY[2]])
    found, _ = await start(here)
    await here.run(here.clock.sleep(30))
    spoil = partial(with_a_call_that_cannot_be_read, call_id="c-0")
    await here.run(here.ledger.write(ACCOUNT, spoil))
    stopped = await ended(here, found)

    assert stopped.stop_reason is StopReason.UNKNOWN
    assert len(service.keys) == 2
    assert said_of(stopped).startswith("Stopped: ")
