"""Slow clients, startup, and shutdown of the web server."""

import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from pathlib import Path

import anyio
import httpx2
import pytest
from anyio.abc import SocketStream
from anyio.from_thread import start_blocking_portal
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from kallyai_mcp.transports import limits, uvicorn_server
from kallyai_mcp.transports.limits import Interruptions
from kallyai_mcp.transports.uvicorn_server import StartupError
from tests.processes import COMMAND, environment, free_port
from tests.transports.http_server import CALL, LIMIT, RunningSandbox, connected_agent, running_app, running_server


async def read_until_closed(stream: SocketStream) -> bytes:
    """All bytes that the server sends before it closes the connection."""
    received = b""
    with anyio.fail_after(LIMIT):
        try:
            async for part in stream:
                received += part
        except anyio.BrokenResourceError:
            pass
    return received


@pytest.mark.parametrize("sent", [b"", b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-Slow: "])
async def test_a_connection_without_complete_headers_is_closed(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(uvicorn_server, "HEADER_TIMEOUT", 0.2)
    async with (
        running_server(sandbox.settings()) as url,
        await anyio.connect_tcp("127.0.0.1", int(url.rpartition(":")[2])) as stream,
    ):
        await stream.send(sent)
        received = await read_until_closed(stream)

    assert received == b""


async def test_a_second_request_without_complete_headers_is_closed_too(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uvicorn_server, "HEADER_TIMEOUT", 0.2)
    async with (
        running_server(sandbox.settings()) as url,
        await anyio.connect_tcp("127.0.0.1", int(url.rpartition(":")[2])) as stream,
    ):
        await stream.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        first = await stream.receive()
        await stream.send(b"GET /health HTTP/1.1\r\n")
        rest = await read_until_closed(stream)

    assert first.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1" not in rest


@pytest.mark.parametrize("path", ["/mcp", "/messages/?session_id=00000000000000000000000000000000"])
async def test_an_incomplete_body_is_answered_with_408(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(limits, "BODY_TIMEOUT", 0.2)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{{"
    async with (
        running_server(sandbox.settings()) as url,
        await anyio.connect_tcp("127.0.0.1", int(url.rpartition(":")[2])) as stream,
    ):
        await stream.send(head.encode())
        received = await read_until_closed(stream)

    assert received.startswith(b"HTTP/1.1 408 ")


async def test_an_open_stream_outlives_the_timeouts_of_requests(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BODY_TIMEOUT", 0.05)
    monkeypatch.setattr(uvicorn_server, "HEADER_TIMEOUT", 0.05)
    async with running_server(sandbox.settings()) as url:
        with anyio.fail_after(LIMIT):
            async with connected_agent(url, "sse") as agent:
                waited = await agent.use("make_call", CALL, wait_seconds=0.5)
                quota = await agent.use("check_quota")

    assert waited.data["status"] == "in_progress"
    assert not quota.is_error


async def test_a_timeout_inside_the_app_is_not_answered_with_408() -> None:
    async def raise_timeout(request: Request) -> Response:
        await request.body()
        raise TimeoutError

    app = Starlette(routes=[Route("/", raise_timeout, methods=["POST"])], middleware=[Middleware(Interruptions)])
    async with running_app(app) as url, httpx2.AsyncClient() as client:
        response = await client.post(url, content=b"all of it")

    assert response.status_code == 500


@pytest.mark.parametrize("endless", [b"X-Long: " + b"a" * 65_536, b"a: b\r\n" * 200, b"X" * 65_536])
async def test_a_request_with_endless_headers_is_closed(endless: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn_server, "HEADER_TIMEOUT", 10 * LIMIT)
    async with (
        running_app(Starlette(routes=[Route("/", _hello)])) as url,
        await anyio.connect_tcp("127.0.0.1", int(url.rpartition(":")[2])) as stream,
        anyio.create_task_group() as tasks,
    ):
        await stream.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        tasks.start_soon(_send_until_closed, stream, endless)
        received = await read_until_closed(stream)
        tasks.cancel_scope.cancel()

    assert received.startswith(b"HTTP/1.1 400 ") or received == b""


@pytest.mark.parametrize("long", [b"GET /%s HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nX-Long: %s\r\n"])
async def test_headers_of_more_than_64_kib_are_refused_also_if_they_end_with_the_next_read(long: bytes) -> None:
    async with (
        running_app(Starlette(routes=[Route("/{any:path}", _hello)])) as url,
        await anyio.connect_tcp("127.0.0.1", int(url.rpartition(":")[2])) as stream,
    ):
        with suppress(anyio.BrokenResourceError):
            await stream.send(long % (b"a" * 100_000) + b"Host: localhost\r\n\r\n")
        received = await read_until_closed(stream)

    assert received.startswith(b"HTTP/1.1 400 ") or received == b""


@pytest.mark.parametrize(("number", "status"), [(uvicorn_server.MAX_HEADERS - 1, b"200"), (150, b"400")])
async def test_a_request_has_so_many_headers_however_short_they_are(number: int, status: bytes) -> None:
    async with (
        running_app(Starlette(routes=[Route("/", _hello)])) as url,
        await anyio.connect_tcp("127.0.0.1", int(url.rpartition(":")[2])) as stream,
    ):
        await stream.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"a: b\r\n" * (number - 1) + b"\r\n")
        with anyio.fail_after(LIMIT):
            received = await stream.receive()

    assert received.startswith(b"HTTP/1.1 " + status)


async def test_endless_headers_behind_an_open_response_are_closed() -> None:
    async def wait(_: Request) -> Response:
        await anyio.sleep_forever()
        raise AssertionError("unreachable")

    async with (
        running_app(Starlette(routes=[Route("/", wait)])) as url,
        await anyio.connect_tcp("127.0.0.1", int(url.rpartition(":")[2])) as stream,
        anyio.create_task_group() as tasks,
    ):
        await stream.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HTTP/1.1\r\nX-Long: ")
        tasks.start_soon(_send_until_closed, stream, b"a" * 65_536)
        await read_until_closed(stream)
        tasks.cancel_scope.cancel()


async def test_requests_that_are_sent_before_the_answers_are_limited() -> None:
    served = 0

    async def count(_: Request) -> Response:
        nonlocal served
        served += 1
        return PlainTextResponse("hello")

    async with (
        running_app(Starlette(routes=[Route("/", count)])) as url,
        await anyio.connect_tcp("127.0.0.1", int(url.rpartition(":")[2])) as stream,
        anyio.create_task_group() as tasks,
    ):
        one = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
        await stream.send(one * 3)  # a few are answered
        with anyio.fail_after(LIMIT):
            answered = b""
            while answered.count(b"hello") < 3:
                answered += await stream.receive()
        tasks.start_soon(_send_until_closed, stream, one * 2000)
        await read_until_closed(stream)
        tasks.cancel_scope.cancel()

    assert served < 100


async def test_a_client_that_does_not_read_its_answer_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn_server, "WRITE_TIMEOUT", 0.2)
    ended = anyio.Event()

    async def parts() -> AsyncIterator[bytes]:
        try:
            while True:
                await anyio.lowlevel.checkpoint()
                yield b"a" * 1_000_000
        finally:
            ended.set()

    async def endless(_: Request) -> Response:
        return StreamingResponse(parts())

    async with (
        running_app(Starlette(routes=[Route("/", endless)])) as url,
        await anyio.connect_tcp("127.0.0.1", int(url.rpartition(":")[2])) as stream,
    ):
        await stream.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with anyio.fail_after(LIMIT):
            await ended.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process can't read another one's limits")
async def test_a_server_opens_as_many_files_as_the_system_allows(tmp_path: Path) -> None:
    import resource

    port = free_port()
    limited = ["sh", "-c", 'ulimit -Sn 256 && exec "$@"', "sh"]
    command = [*limited, *COMMAND, "serve", "--transport", "http", "--port", str(port)]
    async with await anyio.open_process(command, env=environment(tmp_path), stderr=subprocess.PIPE) as server:
        assert server.stderr is not None
        try:
            with anyio.fail_after(LIMIT):
                while b"serves" not in await server.stderr.receive():
                    pass
            soft, hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
            async with AsyncExitStack() as idle, httpx2.AsyncClient() as client:
                for _ in range(300):
                    await idle.enter_async_context(await anyio.connect_tcp("127.0.0.1", port))
                answer = await client.get(f"http://127.0.0.1:{port}/health")
        finally:
            server.kill()

    assert soft == min(hard, 65_536)
    assert answer.status_code == 200


async def test_half_of_the_files_are_kept_for_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn_server, "most_connections", lambda: 1)
    async with running_app(Starlette(routes=[Route("/", _hello)])) as url:
        port = int(url.rpartition(":")[2])
        async with await anyio.connect_tcp("127.0.0.1", port) as first, httpx2.AsyncClient() as client:
            await first.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = await first.receive()
            with pytest.raises(httpx2.TransportError):
                await client.get(url)

    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_an_app_can_be_served_outside_of_the_main_thread() -> None:
    async def hello(_: Request) -> Response:
        return PlainTextResponse("Hello")

    app = Starlette(routes=[Route("/", hello)])
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(running_app(app)) as url:
        async with httpx2.AsyncClient() as client:
            response = await client.get(url)

    assert response.text == "Hello"


class FailingLifespan(AbstractAsyncContextManager[None]):
    async def __aenter__(self) -> None:
        raise OSError("startup fails")

    async def __aexit__(self, *exc: object) -> None:
        pass


async def test_an_app_that_fails_to_start_raises_a_startup_error() -> None:
    app = Starlette(lifespan=lambda _: FailingLifespan())
    with anyio.fail_after(LIMIT), pytest.raises(StartupError, match="the log says why"):
        await uvicorn_server.serve_app(app, "127.0.0.1", 0, ready=lambda _: None)


async def test_localhost_is_served_on_both_of_its_addresses() -> None:
    addresses = {found[4][0] for found in await anyio.getaddrinfo("localhost", 0)}
    if not socket.has_ipv6 or "::1" not in addresses or not _has_address("::1"):
        addresses = {"127.0.0.1"}
    async with running_app(Starlette(routes=[Route("/", _hello)]), host="localhost") as url:
        port = int(url.rpartition(":")[2])
        for address in addresses:
            async with await anyio.connect_tcp(address, port):
                pass


def _has_address(address: str) -> bool:
    try:
        socket.create_server((address, 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


async def _send_until_closed(stream: SocketStream, part: bytes) -> None:
    with suppress(anyio.BrokenResourceError):
        while True:
            await stream.send(part)


def _hello(request: Request) -> Response:
    del request
    return PlainTextResponse("hello")
