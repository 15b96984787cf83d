"""Two servers that share a Redis."""

from pathlib import Path

import anyio

from tests.redis_server import RedisServer
from tests.transports.kit import CALL, LIMIT, knock, serving, visiting, world_in


async def test_a_call_started_on_one_is_waited_for_on_the_other_and_not_placed_again(
    tmp_path: Path, own_redis: RedisServer
) -> None:
    async with world_in(tmp_path) as world:
        settings = world.settings(REDIS_URL=own_redis.url)
        async with serving(settings) as one_url, serving(settings) as other_url:
            with anyio.fail_after(LIMIT):
                async with visiting(one_url) as one, visiting(other_url) as other:
                    placed = await one.use("make_call", CALL, wait_seconds=0)
                    await world.rung()
                    again = await other.use("make_call", CALL, wait_seconds=0)
                    world.hang_up()
                    ended = await other.use("get_call", call_id=placed.data["tracking_id"], wait_seconds=LIMIT)
        calls = await world.calls()

    assert again.data["tracking_id"] == placed.data["tracking_id"]
    assert ended.data["status"] == "success"
    assert len(calls) == 1


async def test_they_count_one_rate_between_them(tmp_path: Path, own_redis: RedisServer) -> None:
    async with world_in(tmp_path) as world:
        settings = world.settings(REDIS_URL=own_redis.url, RATE_LIMIT="2/hour")
        async with serving(settings) as one, serving(settings) as other:
            answers = [await knock(url) for url in (one, other, one, other)]

    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]


async def test_without_redis_nothing_is_dialled_and_reading_still_works(tmp_path: Path, own_redis: RedisServer) -> None:
    async with world_in(tmp_path) as world, serving(world.settings(REDIS_URL=own_redis.url)) as url:
        with anyio.fail_after(LIMIT):
            async with visiting(url) as agent:
                own_redis.kill()
                refused = await agent.use("make_call", CALL, wait_seconds=0)
                quota = await agent.use("check_quota")
        calls = await world.calls()

    assert refused.is_error
    assert refused.text.startswith("Not dialled")
    assert quota.data["minutes_remaining"] == 165
    assert calls == []
