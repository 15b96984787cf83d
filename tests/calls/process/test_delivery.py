"""Which outcomes count as delivered to a client, and what a request for a call gets until its
outcome is delivered.
"""

from dataclasses import replace

import pytest

from kallyai_mcp.calls.errors import LedgerUnavailableError
from kallyai_mcp.calls.records import CallRecord, CallState
from tests.calls.world import PLACED, World, after, reply

pytestmark = pytest.mark.parametrize("place", ["sqlite"], indirect=True)
"""One driver is enough: the tests of the ledger run each statement on both."""

BUSY = reply("busy")


async def test_a_redial_before_the_outcome_leaves_joins(
    here: World,
) -> None:
    here.answering([BUSY, PLACED])
    ended = await here.call()
    async with here.calls.delivery.request("connection", 1):
        await here.tell(ended)
        found = await here.precheck(redial=True)
        joined = await here.place(redial=True)
    redialed = await here.place(redial=True)

    assert found.tracking_id == joined.tracking_id == ended.tracking_id
    assert not joined.is_new
    assert redialed.is_new


@pytest.mark.parametrize(("redial", "retries"), [(False, 0), (True, 0), (False, 1)])
async def test_a_request_from_before_the_outcome_joins(
    here: World, *, redial: bool, retries: int
) -> None:
    """This process is suspended before it reserves the call.

    Who sent the request did not know the outcome.
    """
    here.answering([BUSY, PLACED])
    ended = await here.call()
    asked = replace(here.request(redial=redial), schedule=here.calls.schedule_for(None, retries))
    here.clock.advance(1)
    await here.tell(ended)
    here.clock.suspend(90)
    found = await here.run(here.calls.precheck(asked))
    joined = await here.run(here.calls.place(asked))
    later = await here.place(redial=redial)

    assert found.tracking_id == joined.tracking_id == ended.tracking_id
    assert not joined.is_new
    assert later.is_new


@pytest.mark.parametrize("canceled_first", [False, True])
async def test_a_client_that_read_its_answer_was_told(here: World, canceled_first: bool) -> None:
    here.answering([BUSY, PLACED])
    delivery = here.calls.delivery
    delivery.delivers_when_read = True
    ended = await here.call()
    async with delivery.request("connection", 1):
        await here.tell(ended)
    before = await here.place(redial=True)
    if canceled_first:
        await here.run(delivery.answer_canceled("connection", 1))
    await here.run(delivery.answer_read(1))
    after = await here.place(redial=True)

    assert not before.is_new
    assert after.is_new is not canceled_first


async def test_an_outcome_for_a_gone_client_is_retold(here: World) -> None:
    here.answering([BUSY])
    ended = await here.call()
    await here.run(here.calls.delivery.deliver(ended, certain=False))
    here.clock.advance(7200)
    again = await here.place()
    redialed = await here.place(redial=True)

    assert not again.is_new
    assert not redialed.is_new


async def in_progress_without_a_ledger(here: World) -> CallRecord:
    """A call that lasts ninety seconds, and a ledger that is down since its first second."""
    here.answering([after(lambda: here.clock.sleep(90), reply("success"))])
    placed = await here.place()
    await here.run(here.clock.sleep(1))
    here.database.is_down = True
    return placed


async def test_a_call_in_progress_is_known_from_memory(here: World) -> None:
    placed = await in_progress_without_a_ledger(here)
    again = await here.place()

    assert not (await here.precheck()).is_new
    assert not again.is_new
    assert again.tracking_id == placed.tracking_id
    with pytest.raises(LedgerUnavailableError):
        await here.find(placed.tracking_id)


async def test_an_outage_does_not_end_a_wait(here: World) -> None:
    placed = await in_progress_without_a_ledger(here)
    waited = await here.run(here.calls.wait(placed, 45))
    here.database.is_down = False
    ended = await here.outcome(placed)

    assert waited.is_active
    assert ended.state is CallState.ENDED
    assert len(here.service.keys) == 1
