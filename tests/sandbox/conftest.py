"""Fixtures for requests to the sandbox, and their types."""

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import httpx2
import pytest

from kallyai_mcp.sandbox.app import SandboxApp
from tests.reference.cases import EXAMPLE
from tests.sandbox.sandbox_app import client_of

SignIn = Callable[..., dict[str, str]]
RequestBody = Callable[..., dict[str, Any]]
PlaceCall = Callable[..., Coroutine[Any, Any, httpx2.Response]]


@pytest.fixture
async def client(app: SandboxApp) -> AsyncIterator[httpx2.AsyncClient]:
    """An in-process client."""
    async with client_of(app) as client:
        yield client


@pytest.fixture
def sign_in(app: SandboxApp) -> SignIn:
    """Return headers with an access token: `sign_in(account="acct-personal", scopes=None)`."""

    def sign_in(account: str = "acct-personal", scopes: list[str] | None = None) -> dict[str, str]:
        tokens = app.state.sandbox.issue_tokens(account, scopes)
        return {"Authorization": f"Bearer {tokens['access_token']}"}

    return sign_in


@pytest.fixture
def body() -> RequestBody:
    """Return a body for `POST /v1/calls`: a full example, with changes to the submission's
    fields.
    """

    def body(timezone: str = "America/New_York", **changes: Any) -> dict[str, Any]:
        return {"submission": EXAMPLE | changes, "timezone": timezone}

    return body


@pytest.fixture
def place_call(client: httpx2.AsyncClient, sign_in: SignIn, body: RequestBody) -> PlaceCall:
    """Place a call: `place_call(account="acct-personal", key=None, **changes)` posts the example
    with these changes.
    """

    async def place_call(
        account: str = "acct-personal", key: str | None = None, **changes: Any
    ) -> httpx2.Response:
        headers = sign_in(account) | ({"Idempotency-Key": key} if key else {})
        return await client.post("/v1/calls", headers=headers, json=body(**changes))

    return place_call
