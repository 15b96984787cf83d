"""Receivers that answer slowly, too much, or nothing, and names that resolve to other addresses, with real TLS."""

import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketAttribute
from anyio.streams.tls import TLSListener

from kallyai_mcp.api import safe_fetch
from kallyai_mcp.api.safe_fetch import MAX_BYTES, FetchError, SafeFetcher
from tests.transports.certificates import Certificate
from tests.transports.http_server import LIMIT

HOST = "receiver.example"
URL = f"https://{HOST}/hooks/secret-in-the-path"

Serve = Callable[[anyio.abc.ByteStream, bytes], Awaitable[object]]


@asynccontextmanager
async def serving(folder: Path, serve: Serve, **options: Any) -> AsyncIterator[SafeFetcher]:
    """A fetcher that finds at `HOST` a server which does `serve` after it has read the head of a request."""
    certificate = Certificate(folder, HOST)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.path, certificate.key_path)
    tcp = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port: int = tcp.extra(SocketAttribute.local_port)  # noqa: S610 - anyio's, not Django's

    async def resolve(_: str, __: int) -> Sequence[tuple[str, int]]:
        return [("127.0.0.1", port)]

    async def answer(stream: anyio.abc.ByteStream) -> None:
        async with stream:
            with contextlib.suppress(anyio.BrokenResourceError, anyio.EndOfStream, ssl.SSLError):
                await serve(stream, await stream.receive())

    given: dict[str, Any] = {"resolve": resolve, "may_connect": lambda _: True, "trust": certificate.client_context()}
    async with TLSListener(tcp, context, standard_compatible=False) as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, answer)
        yield SafeFetcher(user_agent="tests", **given | options)
        tasks.cancel_scope.cancel()


async def test_a_status_counts_although_the_body_never_ends(tmp_path: Path) -> None:
    async def serve(stream: anyio.abc.ByteStream, _: bytes) -> None:
        await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegin")
        await anyio.sleep_forever()

    async with serving(tmp_path, serve) as fetcher:
        answer = await fetcher.post(URL, b"{}", {})

    assert (answer.status, answer.body) == (200, b"begin")


async def test_only_the_beginning_of_an_endless_body_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_fetch, "_BODY_SECONDS", LIMIT)

    async def serve(stream: anyio.abc.ByteStream, _: bytes) -> None:
        await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
        while True:
            await stream.send(b"x" * 65536)

    async with serving(tmp_path, serve) as fetcher:
        answer = await fetcher.post(URL, b"{}", {})

    assert len(answer.body) == MAX_BYTES


@pytest.mark.parametrize(
    ("begin", "again", "why"),
    [
        (b"", b"", "timeout"),
        (b"HTTP/1.1 200 OK\r\n", b"", "timeout"),
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", "timeout"),
        (b"HTTP/1.1 200 OK\r\n", b"X-Filler: " + b"x" * 9000 + b"\r\n", "connection_refused"),
        (b"SSH-2.0-OpenSSH_9.9\r\n\r\n", b"", "connection_refused"),
    ],
)
async def test_a_receiver_without_an_answer_is_given_up(tmp_path: Path, begin: bytes, again: bytes, why: str) -> None:
    async def serve(stream: anyio.abc.ByteStream, _: bytes) -> None:
        await stream.send(begin)
        while again:
            await stream.send(again)
        await anyio.sleep_forever()

    async with serving(tmp_path, serve, seconds=0.5) as fetcher:
        with pytest.raises(FetchError) as refused:
            await fetcher.post(URL, b"{}", {})

    assert refused.value.code == why
    assert "secret-in-the-path" not in str(refused.value)


async def test_a_redirect_to_a_private_address_is_not_followed(tmp_path: Path) -> None:
    connections = 0

    async def serve(stream: anyio.abc.ByteStream, _: bytes) -> None:
        nonlocal connections
        connections += 1
        await stream.send(
            b"HTTP/1.1 307 Temporary Redirect\r\nLocation: https://127.0.0.1/\r\nContent-Length: 0\r\n"
            b"Retry-After: 17\r\nConnection: close\r\n\r\n"
        )

    async with serving(tmp_path, serve) as fetcher:
        answer = await fetcher.post(URL, b"{}", {})

    assert (answer.status, answer.retry_after, connections) == (307, 17, 1)


async def test_proxies_and_passwords_of_the_environment_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text(
        f"machine {HOST} login me password hunter2\nmachine 127.0.0.1 login me password x\n"
    )
    for name, value in (
        ("NETRC", str(tmp_path / "netrc")),
        ("HTTPS_PROXY", "http://127.0.0.1:1"),
        ("ALL_PROXY", "socks5://127.0.0.1:1"),
    ):
        monkeypatch.setenv(name, value)
        monkeypatch.setenv(name.lower(), value)
    heads: list[bytes] = []

    async def serve(stream: anyio.abc.ByteStream, head: bytes) -> None:
        heads.append(head.lower())
        await stream.send(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with serving(tmp_path, serve) as fetcher:
        answer = await fetcher.post(URL, b"{}", {})

    assert answer.status == 204
    assert len(heads) == 1
    assert b"authorization" not in heads[0]


@pytest.mark.parametrize("second", ["127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "fe80::1%lo"])
async def test_a_name_with_one_private_address_is_not_connected_to(tmp_path: Path, second: str) -> None:
    async def resolve(_: str, port: int) -> Sequence[tuple[str, int]]:
        return [("93.184.216.34", port), (second, port)]

    async def serve(*_: object) -> None:
        raise AssertionError("it was connected to")

    async with serving(tmp_path, serve, resolve=resolve, may_connect=None) as fetcher:
        with pytest.raises(FetchError, match="no public address"):
            await fetcher.post(URL, b"{}", {})


async def test_a_name_is_looked_up_once_and_the_checked_address_is_connected_to(tmp_path: Path) -> None:
    checked: list[str] = []
    lookups: list[str] = []

    async def serve(stream: anyio.abc.ByteStream, _: bytes) -> None:
        await stream.send(b"HTTP/1.1 204 No Content\r\n\r\n")

    def may_connect(address: str) -> bool:
        checked.append(address)
        return True

    async with serving(tmp_path, serve, may_connect=may_connect) as fetcher:
        inner = fetcher._resolve  # noqa: SLF001 - the one that finds the server

        async def rebinding(host: str, port: int) -> Sequence[tuple[str, int]]:
            lookups.append(host)
            return [("169.254.169.254", port)] if len(lookups) > 1 else await inner(host, port)

        fetcher._resolve = rebinding  # noqa: SLF001 - the same
        answer = await fetcher.post(URL, b"{}", {})

    assert (answer.status, lookups, checked) == (204, [HOST], ["127.0.0.1"])


@pytest.mark.parametrize(
    "host",
    [
        *("127.1", "0x7f000001", "2130706433", "0177.0.0.1", "localhost.", "127.0.0.1.", "0", "[::127.0.0.1]"),
        *("[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::ffff:10.0.0.1]", "[fe80::1]", "%31%32%37.0.0.1"),
        *("receiver.invalid", "xn--n3h.invalid", "a" * 64 + ".example", "..", ".example"),
    ],
)
async def test_every_host_without_a_public_address_is_refused_in_the_same_words(host: str) -> None:
    with pytest.raises(FetchError, match="no public address") as refused:
        await SafeFetcher(user_agent="tests").post(f"https://{host}/hooks", b"{}", {})

    assert refused.value.code == "connection_refused"


@pytest.mark.parametrize(
    "url",
    [
        "http://a.example/",
        "https://a.example:8443/",
        "https://me@a.example/",
        "https:///",
        "https://a.example\\@127.0.0.1/",
        "https://a.example/#part",
        "https://ⓛocalhost/",
        "https://127。0。0。1/",
    ],
)
async def test_a_url_that_is_not_plain_https_is_not_looked_up(url: str) -> None:
    async def resolve(*_: object) -> Sequence[tuple[str, int]]:
        raise AssertionError("it was looked up")

    with pytest.raises(FetchError, match="not plain https"):
        await SafeFetcher(user_agent="tests", resolve=resolve).post(url, b"{}", {})
