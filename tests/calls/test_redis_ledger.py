"""What only the ledger in Redis has to show: see test_ledger.py for what every ledger does."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from functools import partial

import anyio
import pytest
from redis.asyncio import Redis

from kallyai_mcp.calls.ledger.base import Ledger, LedgerUnavailableError
from kallyai_mcp.calls.policy import CallPolicy
from kallyai_mcp.calls.records import AccountKey, CallState, fingerprint
from tests.calls.places import ledger_at, opened
from tests.calls.test_ledger import NOW, RECENT, SCOPE, SILENCE, call, ended, is_placed, record, submission
from tests.redis_server import RedisServer

LATER = NOW + timedelta(seconds=11)
"""When an owner that has said nothing since `NOW` is silent."""

STEPS: dict[str, Callable[[Ledger], Awaitable[object]]] = {
    "enter": lambda ledger: ledger.enter(record(2), redial=True, recent=RECENT),
    "admit": lambda ledger: ledger.admit(record(3), policy=CallPolicy()),
    "same": lambda ledger: ledger.same(record(3), recent=RECENT),
    "last_rung": lambda ledger: ledger.last_rung(SCOPE, "+14155551234"),
    "audit": lambda ledger: ledger.audit(SCOPE, 10),
    "find": lambda ledger: ledger.find(SCOPE, "t-1"),
    "unsettled": lambda ledger: ledger.unsettled(SCOPE),
    "send": lambda ledger: ledger.send("t-1", "owner-1", NOW),
    "lose": lambda ledger: ledger.lose("t-1", NOW),
    "claim": lambda ledger: ledger.claim("t-1", "c-1", sure=True),
    "end": lambda ledger: ledger.end("t-1", CallState.ENDED, NOW, call=call()),
    "hand_out": lambda ledger: ledger.hand_out("t-1"),
    "beat": lambda ledger: ledger.beat("owner-1", NOW),
    "leave": lambda ledger: ledger.leave("owner-1"),
    "has_orphans": lambda ledger: ledger.has_orphans("owner-2", LATER, SILENCE),
    "adopt": lambda ledger: ledger.adopt(SCOPE, "owner-2", LATER, SILENCE),
    "forget": lambda ledger: ledger.forget(NOW),
}


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    """The server itself, for a look past the ledger."""
    async with Redis.from_url(redis_server.url, decode_responses=True) as redis:
        yield redis


@pytest.fixture
async def ledger(redis_place: str) -> AsyncIterator[Ledger]:
    ledger = ledger_at(redis_place)
    yield ledger
    await ledger.aclose()


async def keys(redis: Redis, prefix: str) -> list[str]:
    return [key async for key in redis.scan_iter(f"*{prefix}*")]


async def of_every_kind(ledger: Ledger) -> None:
    """Records in every state, so that every kind of key is there."""
    for number in range(1, 6):
        await ledger.enter(record(number), redial=True, recent=RECENT)
    await ledger.send("t-2", "owner-1", NOW)
    await ledger.claim("t-2", "c-2", sure=True)
    await ledger.end("t-3", CallState.UNKNOWN, NOW)
    await ledger.end("t-4", CallState.ENDED, NOW, call=call())
    await ledger.end("t-5", CallState.ENDED, NOW, call=call("busy"))
    await ledger.hand_out("t-5")
    await ledger.enter(
        record(6, scope=AccountKey(SCOPE.api, "account-{2}"), owner="owner-2"), redial=True, recent=RECENT
    )


async def test_a_second_ledger_on_the_same_server_sees_everything(ledger: Ledger, redis_place: str) -> None:
    await ended(ledger, "success", handed_out=True)
    await ledger.claim("t-1", "c-1", sure=True)
    await ledger.enter(record(2), redial=True, recent=RECENT)
    other = ledger_at(redis_place)

    assert await other.find(SCOPE, "c-1") == await ledger.find(SCOPE, "t-1")
    assert [entry.tracking_id for entry in await other.unsettled(SCOPE)] == ["t-2"]
    assert not await is_placed(other, record(3))
    assert not await other.claim("t-2", "c-1", sure=False)
    await other.aclose()


async def test_ledgers_with_different_prefixes_share_nothing(ledger: Ledger, redis_place: str) -> None:
    await ledger.enter(record(), redial=False, recent=RECENT)
    other = ledger_at(f"{redis_place}-other")

    assert await other.find(SCOPE, "t-1") is None
    assert await is_placed(other, record())
    await other.aclose()


async def test_every_key_lies_in_the_slot_of_the_ledger_and_goes_by_itself(
    ledger: Ledger, redis: Redis, prefix: str
) -> None:
    await of_every_kind(ledger)

    there = await keys(redis, prefix)

    kinds = {"call", "calls", "same", "unsettled", "rung", "audit", "scopes", "taken_up", "id", "carried", "owners"}
    assert {key.removeprefix(f"{{{prefix}}}:").split(":")[0] for key in there} == kinds
    assert all(key.startswith(f"{{{prefix}}}:") for key in there)
    days = [await redis.pttl(key) / 86_400_000 for key in there]
    assert all(119 < left <= 120 for left in days)


async def test_no_key_tells_an_account(ledger: Ledger, redis: Redis, prefix: str) -> None:
    await of_every_kind(ledger)

    assert not [key for key in await keys(redis, prefix) if "account" in key]


async def test_what_is_not_written_again_goes_by_itself(redis_server: RedisServer, redis: Redis, prefix: str) -> None:
    async with opened(redis_server.url, prefix=prefix, keep=timedelta(milliseconds=200)) as ledger:
        await ledger.enter(record(), redial=False, recent=RECENT)

        with anyio.fail_after(10):
            while await keys(redis, prefix):
                await anyio.lowlevel.checkpoint()
        assert await ledger.find(SCOPE, "t-1") is None
        assert await is_placed(ledger, record(2))


async def test_forgetting_leaves_nothing_behind(ledger: Ledger, redis: Redis, prefix: str) -> None:
    await of_every_kind(ledger)

    await ledger.forget(NOW + timedelta(seconds=1))

    assert await keys(redis, prefix) == []


async def test_more_is_forgotten_than_one_step_removes(ledger: Ledger, redis: Redis, prefix: str) -> None:
    async with anyio.create_task_group() as tasks:
        for number in range(501):
            enter = partial(ledger.enter, redial=True, recent=RECENT)
            tasks.start_soon(enter, record(number, fingerprint=str(number)))

    await ledger.forget(NOW + timedelta(seconds=1))

    assert await keys(redis, prefix) == []


async def test_a_record_that_went_by_itself_leaves_no_ghost(ledger: Ledger, redis: Redis, prefix: str) -> None:
    for number in (1, 2):
        await ledger.enter(record(number, placed_at=NOW + timedelta(seconds=number)), redial=True, recent=RECENT)
    await ledger.claim("t-2", "c-2", sure=True)
    await redis.delete(f"{{{prefix}}}:call:t-2")

    counts, _ = await ledger.enter(record(3), redial=False, recent=RECENT)
    assert counts.tracking_id == "t-1"
    assert [entry.tracking_id for entry in await ledger.unsettled(SCOPE)] == ["t-1"]
    assert await ledger.find(SCOPE, "c-2") is None
    assert await ledger.claim("t-1", "c-2", sure=False)
    later = NOW + timedelta(minutes=1)
    assert [orphan.tracking_id for orphan in await ledger.adopt(SCOPE, "owner-2", later, SILENCE)] == ["t-1"]
    await ledger.leave("owner-2")
    await ledger.forget(later)
    assert await keys(redis, prefix) == []


async def test_no_request_leaves_for_a_record_that_redis_has_lost(ledger: Ledger, redis: Redis, prefix: str) -> None:
    await ledger.enter(record(), redial=False, recent=RECENT)
    await redis.delete(*await keys(redis, prefix))

    assert not await ledger.send("t-1", "owner-1", NOW)
    for name in ("lose", "claim", "end", "hand_out"):
        await STEPS[name](ledger)
    assert await ledger.find(SCOPE, "t-1") is None


async def test_one_tracking_id_is_one_record(ledger: Ledger) -> None:
    await ledger.enter(record(), redial=False, recent=RECENT)

    with pytest.raises(LedgerUnavailableError, match="tracking_id"):
        await ledger.enter(record(fingerprint=fingerprint(submission(party_size=9))), redial=False, recent=RECENT)


async def test_an_id_that_is_no_text_is_not_found(ledger: Ledger) -> None:
    assert await ledger.find(SCOPE, "\ud800") is None


async def test_when_redis_is_gone_every_step_says_so_at_once_and_works_again_when_it_is_back(
    own_redis: RedisServer,
) -> None:
    async with opened(own_redis.url) as ledger:
        await ledger.enter(record(), redial=False, recent=RECENT)
        own_redis.kill()
        for step in STEPS.values():
            began = time.monotonic()
            with pytest.raises(LedgerUnavailableError, match="can't be used") as raised:
                await step(ledger)
            assert time.monotonic() - began < 3
            assert raised.value.code == "ledger_unavailable"
            assert "\n" not in str(raised.value)
        own_redis.start()

        assert await ledger.find(SCOPE, "t-1") == record()
        for step in STEPS.values():
            await step(ledger)


async def test_a_connection_that_broke_meanwhile_is_made_anew(own_redis: RedisServer) -> None:
    async with opened(own_redis.url) as ledger:
        await ledger.enter(record(), redial=False, recent=RECENT)
        own_redis.kill()
        own_redis.start()

        assert await ledger.send("t-1", "owner-1", NOW)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("REPLICAOF 127.0.0.1 9", "it is a replica that can only be read"),
        ("CONFIG SET maxmemory 1", "it is out of memory"),
        ("ACL SETUSER default -evalsha", "the user may not do that there"),
        ("CONFIG SET min-replicas-to-write 1", "NOREPLICAS"),
    ],
)
async def test_what_redis_refuses_to_write_is_refused_in_words(
    own_redis: RedisServer, command: str, words: str
) -> None:
    async with opened(own_redis.url) as ledger, Redis.from_url(own_redis.url) as redis:
        await ledger.enter(record(), redial=False, recent=RECENT)
        await redis.execute_command(*command.split())  # type: ignore[no-untyped-call]  # redis-py has no types for it

        with pytest.raises(LedgerUnavailableError, match=words):
            await ledger.enter(record(2), redial=True, recent=RECENT)
