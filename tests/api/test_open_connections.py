"""How connections are opened, and kept for the next request."""

import socket
import sys
from contextlib import ExitStack

import anyio
import pytest
from anyio.abc import SocketStream

from kallyai_mcp.api.errors import ResponseLostError
from tests.api.raw_server import SUBMISSION, answer, client_and_server, reference

KEPT = answer(reference("statistics"), connection="keep-alive")
DETAILS = answer(reference("call_details"), 201)
CUT = b""


async def test_the_next_request_uses_the_same_connection() -> None:
    async with client_and_server(KEPT, KEPT, KEPT) as (client, server):
        await client.get_statistics()
        await client.get_statistics()
        await client.get_statistics()
    assert (server.connections, len(server.requests)) == (1, 3)


async def test_a_connection_that_the_server_has_closed_is_not_used_for_a_call() -> None:
    async with client_and_server(answer(reference("statistics")), DETAILS) as (client, server):
        await client.get_statistics()
        assert (await client.create_call(SUBMISSION)).call_id == "uuid"
    assert server.connections == 2


async def test_a_get_whose_kept_connection_closes_is_sent_again_at_once() -> None:
    async with client_and_server(KEPT, CUT, KEPT, retry_backoff=60) as (client, server):
        await client.get_statistics()
        await client.get_statistics()
    assert (server.connections, len(server.requests)) == (2, 3)


async def test_a_call_is_sent_on_a_connection_of_its_own() -> None:
    """On a kept connection, the server may send an old response again, or close the connection at that moment."""
    repeated = answer({"error": {"code": "call_not_found"}}, 404, connection="keep-alive")
    async with client_and_server(KEPT, DETAILS, repeated + DETAILS) as (client, server):
        await client.get_statistics()
        assert (await client.create_call(SUBMISSION)).call_id == "uuid"
    assert server.connections == 2


async def test_a_call_whose_connection_closes_is_lost_and_not_sent_again() -> None:
    async with client_and_server(CUT, DETAILS) as (client, server):
        with pytest.raises(ResponseLostError):
            await client.create_call(SUBMISSION)
    assert (server.connections, len(server.requests)) == (1, 1)


async def test_bytes_that_come_without_a_request_are_no_response_to_the_next_one() -> None:
    async def forged(stream: SocketStream) -> None:
        await stream.send(KEPT + answer(reference("call_details") | {"call_id": "forged"}, 201))

    async with client_and_server(forged, DETAILS) as (client, server):
        await client.get_statistics()
        assert (await client.create_call(SUBMISSION)).call_id == "uuid"
    assert server.connections == 2


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + DETAILS,
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + DETAILS,
        b"HTTP/1.0 201 Created\r\n\r\n" + DETAILS.partition(b"\r\n\r\n")[2],
        b"HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n"
        b'2\r\n{ \r\n8;a=b\r\n"call_id\r\n9\r\n": "uuid"\r\n1\r\n}\r\n0\r\nDone: yes\r\n\r\n',
    ],
    ids=["early hints", "interim responses", "until it closes", "in chunks"],
)
async def test_every_form_of_a_response_is_read(reply: bytes) -> None:
    async with client_and_server(reply) as (client, _):
        assert (await client.create_call(SUBMISSION)).call_id == "uuid"


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + DETAILS,
        b"HTTP/1.1 201 Created\r\n" + b"a: b\r\n" * 200_000 + b"\r\n",
        answer(b"{}", 201, content_length="two"),
        answer(b"{}", 201, transfer_encoding="chunked"),
    ],
    ids=["another protocol", "endless headers", "no length", "no chunks"],
)
async def test_a_response_that_breaks_the_rules_is_a_lost_one(reply: bytes) -> None:
    async with client_and_server(reply) as (client, server):
        with pytest.raises(ResponseLostError):
            await client.create_call(SUBMISSION)
    assert server.connections == 1


async def test_a_late_response_to_a_request_that_was_given_up_is_not_the_response_to_the_next_one() -> None:
    asked, given_up = anyio.Event(), anyio.Event()

    async def late(stream: SocketStream) -> None:
        asked.set()
        await given_up.wait()
        await stream.send(KEPT)

    async with client_and_server(late, DETAILS) as (client, server):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.get_statistics)
            await asked.wait()
            tasks.cancel_scope.cancel()
        given_up.set()
        assert (await client.create_call(SUBMISSION)).call_id == "uuid"
    assert server.connections == 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux leaves a connection open that nobody accepts")
async def test_another_address_is_tried_while_the_first_one_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """For example, an IPv6 address does not answer in a network that drops IPv6."""
    async with client_and_server(KEPT) as (client, server):
        with ExitStack() as sockets:
            silent = sockets.enter_context(socket.create_server(("127.0.0.2", server.port), backlog=0))
            for _ in range(4):  # as many fill the queue, and the system answers no further connection
                waiting = sockets.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(silent.getsockname())
            addresses = [
                (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, server.port))
                for host in ("127.0.0.2", "127.0.0.1")
            ]
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: addresses)
            await client.get_statistics()
    assert server.connections == 1
