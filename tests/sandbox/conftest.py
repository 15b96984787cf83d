"""Fixtures for requests to the sandbox."""

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from kallyai_mcp.sandbox.app import SandboxApp
from tests.reference.cases import EXAMPLE
from tests.sandbox.fixture_types import PlaceCall, RequestBody, SignIn
from tests.sandbox.sandbox_app import sandbox_app


def _operation(document: dict[str, Any], method: str, path: str) -> dict[str, Any] | None:
    for template, methods in document["paths"].items():
        pattern = re.sub(r"\\{[a-z_]+\\}", "[^/]+", re.escape(template))
        if re.fullmatch(pattern, path) and method.lower() in methods:
            operation: dict[str, Any] = methods[method.lower()]
            return operation
    return None


@pytest.fixture(scope="session")
def document() -> dict[str, Any]:
    """The sandbox's OpenAPI document."""
    with sandbox_app() as app:
        return app.openapi()


@pytest.fixture
async def client(app: SandboxApp, document: dict[str, Any]) -> AsyncIterator[httpx2.AsyncClient]:
    """An in-process client that fails on a status that the OpenAPI document does not have."""

    async def documented(response: httpx2.Response) -> None:
        operation = _operation(document, response.request.method, response.request.url.path)
        if operation is not None and response.status_code != 500:
            assert str(response.status_code) in operation["responses"], f"undocumented: {response}"

    transport = httpx2.ASGITransport(app)
    hooks = {"response": [documented]}
    async with httpx2.AsyncClient(transport=transport, base_url="http://sandbox.test", event_hooks=hooks) as client:
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
    """Return a body for `POST /v1/calls`: a full example, with changes to the submission's fields."""

    def body(timezone: str = "America/New_York", **changes: Any) -> dict[str, Any]:
        return {"submission": EXAMPLE | changes, "timezone": timezone}

    return body


@pytest.fixture
def place_call(client: httpx2.AsyncClient, sign_in: SignIn, body: RequestBody) -> PlaceCall:
    """Place a call: `place_call(account="acct-personal", key=None, **changes)` posts the example with these changes."""

    async def place_call(account: str = "acct-personal", key: str | None = None, **changes: Any) -> httpx2.Response:
        headers = sign_in(account) | ({"Idempotency-Key": key} if key else {})
        return await client.post("/v1/calls", headers=headers, json=body(**changes))

    return place_call
