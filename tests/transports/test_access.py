"""Who may come in over HTTP."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import httpx2
import pytest
from anyio.abc import SocketStream
from anyio.from_thread import start_blocking_portal
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from kallyai_mcp.transports import uvicorn_server
from kallyai_mcp.transports.uvicorn_server import BodyTimeout, StartupError
from tests.transports.http_server import (
    ACCEPT,
    CALL,
    CONNECTIONS,
    LIMIT,
    connected_agent,
    post_initialize,
    running_sandbox,
    running_server,
)

SECRET = "a-secret-of-many-characters"
PAGE = "https://agent.example.com"


@pytest.mark.parametrize("host", ["evil.example.com", "127.0.0.1.evil.example.com", "localhost:80.evil.com", ""])
@pytest.mark.parametrize("path", ["/mcp", "/sse", "/messages/"])
async def test_another_host_is_sent_away_wherever_it_knocks(tmp_path: Path, host: str, path: str) -> None:
    async with (
        running_sandbox(tmp_path) as sandbox,
        running_server(sandbox.settings()) as url,
        httpx2.AsyncClient() as client,
    ):
        answer = await client.post(f"{url}{path}", json={}, headers={"Host": host})

    assert answer.status_code == 421


@pytest.mark.parametrize("host", ["LOCALHOST", "localhost:9", "[::1]:80", "phone.example.com", "behind.example.com:80"])
async def test_it_answers_to_its_names(tmp_path: Path, host: str) -> None:
    async with running_sandbox(tmp_path) as sandbox:
        settings = sandbox.settings(ALLOWED_HOSTS="behind.example.com:*", PUBLIC_URL="https://phone.example.com")
        async with running_server(settings) as url:
            answer = await post_initialize(url, {"Host": host})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://evil.example.com", 403),
        ("null", 403),
        ("http://localhost.evil.com", 403),
        ("https://agent.example.com.evil.com", 403),
        ("http://localhost:6274", 200),
        (PAGE, 200),
    ],
)
async def test_only_pages_that_may_come_are_served(tmp_path: Path, origin: str, status: int) -> None:
    async with running_sandbox(tmp_path) as sandbox, running_server(sandbox.settings(ALLOWED_ORIGINS=PAGE)) as url:
        answer = await post_initialize(url, {"Origin": origin})

    assert answer.status_code == status
    assert answer.headers.get("access-control-allow-origin") == (origin if status == 200 else None)


@pytest.mark.parametrize("origin", [PAGE, "http://127.0.0.1:5173"])
async def test_a_browser_may_ask_first_for_a_page_that_may_come(tmp_path: Path, origin: str) -> None:
    settings = {"ALLOWED_ORIGINS": PAGE, "MCP_TOKEN": SECRET}
    async with running_sandbox(tmp_path) as sandbox, running_server(sandbox.settings(**settings)) as url:
        asked = {
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type,mcp-protocol-version",
        }
        async with httpx2.AsyncClient() as client:
            allowed = await client.options(f"{url}/mcp", headers={"Origin": origin} | asked)
            refused = await client.options(f"{url}/mcp", headers={"Origin": "https://evil.example.com"} | asked)

    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == origin
    assert refused.status_code == 400
    assert "access-control-allow-origin" not in refused.headers


@pytest.mark.parametrize("auth", ["none", "secret"])
async def test_with_a_secret_nobody_comes_in_without_it(tmp_path: Path, auth: str) -> None:
    async with (
        running_sandbox(tmp_path) as sandbox,
        running_server(sandbox.settings(MCP_TOKEN=SECRET), auth=auth) as url,
    ):
        given = [None, "Bearer wrong", f"Basic {SECRET}", "Bearer", f"Bearer {SECRET[:-1]}"]
        answers = [
            await post_initialize(url, {"Authorization": words} if words is not None else None) for words in given
        ]
        async with httpx2.AsyncClient() as client:
            answers += [await client.get(f"{url}/sse"), await client.post(f"{url}/messages/", json={})]
        let_in = await post_initialize(url, {"Authorization": f"bearer {SECRET}"})

    assert {answer.status_code for answer in answers} == {401}
    assert all(answer.headers["www-authenticate"].startswith("Bearer ") for answer in answers)
    assert not any("resource_metadata" in answer.headers["www-authenticate"] for answer in answers)
    assert let_in.status_code == 200


@pytest.mark.parametrize("connection", CONNECTIONS)
async def test_with_the_secret_every_entrance_is_open(tmp_path: Path, connection: str) -> None:
    async with (
        running_sandbox(tmp_path) as sandbox,
        running_server(sandbox.settings(MCP_TOKEN=SECRET), auth="secret") as url,
    ):
        with anyio.fail_after(LIMIT):
            async with connected_agent(url, connection, token=SECRET) as agent:
                quota = await agent.use("check_quota")

    assert quota.data["minutes_remaining"] == 165


@pytest.mark.parametrize("path", ["/mcp", "/messages/?session_id=00000000000000000000000000000000"])
@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_of_more_than_64_kib_is_refused(tmp_path: Path, path: str, declared: bool) -> None:
    body = b"x" * (64 * 1024 + 1)

    async def chunks() -> AsyncIterator[bytes]:
        yield body

    async with (
        running_sandbox(tmp_path) as sandbox,
        running_server(sandbox.settings()) as url,
        httpx2.AsyncClient() as client,
    ):
        headers = ACCEPT | {"Content-Type": "application/json"}
        answer = await client.post(f"{url}{path}", content=body if declared else chunks(), headers=headers)

    assert answer.status_code == 413


async def test_whoever_comes_too_often_is_told_when_to_come_again(tmp_path: Path) -> None:
    async with running_sandbox(tmp_path) as sandbox, running_server(sandbox.settings(RATE_LIMIT="2/hour")) as url:
        answers = [await post_initialize(url) for _ in range(3)]
        async with httpx2.AsyncClient() as client:
            alive = await client.get(f"{url}/health")

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 3500 < int(answers[2].headers["retry-after"]) <= 3600
    assert alive.status_code == 200


@asynccontextmanager
async def up(app: ASGIApp) -> AsyncIterator[str]:
    """Serve an app of a test's own; yields its URL."""
    urls: list[str] = []
    ready = anyio.Event()

    def is_up(url: str) -> None:
        urls.append(url)
        ready.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(uvicorn_server.serve_app, app, "127.0.0.1", 0, ready=is_up))
        with anyio.fail_after(LIMIT):
            await ready.wait()
        yield urls[0]
        tasks.cancel_scope.cancel()


async def heard(stream: SocketStream) -> bytes:
    """All that comes until the other side closes."""
    received = b""
    with anyio.fail_after(LIMIT):
        try:
            async for part in stream:
                received += part
        except anyio.BrokenResourceError:
            pass
    return received


@pytest.mark.parametrize("sent", [b"", b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-Slow: "])
async def test_headers_that_do_not_come_end_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(uvicorn_server, "HEADER_TIMEOUT", 0.2)
    async with (
        running_sandbox(tmp_path) as sandbox,
        running_server(sandbox.settings()) as url,
        await anyio.connect_tcp("127.0.0.1", int(url.rpartition(":")[2])) as stream,
    ):
        await stream.send(sent)
        received = await heard(stream)

    assert received == b""


async def test_headers_that_do_not_come_after_an_answer_end_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uvicorn_server, "HEADER_TIMEOUT", 0.2)
    async with (
        running_sandbox(tmp_path) as sandbox,
        running_server(sandbox.settings()) as url,
        await anyio.connect_tcp("127.0.0.1", int(url.rpartition(":")[2])) as stream,
    ):
        await stream.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        first = await stream.receive()
        await stream.send(b"GET /health HTTP/1.1\r\n")
        rest = await heard(stream)

    assert first.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1" not in rest


@pytest.mark.parametrize("path", ["/mcp", "/messages/?session_id=00000000000000000000000000000000"])
async def test_a_body_that_does_not_come_is_answered_and_ends_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(uvicorn_server, "BODY_TIMEOUT", 0.2)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{{"
    async with (
        running_sandbox(tmp_path) as sandbox,
        running_server(sandbox.settings()) as url,
        await anyio.connect_tcp("127.0.0.1", int(url.rpartition(":")[2])) as stream,
    ):
        await stream.send(head.encode())
        received = await heard(stream)

    assert received.startswith(b"HTTP/1.1 408 ")


async def test_an_open_stream_outlives_the_patience_with_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uvicorn_server, "BODY_TIMEOUT", 0.05)
    monkeypatch.setattr(uvicorn_server, "HEADER_TIMEOUT", 0.05)
    async with running_sandbox(tmp_path) as sandbox, running_server(sandbox.settings()) as url:
        with anyio.fail_after(LIMIT):
            async with connected_agent(url, "sse") as agent:
                waited = await agent.use("make_call", CALL, wait_seconds=0.5)
                quota = await agent.use("check_quota")

    assert waited.data["status"] == "in_progress"
    assert not quota.is_error


async def test_an_app_that_runs_out_of_time_itself_is_not_taken_for_a_slow_client() -> None:
    async def run_out(request: Request) -> Response:
        await request.body()
        raise TimeoutError

    app = Starlette(routes=[Route("/", run_out, methods=["POST"])], middleware=[Middleware(BodyTimeout)])
    async with up(app) as url, httpx2.AsyncClient() as client:
        answer = await client.post(url, content=b"all of it")

    assert answer.status_code == 500


async def test_it_can_be_served_from_a_thread_that_gets_no_signals() -> None:
    async def hello(_: Request) -> Response:
        return PlainTextResponse("Hello")

    app = Starlette(routes=[Route("/", hello)])
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(up(app)) as url:
        async with httpx2.AsyncClient() as client:
            answer = await client.get(url)

    assert answer.text == "Hello"


class NoRoom(AbstractAsyncContextManager[None]):
    async def __aenter__(self) -> None:
        raise OSError("no room")

    async def __aexit__(self, *exc: object) -> None:
        pass


async def test_an_app_that_fails_to_start_is_said_to_have_failed_and_leaves_the_port() -> None:
    app = Starlette(lifespan=lambda _: NoRoom())
    with anyio.fail_after(LIMIT), pytest.raises(StartupError, match="the log says why"):
        await uvicorn_server.serve_app(app, "127.0.0.1", 0, ready=lambda _: None)
