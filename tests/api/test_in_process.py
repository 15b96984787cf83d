"""An ASGI app in this process instead of the network; its failures are those of a server."""

import json
from typing import Any

import anyio
import pytest
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from kallyai_mcp.api.client import KallyAI
from kallyai_mcp.api.errors import ResponseLostError
from kallyai_mcp.api.models import Call
from tests.api.raw_server import SUBMISSION, TOKEN, USER_AGENT, Tokens, reference


async def place_call(app: ASGIApp) -> Call:
    client = KallyAI("http://sandbox", app=app, tokens=Tokens(TOKEN), user_agent=USER_AGENT)
    with anyio.fail_after(60):
        return await client.create_call(SUBMISSION)


async def test_a_call_is_placed_without_a_network() -> None:
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        assert json.loads((await receive())["body"]) == {"submission": SUBMISSION.as_json()}
        await JSONResponse(reference("call_details"), 201)(scope, receive, send)

    assert (await place_call(app)).call_id == "uuid"
    (scope,) = scopes
    assert (scope["method"], scope["path"]) == ("POST", "/v1/calls")
    assert dict(scope["headers"])[b"authorization"] == f"Bearer {TOKEN}".encode()


async def test_an_exception_of_the_app_is_not_quoted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")

    async def app(*_: Any) -> None:
        raise RuntimeError(TOKEN)

    with pytest.raises(ResponseLostError) as caught:
        await place_call(app)
    assert TOKEN not in str(caught.value)
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "The API in this process failed",
        "POST http://sandbox/v1/calls: answer_lost",
    ]
