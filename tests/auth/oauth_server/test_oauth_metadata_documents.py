"""Clients with a metadata document: which URLs are fetched, and which documents are accepted."""

import json
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import anyio
import httpx2
import pytest
from anyio.abc import SocketStream

from kallyai_mcp.auth.oauth_server import metadata_documents
from kallyai_mcp.auth.oauth_server.metadata_documents import MAX_BYTES, DocumentError, DocumentFetcher
from tests.auth.oauth_server.deployment import REDIRECT, Deployment, User, deploy, sign_in
from tests.fake_service import FakeService, RawReply
from tests.transports.certificates import Certificate
from tests.transports.http_server import LIMIT, RunningSandbox

HOST = "client.example"


class Publisher(FakeService):
    """The web site of a client, with https, on this machine but under another name; with what it answers to all."""

    def __init__(self, certificate: Certificate) -> None:
        super().__init__(tls=certificate.server_context())
        self.trust = httpx2.create_ssl_context(verify=certificate.client_context())
        self.head = "200 OK\r\nContent-Type: application/json"
        self.body = b""
        self.silent = False
        self.number = 0

    def next_reply(self) -> RawReply:
        """What a connection is answered."""
        return self._answer

    async def _answer(self, stream: SocketStream) -> None:
        if self.silent:
            await anyio.sleep_forever()
        head = f"HTTP/1.1 {self.head}\r\nContent-Length: {len(self.body)}\r\nConnection: close\r\n\r\n"
        await stream.send(head.encode() + self.body)

    @property
    def client_id(self) -> str:
        """The URL of the document."""
        return f"https://{HOST}/oauth/{self.number}.json"

    def publish(self, **metadata: Any) -> None:
        """Publish a document at a new URL."""
        self.number += 1
        self.body = json.dumps({"client_id": self.client_id, "client_name": "Published", **metadata}).encode()

    def fetcher(self, **options: Any) -> DocumentFetcher:
        """A fetcher that finds the site and trusts its certificate."""

        async def resolve(host: str) -> Sequence[str]:
            assert host == HOST
            return ["127.0.0.1"]

        given: dict[str, Any] = {"resolve": resolve, "may_connect": lambda _: True, "trust": self.trust}
        return DocumentFetcher("tests", **given | {"port": self.port} | options)


@pytest.fixture(scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Publisher]:
    async with anyio.create_task_group() as tasks:
        site = Publisher(Certificate(tmp_path_factory.mktemp("site"), HOST))
        await site.start(tasks)
        yield site
        tasks.cancel_scope.cancel()


@pytest.fixture
def published(site: Publisher) -> Publisher:
    """The site with a valid document that was not yet fetched."""
    site.head = "200 OK\r\nContent-Type: application/json; charset=utf-8"
    site.silent = False
    site.publish(redirect_uris=[REDIRECT])
    site.requests.clear()
    return site


@pytest.fixture(scope="module")
async def fetching(sandbox: RunningSandbox, site: Publisher) -> AsyncIterator[Deployment]:
    """A worker that can fetch from the site."""
    async with deploy(sandbox, fetch=site.fetcher(seconds=0.5).fetch) as server:
        yield server


def resolving_to(*addresses: str) -> Callable[[str], Awaitable[Sequence[str]]]:
    async def resolve(_: str) -> Sequence[str]:
        return addresses

    return resolve


async def test_a_client_with_a_document_needs_no_registration_and_its_publisher_is_shown(
    fetching: Deployment, published: Publisher, user: User
) -> None:
    page = await user.open(fetching.authorize_url(published.client_id))
    tokens = await sign_in(fetching, user, published.client_id)
    published.silent = True  # a renewal reads no document
    renewed = (await fetching.renew(tokens)).json()
    quota = await fetching.use(renewed["access_token"])

    assert f"Published by {HOST}" in page.text
    assert "Nobody has checked" not in page.text
    assert quota.status_code == 200
    assert published.requests[0].headers["host"] == HOST
    assert "authorization" not in published.requests[0].headers


async def _refusal_page(server: Deployment, client_id: str, **changes: str | None) -> str:
    async with User() as user:
        response = await user.open(server.authorize_url(client_id, **changes))
    assert response.status_code == 400, response.text
    assert "location" not in response.headers
    return response.text


async def test_a_document_with_invalid_metadata_is_refused(fetching: Deployment, published: Publisher) -> None:
    changes: list[dict[str, Any]] = [
        {"client_id": "https://client.example/other.json"},
        {"redirect_uris": []},
        {"redirect_uris": ["javascript:/x"]},
        {"token_endpoint_auth_method": "client_secret_post"},
    ]
    for change in changes:
        published.publish(**({"redirect_uris": [REDIRECT]} | change))

        assert "This app can't be connected" in await _refusal_page(fetching, published.client_id)
    published.publish(redirect_uris=[REDIRECT])
    elsewhere = await _refusal_page(fetching, published.client_id, redirect_uri="https://client.example/back")
    assert "not its own" in elsewhere


ANSWERS = {
    "elsewhere": ("302 Found\r\nLocation: https://client.example/x", b"", "redirects are not followed"),
    "deep": ("200 OK\r\nContent-Type: application/json", b"[" * 9_000, "no JSON"),
    "a list": ("200 OK\r\nContent-Type: application/json", b"[]", "another app"),
    "too long": ("200 OK\r\nContent-Type: application/json", b" " * (MAX_BYTES + 1), "longer than"),
    "compressed": ("200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip", b"\x1f\x8b", "no JSON"),
    "nothing": ("", b"", "took too long"),
}


@pytest.mark.parametrize("kind", ANSWERS)
async def test_a_response_that_is_no_document_is_refused(fetching: Deployment, published: Publisher, kind: str) -> None:
    published.head, published.body, words = ANSWERS[kind]
    published.silent = kind == "nothing"
    with anyio.fail_after(LIMIT):
        assert words in await _refusal_page(fetching, published.client_id)

    assert len(published.requests) == 1


PRIVATE = (
    *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),  # noqa: S104
    *("224.0.0.1", "255.255.255.255", "192.0.0.192", "192.88.99.1", "::1", "::", "fe80::1", "fc00::1", "fec0::1"),
    *("ff02::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"),
    *("2001:0:7f00:1::", "3fff::1", "fe80::1%lo", "not an address"),
)


async def test_nothing_is_fetched_from_a_private_address_or_this_machine_or_what_is_no_plain_url(
    published: Publisher,
) -> None:
    for address in PRIVATE:  # one private address is enough
        resolve = resolving_to("93.184.215.14", address)
        fetcher = DocumentFetcher("tests", resolve=resolve, trust=published.trust, port=published.port)
        with pytest.raises(DocumentError, match="public address"):
            await fetcher.fetch(published.client_id)
    fetcher = DocumentFetcher("tests", trust=published.trust, port=published.port, seconds=2)
    for host in (
        "localhost",
        "localhost.",
        "127.0.0.1",
        "[::1]",
        "[::ffff:7f00:1]",
        "169.254.169.254",
        "0177.0.0.1",
        "0",
    ):
        with pytest.raises(DocumentError, match="public address"):
            await fetcher.fetch(f"https://{host}/client.json")
    for url in (
        "https://client.example",
        "https://client.example/",
        "https://client.example/a/../b",
        "https://client.example:8443/client.json",
        "https://user@client.example/client.json",
        "https://client.example/client.json#x",
        "https://client.example/" + "a" * 600,
        "https:///client.json",
        "https://[::1/client.json",
        "http://client.example/client.json",
    ):
        with pytest.raises(DocumentError, match="not the address of one"):
            await published.fetcher().fetch(url)

    assert not published.requests


async def test_the_certificate_must_be_for_the_name_in_the_url(published: Publisher) -> None:
    fetcher = published.fetcher(resolve=resolving_to("127.0.0.1"))
    with pytest.raises(DocumentError, match="can't be reached"):
        await fetcher.fetch("https://other.example/client.json")

    assert not published.requests
    assert json.loads(await fetcher.fetch(published.client_id))["client_name"] == "Published"


async def test_slow_name_servers_of_clients_take_few_threads_and_do_not_hold_up_other_lookups(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered, real = threading.Event(), socket.getaddrinfo
    asked = 0

    def look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal asked
        if host != "slow.example":
            return real(host, *args, **kwargs)
        asked += 1
        answered.wait(LIMIT)
        raise OSError

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(metadata_documents, "MOST_AT_ONCE", 4)
    fetcher = DocumentFetcher("tests", seconds=0.1)

    async def fetch() -> None:
        with pytest.raises(DocumentError, match="took too long, or too many"):
            await fetcher.fetch("https://slow.example/client.json")

    try:
        for _ in range(3):  # a lookup goes on when its request was given up
            async with anyio.create_task_group() as tasks:
                for _ in range(10):
                    tasks.start_soon(fetch)
        with anyio.fail_after(LIMIT / 2):
            assert await anyio.getaddrinfo("localhost", 443)
    finally:
        answered.set()

    assert 0 < asked <= 4


async def test_slow_documents_of_clients_do_not_take_all_connections(
    published: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata_documents, "MOST_AT_ONCE", 2)
    published.silent = True
    fetch = published.fetcher(seconds=LIMIT).fetch
    async with anyio.create_task_group() as tasks:
        for number in range(2):
            tasks.start_soon(fetch, f"https://{HOST}/{number}.json")
        with anyio.fail_after(LIMIT):
            while len(published.requests) < 2:
                await anyio.lowlevel.checkpoint()
        with pytest.raises(DocumentError, match="too many"):
            await fetch(published.client_id)
        tasks.cancel_scope.cancel()
    published.silent = False
    published.publish()

    assert await fetch(published.client_id) == published.body
