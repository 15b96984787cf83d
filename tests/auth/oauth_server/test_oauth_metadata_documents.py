"""Clients with a metadata document: which URLs are fetched, and which documents are accepted."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import anyio
import httpx2
import pytest

from kallyai_mcp.auth.oauth_server import clients
from kallyai_mcp.auth.oauth_server.clients import MAX_BYTES, ClientError, DocumentFetcher, is_public
from tests.auth.oauth_server.deployment import REDIRECT, Deployment, User, deploy, sign_in
from tests.fake_service import FakeService, answer, hang
from tests.transports.certificates import Certificate
from tests.transports.http_server import LIMIT, RunningSandbox

HOST = "client.example"
CLIENT_ID = f"https://{HOST}/oauth/client.json"


def document(**metadata: Any) -> bytes:
    """The answer with a valid document, with `metadata` in place of some of it."""
    return answer(
        {"client_id": CLIENT_ID, "client_name": "Published", "redirect_uris": [REDIRECT]} | metadata
    )


def resolving_to(*addresses: str) -> Callable[[str], Awaitable[Sequence[str]]]:
    async def resolve(_: str) -> Sequence[str]:
        return addresses

    return resolve


class Site(FakeService):
    """The web site of a client, with https, on this machine but under another name."""

    def __init__(self, certificate: Certificate) -> None:
        super().__init__(tls=certificate.server_context())
        self.trust = httpx2.create_ssl_context(verify=certificate.client_context())

    def fetcher(self, **options: Any) -> DocumentFetcher:
        """A fetcher that finds the site and trusts its certificate."""
        parts: dict[str, Any] = {"trust": self.trust, "port": self.port, "seconds": LIMIT}
        parts |= {"resolve": resolving_to("127.0.0.1"), "may_connect": lambda _: True} | options
        parts = {
            name: staticmethod(part) if callable(part) else part for name, part in parts.items()
        }
        fetcher: DocumentFetcher = type("SiteFetcher", (DocumentFetcher,), parts)("tests")
        return fetcher


@pytest.fixture(scope="module")
async def running_site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with anyio.create_task_group() as tasks:
        site = Site(Certificate(tmp_path_factory.mktemp("site"), HOST))
        await site.start(tasks)
        yield site
        tasks.cancel_scope.cancel()


@pytest.fixture
def site(running_site: Site) -> Site:
    """The site without requests and answers."""
    running_site.replies, running_site.requests = [], []
    return running_site


@pytest.fixture(scope="module")
async def fetching(sandbox: RunningSandbox, running_site: Site) -> AsyncIterator[Deployment]:
    """A worker that can fetch from the site."""
    async with deploy(sandbox, fetch=running_site.fetcher().fetch) as server:
        yield server


async def test_a_client_with_a_document_needs_no_registration(
    fetching: Deployment, site: Site, user: User
) -> None:
    site.replies = [document(), document()]
    page = await user.open(fetching.authorize_url(CLIENT_ID))
    tokens = await sign_in(fetching, user, CLIENT_ID)
    renewed = (await fetching.renew(tokens)).json()

    assert f"Published by {HOST}" in page.text
    assert "Nobody has checked" not in page.text
    assert (await fetching.use(renewed["access_token"])).status_code == 200
    # Neither the request for tokens nor the renewal has read it again.
    assert [
        (sent.headers["host"], sent.headers.get("authorization")) for sent in site.requests
    ] == [(HOST, None)] * 2


REFUSED = [
    (document(client_id="https://client.example/other.json"), "another app"),
    (document(redirect_uris=[]), "redirect address"),
    (document(redirect_uris=["javascript:/x"]), "redirect address"),
    (document(token_endpoint_auth_method="client_secret_post"), "asks for a secret"),
    (answer(b"[" * 9_000), "no JSON"),
    (answer(b" " * (MAX_BYTES + 1)), "longer than"),
    (answer(b"\x1f\x8b", content_encoding="gzip"), "no JSON"),
    (answer(status=302, location=f"https://{HOST}/x"), "redirects are not followed"),
]


async def test_what_is_no_valid_document_is_refused(
    fetching: Deployment, site: Site, user: User
) -> None:
    elsewhere = fetching.authorize_url(CLIENT_ID, redirect_uri="https://client.example/back")
    asked = [(reply, words, fetching.authorize_url(CLIENT_ID)) for reply, words in REFUSED]
    for reply, words, url in [*asked, (document(), "not its own", elsewhere)]:
        site.replies = [reply]
        page = await user.open(url)

        assert page.status_code == 400
        assert "location" not in page.headers
        assert words in page.text
    assert len(site.requests) == len(REFUSED) + 1
    site.replies = [hang]
    with pytest.raises(ClientError, match="not in time"):
        await site.fetcher(seconds=0.05).fetch(CLIENT_ID)


PRIVATE = (
    *(
        "127.0.0.2",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104
    ),
    *(
        "224.0.0.1",
        "255.255.255.255",
        "192.0.0.192",
        "192.88.99.1",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "fec0::1",
    ),
    *(
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ),
    *("2001:0:7f00:1::", "3fff::1", "fe80::1%lo"),
)
HERE = (
    "localhost",
    "localhost.",
    "127.0.0.1",
    "[::1]",
    "[::ffff:7f00:1]",
    "169.254.169.254",
    "0177.0.0.1",
    "0",
)
NOT_PLAIN = (
    *("https://client.example", "https://client.example/", "https://client.example/a/../b"),
    *("https://client.example:8443/client.json", "https://user@client.example/client.json"),
    *("https://client.example/client.json#x", "https:///client.json"),
    *("https://[::1/client.json", "http://client.example/client.json"),
)


async def test_no_document_is_fetched_from_a_private_address(
    site: Site,
) -> None:
    site.replies = [document()]
    for address in PRIVATE:  # one is enough, though the first address is that of the site
        resolve = resolving_to("127.0.0.1", address)
        fetcher = site.fetcher(
            resolve=resolve, may_connect=lambda given: given == "127.0.0.1" or is_public(given)
        )
        with pytest.raises(ClientError, match="public address"):
            await fetcher.fetch(CLIENT_ID)
    fetcher = site.fetcher(resolve=DocumentFetcher("tests").resolve, may_connect=is_public)
    for host in HERE:
        with pytest.raises(ClientError, match="public address"):
            await fetcher.fetch(f"https://{host}/client.json")
    for url in NOT_PLAIN:
        with pytest.raises(ClientError, match="not the address of one"):
            await site.fetcher().fetch(url)
    with pytest.raises(ClientError, match="public address"):  # its certificate is for another name
        await site.fetcher().fetch("https://other.example/client.json")

    assert not site.requests
    assert json.loads(await site.fetcher().fetch(CLIENT_ID))["client_name"] == "Published"


async def test_slow_client_documents_leave_connections_free(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "MOST_AT_ONCE", 2)
    site.replies = [hang, hang]
    fetch = site.fetcher().fetch
    async with anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(fetch, CLIENT_ID)
        with anyio.fail_after(LIMIT):
            while len(site.requests) < 2:
                await anyio.lowlevel.checkpoint()
        with pytest.raises(ClientError, match="not in time"):
            await fetch(CLIENT_ID)
        tasks.cancel_scope.cancel()
    site.replies = [document()]

    assert await fetch(CLIENT_ID)
