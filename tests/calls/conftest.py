import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kallyai_mcp.calls.ledger.base import Ledger
from tests.calls.places import ledger_at
from tests.redis_server import RedisServer, own_redis, redis_server

__all__ = ["own_redis", "redis_server"]


@pytest.fixture
def redis_place(redis_server: RedisServer) -> str:
    """A place in Redis where nobody has been."""
    return f"{redis_server.url}#test-{uuid.uuid4().hex}"


@pytest.fixture
def prefix(redis_place: str) -> str:
    """The prefix of that place's keys."""
    return redis_place.partition("#")[2]


@pytest.fixture(params=["sqlite", "redis"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place for a ledger, in each of the back ends."""
    if request.param == "sqlite":
        return str(tmp_path / "home" / "ledger.db")
    redis_place: str = request.getfixturevalue("redis_place")
    return redis_place


@pytest.fixture
async def ledger(where: str) -> AsyncIterator[Ledger]:
    ledger = ledger_at(where)
    yield ledger
    await ledger.aclose()
