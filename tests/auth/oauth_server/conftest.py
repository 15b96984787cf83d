"""One sandbox, as KallyAI, and one worker for all tests of a module; a user for each test."""

from collections.abc import AsyncIterator

import pytest

from tests.auth.oauth_server.deployment import Deployment, User, deploy
from tests.transports.http_server import RunningSandbox, running_sandbox


@pytest.fixture(scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningSandbox]:
    async with running_sandbox(tmp_path_factory.mktemp("home")) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
async def server(sandbox: RunningSandbox) -> AsyncIterator[Deployment]:
    async with deploy(sandbox) as server:
        yield server


@pytest.fixture
async def user() -> AsyncIterator[User]:
    async with User() as user:
        yield user
