"""Connections over TLS, through proxies, and to several addresses, and the options of their
sockets.
"""

import asyncio
import contextlib
import os
import socket
import ssl
import sys
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream
from anyio.streams.tls import TLSStream

from kallyai_mcp.api import transport
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
)
from tests.fake_service import CloseWithoutReading, answer, hang, tcp_server
from tests.transports.certificates import Certificate

HOST = "api.kallyai.example"
only_linux = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux can be told, and has /proc"
)


def client_of(url: str = f"https://{HOST}") -> KallyAI:
    return KallyAI(url, tokens=Tokens(TOKEN), user_agent=USER_AGENT, retry_backoff=0)


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without proxies and certificates."""
    for name in (
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
        "socks_proxy",
        "ssl_cert_file",
        "ssl_cert_dir",
    ):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


@pytest.fixture
def tls(env: pytest.MonkeyPatch, tmp_path: Path) -> ssl.SSLContext:
    """The TLS context of a server whose certificate the client trusts; it prefers HTTP/2."""
    certificate = Certificate(tmp_path, HOST)
    env.setenv("SSL_CERT_FILE", str(certificate.path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.path, certificate.key_path)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


class Tunnel:
    """A proxy that lets a request through to a service inside it, which answers with `reply`.

    `received` is what the service inside received, and `protocol` what was chosen in the TLS
    handshake.
    """

    def __init__(self, tls: ssl.SSLContext, reply: bytes) -> None:
        self._tls, self._reply = tls, reply
        self.received = b""
        self.is_open = False
        self.protocol: str | None = None

    async def __call__(self, stream: SocketStream) -> None:
        self.is_open = True
        await stream.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        inside = await TLSStream.wrap(
            stream, server_side=True, ssl_context=self._tls, standard_compatible=False
        )
        self.protocol = inside.extra(anyio.streams.tls.TLSAttribute.alpn_protocol)  # noqa: S610 - not Django's
        with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            while b'"' not in self.received and b"GET" not in self.received:
                self.received += await inside.receive()
            await inside.send(self._reply)


@asynccontextmanager
async def serving(
    tls: ssl.SSLContext, serve: Callable[[asyncio.StreamWriter], object]
) -> AsyncIterator[str]:
    """A TLS server that calls `serve` when it has read the head of a request; yields its URL."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            serve(writer)

    async with tcp_server(accept, tls) as port:
        yield f"https://127.0.0.1:{port}"


# TLS


async def test_nothing_is_sent_past_an_unknown_certificate(
    tls: ssl.SSLContext, env: pytest.MonkeyPatch
) -> None:
    env.delenv("SSL_CERT_FILE")
    async with serving(tls, lambda _: None) as url:
        with pytest.raises(
            NotConnectedError, match="certificate or handshake is not acceptable; nothing was sent"
        ):
            await client_of(url).create_call(SUBMISSION)


@pytest.mark.skipif(
    sys.platform != "linux", reason="macOS and Windows check a certificate themselves"
)
async def test_a_certificate_of_the_system_is_accepted(
    tls: ssl.SSLContext, env: pytest.MonkeyPatch
) -> None:
    paths = ssl.get_default_verify_paths()._replace(openssl_cafile=os.environ["SSL_CERT_FILE"])
    env.delenv("SSL_CERT_FILE")
    env.setattr(ssl, "get_default_verify_paths", lambda: paths)
    async with serving(tls, lambda writer: writer.write(DETAILS)) as url:
        assert (await client_of(url).create_call(SUBMISSION)).call_id == "uuid"


def test_unreadable_certificates_are_refused(env: pytest.MonkeyPatch, tmp_path: Path) -> None:
    env.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(ValueError, match="SSL_CERT_FILE"):
        client_of()


async def test_broken_tls_after_a_request_is_no_refusal(
    tls: ssl.SSLContext,
) -> None:
    def break_off(writer: asyncio.StreamWriter) -> None:
        plain: asyncio.Transport = writer.transport._ssl_protocol._transport  # type: ignore[attr-defined]  # noqa: SLF001
        plain.write(b"\x17\x03\x03\x00\x20" + b"x" * 32)  # a record that can't be decrypted

    async with serving(tls, break_off) as url:
        with pytest.raises(ResponseLostError, match="the connection broke"):
            await client_of(url).create_call(SUBMISSION)


# Proxies


async def test_a_remote_host_is_reached_through_the_proxy(
    env: pytest.MonkeyPatch,
) -> None:
    async with client_and_server(answer({}, 403), answer({}, 403)) as (_, proxy):
        for variable, scheme in (("ALL_PROXY", ""), ("HTTPS_PROXY", "http://")):
            env.setenv(variable, f"{scheme}127.0.0.1:{proxy.port}")
            with pytest.raises(NotConnectedError, match="the proxy refused; nothing was sent"):
                await client_of().create_call(SUBMISSION)
            env.delenv(variable)
    for request in proxy.requests:
        assert (request.method, request.target) == ("CONNECT", f"{HOST}:443")
        assert "authorization" not in request.headers
    assert len(proxy.requests) == 2


@pytest.mark.parametrize(
    "reply", [b"", b"SSH-2.0\r\n\r\n", hang], ids=["closes", "is none", "hangs"]
)
async def test_a_proxy_without_connection_means_nothing_was_sent(
    env: pytest.MonkeyPatch, reply: Any
) -> None:
    env.setattr(transport, "CONNECT_SECONDS", 1.0)
    async with client_and_server(reply) as (_, proxy):
        env.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(
            NotConnectedError, match=r"can't be reached through the proxy: .*; nothing was sent"
        ):
            await client_of().create_call(SUBMISSION)
    assert [request.method for request in proxy.requests] == ["CONNECT"]


async def test_a_proxy_gets_its_login_and_no_token(
    env: pytest.MonkeyPatch, tls: ssl.SSLContext
) -> None:
    tunnel = Tunnel(tls, STATISTICS)
    async with client_and_server(tunnel) as (_, proxy):
        env.setenv("HTTPS_PROXY", f"http://me:s3cret%21@127.0.0.1:{proxy.port}")
        assert (await client_of().get_statistics()).plan_type == "personal"
    (request,) = proxy.requests
    assert request.headers["proxy-authorization"] == f"Basic {b64encode(b'me:s3cret!').decode()}"
    assert f"Authorization: Bearer {TOKEN}".encode() in tunnel.received
    assert b"Proxy-Authorization" not in tunnel.received
    assert tunnel.protocol == "http/1.1"


async def test_the_last_check_follows_the_proxys_connection(
    env: pytest.MonkeyPatch, tls: ssl.SSLContext
) -> None:
    async def check() -> None:
        checks.append(tunnel.is_open)
        raise NotConnectedError("Too late")

    checks: list[bool] = []
    tunnel = Tunnel(tls, DETAILS)
    async with client_and_server(tunnel) as (_, proxy):
        env.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(NotConnectedError, match="Too late"):
            await client_of().create_call(SUBMISSION, last_check=check)
    assert checks == [True]
    assert tunnel.received == b""


async def test_local_and_no_proxy_hosts_are_reached_directly(
    env: pytest.MonkeyPatch,
) -> None:
    async with (
        client_and_server() as (_, proxy),
        client_and_server(STATISTICS, STATISTICS) as (_, server),
    ):
        for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            env.setenv(variable, proxy.url)
        for host in ("127.0.0.1", "localhost"):
            await client_of(f"http://{host}:{server.port}").get_statistics()
        server.replies = [CloseWithoutReading()]
        env.setenv("NO_PROXY", "0.0.0.0")  # noqa: S104 - not bound to; an address that is not a loopback one
        with pytest.raises(NotConnectedError, match="can't be reached: "):
            await client_of(f"https://0.0.0.0:{server.port}").create_call(SUBMISSION)
    assert (proxy.connections, server.connections) == (0, 3)


@pytest.mark.parametrize(
    "proxy",
    ["socks5://me:s3cret@127.0.0.1:1", "gopher://me:s3cret@127.0.0.1:1", "http://256.1.1.1:1"],
)
def test_an_unsupported_proxy_is_refused_without_its_password(
    env: pytest.MonkeyPatch, proxy: str
) -> None:
    env.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(ValueError, match="must be an http or https proxy") as caught:
        client_of()
    assert "s3cret" not in str(caught.value)


# Sockets


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> Callable[[Callable[[], Any]], None]:
    """Runs an async function on an event loop; the server over HTTP uses uvloop where it is
    installed.
    """
    options = {"use_uvloop": True} if request.param == "uvloop" else {}
    if options:
        pytest.importorskip("uvloop", reason="uvloop is not installed")
    return lambda function: anyio.run(function, backend_options=options)


def sockets_to(port: int) -> Iterator[socket.socket]:
    """The open sockets of this process that are connected to `port`."""
    for path in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if path.is_socket():
                with socket.socket(fileno=os.dup(int(path.name))) as found:
                    if found.getpeername()[1:] == (port,):
                        yield found


@only_linux
@pytest.mark.parametrize("way", ["direct", "through a proxy"])
def test_a_lost_request_is_not_delivered_minutes_later(
    env: pytest.MonkeyPatch,
    tls: ssl.SSLContext,
    loop: Callable[[Callable[[], Any]], None],
    way: str,
) -> None:
    found: list[int] = []
    tunnel = Tunnel(tls, DETAILS)

    async def place_call() -> None:
        async def look(stream: SocketStream) -> None:
            option = socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT
            found.extend(one.getsockopt(*option) for one in sockets_to(server.port))
            await (stream.send(DETAILS) if way == "direct" else tunnel(stream))

        async with client_and_server(look) as (client, server):
            if way != "direct":
                env.setenv("HTTPS_PROXY", server.url)
                client = client_of()
            await client.create_call(SUBMISSION)

    loop(place_call)
    assert found == [60_000]


@only_linux
def test_another_address_is_tried_if_the_first_hangs(
    env: pytest.MonkeyPatch, loop: Callable[[Callable[[], Any]], None]
) -> None:
    """For example, an IPv6 address does not answer in a network that drops IPv6."""

    async def place_call() -> None:
        async with client_and_server(DETAILS) as (_, server):
            with ExitStack() as sockets:
                silent = sockets.enter_context(
                    socket.create_server(("127.0.0.2", server.port), backlog=0)
                )
                # As many fill the queue, and the system answers no further connection.
                for _ in range(4):
                    waiting = sockets.enter_context(socket.socket())
                    waiting.setblocking(False)
                    waiting.connect_ex(silent.getsockname())
                addresses = [
                    (
                        socket.AF_INET,
                        socket.SOCK_STREAM,
                        socket.IPPROTO_TCP,
                        "",
                        (host, server.port),
                    )
                    for host in ("127.0.0.2", "127.0.0.1")
                ]
                env.setattr(socket, "getaddrinfo", lambda *_args, **_options: addresses)
                with anyio.fail_after(60):
                    await client_of(f"http://localhost:{server.port}").create_call(SUBMISSION)
        assert server.connections == 1

    loop(place_call)
