"""The token goes to KallyAI's own origin and nowhere else, and a rejected one is renewed once."""

import logging
from typing import Any

import httpx
import pytest

from kallyai_mcp.api import errors
from kallyai_mcp.api.bearer import BearerAuth
from kallyai_mcp.api.errors import KallyAIError, NotConnectedError, NotSignedInError, ResponseLostError
from tests.api.raw_server import FRESH, SUBMISSION, TOKEN, Tokens, answer, reference, talking

DETAILS = answer(reference("call_details"), 201)
UNAUTHORIZED = answer({"error": {"code": "token_expired", "details": {"message": "Expired"}}}, 401)


async def test_after_a_401_the_same_call_is_sent_once_more_with_a_renewed_token() -> None:
    tokens = Tokens(TOKEN, FRESH)
    async with talking(UNAUTHORIZED, DETAILS, tokens=tokens) as (client, server):
        await client.create_call(SUBMISSION, idempotency_key="k-1")
    first, second = server.seen
    assert tokens.rejected == [TOKEN]
    assert [seen.headers["authorization"] for seen in server.seen] == [f"Bearer {TOKEN}", f"Bearer {FRESH}"]
    assert (first.body, first.headers["idempotency-key"]) == (second.body, second.headers["idempotency-key"])


async def test_a_second_401_is_the_answer() -> None:
    tokens = Tokens(TOKEN, FRESH, "a-third-token")
    async with talking(UNAUTHORIZED, UNAUTHORIZED, tokens=tokens) as (client, server):
        with pytest.raises(errors.UnauthorizedError) as caught:
            await client.list_calls()
    assert (caught.value.code, caught.value.message) == ("token_expired", "Expired")
    assert tokens.rejected == [TOKEN]
    assert len(server.seen) == 2


async def test_a_401_without_another_token_asks_for_a_sign_in() -> None:
    async with talking(UNAUTHORIZED) as (client, server):
        with pytest.raises(NotSignedInError):
            await client.list_calls()
    assert len(server.seen) == 1


async def test_a_token_that_is_not_renewed_is_not_sent_twice() -> None:
    async with talking(UNAUTHORIZED, tokens=Tokens(TOKEN, TOKEN)) as (client, server):
        with pytest.raises(errors.UnauthorizedError):
            await client.list_calls()
    assert len(server.seen) == 1


async def test_a_401_to_a_sign_in_is_the_answer_and_asks_for_no_token() -> None:
    tokens = Tokens(TOKEN, FRESH)
    async with talking(UNAUTHORIZED, tokens=tokens) as (client, server):
        with pytest.raises(errors.UnauthorizedError):
            await client.refresh("r-1")
    assert tokens.rejected == []
    assert len(server.seen) == 1


class Troubled:
    """A token source whose own renewal fails, before a request or after a 401."""

    def __init__(self, error: KallyAIError, *, at_first: bool) -> None:
        self.error = error
        self.at_first = at_first

    async def access_token(self) -> str:
        if self.at_first:
            raise self.error
        return TOKEN

    async def renew(self, rejected: str) -> str:
        assert rejected == TOKEN
        raise self.error


@pytest.mark.parametrize("at_first", [True, False])
@pytest.mark.parametrize(
    "error",
    [
        ResponseLostError("The refresh broke off", correlation_id="id-1"),
        errors.UnavailableError("Out of order", code="http_503", status=503, correlation_id="id-1", retry_after=7),
        errors.UnreadableResponseError("A web page", correlation_id="id-1"),
        errors.RateLimitedError("Too many", correlation_id="id-1"),
    ],
)
async def test_trouble_with_the_renewal_is_not_taken_for_trouble_with_the_call(
    error: KallyAIError, at_first: bool
) -> None:
    replies = [] if at_first else [UNAUTHORIZED]
    async with talking(*replies, tokens=Troubled(error, at_first=at_first)) as (client, server):
        with pytest.raises(NotConnectedError) as caught:
            await client.create_call(SUBMISSION)
    assert len(server.seen) == len(replies)
    assert error.message in caught.value.message
    assert (caught.value.code, caught.value.reason) == ("connection_failed", error.code)
    assert (caught.value.correlation_id, caught.value.retry_after) == ("id-1", error.retry_after)


@pytest.mark.parametrize("error", [NotSignedInError("Sign in"), NotConnectedError("No network")])
async def test_what_says_already_that_nothing_was_sent_goes_through(error: KallyAIError) -> None:
    async with talking(tokens=Troubled(error, at_first=True)) as (client, server):
        with pytest.raises(type(error)) as caught:
            await client.create_call(SUBMISSION)
    assert caught.value is error
    assert server.connections == 0


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "señal"])
async def test_a_damaged_token_is_never_sent_nor_shown(token: str) -> None:
    async with talking(tokens=Tokens(token)) as (client, server):
        with pytest.raises(NotSignedInError) as caught:
            await client.create_call(SUBMISSION)
    assert server.connections == 0
    assert not token or token not in caught.value.message


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_get_is_followed_within_the_origin_with_the_token(status: int) -> None:
    replies = [answer(b"", status, location="/v2/calls/c?x=1"), answer(reference("call_details"))]
    async with talking(*replies) as (client, server):
        assert (await client.get_call("c")).call_id == "uuid"
    assert [seen.target for seen in server.seen] == ["/v1/calls/c", "/v2/calls/c?x=1"]
    assert server.seen[1].headers["authorization"] == f"Bearer {TOKEN}"


async def test_a_get_that_is_sent_on_without_end_is_given_up() -> None:
    async with talking(*[answer(b"", 302, location="/v1/again")] * 9) as (client, server):
        with pytest.raises(errors.ServiceError) as caught:
            await client.get_call("c")
    assert caught.value.code == "redirected"
    assert len(server.seen) == 4


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["create_call", "list_calls", "refresh"])
async def test_another_host_is_never_asked_and_never_sees_the_token(status: int, method: str) -> None:
    arguments: dict[str, list[Any]] = {"create_call": [SUBMISSION], "list_calls": [], "refresh": ["a-refresh-token"]}
    async with talking() as (_, other), talking() as (client, server):
        server.replies = [answer(b"", status, location=f"http://me:pw@localhost:{other.port}/v1/calls?t=1")]
        with pytest.raises(KallyAIError) as caught:
            await getattr(client, method)(*arguments[method])
    assert other.connections == 0
    assert (caught.value.code, caught.value.status) == ("redirected", status)
    assert "localhost" in caught.value.message
    assert "pw" not in caught.value.message


@pytest.mark.parametrize("status", [302, 307])
async def test_the_token_stays_behind_even_where_a_redirect_to_another_host_is_followed(status: int) -> None:
    async with talking(UNAUTHORIZED) as (_, other), talking() as (_, server):
        server.replies = [answer(b"", status, location=f"{other.url}/x"), UNAUTHORIZED]
        tokens = Tokens(TOKEN, FRESH)
        bearer = BearerAuth(tokens, httpx.URL(server.url))
        async with httpx.AsyncClient(auth=bearer, trust_env=False) as client:
            sent_on = await client.get(f"{server.url}/v1/calls")
            assert sent_on.next_request is not None
            assert (await client.send(sent_on.next_request)).status_code == 401
            signed_by_hand = client.build_request("GET", other.url, headers={"Authorization": f"Bearer {TOKEN}"})
            await client.send(signed_by_hand)
    assert [seen.headers.get("authorization") for seen in (*server.seen, *other.seen)] == [
        f"Bearer {TOKEN}",
        None,
        None,
    ]
    assert tokens.rejected == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_post_is_not_followed_even_within_the_origin(status: int) -> None:
    async with talking(answer(b"", status, location="/v2/calls")) as (client, server):
        with pytest.raises(errors.ServiceError) as caught:
            await client.create_call(SUBMISSION)
    assert caught.value.code == "redirected"
    assert len(server.seen) == 1


async def test_a_post_whose_answer_is_elsewhere_is_a_lost_answer() -> None:
    async with talking(answer(b"", 303, location="/v1/calls/c")) as (client, server):
        with pytest.raises(ResponseLostError) as caught:
            await client.create_call(SUBMISSION)
    assert (caught.value.code, caught.value.status) == ("redirected", 303)
    assert len(server.seen) == 1


@pytest.mark.parametrize("location", ["", "http://[::1", "mailto:me@example.com"])
async def test_a_redirect_to_nowhere_is_an_error_of_ours(location: str) -> None:
    async with talking(*[answer(b"", 302, location=location)] * 4) as (client, _):
        with pytest.raises(KallyAIError):
            await client.list_calls()


async def test_no_token_comes_into_a_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with talking(UNAUTHORIZED, DETAILS, tokens=Tokens(TOKEN, FRESH)) as (client, server):
        await client.create_call(SUBMISSION)
        server.replies = [answer(reference("token")), answer({}, 500)]
        await client.refresh("rt_0123456789abcdefghij")
        with pytest.raises(errors.UnavailableError):
            await client.exchange_code("the-code-0123456789", "https://x.example/cb", "id", "the-secret-0123456789")
        assert "first-token" not in repr(client)
    assert len(caplog.records) > 10
    for word in ("eyJ", "first-token", "fresh-token", "rt_0123", "the-code", "the-secret"):
        assert word not in caplog.text
