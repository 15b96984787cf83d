"""What workers share besides calls, on both drivers."""

import anyio

from kallyai_mcp.calls.ledger.base import Ledger
from kallyai_mcp.calls.ledger.shared_values import add, get, put
from tests.calls.ledgers import opened
from tests.calls.manual_time import ManualClock


async def test_a_value_is_added_once_until_it_expires(ledger: Ledger, clock: ManualClock) -> None:
    assert await ledger.write(add, "code", "a", "one", 60)
    assert not await ledger.write(add, "code", "a", "two", 60)
    assert await ledger.read(get, "code", "a") == "one"
    clock.advance(60)

    assert await ledger.write(add, "code", "a", "three", 60)
    assert await ledger.read(get, "code", "a") == "three"


async def test_of_many_at_one_instant_one_adds_and_each_put_sees_the_one_before(
    ledger: Ledger, place: str, clock: ManualClock
) -> None:
    added: list[bool] = []
    replaced: list[str | None] = []

    async with opened(place, clock.now) as other:
        ledgers = [ledger, other]

        async def add_one(number: int) -> None:
            added.append(await ledgers[number % 2].write(add, "code", "a", f"{number}", 60))

        async def put_one(number: int) -> None:
            replaced.append(await ledgers[number % 2].write(put, "key", "a", f"{number}", 60))

        for step in (add_one, put_one):
            async with anyio.create_task_group() as tasks:
                for number in range(12):
                    tasks.start_soon(step, number)
        last = await ledger.read(get, "key", "a")

    assert sum(added) == 1
    assert replaced.count(None) == 1
    assert {*replaced, last} == {None, *(f"{number}" for number in range(12))}
