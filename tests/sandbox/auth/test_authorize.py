"""The OAuth client's flow in the browser: clients, redirect URIs, scopes, and redirects."""

import httpx2
import pytest

from kallyai_mcp.sandbox import browser_client
from kallyai_mcp.sandbox.accounts import SCOPES
from tests.sandbox.auth.requests import (
    LOOPBACK,
    SCRIPT,
    Listener,
    consent_page,
    error_of,
    exchange,
    guarded,
    query_of,
    request_token_in,
)

ASKED = {"response_type": "code", "client_id": "sandbox-client", "redirect_uri": LOOPBACK, "state": "s&1"}


def _url(server: str, listener: Listener, **changes: str) -> str:
    asked = ASKED | {"redirect_uri": f"{listener.redirect_uri}/callback?app=7"} | changes
    return str(httpx2.URL(f"{server}/v1/auth/authorize", params=asked))


async def test_a_person_allows_a_client_and_the_code_comes_back(
    server: str, listener: Listener, client: httpx2.AsyncClient
) -> None:
    page = browser_client.sign_in(
        _url(server, listener, scope="calls:read calls:write"), account="acct-trial", provider="apple"
    )
    assert page == "You may close this page."
    assert listener.received.keys() == {"app", "code", "state"}
    assert (listener.received["app"], listener.received["state"]) == ("7", "s&1")
    redirect_uri = f"{listener.redirect_uri}/callback?app=7"
    tokens = (await exchange(client, listener.received["code"], redirect_uri=redirect_uri)).json()
    assert tokens["scope"] == "calls:read calls:write"
    assert (await guarded(client, tokens["access_token"])).json() == "trial@sandbox.test"


def test_a_person_denies_a_client(server: str, listener: Listener) -> None:
    browser = browser_client.Browser()
    browser.open(_url(server, listener))
    browser.press("Google")
    browser.press("personal@sandbox.test")
    browser.press("Deny")
    assert listener.received == {"app": "7", "error": "access_denied", "state": "s&1"}


def test_cancel_on_the_first_page_denies(server: str, listener: Listener) -> None:
    browser_client.sign_in(_url(server, listener), allow=False)
    assert listener.received == {"app": "7", "error": "access_denied", "state": "s&1"}


def test_the_consent_page_names_client_account_and_scopes(server: str, listener: Listener) -> None:
    browser = browser_client.Browser()
    browser.open(_url(server, listener, scope="transcripts:read  calls:write transcripts:read"))
    assert "Sandbox Client asks to use a KallyAI account." in browser.text
    browser.press("Google")
    browser.press("us-only@sandbox.test")
    assert browser.title == "Allow Sandbox Client? · Sandbox"
    assert (
        "as us-only@sandbox.test: Read call transcripts transcripts:read Make phone calls calls:write" in browser.text
    )
    assert browser.text.count("transcripts:read") == 1
    assert "calls:read" not in browser.text
    assert browser.buttons == ("Allow", "Deny")


@pytest.mark.parametrize("scope", [None, "", "  "])
async def test_without_a_scope_all_are_asked_for(client: httpx2.AsyncClient, scope: str | None) -> None:
    page = await consent_page(client, **({} if scope is None else {"scope": scope}))
    assert all(f"<code>{one}</code>" in page.text for one in SCOPES)


@pytest.mark.parametrize(
    ("client_id", "redirect_uri"),
    [
        ("sandbox-client", "http://localhost/"),
        ("sandbox-client", "http://localhost:8080/a/b?c=d"),
        ("sandbox-client", "https://localhost:8080/callback"),
        ("sandbox-client", "https://client.example/oauth/callback"),
        ("sandbox-partner", "https://partner.example/callback"),
        ("sandbox-partner", "http://127.0.0.1:8765/callback"),
    ],
)
async def test_a_client_may_use_its_own_redirect_uris(
    client: httpx2.AsyncClient, client_id: str, redirect_uri: str
) -> None:
    request_token = request_token_in(await consent_page(client, client_id=client_id, redirect_uri=redirect_uri))
    allowed = await client.post("/v1/auth/consent", data={"request": request_token, "decision": "allow"})
    separator = "&" if "?" in redirect_uri else "?"
    assert allowed.headers["location"].startswith(f"{redirect_uri}{separator}code=")


@pytest.mark.parametrize(
    ("client_id", "redirect_uri"),
    [
        ("sandbox-client", "https://client.example/oauth/callback/"),
        ("sandbox-client", "https://client.example/oauth/callback?a=b"),
        ("sandbox-client", "https://client.example.evil.example/oauth/callback"),
        ("sandbox-client", "https://partner.example/callback"),
        ("sandbox-client", "http://localhost:0/"),
        ("sandbox-client", "http://localhost:70000/"),
        ("sandbox-client", "http://localhost:8080/#fragment"),
        ("sandbox-client", "http://localhost@evil.example/"),
        ("sandbox-client", "http://localhost:80@evil.example/"),
        ("sandbox-client", "http://localhost.evil.example/"),
        ("sandbox-client", "http://localhost\\evil.example/"),
        ("sandbox-client", "http://localhost:8080/\r\nX-Injected: yes"),
        ("sandbox-client", "http://localhost:8080/;script-src *\u00e9"),
        ("sandbox-client", "javascript:alert(1)"),
        ("sandbox-client", ""),
        ("sandbox-partner", LOOPBACK),
        ("sandbox-partner", "http://127.0.0.1:8765/callback?a=b"),
    ],
)
async def test_an_unregistered_redirect_uri_is_refused_without_a_redirect(
    client: httpx2.AsyncClient, client_id: str, redirect_uri: str
) -> None:
    asked = ASKED | {"client_id": client_id, "redirect_uri": redirect_uri, "response_type": "nonsense"}
    response = await client.get("/v1/auth/authorize", params=asked)
    assert error_of(response, 400) == "invalid_redirect_uri"
    assert "location" not in response.headers


@pytest.mark.parametrize("client_id", ["nobody", "", SCRIPT])
async def test_an_unknown_client_is_refused_without_a_redirect(client: httpx2.AsyncClient, client_id: str) -> None:
    asked = ASKED | {"client_id": client_id}
    response = await client.get("/v1/auth/authorize", params=asked)
    assert error_of(response, 400) == "invalid_client"
    assert "location" not in response.headers
    page = await client.get("/v1/auth/authorize", params=asked, headers={"Accept": "text/html"})
    assert page.status_code == 400
    assert "<script" not in page.text


async def test_a_parameter_given_twice_is_refused(client: httpx2.AsyncClient) -> None:
    response = await client.get("/v1/auth/authorize", params=[*ASKED.items(), ("scope", "calls:read"), ("scope", "x")])
    assert error_of(response, 400) == "invalid_request"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": ""}, "unsupported_response_type"),
        ({"scope": "calls:read calls:all"}, "invalid_scope"),
        ({"scope": SCRIPT}, "invalid_scope"),
    ],
)
async def test_an_invalid_request_of_a_known_client_is_reported_to_the_client(
    client: httpx2.AsyncClient, changes: dict[str, str], error: str
) -> None:
    response = await client.get("/v1/auth/authorize", params=ASKED | changes)
    query = query_of(response)
    assert response.headers["location"].startswith(f"{LOOPBACK}?")
    assert (query["error"], query["state"]) == (error, "s&1")
    assert query["error_description"]


async def test_a_missing_response_type_is_reported_to_the_client(client: httpx2.AsyncClient) -> None:
    asked = {name: value for name, value in ASKED.items() if name != "response_type"}
    assert query_of(await client.get("/v1/auth/authorize", params=asked))["error"] == "invalid_request"


async def test_a_redirect_with_a_code_forbids_caching_and_referrers(client: httpx2.AsyncClient) -> None:
    request_token = request_token_in(await consent_page(client))
    allowed = await client.post("/v1/auth/consent", data={"request": request_token, "decision": "allow"})
    assert allowed.headers["cache-control"] == "no-store"
    assert allowed.headers["referrer-policy"] == "no-referrer"


async def test_a_decision_is_to_allow_or_to_deny(client: httpx2.AsyncClient) -> None:
    request_token = request_token_in(await consent_page(client))
    response = await client.post("/v1/auth/consent", data={"request": request_token, "decision": "perhaps"})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "validation_error")
