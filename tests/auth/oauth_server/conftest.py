"""One world for the tests of a module: the sandbox as KallyAI, and a worker of ours."""

from collections.abc import AsyncIterator

import pytest

from tests.auth.oauth_server.kit import Deployment, Person, deployed
from tests.redis_server import own_redis, redis_server
from tests.transports.http_server import RunningSandbox, running_sandbox

__all__ = ["own_redis", "redis_server"]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningSandbox]:
    async with running_sandbox(tmp_path_factory.mktemp("home")) as world:
        yield world


@pytest.fixture(scope="module")
async def server(world: RunningSandbox) -> AsyncIterator[Deployment]:
    async with deployed(world) as server:
        yield server


@pytest.fixture
async def person() -> AsyncIterator[Person]:
    async with Person() as person:
        yield person
