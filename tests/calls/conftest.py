"""A clock for calls, and a process on the ledger of `tests.fixtures`."""

from collections.abc import AsyncIterator

import pytest

from tests.calls.ledgers import NOW
from tests.calls.manual_time import ManualClock
from tests.calls.world import Service, World, world


@pytest.fixture
def clock() -> ManualClock:
    """A clock that only the test moves; it starts at `ledgers.NOW`."""
    return ManualClock(NOW)


@pytest.fixture
async def here(place: str, clock: ManualClock) -> AsyncIterator[World]:
    """A process on the ledger at `place`."""
    async with world(Service(clock), place) as here:
        yield here
