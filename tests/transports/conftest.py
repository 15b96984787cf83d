"""One event loop for all tests of a module, so that they can share servers."""

import pytest


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"
