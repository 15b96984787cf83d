from collections.abc import AsyncIterator, Iterator
from typing import Annotated

import httpx2
import pytest
from anyio.from_thread import start_blocking_portal
from fastapi import Depends, FastAPI

from kallyai_mcp.sandbox.accounts import Account
from kallyai_mcp.sandbox.auth import browser_endpoints, identity_providers, token_endpoints
from kallyai_mcp.sandbox.auth.access import require
from kallyai_mcp.sandbox.errors import install_error_handlers
from kallyai_mcp.sandbox.serve import running
from kallyai_mcp.sandbox.state import Sandbox
from tests.sandbox.manual_clock import ManualClock


def make_app(sandbox: Sandbox) -> FastAPI:
    app = FastAPI()
    app.state.sandbox = sandbox
    for part in (browser_endpoints, token_endpoints, identity_providers):
        app.include_router(part.router)
    install_error_handlers(app)

    @app.get("/guarded")
    def guarded(account: Annotated[Account, Depends(require("calls:read"))]) -> str:
        return account.email

    return app


@pytest.fixture
def sandbox(clock: ManualClock) -> Iterator[Sandbox]:
    sandbox = Sandbox(None, 1, clock)
    yield sandbox
    sandbox.store.close()


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[httpx2.AsyncClient]:
    """An in-process client of a sandbox with the sign-in only."""
    transport = httpx2.ASGITransport(make_app(sandbox))
    async with httpx2.AsyncClient(transport=transport, base_url="http://sandbox.test") as client:
        yield client


@pytest.fixture
def server(sandbox: Sandbox) -> Iterator[str]:
    """The base URL of the same sandbox on a real port."""
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(running(make_app(sandbox))) as url,
    ):
        yield url
