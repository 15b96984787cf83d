"""The token is sent only to KallyAI's own origin, and a rejected one is renewed once."""

import logging
from itertools import product

import pytest

from kallyai_mcp.api import errors
from kallyai_mcp.api.errors import KallyAIError, NotConnectedError, ResponseLostError
from tests.api.raw_server import (
    DETAILS,
    FRESH,
    SUBMISSION,
    TOKEN,
    Tokens,
    client_and_server,
    reference,
)
from tests.fake_service import answer

UNAUTHORIZED = answer({"error": {"code": "token_expired", "details": {"message": "Expired"}}}, 401)


async def test_after_401_a_request_gets_a_new_token() -> None:
    tokens = Tokens(TOKEN, FRESH, "a-third-token")
    async with client_and_server(
        UNAUTHORIZED, DETAILS, UNAUTHORIZED, UNAUTHORIZED, tokens=tokens
    ) as (client, server):
        await client.create_call(SUBMISSION, idempotency_key="k-1")
        first, second = server.requests
        with pytest.raises(errors.UnauthorizedError) as caught:
            await client.list_calls()
    assert [each.headers["authorization"] for each in (first, second)] == [
        f"Bearer {TOKEN}",
        f"Bearer {FRESH}",
    ]
    assert (first.body, first.headers["idempotency-key"]) == (
        second.body,
        second.headers["idempotency-key"],
    )
    assert (caught.value.code, caught.value.message) == ("token_expired", "Expired")
    assert tokens.rejected == [TOKEN, FRESH]
    assert len(server.requests) == 4


class FailingTokens:
    """A token source whose renewal fails, on first use or after a 401."""

    def __init__(self, error: KallyAIError, *, on_first_use: bool) -> None:
        self.error = error
        self.on_first_use = on_first_use

    async def access_token(self) -> str:
        if self.on_first_use:
            raise self.error
        return TOKEN

    async def renew(self, rejected: str) -> str:
        assert rejected == TOKEN
        raise self.error


@pytest.mark.parametrize("on_first_use", [True, False])
@pytest.mark.parametrize(
    "error",
    [
        ResponseLostError("The refresh failed", correlation_id="id-1"),
        errors.UnavailableError(
            "Unavailable", code="http_503", status=503, correlation_id="id-1", retry_after=7
        ),
    ],
)
async def test_after_a_failed_renewal_nothing_was_sent(
    error: KallyAIError, on_first_use: bool
) -> None:
    replies = [] if on_first_use else [UNAUTHORIZED]
    async with client_and_server(
        *replies, tokens=FailingTokens(error, on_first_use=on_first_use)
    ) as (client, server):
        with pytest.raises(NotConnectedError) as caught:
            await client.create_call(SUBMISSION)
    assert len(server.requests) == len(replies)
    assert error.message in caught.value.message
    assert (caught.value.code, caught.value.reason) == ("connection_failed", error.code)
    assert (caught.value.correlation_id, caught.value.retry_after) == ("id-1", error.retry_after)


@pytest.mark.parametrize("method", ["create_call", "list_calls"])
async def test_redirects_are_not_followed(method: str) -> None:
    async with client_and_server() as (_, other), client_and_server() as (client, server):
        locations = (
            f"http://me:pw@localhost:{other.port}/v1/calls?t=1",
            "/v2/calls",
            "http://[::1",
        )
        for status, location in product((301, 303, 307, 399), locations):
            server.replies = [answer(b"", status, location=location)]
            with pytest.raises(KallyAIError) as caught:
                await getattr(client, method)(*([SUBMISSION] if method == "create_call" else []))
            assert (caught.value.code, caught.value.status) == ("redirected", status)
            # The response to a POST is at another address.
            is_lost = isinstance(caught.value, ResponseLostError)
            assert is_lost == (status == 303 and method == "create_call")
            assert (
                "localhost" if "localhost" in location else "another address"
            ) in caught.value.message
            assert "pw" not in caught.value.message
    assert (other.connections, len(server.requests)) == (0, 12)


async def test_no_token_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    # Another test may have configured them.
    for name in (None, "httpcore2", "httpx2", "kallyai_mcp"):
        caplog.set_level(logging.DEBUG, name)
    async with client_and_server(UNAUTHORIZED, DETAILS, tokens=Tokens(TOKEN, FRESH)) as (
        client,
        server,
    ):
        await client.create_call(SUBMISSION)
        server.replies = [answer(reference("token")), answer({}, 500)]
        await client.refresh("rt_0123456789abcdefghij")
        with pytest.raises(errors.UnavailableError):
            await client.exchange_code(
                "the-code-0123456789", "https://x.example/cb", "id", "the-secret-0123456789"
            )
        assert "first-token" not in repr(client)
    assert len(caplog.records) > 10
    for word in ("eyJ", "first-token", "fresh-token", "rt_0123", "the-code", "the-secret"):
        assert word not in caplog.text
