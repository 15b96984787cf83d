"""Failed connections: either nothing was sent, or the response is lost.

A GET is retried, a POST is not.
"""

import asyncio
import contextlib
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream

from kallyai_mcp.api import client as api_client
from kallyai_mcp.api import errors, transport
from kallyai_mcp.api.client import KallyAI
from kallyai_mcp.api.errors import NotConnectedError, ResponseLostError
from tests.api.raw_server import (
    DETAILS,
    STATISTICS,
    SUBMISSION,
    TOKEN,
    USER_AGENT,
    Tokens,
    client_and_server,
    reference,
)
from tests.fake_service import CloseWithoutReading, RawReply, answer, hang, tcp_server
from tests.processes import free_port

CUT = b""
LOST: dict[str, RawReply | CloseWithoutReading] = {
    "cut before the request was read": CloseWithoutReading(),
    "cut after the request was read": CUT,
    "cut in the body": DETAILS[:-10],
    "cut in a chunk": b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{",
    "not HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + DETAILS,
    "endless headers": b"HTTP/1.1 201 Created\r\n" + b"a: b\r\n" * 200_000 + b"\r\n",
    "no length": answer(b"{}", 201, content_length="two"),
    "two lengths": answer(b"{}", 201, Content_Length="3"),
    "no chunks": answer(b"{}", 201, transfer_encoding="chunked"),
    "not packed": answer(b"no gzip", 201, content_encoding="gzip"),
}
"""Responses that are none, by what is wrong with them."""


@pytest.mark.parametrize("reply", LOST.values(), ids=LOST)
async def test_a_call_with_broken_response_is_not_resent(
    reply: RawReply | CloseWithoutReading,
) -> None:
    async with client_and_server(reply, DETAILS) as (client, server):
        with pytest.raises(ResponseLostError) as caught:
            await client.create_call(SUBMISSION)
    assert server.connections == 1
    assert (caught.value.code, caught.value.status) == ("answer_lost", None)
    assert "may have acted" in caught.value.message
    assert caught.value.__context__ is None  # httpx2's error may quote a header


async def test_a_get_with_broken_responses_is_retried_thrice() -> None:
    replies = (
        LOST["cut before the request was read"],
        LOST["cut in a chunk"],
        LOST["not HTTP"],
        DETAILS,
    )
    async with client_and_server(*replies) as (client, server):
        assert (await client.get_call("uuid")).call_id == "uuid"
        server.replies = [CUT] * 9
        with pytest.raises(ResponseLostError):
            await client.get_call("uuid")
    assert server.connections == 4 + 4


@pytest.mark.parametrize(
    "part", [b" ", b"HTTP/1.1 102 Processing\r\n\r\n"], ids=["body", "interim responses"]
)
async def test_a_response_that_is_sent_slowly_times_out(
    part: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So much longer than a pause that no pause is too long.
    monkeypatch.setattr(api_client, "CALL_SECONDS", 0.5)

    async def drip(stream: SocketStream) -> None:
        if part == b" ":
            await stream.send(b"HTTP/1.1 201 Created\r\nContent-Length: 100000\r\n\r\n")
        while True:
            await stream.send(part)
            await anyio.sleep(0.01)

    async with client_and_server(drip) as (client, server):
        with pytest.raises(ResponseLostError, match="took too long"):
            await client.create_call(SUBMISSION)
    assert server.connections == 1


async def test_only_create_call_has_the_long_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_client, "RESPONSE_SECONDS", 0.05)
    received, released = anyio.Event(), anyio.Event()

    async def when_released(stream: SocketStream) -> None:
        received.set()
        await released.wait()
        await stream.send(DETAILS)

    async with (
        client_and_server(when_released, *[hang] * 4) as (client, _server),
        anyio.create_task_group() as tasks,
    ):
        calls = []

        async def call() -> None:
            calls.append(await client.create_call(SUBMISSION))

        tasks.start_soon(call)
        await received.wait()
        with pytest.raises(ResponseLostError):
            await client.get_statistics()
        released.set()
    assert [call.call_id for call in calls] == ["uuid"]


@pytest.mark.parametrize("ask", ["create_call", "get_statistics"])
async def test_a_refused_connection_means_that_nothing_was_sent(ask: str) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    client = KallyAI(url, tokens=Tokens(TOKEN), user_agent=USER_AGENT, retry_backoff=0)
    with (
        anyio.fail_after(60),
        pytest.raises(NotConnectedError, match="refused; nothing was sent") as caught,
    ):
        await getattr(client, ask)(*([SUBMISSION] if ask == "create_call" else []))
    assert caught.value.code == "connection_failed"
    assert url.removeprefix("http://") in caught.value.message
    assert caught.value.__context__ is None


async def test_no_byte_leaves_if_the_last_check_refuses() -> None:
    async def refuse() -> None:
        raise NotConnectedError("Too late")

    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        received.append(await reader.read())

    received: list[bytes] = []
    async with tcp_server(serve) as port:
        client = KallyAI(f"http://127.0.0.1:{port}", tokens=Tokens(TOKEN), user_agent=USER_AGENT)
        with pytest.raises(NotConnectedError, match="Too late"):
            await client.create_call(SUBMISSION, last_check=refuse)
    assert received == [b""]


async def test_a_slow_last_check_means_nothing_was_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport, "CONNECT_SECONDS", 0.3)

    class SlowTokens(Tokens):
        asked = 0

        async def access_token(self) -> str:
            self.asked += 1
            if self.asked > 1:
                await anyio.sleep_forever()
            return await super().access_token()

    async with client_and_server(hang, tokens=SlowTokens(TOKEN)) as (client, server):
        with pytest.raises(NotConnectedError, match="took too long; nothing was sent"):
            await client.create_call(SUBMISSION, last_check=anyio.lowlevel.checkpoint)
    assert server.requests == []


async def test_only_a_get_is_retried_after_some_statuses() -> None:
    async with client_and_server() as (client, server):
        for status in (429, 502, 503, 504):
            server.replies = [*[answer({}, status)] * 3, STATISTICS]
            assert (await client.get_statistics()).plan_type == "personal"
            server.replies = [answer({}, status, retry_after="0")] * 2
            with pytest.raises(errors.ServiceError):
                await client.create_call(SUBMISSION)
            with pytest.raises(errors.ServiceError):
                await client.refresh("r-1")
            assert server.replies == []
        for status in (400, 403, 404, 500):
            server.replies = [answer({}, status)]
            with pytest.raises(errors.ServiceError):
                await client.get_statistics()
        server.replies = [answer({"error": "warming_up"}, 503)] * 5
        with pytest.raises(errors.UnavailableError) as caught:
            await client.get_statistics()
    assert caught.value.code == "warming_up"
    assert len(server.replies) == 1
    assert len(server.requests) == 4 * (4 + 2) + 4 + 4


@pytest.mark.parametrize("waits", [["3600"], ["0", "30.5"]])
async def test_a_long_retry_after_is_raised_at_once(waits: list[str]) -> None:
    replies = [answer({"error": {"code": "rate_limited"}}, 429, retry_after=wait) for wait in waits]
    async with client_and_server(*replies) as (client, server):
        with pytest.raises(errors.RateLimitedError) as caught:
            await client.get_statistics()
    assert caught.value.retry_after == float(waits[-1])
    assert len(server.requests) == len(waits)


async def test_a_pause_longer_than_the_request_is_raised() -> None:
    async with client_and_server(answer(b"", 429, retry_after="29")) as (client, server):
        with anyio.fail_after(28), pytest.raises(errors.RateLimitedError) as caught:
            await client.get_statistics()
    assert caught.value.retry_after == 29
    assert len(server.requests) == 1


async def test_only_a_get_uses_a_connection_again() -> None:
    """On a used one, the service may have sent a second response, or may be closing it."""
    kept = answer(reference("statistics"), connection="keep-alive")
    details = answer(reference("call_details"), 201, connection="keep-alive")
    forged = answer(reference("call_details") | {"call_id": "forged"}, 201)

    async def answer_three(stream: SocketStream) -> None:
        for last in (False, False, True):
            await stream.send(kept)
            await (hang(stream) if last else stream.receive())

    async def answer_too_often(stream: SocketStream) -> None:
        await stream.send(details + forged)
        await hang(stream)

    async with client_and_server(answer_three, answer_too_often, answer_too_often) as (
        client,
        server,
    ):
        for asked in (
            "get_statistics",
            "create_call",
            "get_statistics",
            "create_call",
            "get_statistics",
        ):
            got: Any = await getattr(client, asked)(
                *([SUBMISSION] if asked == "create_call" else [])
            )
            assert (
                (got.call_id == "uuid") if asked == "create_call" else (got.plan_type == "personal")
            )
        assert server.connections == 3


async def test_a_closed_connection_is_not_used_again() -> None:
    """KallyAI and proxies close connections that are idle for some time."""
    kept = answer(reference("statistics"), connection="keep-alive")
    closed = anyio.Event()

    async def answer_and_close(stream: SocketStream) -> None:
        await stream.send(kept)
        await stream.aclose()
        closed.set()

    async with client_and_server(answer_and_close, kept) as (client, server):
        await client.get_statistics()
        await closed.wait()
        assert (await client.get_statistics()).plan_type == "personal"
        assert server.connections == 2


async def test_closing_the_client_waits_for_connections_in_use() -> None:
    closed = anyio.Event()

    async def answer_late(stream: SocketStream) -> None:
        await client.aclose()
        await stream.send(answer(reference("statistics"), connection="keep-alive"))
        with contextlib.suppress(anyio.EndOfStream):
            await stream.receive()
        closed.set()

    async with client_and_server(answer_late) as (client, _):
        assert (await client.get_statistics()).plan_type == "personal"
        await closed.wait()
