"""What becomes of a step whose answer is lost on the way, or that comes to Redis after it was given up."""

from collections.abc import AsyncIterator
from datetime import timedelta

import anyio
import pytest
from redis.asyncio import Redis

from kallyai_mcp.calls.ledger.base import Ledger, LedgerUnavailableError
from kallyai_mcp.calls.records import CallState
from tests.calls.places import ledger_at, opened
from tests.calls.test_ledger import NOW, RECENT, SCOPE, SILENCE, is_placed, record
from tests.calls.wire import Wire, wire
from tests.redis_server import RedisServer

LATER = NOW + timedelta(seconds=11)
"""When an owner that has said nothing since `NOW` is silent."""


@pytest.fixture
async def ledger(redis_place: str) -> AsyncIterator[Ledger]:
    ledger = ledger_at(redis_place)
    yield ledger
    await ledger.aclose()


@pytest.fixture
async def line(redis_server: RedisServer, request: pytest.FixtureRequest) -> AsyncIterator[Wire]:
    async with wire(redis_server.port, word=request.param) as line:
        yield line


@pytest.fixture
async def far(line: Wire, prefix: str) -> AsyncIterator[Ledger]:
    """A ledger at the other end of the wire; Redis knows its script."""
    async with opened(line.url, prefix=prefix) as far:
        await far.find(SCOPE, "t-0")
        yield far


@pytest.mark.parametrize("line", [b"enter"], indirect=True)
async def test_an_entry_whose_answer_is_lost_once_is_still_a_new_one(line: Wire, far: Ledger) -> None:
    line.lose_answers = 1

    assert await is_placed(far, record())
    assert not await is_placed(far, record(2))


@pytest.mark.parametrize("line", [b"enter"], indirect=True)
async def test_an_entry_of_which_nobody_has_heard_is_nobodys_even_while_its_owner_lives(
    line: Wire, far: Ledger, ledger: Ledger
) -> None:
    line.lose_answers = 2
    with pytest.raises(LedgerUnavailableError):
        await far.enter(record(), redial=False, recent=RECENT)
    written = await ledger.find(SCOPE, "t-1")

    await far.beat("owner-1", NOW)

    assert written is not None
    assert written.owner == "owner-1"
    assert not await far.send("t-1", "owner-1", NOW)
    (orphan,) = await far.adopt(SCOPE, "owner-1", NOW, SILENCE)
    assert (orphan.tracking_id, orphan.state) == ("t-1", CallState.PREPARED)


@pytest.mark.parametrize("line", [b"enter"], indirect=True)
async def test_an_entry_that_arrives_after_it_was_given_up_does_not_happen(
    line: Wire, far: Ledger, ledger: Ledger
) -> None:
    line.hold = 2
    with pytest.raises(LedgerUnavailableError):
        await far.enter(record(), redial=False, recent=RECENT)
    await far.beat("owner-1", NOW)

    assert [answer[:5] for answer in await line.deliver()] == [b"-VOID"] * 2

    assert await ledger.find(SCOPE, "t-1") is None
    assert await is_placed(far, record(2))


@pytest.mark.parametrize("line", [b"adopt"], indirect=True)
async def test_records_adopted_without_an_answer_are_adopted_again(line: Wire, far: Ledger, ledger: Ledger) -> None:
    await ledger.enter(record(), redial=False, recent=RECENT)
    line.lose_answers = 1

    (orphan,) = await far.adopt(SCOPE, "owner-2", LATER, SILENCE)

    assert orphan.owner == "owner-2"
    assert await far.adopt(SCOPE, "owner-2", LATER, SILENCE) == []


@pytest.mark.parametrize("line", [b"adopt"], indirect=True)
async def test_an_adoption_of_which_nobody_has_heard_is_taken_back(line: Wire, far: Ledger, ledger: Ledger) -> None:
    await ledger.enter(record(), redial=False, recent=RECENT)
    await far.enter(record(2, owner="owner-2"), redial=True, recent=RECENT)
    line.lose_answers = 2
    with pytest.raises(LedgerUnavailableError):
        await far.adopt(SCOPE, "owner-2", LATER, SILENCE)
    assert await ledger.adopt(SCOPE, "owner-3", LATER, SILENCE) == []

    assert await far.has_orphans("owner-2", LATER, SILENCE)

    assert [orphan.tracking_id for orphan in await ledger.adopt(SCOPE, "owner-3", LATER, SILENCE)] == ["t-1"]


@pytest.mark.parametrize("line", [b"adopt"], indirect=True)
async def test_an_adoption_that_arrives_after_it_was_given_up_does_not_happen(
    line: Wire, far: Ledger, ledger: Ledger
) -> None:
    await ledger.enter(record(), redial=False, recent=RECENT)
    line.hold = 2
    with pytest.raises(LedgerUnavailableError):
        await far.adopt(SCOPE, "owner-2", LATER, SILENCE)
    await far.beat("owner-2", LATER)

    assert [answer[:5] for answer in await line.deliver()] == [b"-VOID"] * 2

    assert len(await ledger.adopt(SCOPE, "owner-3", LATER, SILENCE)) == 1


async def test_a_redis_that_does_not_answer_is_waited_for_only_so_long(redis_server: RedisServer, prefix: str) -> None:
    async with (
        wire(redis_server.port, word=b"find") as line,
        opened(line.url, prefix=prefix, patience=1) as ledger,
    ):
        await ledger.enter(record(), redial=False, recent=RECENT)
        line.is_dead = True
        with anyio.fail_after(10), pytest.raises(LedgerUnavailableError, match="did not answer in time"):
            await ledger.find(SCOPE, "t-1")
        line.is_dead = False

        assert await ledger.find(SCOPE, "t-1") == record()


async def test_what_can_not_be_taken_back_yet_does_not_keep_from_reading(own_redis: RedisServer) -> None:
    async with (
        wire(own_redis.port, word=b"enter") as line,
        opened(line.url) as far,
        Redis.from_url(own_redis.url) as redis,
    ):
        await far.find(SCOPE, "t-0")
        line.lose_answers = 2
        with pytest.raises(LedgerUnavailableError):
            await far.enter(record(), redial=False, recent=RECENT)
        await redis.config_set("maxmemory", 1)

        assert await far.find(SCOPE, "t-1") is not None
        assert len(await far.unsettled(SCOPE)) == 1
        assert not await far.has_orphans("owner-1", NOW, SILENCE)

        await redis.config_set("maxmemory", 0)
        assert await far.has_orphans("owner-1", NOW, SILENCE)
