"""What one client may use of the web server: time, headers, connections, and streams."""

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from anyio.abc import SocketStream
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from kallyai_mcp.transports import access, uvicorn_server
from kallyai_mcp.transports.rate_limiter import RateLimiter
from tests.auth.oauth_server.deployment import User, deploy, sign_in
from tests.processes import COMMAND, environment, free_port
from tests.transports.http_server import (
    ACCEPT,
    LIMIT,
    RunningSandbox,
    initialize,
    running_app,
    running_server,
)

HEAD = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
STREAM = b"GET /sse HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
async def url(sandbox: RunningSandbox) -> AsyncIterator[str]:
    """The URL of a server that most of the tests share."""
    async with running_server(sandbox.settings()) as url:
        yield url


@asynccontextmanager
async def connection(url: str) -> AsyncIterator[SocketStream]:
    async with await anyio.connect_tcp("127.0.0.1", int(url.rpartition(":")[2])) as stream:
        yield stream


async def read_until_closed(stream: SocketStream) -> bytes:
    """All bytes that the server sends before it closes the connection."""
    received = b""
    with anyio.fail_after(LIMIT), suppress(anyio.BrokenResourceError):
        async for part in stream:
            received += part
    return received


async def answer_to_endless(url: str, start: bytes, part: bytes) -> bytes:
    """What the server sends to a client that sends `part` again and again, until it closes the
    connection.
    """

    async def send() -> None:
        with suppress(anyio.BrokenResourceError):
            await stream.send(start)
            while True:
                await stream.send(part)

    async with connection(url) as stream, anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        received = await read_until_closed(stream)
        tasks.cancel_scope.cancel()
    return received


async def test_an_incomplete_request_is_closed_in_time(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    received: list[bytes] = []

    async def begin(sent: bytes, stream: SocketStream) -> None:
        await stream.send(sent)
        received.append(await read_until_closed(stream))

    async with AsyncExitStack() as stack, httpx2.AsyncClient(timeout=LIMIT) as client:
        used = await stack.enter_async_context(connection(url))
        await used.send(HEAD + b"\r\n")
        assert (await used.receive()).startswith(b"HTTP/1.1 200 ")
        monkeypatch.setattr(uvicorn_server, "REQUEST_TIMEOUT", 3.0)
        events = await stack.enter_async_context(client.stream("GET", f"{url}/sse"))
        lines = events.aiter_lines()
        while not (line := await anext(lines)).startswith("data: "):
            pass
        async with anyio.create_task_group() as tasks:  # the stream is older than these
            tasks.start_soon(begin, HEAD, used)
            for sent in (
                b"",
                HEAD + b"X-Slow: ",
                b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{",
            ):
                tasks.start_soon(begin, sent, await stack.enter_async_context(connection(url)))
        monkeypatch.undo()
        posted = await client.post(url + line.removeprefix("data: "), json=initialize())
        with anyio.fail_after(LIMIT):
            while "serverInfo" not in await anext(lines):
                pass

    assert received == [b""] * 4
    assert posted.status_code == 202


async def test_endless_headers_are_closed(url: str) -> None:
    for endless in (b"X-Long: " + b"a" * 65_536, b"a: b\r\n" * 200, b"X" * 65_536):
        received = await answer_to_endless(url, HEAD, endless)

        assert received.startswith(b"HTTP/1.1 400 ") or received == b""
    assert b"HTTP/1.1 200 " not in (await answer_to_endless(url, STREAM + HEAD, b"X" * 65_536))[12:]


async def test_headers_have_64_kib_and_100_lines(
    url: str,
) -> None:
    long = b"a" * 100_000
    for head, statuses in (
        (b"GET /%s HTTP/1.1\r\nHost: localhost\r\n" % long, {b"431", b"400", b""}),
        (HEAD + b"X-Long: %s\r\n" % long, {b"431", b""}),
        (HEAD + b"a: b\r\n" * 100, {b"431", b"400", b""}),
        (HEAD + b"a: b\r\n" * 99, {b"200"}),
    ):
        received = b""
        async with connection(url) as stream:
            with anyio.fail_after(LIMIT), suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                await stream.send(head + b"\r\n")
                received = await stream.receive()

        assert received[9:12] in statuses, head[:80]


CHUNKED = b"POST /health HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"


async def test_trailers_do_not_count_as_headers() -> None:
    """The whole request comes in one packet, so that all is parsed before the app begins."""
    trailers = (
        b"Authorization: Bearer x\r\nOrigin: https://x.example\r\nX-Forwarded-For: 192.0.2.1\r\n"
    )

    async def names(request: Request) -> Response:
        await request.body()
        return Response(" ".join(request.headers.keys()))

    app = Starlette(routes=[Route("/health", names, methods=["POST"])])
    async with running_app(app) as own, connection(own) as stream:
        await stream.send(CHUNKED + trailers + b"\r\n")
        with anyio.fail_after(LIMIT):
            received = await stream.receive()

    assert received.startswith(b"HTTP/1.1 200 ")
    assert received.endswith(b"\r\nhost transfer-encoding")


async def test_endless_trailers_are_closed(url: str) -> None:
    received = await answer_to_endless(url, CHUNKED, b"a: b\r\n" * 200)

    assert received.count(b"HTTP/1.1") <= 2
    assert received.endswith(b"Invalid HTTP request received.") or received == b""


async def test_pipelined_requests_are_limited(url: str) -> None:
    received = await answer_to_endless(url, b"", (HEAD + b"\r\n") * 2000)

    assert received.count(b"HTTP/1.1 200 ") < 100


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a connection that is not read")
async def test_a_client_that_reads_nothing_is_disconnected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
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
        running_app(Starlette(routes=[Route("/health", endless)])) as own,
        connection(own) as stream,
    ):
        await stream.send(HEAD + b"\r\n")
        with anyio.fail_after(LIMIT):
            await ended.wait()


@pytest.mark.programs
@pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere a process can't read another one's limits"
)
async def test_a_server_opens_as_many_files_as_allowed(tmp_path: Path) -> None:
    import resource

    port = free_port()
    limited = ["sh", "-c", 'ulimit -Sn 256 && exec "$@"', "sh"]
    command = [*limited, *COMMAND, "serve", "--transport", "http", "--port", str(port)]
    async with await anyio.open_process(
        command, env=environment(tmp_path), stderr=subprocess.PIPE
    ) as server:
        assert server.stderr is not None
        try:
            with anyio.fail_after(LIMIT):
                while b"serves" not in await server.stderr.receive():
                    pass
            async with httpx2.AsyncClient(timeout=LIMIT) as client:
                await client.get(f"http://127.0.0.1:{port}/health")
            soft, hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        finally:
            server.kill()

    assert soft == min(hard, 65_536)


async def test_half_of_the_files_are_kept_for_calls(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uvicorn_server, "most_connections", lambda: 1)
    async with (
        running_server(sandbox.settings()) as url,
        connection(url) as first,
        httpx2.AsyncClient() as client,
    ):
        await first.send(HEAD + b"\r\n")
        answer = await first.receive()
        with pytest.raises(httpx2.TransportError):
            await client.get(f"{url}/health")

    assert answer.startswith(b"HTTP/1.1 200 ")


def test_new_clients_do_not_wait_for_others() -> None:
    pytest.importorskip(
        "uvloop", reason="only uvloop accepts one connection of a socket in each turn"
    )
    answered = [0] * 256

    async def hello(_: Request) -> Response:
        return Response("hello")

    async def use_until_all_are_answered(number: int, url: str) -> None:
        async with connection(url) as stream:
            while not all(answered):
                await stream.send(HEAD + b"\r\n")
                await stream.receive()
                answered[number] += 1

    async def use() -> None:
        app = Starlette(routes=[Route("/health", hello)])
        async with running_app(app) as url, anyio.create_task_group() as tasks:
            for number in range(len(answered)):
                tasks.start_soon(use_until_all_are_answered, number, url)

    anyio.run(use, backend_options={"use_uvloop": True})

    assert max(answered) < 20


def test_a_rate_is_each_callers_moving_window() -> None:
    now = 1000.0
    limiter = RateLimiter("2/minute", clock=lambda: now)
    waits = [limiter.acquire("caller")]
    now += 20
    waits += [
        limiter.acquire("caller"),
        limiter.peek("caller"),
        limiter.acquire("caller"),
        limiter.acquire("other"),
    ]
    now += 40
    waits += [limiter.acquire("caller"), limiter.acquire("caller")]

    assert waits == [0, 0, 40, 40, 0, 0, 20]


def listen_request(**headers: str) -> dict[str, Any]:
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "tests", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"_meta": meta, "notifications": {"resourceSubscriptions": ["kallyai://calls"]}}
    version = {"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "subscriptions/listen"}
    message = {"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params}
    return {"json": message, "headers": ACCEPT | version | headers}


async def test_so_many_streams_may_be_open(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "MOST_PER_CALLER", 2)
    monkeypatch.setattr(access, "MOST_STREAMS", 3)
    one, other, third = (
        {"Authorization": f"Bearer {sandbox.token(name)}"}
        for name in ("acct-personal", "acct-trial", "acct-business")
    )
    with anyio.fail_after(LIMIT):
        async with (
            running_server(sandbox.settings(), auth="caller") as url,
            httpx2.AsyncClient(timeout=LIMIT) as client,
        ):
            async with (
                client.stream("GET", f"{url}/sse", headers=one) as events,
                client.stream("POST", f"{url}/mcp", **listen_request(**one)) as listening,
                client.stream("GET", f"{url}/sse", headers=other) as others,
            ):
                open_ = [stream.aiter_lines() for stream in (events, listening, others)]
                assert all([await anext(lines) for lines in open_])
                refused = [
                    await client.get(f"{url}/sse", headers=one),
                    await client.post(f"{url}/mcp", **listen_request(**one)),
                    await client.get(f"{url}/sse", headers=third),
                ]
                without_stream = [
                    await client.request(method, f"{url}{path}", headers=other)
                    for method, path in (("HEAD", "/sse"), ("GET", "/mcp"), ("DELETE", "/mcp"))
                ]
            while (again := await _status_of_stream(client, f"{url}/sse", one)) == 429:
                await anyio.lowlevel.checkpoint()

    too_many = {"error": "Too many streams are open. Close one first."}
    assert [(response.status_code, response.json()) for response in refused] == [
        (429, too_many)
    ] * 3
    assert [response.status_code for response in without_stream] == [405] * 3
    assert again == 200


async def test_a_revoked_sign_in_ends_its_streams(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert access.VERIFY_SECONDS <= 60
    monkeypatch.setattr(access, "VERIFY_SECONDS", 0.01)
    with anyio.fail_after(LIMIT):
        async with (
            deploy(sandbox) as server,
            User() as user,
            httpx2.AsyncClient(timeout=LIMIT) as client,
        ):
            tokens = await sign_in(server, user)
            authorized = {"Authorization": f"Bearer {tokens['access_token']}"}
            async with (
                client.stream("GET", f"{server.url}/sse", headers=authorized) as events,
                client.stream(
                    "POST", f"{server.url}/mcp", **listen_request(**authorized)
                ) as listening,
            ):
                chunks = [events.aiter_lines(), listening.aiter_lines()]
                first = [await anext(lines) for lines in chunks]
                form = {"token": tokens["access_token"], "client_id": tokens["client_id"]}
                revoked = await server.post("revoke", form)
                # Ends when the response does.
                rest = [[line async for line in lines] for lines in chunks]

    assert all(first)
    assert revoked.status_code == 200
    assert len(rest) == 2
    assert "Traceback" not in caplog.text


async def _status_of_stream(client: httpx2.AsyncClient, url: str, headers: dict[str, str]) -> int:
    async with client.stream("GET", url, headers=headers) as response:
        if response.status_code == 200:
            # The SDK leaks a session that ends before its first event.
            await anext(response.aiter_lines())
        return response.status_code
