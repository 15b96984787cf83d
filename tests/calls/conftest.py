from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from kallyai_mcp.calls.ledger.base import Database
from kallyai_mcp.calls.ledger.ledger import Ledger
from kallyai_mcp.calls.ledger.shared_values import SharedValues
from kallyai_mcp.calls.ledger.webhooks import WebhookStore
from kallyai_mcp.calls.webhooks import MayTry, Webhooks
from kallyai_mcp.common_types import REVOKED_SIGN_IN
from tests.calls.ledgers import database_at, ledger_at
from tests.calls.manual_time import ManualClock
from tests.calls.samples import NOW
from tests.calls.webhook_receiver import Receiver, Revoke, Worker
from tests.postgres_server import PostgresDatabases


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place for a ledger, for each of the two drivers."""
    if request.param == "sqlite":
        return str(tmp_path / "home" / "ledger.db")
    url: str = request.getfixturevalue("database_url")
    return url


@pytest.fixture(params=["sqlite", "postgres"])
def new_place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The same without any tables."""
    if request.param == "sqlite":
        yield str(tmp_path / "home" / "ledger.db")
        return
    postgres: PostgresDatabases = request.getfixturevalue("postgres")
    url = postgres.create_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture
def clock() -> ManualClock:
    """A clock that only the test moves; it starts at `samples.NOW`."""
    return ManualClock(NOW)


@pytest.fixture
async def ledger(place: str, clock: ManualClock) -> AsyncIterator[Ledger]:
    """The ledger at `place`, with the time of `clock`."""
    ledger = ledger_at(place, clock.now, clock=clock)
    yield ledger
    await ledger.aclose()


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
async def worker(place: str, ledger: Ledger, receiver: Receiver, clock: ManualClock) -> AsyncIterator[Worker]:
    """Makes workers with databases of their own."""
    del ledger  # it makes the place
    databases: list[Database] = []

    def make(may_try: MayTry = lambda *_: 0.0) -> Webhooks:
        databases.append(database_at(place, clock.now))
        return Webhooks(WebhookStore(databases[-1]), receiver.post, clock, may_try)

    yield make
    for database in databases:
        await database.aclose()


@pytest.fixture
def revoke(place: str, clock: ManualClock) -> Revoke:
    async def revoking() -> None:
        async with aclosing(database_at(place, clock.now)) as database:
            await SharedValues(database).put(REVOKED_SIGN_IN, "family-1", "1", 3600)

    return revoking


@pytest.fixture
def webhooks(worker: Worker) -> Webhooks:
    return worker()
