"""Losing Redis while a call is placed: nothing is dialled twice, and no outcome is lost."""

from datetime import timedelta

import anyio
import pytest

from kallyai_mcp.dialing.ledger import LedgerUnavailable
from kallyai_mcp.dialing.records import State
from tests.dialing.test_dialler import (
    NOW,
    PLACED,
    TABLE,
    Reply,
    Service,
    dialling,
    left_under_way,
    outcome,
    place,
    settled,
    shown,
)
from tests.dialing.wire import wire
from tests.redis_server import RedisServer


async def test_an_outcome_that_comes_while_redis_is_gone_is_written_down_when_it_is_back(
    own_redis: RedisServer,
) -> None:
    def answer_without_redis() -> Reply:
        own_redis.kill()
        return PLACED

    service = Service([answer_without_redis])
    async with dialling(service, f"{own_redis.url}#ledger") as dialler:
        placed = await dialler.place(TABLE, timezone="UTC")
        with anyio.fail_after(10):
            while not service.keys:
                await anyio.lowlevel.checkpoint()
        with pytest.raises(LedgerUnavailable):
            await dialler.place(TABLE, timezone="UTC")
        own_redis.start()
        record = await outcome(dialler, placed)
        found = await dialler.find("c-1")
        again = await dialler.place(TABLE, timezone="UTC")

    assert record.state is State.ENDED
    assert found == record
    assert not again.is_new
    assert service.keys == [record.key]


async def test_what_was_sent_before_redis_and_its_process_went_is_looked_for_and_not_dialled(
    own_redis: RedisServer,
) -> None:
    where = f"{own_redis.url}#ledger"
    async with left_under_way(where) as record:
        own_redis.kill()
        own_redis.start()
        service = Service([], [shown()])
        async with dialling(service, where, now=NOW + timedelta(minutes=1)) as dialler:
            ended = await settled(dialler, record)

    assert ended.state is State.ENDED
    assert service.keys == []


async def test_without_an_answer_from_redis_no_request_leaves(redis_server: RedisServer, redis_place: str) -> None:
    service = Service([PLACED])
    async with wire(redis_server.port, word=b"\nsend\r") as line:
        line.lose_answers = 4
        async with dialling(service, f"{line.url}#{redis_place.partition('#')[2]}") as dialler:
            record = await place(dialler)

    assert record.state is State.REFUSED
    assert record.error is not None
    assert record.error.code == "ledger_unavailable"
    assert service.keys == []


async def test_a_call_of_which_it_is_not_known_whether_it_was_written_down_is_refused_and_may_be_asked_for_again(
    redis_server: RedisServer, redis_place: str
) -> None:
    service = Service([PLACED])
    async with (
        wire(redis_server.port, word=b"\nenter\r") as line,
        dialling(service, f"{line.url}#{redis_place.partition('#')[2]}") as dialler,
    ):
        await dialler.unsettled()
        line.lose_answers = 2
        with pytest.raises(LedgerUnavailable):
            await dialler.place(TABLE, timezone="UTC")
        written = await dialler.place(TABLE, timezone="UTC")
        refused = await outcome(dialler, written)
        record = await place(dialler)

    assert not written.is_new
    assert refused.error is not None
    assert refused.error.code == "not_sent"
    assert record.state is State.ENDED
    assert service.keys == [record.key]
