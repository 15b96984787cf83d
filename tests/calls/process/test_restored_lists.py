"""A list in a ledger that was restored from a backup, which was made between two of its calls."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from kallyai_mcp.calls.call_lists import CallList, StopReason
from kallyai_mcp.calls.policy import CallPolicy
from kallyai_mcp.settings import Settings
from tests.calls.lists import BUSY, NOBODY, calls_of, ended, left_after_one_call, wanted, went_on
from tests.calls.manual_time import ManualClock
from tests.calls.world import Service, world


@pytest.fixture
def service(clock: ManualClock) -> Service:
    return Service(clock, BUSY[1:], [NOBODY])


@pytest.fixture
async def backup(place: str, service: Service) -> CallList:
    """The list as it is in the ledger at `place`: its second call is due."""
    async with world(service, place) as here:
        return await left_after_one_call(here, await wanted(here))


@pytest.fixture
async def keys_since(service: Service, backup: CallList, tmp_path: Path) -> list[str]:
    """The keys of the calls that the list has placed after the backup."""
    async with world(service, str(tmp_path / "since.db")) as here:
        left = await left_after_one_call(here, replace(backup, records=(), list_id="l-since"))
        await ended(here, left)
    keys = list(service.keys)
    service.keys.clear()
    service.replies[:] = BUSY[1:]
    return keys


async def test_no_call_has_a_new_key(
    place: str, service: Service, backup: CallList, keys_since: list[str]
) -> None:
    async with world(service, place) as here:
        found = await ended(here, backup)

    assert calls_of(found)[1:] == ["c-2", "c-3"]
    assert service.keys == keys_since


async def test_after_two_hours_nobody_is_called(
    place: str, service: Service, backup: CallList
) -> None:
    service.clock.advance(timedelta(hours=2, minutes=1).total_seconds())
    async with world(service, place) as here:
        found = await ended(here, backup)

    assert found.stop_reason is StopReason.REFUSED
    assert service.keys == []


@pytest.mark.parametrize("days", [0, 1], ids=["the same day", "a day later"])
async def test_its_user_lets_it_go_on(
    place: str, service: Service, backup: CallList, keys_since: list[str], days: int
) -> None:
    """Calls were switched off when the servers were started first."""
    off = CallPolicy(Settings(stop_calls=True))
    async with world(service, place, policy=off) as here:
        stopped = await ended(here, backup)
    keys_while_off = list(service.keys)
    service.clock.advance(days * 86_400)
    async with world(service, place) as here:
        await went_on(here, stopped)

    assert stopped.stop_reason is StopReason.REFUSED
    assert keys_while_off == []
    assert (service.keys == keys_since) is (days == 0)
