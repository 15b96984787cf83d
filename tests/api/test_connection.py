"""Failed connections: either nothing was sent, or the response is lost. A GET is retried, a POST is not."""

import contextlib
import gzip
import os
import socket
import ssl
import sys
from base64 import b64encode
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import anyio
import certifi
import httpx
import pytest
import truststore
from anyio.abc import SocketStream
from anyio.streams.tls import TLSStream

from kallyai_mcp.api import errors, system_network
from kallyai_mcp.api.client import KallyAI, Timeouts
from kallyai_mcp.api.errors import KallyAIError, NotConnectedError, ResponseLostError
from tests.api.raw_server import (
    SUBMISSION,
    TOKEN,
    USER_AGENT,
    CloseWithoutReading,
    RawServer,
    Reply,
    Tokens,
    answer,
    client_and_server,
    hang,
    reference,
)
from tests.transports.certificates import Certificate

DETAILS = answer(reference("call_details"), 201)
CUT = b""


def gzipped(content: bytes) -> bytes:
    return answer(content, content_encoding="gzip")


INCOMPLETE: list[tuple[str, Reply | CloseWithoutReading]] = [
    ("cut before the request was read", CloseWithoutReading()),
    ("cut after the request was read", CUT),
    ("cut in the status line", b"HTTP/1.1 20"),
    ("cut in the headers", b"HTTP/1.1 201 Created\r\nContent-Le"),
    ("cut in the body", DETAILS[:-10]),
    ("cut in a chunk", b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{"),
    ("not HTTP", b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
]


@pytest.mark.parametrize("reply", [reply for _, reply in INCOMPLETE], ids=[name for name, _ in INCOMPLETE])
async def test_a_post_with_an_incomplete_response_is_lost_and_not_retried(reply: Reply | CloseWithoutReading) -> None:
    async with client_and_server(reply) as (client, server):
        with pytest.raises(ResponseLostError) as caught:
            await client.create_call(SUBMISSION)
    assert server.connections == 1
    assert (caught.value.code, caught.value.status) == ("answer_lost", None)
    assert "may have acted" in caught.value.message


@pytest.mark.parametrize("reply", [reply for _, reply in INCOMPLETE], ids=[name for name, _ in INCOMPLETE])
async def test_a_get_with_an_incomplete_response_is_retried(reply: Reply | CloseWithoutReading) -> None:
    async with client_and_server(reply, reply, reply, DETAILS) as (client, server):
        assert (await client.get_call("uuid")).call_id == "uuid"
    assert server.connections == 4


async def test_a_get_with_four_incomplete_responses_is_lost() -> None:
    async with client_and_server(*[CUT] * 9) as (client, server):
        with pytest.raises(ResponseLostError):
            await client.get_call("uuid")
    assert server.connections == 8  # each attempt is repeated once if the connection closes without a response


@pytest.mark.parametrize(
    "content", [b"no gzip", gzip.compress(b'{"call_id": "c"}', mtime=0)[:-12]], ids=["not packed", "cut off"]
)
async def test_a_body_that_can_not_be_decompressed_is_a_lost_or_unreadable_response(content: bytes) -> None:
    async with client_and_server(gzipped(content)) as (client, server):
        with pytest.raises((ResponseLostError, errors.UnreadableResponseError)):
            await client.create_call(SUBMISSION)
    assert server.connections == 1


TINY = Timeouts(connect=0.05, read=0.05, call=0.05, rest=0.1)


@pytest.mark.parametrize("ask", ["create_call", "get_statistics"])
async def test_a_response_that_times_out_is_lost_and_not_retried(ask: str) -> None:
    async with client_and_server(hang, timeouts=TINY) as (client, server):
        with pytest.raises(ResponseLostError, match="took too long"):
            await getattr(client, ask)(*([SUBMISSION] if ask == "create_call" else []))
    assert server.connections == 1


async def test_a_body_that_is_sent_slowly_times_out() -> None:
    async def drip(stream: SocketStream) -> None:
        await stream.send(b"HTTP/1.1 201 Created\r\nContent-Length: 100000\r\n\r\n")
        while True:
            await stream.send(b" ")
            await anyio.sleep(0.01)

    async with client_and_server(drip, timeouts=TINY) as (client, server):
        with pytest.raises(ResponseLostError, match="took too long"):
            await client.create_call(SUBMISSION)
    assert server.connections == 1


async def test_only_create_call_has_the_long_time_out() -> None:
    received, released = anyio.Event(), anyio.Event()

    async def when_released(stream: SocketStream) -> None:
        received.set()
        await released.wait()
        await stream.send(DETAILS)

    timeouts = Timeouts(connect=0.05, read=0.05, call=60, rest=0.1)
    async with (
        client_and_server(when_released, hang, timeouts=timeouts) as (client, _server),
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


async def test_the_default_time_outs() -> None:
    assert Timeouts() == Timeouts(connect=10, read=45, call=30 * 60, rest=40)


async def unused_port() -> int:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port: int = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - anyio's `extra`, not Django's
        return port


@pytest.mark.parametrize("ask", ["create_call", "get_statistics"])
async def test_a_refused_connection_means_that_nothing_was_sent(ask: str) -> None:
    url = f"http://127.0.0.1:{await unused_port()}"
    async with KallyAI(url, tokens=Tokens(TOKEN), user_agent=USER_AGENT, retry_backoff=0) as client:
        with anyio.fail_after(10), pytest.raises(NotConnectedError, match="refused; nothing was sent") as caught:
            await getattr(client, ask)(*([SUBMISSION] if ask == "create_call" else []))
    assert caught.value.code == "connection_failed"
    assert url.removeprefix("http://") in caught.value.message


async def test_nothing_is_sent_to_a_server_without_tls() -> None:
    async with client_and_server(*[CloseWithoutReading(b"HTTP/1.1 400 Bad Request\r\n\r\n")] * 2) as (_, server):
        url = server.url.replace("http:", "https:")
        async with KallyAI(url, tokens=Tokens(TOKEN), user_agent=USER_AGENT) as client:
            with pytest.raises(NotConnectedError, match="TLS"):
                await client.create_call(SUBMISSION)
    assert server.connections == 1


class FailingTransport(httpx.AsyncBaseTransport):
    """A transport that raises the given error and counts the attempts."""

    def __init__(self, error: Exception, cause: BaseException | None = None) -> None:
        self.error = error
        self.cause = cause
        self.tries = 0

    async def handle_async_request(self, _request: httpx.Request) -> httpx.Response:
        self.tries += 1
        raise self.error from self.cause


async def failing(
    error: Exception, cause: BaseException | None = None, method: str = "POST"
) -> tuple[KallyAIError, int]:
    network = FailingTransport(error, cause)
    options: Any = {"tokens": Tokens(TOKEN), "user_agent": USER_AGENT, "retry_backoff": 0}
    async with KallyAI("https://api.example", transport=network, **options) as client:
        with pytest.raises(KallyAIError) as caught:
            await (client.create_call(SUBMISSION) if method == "POST" else client.list_calls())
    return caught.value, network.tries


@pytest.mark.parametrize(
    ("error", "cause", "why"),
    [
        (httpx.ConnectError("x"), socket.gaierror(-2, "x"), "name is not known"),
        (httpx.ConnectError("x"), ExceptionGroup("x", [OSError(), ConnectionRefusedError()]), "was refused"),
        (httpx.ConnectError("x"), ssl.SSLCertVerificationError("x"), "certificate"),
        (httpx.ConnectError("x"), OSError("x"), "no connection could be made"),
        (httpx.ConnectError("x"), None, "no connection could be made"),
        (httpx.ConnectTimeout("x"), None, "took too long"),
        (httpx.PoolTimeout("x"), None, "took too long"),
        (httpx.ProxyError("x"), None, "the proxy refused"),
        (httpx.UnsupportedProtocol("x"), None, "no connection"),
        (httpx.LocalProtocolError(f"Illegal header value b'Bearer {TOKEN}'"), None, "no connection"),
        (httpx.InvalidURL("x"), None, "no connection"),
    ],
)
async def test_after_a_failure_before_sending_nothing_was_sent(
    error: Exception, cause: BaseException | None, why: str
) -> None:
    raised, tries = await failing(error, cause)
    assert isinstance(raised, NotConnectedError)
    assert why in raised.message
    assert "nothing was sent" in raised.message
    assert raised.__context__ is None
    assert TOKEN not in f"{raised!r}{raised}"
    assert tries == 1


@pytest.mark.parametrize(
    "error",
    [
        httpx.ReadError("x"),
        httpx.ReadTimeout("x"),
        httpx.WriteError("x"),
        httpx.WriteTimeout("x"),
        httpx.CloseError("x"),
        httpx.RemoteProtocolError("x"),
        httpx.DecodingError("x"),
        httpx.HTTPError("a new kind of error"),
    ],
)
async def test_a_failure_after_sending_may_have_begun_is_a_lost_response(error: Exception) -> None:
    raised, tries = await failing(error)
    assert isinstance(raised, ResponseLostError)
    assert tries == 1


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (httpx.ConnectError("x"), 4),
        (httpx.ConnectTimeout("x"), 4),
        (httpx.ReadError("x"), 4),
        (httpx.RemoteProtocolError("x"), 4),
        (httpx.ReadTimeout("x"), 1),
        (httpx.DecodingError("x"), 1),
    ],
)
async def test_a_get_is_retried_only_after_errors_that_may_pass(error: Exception, tries: int) -> None:
    assert (await failing(error, method="GET"))[1] == tries


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_a_get_is_retried_on_429_502_503_and_504(status: int) -> None:
    async with client_and_server(*[answer({}, status)] * 3, answer(reference("statistics"))) as (client, server):
        assert (await client.get_statistics()).plan_type == "personal"
    assert len(server.requests) == 4


async def test_the_fourth_failure_of_a_get_is_raised() -> None:
    async with client_and_server(*[answer({"error": "warming_up"}, 503)] * 5) as (client, server):
        with pytest.raises(errors.UnavailableError) as caught:
            await client.get_statistics()
    assert caught.value.code == "warming_up"
    assert len(server.requests) == 4


@pytest.mark.parametrize("status", [400, 403, 404, 500])
async def test_a_get_is_not_retried_on_other_statuses(status: int) -> None:
    async with client_and_server(answer({}, status)) as (client, server):
        with pytest.raises(errors.ServiceError):
            await client.get_statistics()
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_a_post_is_not_retried(status: int) -> None:
    async with client_and_server(answer({}, status, retry_after="0")) as (client, server):
        with pytest.raises(errors.ServiceError):
            await client.create_call(SUBMISSION)
        with pytest.raises(errors.ServiceError):
            await client.refresh("r-1")
    assert len(server.requests) == 2


async def test_a_retry_waits_for_retry_after() -> None:
    moments: list[float] = []

    def noting(reply: bytes) -> Reply:
        async def send(stream: SocketStream) -> None:
            moments.append(anyio.current_time())
            await stream.send(reply)

        return send

    replies = [noting(answer({}, 429, retry_after="1")), noting(answer(reference("statistics")))]
    async with client_and_server(*replies) as (client, _):
        await client.get_statistics()
    assert [later - earlier > 0.95 for earlier, later in pairwise(moments)] == [True]


async def test_a_long_retry_after_is_raised_at_once() -> None:
    async with client_and_server(answer({"error": {"code": "rate_limited"}}, 429, retry_after="3600")) as (
        client,
        server,
    ):
        with pytest.raises(errors.RateLimitedError) as caught:
            await client.get_statistics()
    assert caught.value.retry_after == 3600
    assert len(server.requests) == 1


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without proxies."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize("scheme", ["http://", ""])
async def test_a_remote_host_is_reached_through_the_proxy_of_the_environment(
    no_proxies: pytest.MonkeyPatch, variable: str, scheme: str
) -> None:
    async with client_and_server(answer({}, 403)) as (_, proxy):
        no_proxies.setenv(variable, f"{scheme}127.0.0.1:{proxy.port}")
        async with KallyAI("https://api.kallyai.example", tokens=Tokens(TOKEN), user_agent=USER_AGENT) as client:
            with pytest.raises(NotConnectedError, match="the proxy refused"):
                await client.create_call(SUBMISSION)
    (request,) = proxy.requests
    assert (request.method, request.target) == ("CONNECT", "api.kallyai.example:443")
    assert "authorization" not in request.headers


async def test_a_proxy_gets_its_own_login_and_the_service_gets_the_token(
    no_proxies: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    certificate = Certificate(tmp_path, "api.kallyai.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.path, certificate.key_path)
    received: list[bytes] = []

    async def tunnel(stream: SocketStream) -> None:
        await stream.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        inside = await TLSStream.wrap(stream, server_side=True, ssl_context=context, standard_compatible=False)
        received.append(await inside.receive())
        await inside.send(answer(reference("statistics")))

    async with client_and_server(tunnel) as (_, proxy):
        no_proxies.setenv("HTTPS_PROXY", f"http://me:s3cret%21@127.0.0.1:{proxy.port}")
        no_proxies.setenv("SSL_CERT_FILE", str(certificate.path))
        async with KallyAI("https://api.kallyai.example", tokens=Tokens(TOKEN), user_agent=USER_AGENT) as client:
            assert (await client.get_statistics()).plan_type == "personal"
    (request,) = proxy.requests
    assert request.headers["proxy-authorization"] == f"Basic {b64encode(b'me:s3cret!').decode()}"
    assert f"Authorization: Bearer {TOKEN}".encode() in received[0]
    assert b"Proxy-Authorization" not in received[0]


async def test_this_machine_is_never_reached_through_a_proxy(no_proxies: pytest.MonkeyPatch) -> None:
    async with client_and_server() as (_, proxy), client_and_server() as (_, server):
        for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            no_proxies.setenv(variable, proxy.url)
        for host in ("127.0.0.1", "localhost"):
            server.replies = [answer(reference("statistics"))]
            url = f"http://{host}:{server.port}"
            async with KallyAI(url, tokens=Tokens(TOKEN), user_agent=USER_AGENT) as client:
                await client.get_statistics()
    assert proxy.connections == 0
    assert len(server.requests) == 2


async def test_a_host_in_no_proxy_is_reached_directly(no_proxies: pytest.MonkeyPatch) -> None:
    async with client_and_server() as (_, proxy):
        no_proxies.setenv("HTTPS_PROXY", proxy.url)
        no_proxies.setenv("NO_PROXY", "0.0.0.0")  # noqa: S104 - not bound to; an address that is not a loopback one
        url = f"https://0.0.0.0:{await unused_port()}"
        async with KallyAI(url, tokens=Tokens(TOKEN), user_agent=USER_AGENT) as client:
            with pytest.raises(NotConnectedError):
                await client.create_call(SUBMISSION)
    assert proxy.connections == 0


@pytest.mark.parametrize("proxy", ["socks5://me:s3cret@127.0.0.1:1", "gopher://me:s3cret@127.0.0.1:1"])
def test_an_unsupported_proxy_is_refused_without_its_password_in_the_error(
    no_proxies: pytest.MonkeyPatch, proxy: str
) -> None:
    no_proxies.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(ValueError, match="must be an http or https proxy") as caught:
        KallyAI("https://api.kallyai.example", user_agent=USER_AGENT)
    assert "s3cret" not in str(caught.value)


def test_unreadable_certificates_are_refused(no_proxies: pytest.MonkeyPatch, tmp_path: Any) -> None:
    no_proxies.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(ValueError, match="SSL_CERT_FILE"):
        KallyAI("https://api.kallyai.example", user_agent=USER_AGENT)


async def test_120_calls_run_at_once() -> None:
    together = anyio.Event()
    server = RawServer()

    async def when_all_are_received(stream: SocketStream) -> None:
        if len(server.requests) == 120:
            together.set()
        await together.wait()
        await stream.send(DETAILS)

    server.replies = [when_all_are_received] * 120
    with anyio.fail_after(30):
        async with anyio.create_task_group() as listening:
            await server.start(listening)
            async with (
                KallyAI(server.url, tokens=Tokens(TOKEN), user_agent=USER_AGENT) as client,
                anyio.create_task_group() as tasks,
            ):
                for _ in range(120):
                    tasks.start_soon(client.create_call, SUBMISSION)
            listening.cancel_scope.cancel()
    assert len(server.requests) == 120


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux can be told, and has /proc")
async def test_a_request_that_the_network_loses_is_not_delivered_minutes_later() -> None:
    found: list[int] = []

    async def look(stream: SocketStream) -> None:
        for path in Path("/proc/self/fd").iterdir():  # noqa: ASYNC240 - no file on a disk
            if not path.is_socket():
                continue
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(path.name))) as one:
                if one.getpeername()[1:] == (server.port,):
                    found.append(one.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))
        await stream.send(DETAILS)

    server = RawServer(look)
    async with anyio.create_task_group() as listening:
        await server.start(listening)
        async with KallyAI(server.url, tokens=Tokens(TOKEN), user_agent=USER_AGENT) as client:
            await client.create_call(SUBMISSION)
        listening.cancel_scope.cancel()

    assert found == [60_000]


def test_the_certificates_are_those_of_the_system_unless_the_environment_names_others(
    no_proxies: pytest.MonkeyPatch,
) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        no_proxies.delenv(name, raising=False)
    of_the_system = system_network.tls_context()
    no_proxies.setenv("SSL_CERT_FILE", certifi.where())
    named = system_network.tls_context()
    no_proxies.delenv("SSL_CERT_FILE")
    no_proxies.setattr(system_network, "_system_has_certificates", lambda: False)
    without = system_network.tls_context()

    has_some = ssl.get_default_verify_paths().cafile is not None
    assert isinstance(of_the_system, truststore.SSLContext) == has_some
    assert type(named) is type(without) is ssl.SSLContext
    assert without.get_ca_certs()


@pytest.mark.parametrize(
    ("address", "kind"), [("http://wpad/proxy.pac", "a proxy by a PAC file"), ("", None), (None, None)]
)
def test_a_pac_file_of_windows_is_named(no_proxies: pytest.MonkeyPatch, address: str | None, kind: str | None) -> None:
    def value(_: object, name: str) -> tuple[str, int]:
        if address is None:
            raise FileNotFoundError(name)
        return address, 1

    registry = SimpleNamespace(HKEY_CURRENT_USER=1, OpenKey=lambda *_: contextlib.nullcontext(), QueryValueEx=value)
    no_proxies.setitem(sys.modules, "winreg", cast("ModuleType", registry))

    assert system_network.unsupported_proxy("win32") == kind


@pytest.mark.skipif(sys.platform == "win32", reason="Windows starts no script in place of scutil")
@pytest.mark.parametrize(
    ("entry", "kind"),
    [("ProxyAutoConfigEnable : 1", "a proxy by a PAC file"), ("ProxyAutoConfigEnable : 0", None), (None, None)],
)
def test_a_pac_file_of_macos_is_named(
    no_proxies: pytest.MonkeyPatch, tmp_path: Path, entry: str | None, kind: str | None
) -> None:
    scutil = tmp_path / "scutil"
    if entry is not None:
        scutil.write_text(f"#!/bin/sh\necho '<dictionary> {{'\necho '  {entry}'\necho '}}'\n")
        scutil.chmod(0o700)
    no_proxies.setattr(system_network, "_SCUTIL", str(scutil))

    assert system_network.unsupported_proxy("darwin") == kind
    assert system_network.unsupported_proxy("linux") is None


async def test_a_socks_proxy_is_named_when_the_service_can_not_be_reached(no_proxies: pytest.MonkeyPatch) -> None:
    no_proxies.setenv("SOCKS_PROXY", "127.0.0.1:1")
    async with KallyAI("https://api.kallyai.invalid", tokens=Tokens(TOKEN), user_agent=USER_AGENT) as client:
        with pytest.raises(NotConnectedError, match="uses a SOCKS proxy, which is not supported: set HTTPS_PROXY"):
            await client.create_call(SUBMISSION)
