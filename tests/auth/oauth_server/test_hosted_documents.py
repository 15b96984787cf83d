"""Clients that are known by a document they publish: what is fetched, from where, and what is believed of it."""

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import anyio
import pytest

from kallyai_mcp.api.safe_fetch import MAX_BYTES, FetchError, SafeFetcher
from tests.auth.oauth_server.kit import REDIRECT, Ask, Deployment, Person, deployed, signed_in
from tests.auth.oauth_server.publisher import HOST, Publisher, publishing
from tests.transports.http_server import LIMIT, RunningSandbox


@pytest.fixture(scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Publisher]:
    async with publishing(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture
def published(site: Publisher) -> Publisher:
    """The site with a good document, and nothing asked of it yet."""
    site.head = "200 OK\r\nContent-Type: application/json; charset=utf-8"
    site.silent = False
    site.publish(redirect_uris=[REDIRECT])
    site.asked.clear()
    return site


@pytest.fixture(scope="module")
async def believing(world: RunningSandbox, site: Publisher) -> AsyncIterator[Deployment]:
    """A worker that finds the site."""
    async with deployed(world, fetch=site.documents(seconds=0.5).fetch) as server:
        yield server


async def test_a_published_client_needs_no_registration_and_its_publisher_is_shown(
    believing: Deployment, published: Publisher, person: Person
) -> None:
    page = await person.open(Ask.of(believing, published.client_id).url)
    tokens = await signed_in(believing, person, published.client_id)
    quota = await believing.use(tokens["access_token"], "check_quota")

    assert f'<dd class="host">{HOST}</dd>' in page.text
    assert quota.status_code == 200
    assert len(published.asked) == 1  # and believed for a while
    assert f"Host: {HOST}\r\n" in published.asked[0]
    assert "authorization" not in published.asked[0].lower()


async def _page(server: Deployment, client_id: str, **changes: str | None) -> str:
    async with Person() as person:
        response = await person.open(Ask.of(server, client_id, **changes).url)
    assert response.status_code == 400, response.text
    assert "location" not in response.headers
    return response.text


METADATA: dict[str, dict[str, Any]] = {
    "about another client": {"client_id": "https://client.example/other.json"},
    "without addresses": {"redirect_uris": []},
    "with an address that can't be": {"redirect_uris": ["javascript:/x"]},
    "with a secret": {"token_endpoint_auth_method": "client_secret_post"},
    "with a key": {"token_endpoint_auth_method": "private_key_jwt"},
}


@pytest.mark.parametrize("wrong", METADATA)
async def test_a_document_is_not_believed(believing: Deployment, published: Publisher, wrong: str) -> None:
    published.publish(**({"redirect_uris": [REDIRECT]} | METADATA[wrong]))

    assert "This app can&#x27;t be connected" in await _page(believing, published.client_id)


async def test_a_redirect_address_must_be_in_the_document(believing: Deployment, published: Publisher) -> None:
    assert "not its own" in await _page(believing, published.client_id, redirect_uri="https://client.example/back")


ANSWERS: dict[str, tuple[str, bytes, str]] = {
    "elsewhere": ("302 Found\r\nLocation: https://client.example/x", b"", "redirects are not followed"),
    "missing": ("404 Not Found\r\nContent-Type: application/json", b"{}", "answered 404"),
    "a page": ("200 OK\r\nContent-Type: text/html", b"<p>", "is not JSON"),
    "no JSON": ("200 OK\r\nContent-Type: application/json", b"{", "is not JSON"),
    "a list": ("200 OK\r\nContent-Type: application/json", b"[]", "is another"),
    "too long": ("200 OK\r\nContent-Type: application/json", b" " * (MAX_BYTES + 1), "longer than"),
    "compressed": ("200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip", b"\x1f\x8b", "is not JSON"),
}


@pytest.mark.parametrize("kind", ANSWERS)
async def test_an_answer_that_is_no_document_is_refused(believing: Deployment, published: Publisher, kind: str) -> None:
    published.head, published.body, words = ANSWERS[kind]

    assert words in await _page(believing, published.client_id)
    assert len(published.asked) == 1


async def test_a_document_that_takes_too_long_is_given_up(believing: Deployment, published: Publisher) -> None:
    published.silent = True
    with anyio.fail_after(LIMIT):
        assert "took too long" in await _page(believing, published.client_id)


@pytest.mark.parametrize(
    "client_id",
    [
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
    ],
)
async def test_an_id_that_is_no_plain_address_is_not_fetched(
    believing: Deployment, published: Publisher, client_id: str
) -> None:
    await _page(believing, client_id)

    assert not published.asked


PRIVATE = [
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",  # noqa: S104 - not bound
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fc00::1",
    "fec0::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2001:0:7f00:1::",
    "not an address",
]


@pytest.mark.parametrize("address", PRIVATE)
async def test_nothing_is_fetched_from_an_address_that_is_not_public(published: Publisher, address: str) -> None:
    async def resolve(_host: str, _port: int) -> Sequence[tuple[str, int]]:
        return [("93.184.215.14", 443), (address, published.port)]  # one bad address spoils the name

    documents = SafeFetcher(user_agent="tests", resolve=resolve, trust=published.trust)
    with pytest.raises(FetchError, match="not a public one"):
        await documents.fetch(published.client_id)

    assert not published.asked


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "169.254.169.254", "0177.0.0.1", "2130706433"])
async def test_this_machines_own_names_are_not_public_either(published: Publisher, host: str) -> None:
    documents = SafeFetcher(user_agent="tests", trust=published.trust, seconds=2)
    with pytest.raises(FetchError):
        await documents.fetch(f"https://{host}/client.json")


async def test_the_certificate_must_be_the_names_and_not_the_addresss(published: Publisher) -> None:
    async def resolve(_host: str, _port: int) -> Sequence[tuple[str, int]]:
        return [("127.0.0.1", published.port)]

    documents = published.documents(resolve=resolve)
    with pytest.raises(FetchError, match="can't be reached"):
        await documents.fetch("https://other.example/client.json")

    assert not published.asked
    assert json.loads(await documents.fetch(published.client_id))["client_name"] == "Published"


async def test_another_address_is_tried_when_the_first_takes_no_connection(published: Publisher) -> None:
    async def resolve(_host: str, _port: int) -> Sequence[tuple[str, int]]:
        return [("127.0.0.1", 1), ("127.0.0.1", published.port)]

    assert (
        json.loads(await published.documents(resolve=resolve).fetch(published.client_id))["client_id"]
        == published.client_id
    )


async def test_only_so_many_documents_are_remembered(
    world: RunningSandbox, published: Publisher, person: Person
) -> None:
    fetched: list[str] = []

    async def fetch(url: str) -> bytes:
        fetched.append(url)
        return published.body

    async with deployed(world, fetch=fetch) as server:
        for number in range(260):
            other = f"https://{HOST}/{number}.json"
            published.publish(client_id=other, redirect_uris=[REDIRECT])
            await person.open(Ask.of(server, other).url)
        await person.open(Ask.of(server, f"https://{HOST}/259.json").url)
        known = len(fetched)
        published.publish(client_id=f"https://{HOST}/0.json", redirect_uris=[REDIRECT])
        await person.open(Ask.of(server, f"https://{HOST}/0.json").url)

    assert known == 260
    assert len(fetched) == 261
