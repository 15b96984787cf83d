"""An ASGI app in this process instead of the network; its failures are those of a server."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from starlette.types import ASGIApp

from kallyai_mcp.api.client import KallyAI, Timeouts
from kallyai_mcp.api.errors import KallyAIError, ResponseLostError
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


async def test_an_exception_of_the_app_is_logged_without_its_message(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")

    async def app(*_: Any) -> None:
        raise RuntimeError(TOKEN)

    async with client_of(app) as client:
        with pytest.raises(ResponseLostError) as caught:
            await client.create_call(SUBMISSION)
    assert TOKEN not in str(caught.value)
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warning.startswith("The API in this process failed: RuntimeError in app, line ")
    assert caplog.text.count(TOKEN) == 0


@pytest.mark.parametrize("parts", [0, 1, 2])
async def test_an_incomplete_response_of_the_app_is_a_lost_response(parts: int) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        if parts > 0:
            await send({"type": "http.response.start", "status": 201, "headers": []})
        if parts > 1:
            await send({"type": "http.response.body", "body": b'{"call_id": "c"}', "more_body": True})

    async with client_of(app) as client:
        with pytest.raises(ResponseLostError):
            await client.create_call(SUBMISSION)


async def test_an_exception_of_the_app_after_its_response_has_no_effect() -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await answer(send, {"error": {"code": "internal_error"}}, 500)
        raise RuntimeError

    async with client_of(app) as client:
        with pytest.raises(KallyAIError) as caught:
            await client.create_call(SUBMISSION)
    assert (caught.value.code, caught.value.status) == ("internal_error", 500)


async def test_a_get_is_retried_after_an_exception_of_the_app() -> None:
    tries: list[int] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise RuntimeError
        await answer(send, reference("statistics"))

    async with client_of(app) as client:
        assert (await client.get_statistics()).plan_type == "personal"
    assert len(tries) == 2


async def test_an_app_that_never_responds_times_out() -> None:
    async def app(*_: Any) -> None:
        await anyio.sleep_forever()

    tiny = Timeouts(connect=0.01, read=0.01, call=0.01, rest=0.02)
    async with client_of(app, timeouts=tiny) as client:
        with pytest.raises(ResponseLostError, match="took too long"):
            await client.create_call(SUBMISSION)
