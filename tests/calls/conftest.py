from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from kallyai_mcp.calls.ledger.base import Database, Ledger
from tests.calls.ledgers import NOW, database_at, opened
from tests.calls.manual_time import ManualClock
from tests.calls.world import Service, World, world


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place for a ledger, for each of the two drivers."""
    if request.param == "sqlite":
        return str(tmp_path / "home" / "ledger.db")
    url: str = request.getfixturevalue("database_url")
    return url


@pytest.fixture
def clock() -> ManualClock:
    """A clock that only the test moves; it starts at `samples.NOW`."""
    return ManualClock(NOW)


@pytest.fixture
async def database(place: str, clock: ManualClock) -> AsyncIterator[Database]:
    """The database at `place`, with the time of `clock`."""
    async with aclosing(database_at(place, clock.now)) as database:
        yield database


@pytest.fixture
async def ledger(place: str, clock: ManualClock) -> AsyncIterator[Ledger]:
    """The ledger at `place`, with the time of `clock`."""
    async with opened(place, clock.now) as ledger:
        yield ledger


@pytest.fixture
async def here(place: str, clock: ManualClock) -> AsyncIterator[World]:
    """A process on the ledger at `place`."""
    async with world(Service(clock), place) as here:
        yield here
