"""Who may use the HTTP server: hosts, origins, the secret, body sizes, and rates."""

from collections.abc import AsyncIterator

import anyio
import httpx2
import pytest

from tests.transports.http_server import (
    ACCEPT,
    CONNECTIONS,
    LIMIT,
    RunningSandbox,
    connected_agent,
    post_initialize,
    running_server,
)

SECRET = "a-secret-of-many-characters"
PAGE = "https://agent.example.com"


@pytest.fixture(scope="module")
async def local(sandbox: RunningSandbox) -> AsyncIterator[str]:
    """The URL of a server without further settings."""
    async with running_server(sandbox.settings()) as url:
        yield url


@pytest.fixture(scope="module")
async def named(sandbox: RunningSandbox) -> AsyncIterator[str]:
    """The URL of a server with names, an allowed page, and a secret."""
    names = {"ALLOWED_HOSTS": "behind.example.com:*", "PUBLIC_URL": "https://phone.example.com"}
    async with running_server(sandbox.settings(**names, ALLOWED_ORIGINS=PAGE, MCP_TOKEN=SECRET)) as url:
        yield url


def bearer(**headers: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {SECRET}", **headers}


@pytest.mark.parametrize("host", ["evil.example.com", "127.0.0.1.evil.example.com", "localhost:80.evil.com", ""])
async def test_a_request_for_another_host_is_refused_on_every_path(local: str, host: str) -> None:
    async with httpx2.AsyncClient() as client:
        for path in ("/mcp", "/sse", "/messages/"):
            response = await client.post(f"{local}{path}", json={}, headers={"Host": host})

            assert response.status_code == 421


@pytest.mark.parametrize("host", ["LOCALHOST", "localhost:9", "[::1]:80", "phone.example.com", "behind.example.com:80"])
async def test_a_request_for_an_allowed_host_is_served(named: str, host: str) -> None:
    assert (await post_initialize(named, bearer(Host=host))).status_code == 200


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
async def test_only_allowed_origins_are_served(named: str, origin: str, status: int) -> None:
    response = await post_initialize(named, bearer(Origin=origin))

    assert response.status_code == status
    assert response.headers.get("access-control-allow-origin") == (origin if status == 200 else None)


async def test_a_preflight_request_of_an_allowed_origin_needs_no_token(named: str) -> None:
    preflight = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,mcp-protocol-version",
    }
    async with httpx2.AsyncClient() as client:
        for origin in (PAGE, "http://127.0.0.1:5173"):
            allowed = await client.options(f"{named}/mcp", headers={"Origin": origin} | preflight)

            assert allowed.status_code == 200
            assert allowed.headers["access-control-allow-origin"] == origin
        refused = await client.options(f"{named}/mcp", headers={"Origin": "https://evil.example.com"} | preflight)

    assert refused.status_code == 400
    assert "access-control-allow-origin" not in refused.headers


@pytest.mark.parametrize("auth", ["none", "secret"])
async def test_without_the_secret_every_request_is_refused(sandbox: RunningSandbox, auth: str) -> None:
    async with running_server(sandbox.settings(MCP_TOKEN=SECRET), auth=auth) as url:
        credentials = [None, "Bearer wrong", f"Basic {SECRET}", "Bearer", f"Bearer {SECRET[:-1]}"]
        responses = [
            await post_initialize(url, {"Authorization": value} if value is not None else None) for value in credentials
        ]
        async with httpx2.AsyncClient() as client:
            responses += [await client.get(f"{url}/sse"), await client.post(f"{url}/messages/", json={})]
        accepted = await post_initialize(url, {"Authorization": f"bearer {SECRET}"})

    assert {response.status_code for response in responses} == {401}
    challenges = [response.headers["www-authenticate"] for response in responses]
    assert challenges[1] == 'Bearer error="invalid_token", error_description="This bearer token is not valid"'
    assert challenges[4] == challenges[1]
    assert {*challenges[:1], *challenges[2:4], *challenges[5:]} == {
        "Bearer"
    }  # no token was sent: RFC 6750, section 3.1
    assert accepted.status_code == 200


@pytest.mark.parametrize("connection", CONNECTIONS)
async def test_with_the_secret_every_kind_of_connection_works(named: str, connection: str) -> None:
    with anyio.fail_after(LIMIT):
        async with connected_agent(named, connection, token=SECRET) as agent:
            quota = await agent.use("check_quota")

    assert quota.data["minutes_remaining"] == 165


@pytest.mark.parametrize("path", ["/mcp", "/messages/?session_id=00000000000000000000000000000000"])
async def test_a_body_of_more_than_64_kib_is_refused(local: str, path: str) -> None:
    body = b"x" * (64 * 1024 + 1)

    async def chunks() -> AsyncIterator[bytes]:
        yield body

    async with httpx2.AsyncClient(headers=ACCEPT | {"Content-Type": "application/json"}) as client:
        declared = await client.post(f"{local}{path}", content=body)
        undeclared = await client.post(f"{local}{path}", content=chunks())

    assert declared.status_code == undeclared.status_code == 413


async def test_too_many_requests_are_refused_with_the_time_to_wait(sandbox: RunningSandbox) -> None:
    async with running_server(sandbox.settings(RATE_LIMIT="2/hour")) as url:
        responses = [await post_initialize(url) for _ in range(3)]
        async with httpx2.AsyncClient() as client:
            alive = await client.get(f"{url}/health")

    assert [response.status_code for response in responses] == [200, 200, 429]
    assert 3500 < int(responses[2].headers["retry-after"]) <= 3600
    assert alive.status_code == 200
