"""The CLI flow, from the sign-in page to the redirect with tokens."""

from html import unescape

import httpx2
import pytest

from kallyai_mcp.sandbox import browser_client
from kallyai_mcp.sandbox.accounts import ACCOUNTS, SCOPES, Provider
from tests.sandbox.auth.requests import (
    SCRIPT,
    Listener,
    consent_page,
    error_of,
    guarded,
    query_of,
    request_token_in,
)
from tests.sandbox.manual_clock import ManualClock

CLI = {"redirect_uri": "http://127.0.0.1:9999", "state": "s"}


@pytest.mark.parametrize("provider", ["google", "apple"])
async def test_a_person_signs_in_and_the_tokens_come_back(
    server: str, listener: Listener, provider: Provider, client: httpx2.AsyncClient
) -> None:
    url = httpx2.URL(f"{server}/v1/auth/cli", params={"redirect_uri": listener.redirect_uri, "state": "a b&c=d/é"})
    page = browser_client.sign_in(str(url), account="acct-business", provider=provider)
    assert page == "You may close this page."
    assert listener.received.keys() == {"access_token", "refresh_token", "expires_in", "state"}
    assert (listener.received["expires_in"], listener.received["state"]) == ("3600", "a b&c=d/é")
    assert (await guarded(client, listener.received["access_token"])).json() == "business@sandbox.test"
    renewed = await client.post("/v1/auth/refresh", json={"refresh_token": listener.received["refresh_token"]})
    assert renewed.json()["scope"] == " ".join(SCOPES)


def test_cancel_redirects_without_tokens(server: str, listener: Listener) -> None:
    browser_client.sign_in(f"{server}/v1/auth/cli?redirect_uri={listener.redirect_uri}&state=s", allow=False)
    assert listener.received == {"error": "access_denied", "state": "s"}


def test_the_account_chooser_can_be_cancelled(server: str, listener: Listener) -> None:
    browser = browser_client.Browser()
    browser.open(f"{server}/v1/auth/cli?redirect_uri={listener.redirect_uri}&state=s")
    browser.press("Apple")
    browser.press("Cancel")
    assert listener.received == {"error": "access_denied", "state": "s"}


def test_without_a_state_none_comes_back(server: str, listener: Listener) -> None:
    browser_client.sign_in(f"{server}/v1/auth/cli?redirect_uri={listener.redirect_uri}")
    assert listener.received.keys() == {"access_token", "refresh_token", "expires_in"}


@pytest.mark.parametrize(
    "redirect_uri", ["http://localhost:1", "http://127.0.0.1:65535", "http://localhost:8080/", "http://127.0.0.1:80/"]
)
async def test_the_redirect_goes_to_the_exact_redirect_uri(client: httpx2.AsyncClient, redirect_uri: str) -> None:
    first = await client.get("/v1/auth/cli", params={"redirect_uri": redirect_uri})
    done = await client.post("/v1/auth/sign-in", data={"request": request_token_in(first), "account": "acct-personal"})
    assert done.status_code == 303
    assert done.headers["location"].startswith(f"{redirect_uri}?access_token=eyJ")
    assert done.headers["cache-control"] == "no-store"
    assert done.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "",
        "https://localhost:8080",
        "http://localhost",
        "http://localhost:",
        "http://localhost:0",
        "http://localhost:65536",
        "http://localhost:99999999",
        "http://localhost:8080/callback",
        "http://localhost:8080//",
        "http://localhost:8080?a=b",
        "http://localhost:8080#a",
        "http://localhost:8080\n",
        "http://localhost:8080\r\nX-Injected: yes",
        "http://localhost:\u0661\u0662",
        "http://user@localhost:8080",
        "http://localhost:8080@evil.example",
        "http://localhost:80:8080",
        "http://localhost.evil.example:8080",
        "http://evil.example:8080",
        "http://127.0.0.1.evil.example:8080",
        "http://127.0.0.2:8080",
        "http://0.0.0.0:8080",
        "http://[::1]:8080",
        "http://localhost\\@evil.example:8080",
        "//localhost:8080",
        "javascript:alert(1)",
        SCRIPT,
    ],
)
async def test_any_other_redirect_uri_is_refused_without_a_redirect(
    client: httpx2.AsyncClient, redirect_uri: str
) -> None:
    response = await client.get("/v1/auth/cli", params={"redirect_uri": redirect_uri})
    assert error_of(response, 400) == "invalid_redirect_uri"
    assert "location" not in response.headers
    page = await client.get("/v1/auth/cli", params={"redirect_uri": redirect_uri}, headers={"Accept": "text/html"})
    assert page.status_code == 400
    assert "location" not in page.headers
    assert "invalid_redirect_uri" in page.text
    assert "<form" not in page.text
    assert "evil.example" not in page.text
    assert "<script" not in page.text


async def test_a_missing_redirect_uri_or_a_too_long_state_is_a_validation_error(client: httpx2.AsyncClient) -> None:
    for query in ({}, {"redirect_uri": "http://localhost:1", "state": "s" * 2049}):
        response = await client.get("/v1/auth/cli", params=query)
        assert (response.status_code, response.json()["error"]["code"]) == (400, "validation_error")


@pytest.mark.parametrize("path", ["/v1/auth/cli", "/v1/auth/authorize?client_id=sandbox-client&response_type=code"])
@pytest.mark.parametrize(
    ("language", "heading"), [("en", "This sign-in can't continue"), ("es", "No se puede continuar")]
)
async def test_a_missing_redirect_uri_is_a_page_in_a_browser(
    client: httpx2.AsyncClient, path: str, language: str, heading: str
) -> None:
    page = await client.get(path, headers={"Accept": "text/html", "Accept-Language": language})
    assert page.status_code == 400
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "location" not in page.headers
    assert f"<h1>{heading}</h1>" in unescape(page.text)
    assert "validation_error" in page.text
    assert "redirect_uri: Field required" in page.text


async def test_an_invalid_form_is_a_page_in_a_browser(client: httpx2.AsyncClient) -> None:
    page = await client.post("/v1/auth/consent", data={"decision": "perhaps"}, headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["content-type"]) == (400, "text/html; charset=utf-8")


async def test_a_parameter_given_twice_is_refused(client: httpx2.AsyncClient) -> None:
    response = await client.get("/v1/auth/cli?redirect_uri=http://localhost:1&redirect_uri=http://localhost:2")
    assert error_of(response, 400) == "invalid_request"


async def test_the_longest_state_comes_back_whole(client: httpx2.AsyncClient) -> None:
    state = "\U0001f4de" * 2048
    first = await client.get("/v1/auth/cli", params=CLI | {"state": state})
    chooser = await client.get("/v1/auth/sign-in", params={"request": request_token_in(first), "provider": "google"})
    done = await client.post(
        "/v1/auth/sign-in", data={"request": request_token_in(chooser), "account": "acct-personal"}
    )
    assert query_of(done)["state"] == state


async def _steps(client: httpx2.AsyncClient, request_token: str) -> list[httpx2.Response]:
    """Try a request token in every request that takes one."""
    return [
        await client.get("/v1/auth/sign-in", params={"request": request_token, "provider": "google"}),
        await client.post("/v1/auth/sign-in", data={"request": request_token, "account": "acct-personal"}),
        await client.get("/v1/auth/consent", params={"request": request_token}),
        await client.post("/v1/auth/consent", data={"request": request_token, "decision": "allow"}),
        await client.post("/v1/auth/consent", data={"request": request_token, "decision": "deny"}),
    ]


async def test_a_forged_request_token_is_refused(client: httpx2.AsyncClient) -> None:
    header, payload, signature = request_token_in(await client.get("/v1/auth/cli", params=CLI)).split(".")
    for request_token in (f"{header}.{payload[:-2]}AA.{signature}", f"{header}.{payload}.", "eyJ...", SCRIPT):
        for step in await _steps(client, request_token):
            assert error_of(step, 400) == "sign_in_expired"


async def test_an_access_token_is_not_a_request_token(client: httpx2.AsyncClient) -> None:
    request_token = request_token_in(await client.get("/v1/auth/cli", params=CLI))
    done = await client.post("/v1/auth/sign-in", data={"request": request_token, "account": "acct-personal"})
    for step in await _steps(client, query_of(done)["access_token"]):
        assert error_of(step, 400) == "sign_in_expired"
    assert error_of(await guarded(client, request_token), 401) == "invalid_token"


async def test_a_request_token_of_another_browser_is_refused(client: httpx2.AsyncClient) -> None:
    request_token = request_token_in(await client.get("/v1/auth/cli", params=CLI))
    client.cookies.clear()
    for step in await _steps(client, request_token):
        assert error_of(step, 400) == "sign_in_expired"
    await client.get("/v1/auth/cli", params=CLI)
    for step in await _steps(client, request_token):
        assert error_of(step, 400) == "sign_in_expired"


async def test_a_page_is_valid_for_ten_minutes(client: httpx2.AsyncClient, clock: ManualClock) -> None:
    request_token = request_token_in(await client.get("/v1/auth/cli", params=CLI))
    clock.advance(seconds=599)
    assert (await _steps(client, request_token))[0].status_code == 200
    clock.advance(seconds=1)
    for step in await _steps(client, request_token):
        assert error_of(step, 400) == "sign_in_expired"


async def test_a_second_tab_does_not_end_the_first_ones_sign_in(client: httpx2.AsyncClient) -> None:
    first = request_token_in(await client.get("/v1/auth/cli", params=CLI))
    await client.get("/v1/auth/cli", params=CLI)
    done = await client.post("/v1/auth/sign-in", data={"request": first, "account": "acct-personal"})
    assert done.status_code == 303


async def test_a_cookie_that_someone_else_planted_is_replaced(client: httpx2.AsyncClient) -> None:
    client.cookies.set("kallyai_sandbox_browser", "planted")
    response = await client.get("/v1/auth/cli", params=CLI)
    cookie = response.headers["set-cookie"]
    assert "planted" not in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie


async def test_only_sandbox_accounts_can_be_chosen(client: httpx2.AsyncClient) -> None:
    request_token = request_token_in(await client.get("/v1/auth/cli", params=CLI))
    response = await client.post("/v1/auth/sign-in", data={"request": request_token, "account": SCRIPT})
    assert error_of(response, 400) == "invalid_request"


async def test_the_cli_flow_has_no_consent_page(client: httpx2.AsyncClient) -> None:
    request_token = request_token_in(await client.get("/v1/auth/cli", params=CLI))
    assert error_of(await client.get("/v1/auth/consent", params={"request": request_token}), 400) == "sign_in_expired"
    allowed = await client.post("/v1/auth/consent", data={"request": request_token, "decision": "allow"})
    assert error_of(allowed, 400) == "sign_in_expired"


async def test_a_client_cannot_be_allowed_before_an_account_was_chosen(client: httpx2.AsyncClient) -> None:
    asked = {"response_type": "code", "client_id": "sandbox-client", "redirect_uri": "http://127.0.0.1:9999"}
    request_token = request_token_in(await client.get("/v1/auth/authorize", params=asked))
    allowed = await client.post("/v1/auth/consent", data={"request": request_token, "decision": "allow"})
    assert error_of(allowed, 400) == "sign_in_expired"
    assert "decision" in (await consent_page(client)).text


def test_every_account_is_on_the_chooser(server: str, listener: Listener) -> None:
    browser = browser_client.Browser()
    browser.open(f"{server}/v1/auth/cli?redirect_uri={listener.redirect_uri}")
    browser.press("Google")
    assert browser.buttons == (*(f"{one.email} {one.description}" for one in ACCOUNTS.values()), "Cancel")
