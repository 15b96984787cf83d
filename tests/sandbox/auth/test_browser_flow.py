"""The sign-in in a browser: the CLI flow, the OAuth client's flow, and their pages."""

import re

import httpx2
import pytest

from tests.sandbox.auth import browser_client
from tests.sandbox.auth.requests import (
    LOOPBACK,
    SCRIPT,
    error_of,
    guarded,
    query_of,
    reason_of,
    request_token_in,
)
from tests.sandbox.manual_clock import ManualClock

CLI = {"redirect_uri": "http://127.0.0.1:9999", "state": "s"}
ASKED = {
    "response_type": "code",
    "client_id": "sandbox-client",
    "redirect_uri": LOOPBACK,
    "state": "s&1",
}


REDIRECT = f"{browser_client.NOBODY}/callback?app=7"


@pytest.mark.parametrize(
    "presses", [["deny"], ["google", "deny"], ["apple", "acct-personal", "deny"]]
)
def test_every_page_can_be_canceled(server: str, presses: list[str]) -> None:
    asked = ASKED | {"redirect_uri": REDIRECT}
    browser = browser_client.Browser(str(httpx2.URL(f"{server}/v1/auth/authorize", params=asked)))
    for value in presses:
        browser.press(value)
    assert browser.answer == {"app": "7", "error": "access_denied", "state": "s&1"}


NEVER = [
    "http://localhost:0",
    "http://localhost:8080#a",
    "http://user@localhost:8080",
    "http://localhost:8080@evil.example",
    "http://localhost.evil.example:8080",
    "http://127.0.0.2:8080",
    "//localhost:8080",
    "javascript:alert(1)",
    SCRIPT,
    "https://client.example/oauth/callback/",
    "https://partner.example/callback",
]
REFUSED = [
    *[
        ("/v1/auth/cli", {"redirect_uri": uri}, "invalid_redirect_uri")
        for uri in (
            *NEVER,
            "http://localhost",
            "http://localhost:8080/callback",
            "https://localhost:8080",
        )
    ],
    *[
        ("/v1/auth/authorize", ASKED | {"redirect_uri": uri}, "invalid_redirect_uri")
        for uri in NEVER
    ],
    ("/v1/auth/authorize", ASKED | {"client_id": "sandbox-partner"}, "invalid_redirect_uri"),
    ("/v1/auth/authorize", ASKED | {"client_id": SCRIPT}, "invalid_client"),
]


async def test_a_request_without_usable_redirect_uri_stays(client: httpx2.AsyncClient) -> None:
    for path, query, code in REFUSED:
        response = await client.get(path, params=query)

        assert error_of(response, 400) == code, query
        assert reason_of(response)
        assert "location" not in response.headers


async def test_a_browser_with_a_refused_request_sees_why(client: httpx2.AsyncClient) -> None:
    accepted = {"Accept": "text/html", "Accept-Language": "es"}
    for path, query, code in REFUSED:
        page = await client.get(path, params=query, headers=accepted)

        assert (page.status_code, page.headers["content-type"]) == (400, "text/html; charset=utf-8")
        assert "<h1>Este inicio de sesión" in page.text
        assert code in page.text
        assert not any(each in page.text for each in ("<form", "evil.example", "<script"))
        assert "location" not in page.headers


async def steps(client: httpx2.AsyncClient, request_token: str) -> list[httpx2.Response]:
    """Try a request token in every request that takes one."""
    return [
        await client.get(
            "/v1/auth/sign-in", params={"request": request_token, "provider": "google"}
        ),
        await client.post(
            "/v1/auth/sign-in", data={"request": request_token, "account": "acct-personal"}
        ),
        await client.get("/v1/auth/consent", params={"request": request_token}),
        await client.post("/v1/auth/consent", data={"request": request_token, "decision": "allow"}),
        await client.post("/v1/auth/consent", data={"request": request_token, "decision": "deny"}),
    ]


async def test_a_forged_or_old_request_token_is_refused(
    client: httpx2.AsyncClient, clock: ManualClock
) -> None:
    good = request_token_in(await client.get("/v1/auth/cli", params=CLI))
    header, payload, signature = good.split(".")
    done = await client.post("/v1/auth/sign-in", data={"request": good, "account": "acct-personal"})
    access_token = query_of(done)["access_token"]
    for token in (f"{header}.{payload[:-2]}AA.{signature}", "eyJ...", access_token):
        for step in await steps(client, token):
            assert error_of(step, 400) == "sign_in_expired"
    assert error_of(await guarded(client, good), 401) == "invalid_token"
    clock.advance(seconds=599)
    assert (await steps(client, good))[0].status_code == 200
    client.cookies.clear()
    for _ in range(2):  # without a cookie, and with another one
        for step in await steps(client, good):
            assert error_of(step, 400) == "sign_in_expired"
        await client.get("/v1/auth/cli", params=CLI)
    old = request_token_in(await client.get("/v1/auth/cli", params=CLI))
    clock.advance(minutes=10)
    for step in await steps(client, old):
        assert error_of(step, 400) == "sign_in_expired"


async def test_the_sign_in_page_loads_nothing_from_outside(
    client: httpx2.AsyncClient,
) -> None:
    page = await client.get("/v1/auth/cli", params=CLI | {"state": SCRIPT})
    policy = dict(
        part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";")
    )
    assert policy["form-action"] == "'self' http://127.0.0.1:9999"
    assert {
        policy[each] for each in ("default-src", "script-src", "base-uri", "frame-ancestors")
    } == {"'none'"}
    assert [page.headers[name] for name in ("cache-control", "referrer-policy")] == [
        "no-store",
        "no-referrer",
    ]
    loads = re.findall(r'<(?:link|img|iframe|object)[^>]* (?:src|href)="([^"]*)"', page.text)
    assert loads == ["data:,", "/_sandbox/style.css"]
    assert not re.search(r"<script|\s(style|on\w+)=|url\(|alert", page.text)
