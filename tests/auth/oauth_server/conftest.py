"""One worker for all tests of a module, with the sandbox as KallyAI; a user for each test."""

from collections.abc import AsyncIterator

import pytest

from tests.auth.oauth_server.deployment import Deployment, User, deploy
from tests.transports.http_server import RunningSandbox


@pytest.fixture(scope="module")
async def server(sandbox: RunningSandbox) -> AsyncIterator[Deployment]:
    async with deploy(sandbox) as server:
        yield server


@pytest.fixture
async def user() -> AsyncIterator[User]:
    async with User() as user:
        yield user
