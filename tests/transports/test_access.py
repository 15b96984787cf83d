"""Who may use the HTTP server: hosts, origins, the secret, wrong tokens, body sizes, and rates."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx2
import pytest
from starlette.requests import Request

from kallyai_mcp.urls import network_of
from tests.agent import settings_in
from tests.fake_service import fake_service
from tests.transports.http_server import (
    ACCEPT,
    LIMIT,
    RunningSandbox,
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
    async with running_server(
        sandbox.settings(**names, ALLOWED_ORIGINS=PAGE, MCP_TOKEN=SECRET)
    ) as url:
        yield url


def bearer(**headers: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {SECRET}", **headers}


async def test_only_allowed_hosts_are_served_on_every_path(local: str, named: str) -> None:
    async with httpx2.AsyncClient() as client:
        for host in ("evil.example.com", "127.0.0.1.evil.example.com", "localhost:80.evil.com", ""):
            for path in ("/mcp", "/sse", "/messages/"):
                response = await client.post(f"{local}{path}", json={}, headers={"Host": host})

                assert response.status_code == 421, (host, path)
    for host in (
        "LOCALHOST",
        "localhost:9",
        "[::1]:80",
        "phone.example.com",
        "behind.example.com:80",
    ):
        assert (await post_initialize(named, bearer(Host=host))).status_code == 200, host


async def test_only_allowed_origins_are_served(
    named: str,
) -> None:
    asks = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,mcp-protocol-version",
    }
    async with httpx2.AsyncClient() as client:
        for origin, is_allowed in {
            "https://evil.example.com": False,
            "null": False,
            "http://localhost.evil.com": False,
            "https://agent.example.com.evil.com": False,
            "http://localhost:6274": True,
            PAGE: True,
        }.items():
            response = await post_initialize(named, bearer(Origin=origin))
            preflight = await client.options(f"{named}/mcp", headers={"Origin": origin} | asks)

            assert response.status_code == (200 if is_allowed else 403), origin
            assert preflight.status_code == (200 if is_allowed else 400), origin
            for each in (response, preflight):
                assert each.headers.get("access-control-allow-origin") == (
                    origin if is_allowed else None
                )


async def test_the_secret_works_after_many_wrong_ones(
    named: str,
) -> None:
    credentials = [None, "Bearer wrong", f"Basic {SECRET}", "Bearer", f"Bearer {SECRET[:-1]}"]
    responses = [
        await post_initialize(named, {"Authorization": value} if value is not None else None)
        for value in credentials
    ]
    async with httpx2.AsyncClient() as client:
        responses += [
            await client.get(f"{named}/sse"),
            await client.post(f"{named}/messages/", json={}),
        ]
    more = [await status_of(named, "wrong") for _ in range(ALLOWED - 1)]
    accepted = await post_initialize(named, {"Authorization": f"bearer {SECRET}"})

    assert {response.status_code for response in responses} == {401}
    wrong = 'Bearer error="invalid_token", error_description="This bearer token is not valid"'
    without = "Bearer"  # RFC 6750, section 3.1
    challenges = [response.headers["www-authenticate"] for response in responses]
    assert challenges == [without, wrong, without, without, wrong, without, without]
    assert more == [401] * (ALLOWED - 2) + [429]
    assert accepted.status_code == 200


async def test_a_body_over_64_kib_is_refused(local: str) -> None:
    body = b"x" * (64 * 1024 + 1)

    async def chunks() -> AsyncIterator[bytes]:
        yield body

    async with httpx2.AsyncClient(headers=ACCEPT | {"Content-Type": "application/json"}) as client:
        for path in ("/mcp", "/messages/?session_id=00000000000000000000000000000000"):
            declared = await client.post(f"{local}{path}", content=body)
            undeclared = await client.post(f"{local}{path}", content=chunks())

            assert declared.status_code == undeclared.status_code == 413


async def test_without_tokens_an_address_has_its_limit(sandbox: RunningSandbox) -> None:
    async with running_server(sandbox.settings(RATE_LIMIT="2/hour")) as url:
        assert [(await post_initialize(url)).status_code for _ in range(3)] == [200, 200, 429]


ALLOWED = 20
"""Wrong tokens that one address may send in a minute."""


@asynccontextmanager
async def server_for_callers(
    home: Path, **settings: str
) -> AsyncIterator[tuple[str, Counter[str]]]:
    """A server on a KallyAI whose valid tokens begin with "good"; yields its URL, and the checks of
    each token.
    """
    checks = Counter[str]()

    def answer(request: Request) -> tuple[int, object]:
        token = request.headers["authorization"].removeprefix("Bearer ")
        checks[token] += 1
        if token == "down":
            return 500, {"error": {"code": "internal_error", "message": "Trouble"}}
        if token.startswith("good"):
            return 200, {"calls": [], "total": 0}
        return 401, {"error": {"code": "unauthorized", "message": "No"}}

    async with (
        fake_service(answer) as service,
        running_server(settings_in(home, API_URL=service, **settings), auth="caller") as url,
    ):
        yield url, checks


async def status_of(url: str, token: str, forwarded_for: str = "192.0.2.1") -> int:
    headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": forwarded_for}
    return (await post_initialize(url, headers)).status_code


async def test_many_wrong_tokens_lock_nobody_out(tmp_path: Path) -> None:
    async with server_for_callers(tmp_path) as (url, checks):
        known = await status_of(url, "good-known")
        # The address that a client names itself is not believed.
        wrong = [
            await status_of(url, f"bad-{number}", f"192.0.2.{number}")
            for number in range(ALLOWED + 2)
        ]
        new = [await status_of(url, "good-new"), await status_of(url, "good-known")]

    assert [known, *new] == [200] * 3
    assert wrong == [401] * (ALLOWED + 2)
    assert checks == Counter(["good-known", "good-new", *(f"bad-{n}" for n in range(ALLOWED + 2))])


async def test_a_token_without_check_counts_for_nothing(tmp_path: Path) -> None:
    async with server_for_callers(tmp_path) as (url, checks):
        unchecked = await post_initialize(url, {"Authorization": "Bearer down"})
        again = await status_of(url, "down")
        without = await post_initialize(url)

    assert (unchecked.status_code, again, without.status_code) == (503, 503, 401)
    assert int(unchecked.headers["retry-after"]) > 0
    assert "down" not in unchecked.text
    assert checks["down"] > 1


async def test_a_repeated_wrong_token_is_checked_once(tmp_path: Path) -> None:
    async with server_for_callers(tmp_path) as (url, checks):
        statuses = [await status_of(url, "bad") for _ in range(ALLOWED)]
        refused = await post_initialize(url, {"Authorization": "Bearer bad"})

    assert statuses == [401] * ALLOWED
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert checks == {"bad": 1}


async def test_clients_behind_a_proxy_are_counted_apart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    codes: Counter[int] = Counter()

    async def send_wrong_token() -> None:
        codes[await status_of(url, "bad")] += 1

    async with server_for_callers(tmp_path, TRUSTED_PROXIES="10.0.0.0/8, 127.0.0.1") as (
        url,
        checks,
    ):
        with anyio.fail_after(LIMIT):
            async with anyio.create_task_group() as tasks:
                for _ in range(60):
                    tasks.start_soon(send_wrong_token)
        others = [await status_of(url, "bad", address) for address in ("192.0.2.2", "127.0.0.1")]

    assert codes == {401: ALLOWED, 429: 60 - ALLOWED}
    assert checks == {"bad": 1}
    assert others == [401, 401]
    assert caplog.text.count("one address sends too many wrong tokens") == 1
    assert "192.0.2" not in caplog.text


def test_which_addresses_count_as_one() -> None:
    for first, second, is_shared in (
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("/run/proxy.sock", "/run/proxy.sock", True),
    ):
        assert (network_of(first) == network_of(second)) == is_shared, (first, second)
