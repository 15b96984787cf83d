"""Losing Redis while a call is placed: nothing is dialled twice, and no outcome is lost."""

from datetime import timedelta

import anyio
import pytest

from kallyai_mcp.calls.ledger.base import LedgerUnavailableError
from kallyai_mcp.calls.records import CallState
from tests.calls.test_service import (
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
from tests.calls.wire import wire
from tests.redis_server import RedisServer


async def test_an_outcome_that_comes_while_redis_is_gone_is_written_down_when_it_is_back(
    own_redis: RedisServer,
) -> None:
    def answer_without_redis() -> Reply:
        own_redis.kill()
        return PLACED

    service = Service([answer_without_redis])
    async with dialling(service, f"{own_redis.url}#ledger") as calls:
        placed = await calls.place(TABLE, timezone="UTC")
        with anyio.fail_after(10):
            while not service.keys:
                await anyio.lowlevel.checkpoint()
        with pytest.raises(LedgerUnavailableError):
            await calls.place(TABLE, timezone="UTC")
        own_redis.start()
        record = await outcome(calls, placed)
        found = await calls.find("c-1")
        again = await calls.place(TABLE, timezone="UTC")

    assert record.state is CallState.ENDED
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
        async with dialling(service, where, now=NOW + timedelta(minutes=1)) as calls:
            ended = await settled(calls, record)

    assert ended.state is CallState.ENDED
    assert service.keys == []


async def test_without_an_answer_from_redis_no_request_leaves(redis_server: RedisServer, redis_place: str) -> None:
    service = Service([PLACED])
    async with wire(redis_server.port, word=b"\nsend\r") as line:
        line.lose_answers = 4
        async with dialling(service, f"{line.url}#{redis_place.partition('#')[2]}") as calls:
            record = await place(calls)

    assert record.state is CallState.REFUSED
    assert record.error is not None
    assert record.error.code == "ledger_unavailable"
    assert service.keys == []


async def test_a_call_of_which_it_is_not_known_whether_it_was_written_down_is_refused_and_may_be_asked_for_again(
    redis_server: RedisServer, redis_place: str
) -> None:
    service = Service([PLACED])
    async with (
        wire(redis_server.port, word=b"\nenter\r") as line,
        dialling(service, f"{line.url}#{redis_place.partition('#')[2]}") as calls,
    ):
        await calls.unsettled()
        line.lose_answers = 2
        with pytest.raises(LedgerUnavailableError):
            await calls.place(TABLE, timezone="UTC")
        written = await calls.place(TABLE, timezone="UTC")
        refused = await outcome(calls, written)
        record = await place(calls)

    assert not written.is_new
    assert refused.error is not None
    assert refused.error.code == "not_sent"
    assert record.state is CallState.ENDED
    assert service.keys == [record.key]
