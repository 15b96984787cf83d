"""What workers share besides calls, on both drivers."""

import anyio
import pytest

from kallyai_mcp.calls.ledger.base import Database
from kallyai_mcp.calls.ledger.shared_values import SharedValues
from tests.calls.ledgers import database_at, opened
from tests.calls.manual_time import ManualClock


@pytest.fixture
def state(database: Database) -> SharedValues:
    return SharedValues(database)


async def test_a_value_is_added_once_until_it_expires(state: SharedValues, clock: ManualClock) -> None:
    assert await state.add("code", "a", "one", 60)
    assert not await state.add("code", "a", "two", 60)
    assert await state.get("code", "a") == "one"
    clock.advance(60)

    assert await state.add("code", "a", "three", 60)
    assert await state.get("code", "a") == "three"


async def test_of_many_at_one_instant_one_adds_and_each_put_sees_the_one_before(
    state: SharedValues, place: str, clock: ManualClock
) -> None:
    other = database_at(place, clock.now)
    states = [state, SharedValues(other)]
    added: list[bool] = []
    replaced: list[str | None] = []

    async def add(number: int) -> None:
        added.append(await states[number % 2].add("code", "a", f"{number}", 60))

    async def put(number: int) -> None:
        replaced.append(await states[number % 2].put("key", "a", f"{number}", 60))

    for step in (add, put):
        async with anyio.create_task_group() as tasks:
            for number in range(12):
                tasks.start_soon(step, number)
    last = await state.get("key", "a")
    await other.aclose()

    assert sum(added) == 1
    assert replaced.count(None) == 1
    assert {*replaced, last} == {None, *(f"{number}" for number in range(12))}


async def test_values_that_expired_are_deleted_with_old_records(
    state: SharedValues, database: Database, place: str, clock: ManualClock
) -> None:
    await state.put("code", "a", "one", 60)
    await state.put("code", "b", "two", 600)
    clock.advance(61)
    async with opened(place, clock.now) as ledger:
        await ledger.purge(86400)

    assert await database.write(lambda tx: tx.rows("SELECT name FROM shared_values")) == [{"name": "b"}]
