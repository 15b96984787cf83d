"""One event loop and one sandbox for all tests of a module, so that they can share servers."""

from collections.abc import AsyncIterator

import pytest

from tests.transports.http_server import RunningSandbox, running_sandbox


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningSandbox]:
    async with running_sandbox(tmp_path_factory.mktemp("home")) as sandbox:
        yield sandbox
