"""What workers share besides calls, on both drivers."""

import anyio

from kallyai_mcp.calls.ledger.base import Ledger
from kallyai_mcp.calls.ledger.shared_values import get, put
from tests.calls.ledgers import opened
from tests.calls.manual_time import ManualClock


async def test_each_put_sees_the_value_before(
    ledger: Ledger, place: str, clock: ManualClock
) -> None:
    replaced: list[str | None] = []

    async with opened(place, clock.now) as other:
        ledgers = [ledger, other]

        async def put_one(number: int) -> None:
            replaced.append(await ledgers[number % 2].write(None, put, "key", "a", f"{number}", 60))

        async with anyio.create_task_group() as tasks:
            for number in range(12):
                tasks.start_soon(put_one, number)
        last = await ledger.read(get, "key", "a")
    clock.advance(60)

    assert replaced.count(None) == 1
    assert {*replaced, last} == {None, *(f"{number}" for number in range(12))}
    assert await ledger.read(get, "key", "a") is None
    assert await ledger.write(None, put, "key", "a", "again", 60) is None
