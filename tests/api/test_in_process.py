"""An ASGI app in this process instead of the network; its failures are those of a server."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from starlette.types import ASGIApp

from kallyai_mcp.api.client import KallyAI
from kallyai_mcp.api.errors import ResponseLostError
from tests.api.raw_server import SUBMISSION, TOKEN, USER_AGENT, Tokens, reference


async def answer(send: Any, body: Any, status: int = 200) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})


@asynccontextmanager
async def client_of(app: ASGIApp, **options: Any) -> AsyncIterator[KallyAI]:
    given: dict[str, Any] = {"tokens": Tokens(TOKEN), "user_agent": USER_AGENT, "retry_backoff": 0} | options
    with anyio.fail_after(10):
        yield KallyAI("http://sandbox", app=app, **given)


async def test_a_call_is_placed_without_a_network() -> None:
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        assert json.loads((await receive())["body"]) == {"submission": SUBMISSION.as_json()}
        await answer(send, reference("call_details"), 201)

    async with client_of(app) as client:
        assert (await client.create_call(SUBMISSION)).call_id == "uuid"
    (scope,) = scopes
    assert (scope["method"], scope["path"]) == ("POST", "/v1/calls")
    assert dict(scope["headers"])[b"authorization"] == f"Bearer {TOKEN}".encode()


async def test_an_exception_of_the_app_is_a_lost_response_without_its_message(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")

    async def app(*_: Any) -> None:
        raise RuntimeError(TOKEN)

    async with client_of(app) as client:
        with pytest.raises(ResponseLostError) as caught:
            await client.create_call(SUBMISSION)
    assert TOKEN not in str(caught.value)
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "The API in this process failed"
    ]


async def test_an_incomplete_response_of_the_app_is_a_lost_response() -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 201, "headers": []})
        await send({"type": "http.response.body", "body": b'{"call_id": "c"}', "more_body": True})

    async with client_of(app) as client:
        with pytest.raises(ResponseLostError):
            await client.create_call(SUBMISSION)
