"""The sign-in in a browser: the CLI flow, the OAuth client's flow, and their pages."""

import re
from html import unescape

import httpx2
import pytest

from kallyai_mcp.sandbox.accounts import ACCOUNTS, SCOPES, SCOPES_ES
from tests.sandbox.auth import browser_client
from tests.sandbox.auth.requests import (
    LOOPBACK,
    SCRIPT,
    claims_of,
    consent_page,
    error_of,
    exchange,
    guarded,
    query_of,
    reason_of,
    request_token_in,
)
from tests.sandbox.manual_clock import ManualClock

CLI = {"redirect_uri": "http://127.0.0.1:9999", "state": "s"}
ASKED = {"response_type": "code", "client_id": "sandbox-client", "redirect_uri": LOOPBACK, "state": "s&1"}


REDIRECT = f"{browser_client.NOBODY}/callback?app=7"


def browser_at(server: str, **changes: str) -> browser_client.Browser:
    browser = browser_client.Browser()
    asked = ASKED | {"redirect_uri": REDIRECT} | changes
    browser.open(str(httpx2.URL(f"{server}/v1/auth/authorize", params=asked)))
    return browser


async def test_a_person_allows_a_client_and_the_code_comes_back(server: str, client: httpx2.AsyncClient) -> None:
    browser = browser_at(server, scope="transcripts:read  calls:read transcripts:read")
    assert "Sandbox Client asks to use a KallyAI account." in browser.text
    browser.press("Apple")
    assert browser.buttons == (*(f"{one.email} {one.description}" for one in ACCOUNTS.values()), "Cancel")
    browser.press("trial@sandbox.test")
    assert browser.title == "Allow Sandbox Client? · KallyAI Sandbox"
    assert "as trial@sandbox.test: Read call transcripts transcripts:read Read call history" in browser.text
    assert browser.buttons == ("Allow", "Deny")
    browser.press("Allow")
    code = browser.answer.pop("code")
    assert browser.answer == {"app": "7", "state": "s&1"}
    tokens = (await exchange(client, code, redirect_uri=REDIRECT)).json()
    assert tokens["scope"] == "transcripts:read calls:read"
    assert (await guarded(client, tokens["access_token"])).status_code == 200
    assert claims_of(tokens["access_token"])["email"] == "trial@sandbox.test"


@pytest.mark.parametrize("presses", [["Cancel"], ["Google", "Cancel"], ["Google", "personal@sandbox.test", "Deny"]])
def test_every_page_can_be_canceled(server: str, presses: list[str]) -> None:
    browser = browser_at(server)
    for name in presses:
        browser.press(name)
    assert browser.answer == {"app": "7", "error": "access_denied", "state": "s&1"}


async def test_the_cli_flow_redirects_to_the_exact_redirect_uri(client: httpx2.AsyncClient) -> None:
    state = "\U0001f4de" * 2048
    for redirect_uri in ("http://localhost:1", "http://127.0.0.1:65535", "http://localhost:8080/"):
        first = await client.get("/v1/auth/cli", params={"redirect_uri": redirect_uri, "state": state})
        form = {"request": request_token_in(first), "account": "acct-personal"}
        done = await client.post("/v1/auth/sign-in", data=form)
        assert query_of(done)["state"] == state
        assert done.headers["location"].startswith(f"{redirect_uri}?access_token=eyJ")
        assert (done.headers["cache-control"], done.headers["referrer-policy"]) == ("no-store", "no-referrer")


NEVER = [
    "http://localhost:0", "http://localhost:65536", "http://localhost:99999999", "http://localhost:8080#a",
    "http://localhost:8080\r\nX-Injected: yes", "http://localhost:\u0661\u0662", "http://user@localhost:8080",
    "http://localhost:8080@evil.example", "http://localhost:80:8080", "http://localhost.evil.example:8080",
    "http://evil.example:8080", "http://127.0.0.1.evil.example:8080", "http://127.0.0.2:8080", "http://0.0.0.0:8080",
    "http://[::1]:8080", "http://localhost\\@evil.example:8080", "//localhost:8080", "",
    "javascript:alert(1)", SCRIPT, "https://client.example/oauth/callback/", "https://partner.example/callback",
    "https://client.example/oauth/callback?a=b", "https://client.example.evil.example/oauth/callback",
    "http://localhost:8080/;script-src *\u00e9",
]  # fmt: skip
REFUSED = [
    *[("/v1/auth/cli", {"redirect_uri": uri}, "invalid_redirect_uri") for uri in NEVER],
    *[("/v1/auth/authorize", ASKED | {"redirect_uri": uri}, "invalid_redirect_uri") for uri in NEVER],
    *[("/v1/auth/cli", {"redirect_uri": f"http://localhost{end}"}, "invalid_redirect_uri")
      for end in ("", ":", ":8080/callback", ":8080//", ":8080?a=b", ":8080\n")],
    ("/v1/auth/cli", {"redirect_uri": "https://localhost:8080"}, "invalid_redirect_uri"),
    *[("/v1/auth/authorize", ASKED | {"client_id": "sandbox-partner", "redirect_uri": uri}, "invalid_redirect_uri")
      for uri in (LOOPBACK, "http://127.0.0.1:8765/callback?a=b")],
    *[("/v1/auth/authorize", ASKED | {"client_id": name}, "invalid_client") for name in ("nobody", "", SCRIPT)],
    ("/v1/auth/cli", {}, "invalid_redirect_uri"),
    ("/v1/auth/authorize", {"client_id": "sandbox-client", "response_type": "code"}, "invalid_redirect_uri"),
]  # fmt: skip


async def test_a_request_that_can_not_be_answered_at_its_redirect_uri_has_no_redirect(
    client: httpx2.AsyncClient,
) -> None:
    for path, query, code in REFUSED:
        response = await client.get(path, params=query)
        assert error_of(response, 400) == code, query
        assert reason_of(response)
        page = await client.get(path, params=query, headers={"Accept": "text/html", "Accept-Language": "es"})
        assert (page.status_code, page.headers["content-type"]) == (400, "text/html; charset=utf-8")
        assert "<h1>No se puede continuar</h1>" in page.text
        assert code in page.text
        assert not any(each in page.text for each in ("<form", "evil.example", "<script"))
        assert "location" not in response.headers | page.headers


async def steps(client: httpx2.AsyncClient, request_token: str) -> list[httpx2.Response]:
    """Try a request token in every request that takes one."""
    return [
        await client.get("/v1/auth/sign-in", params={"request": request_token, "provider": "google"}),
        await client.post("/v1/auth/sign-in", data={"request": request_token, "account": "acct-personal"}),
        await client.get("/v1/auth/consent", params={"request": request_token}),
        await client.post("/v1/auth/consent", data={"request": request_token, "decision": "allow"}),
        await client.post("/v1/auth/consent", data={"request": request_token, "decision": "deny"}),
    ]


async def test_a_forged_or_foreign_request_token_is_refused(client: httpx2.AsyncClient) -> None:
    good = request_token_in(await client.get("/v1/auth/cli", params=CLI))
    header, payload, signature = good.split(".")
    done = await client.post("/v1/auth/sign-in", data={"request": good, "account": "acct-personal"})
    access_token = query_of(done)["access_token"]
    for token in (f"{header}.{payload[:-2]}AA.{signature}", f"{header}.{payload}.", "eyJ...", SCRIPT, access_token):
        for step in await steps(client, token):
            assert error_of(step, 400) == "sign_in_expired"
    assert error_of(await guarded(client, good), 401) == "invalid_token"
    client.cookies.clear()
    for _ in range(2):  # without a cookie, and with another one
        for step in await steps(client, good):
            assert error_of(step, 400) == "sign_in_expired"
        await client.get("/v1/auth/cli", params=CLI)


async def test_a_page_is_valid_for_ten_minutes(client: httpx2.AsyncClient, clock: ManualClock) -> None:
    request_token = request_token_in(await client.get("/v1/auth/cli", params=CLI))
    clock.advance(seconds=599)
    await client.get("/v1/auth/cli", params=CLI)  # a second tab does not end the first one's sign-in
    assert (await steps(client, request_token))[0].status_code == 200
    clock.advance(seconds=1)
    for step in await steps(client, request_token):
        assert error_of(step, 400) == "sign_in_expired"


async def test_a_cookie_that_someone_else_planted_is_replaced(client: httpx2.AsyncClient) -> None:
    client.cookies.set("kallyai_sandbox_browser", "planted")
    cookie = (await client.get("/v1/auth/cli", params=CLI)).headers["set-cookie"]
    assert "planted" not in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie


async def all_pages(client: httpx2.AsyncClient, language: str = "en") -> dict[str, httpx2.Response]:
    """Return each page in this language."""
    client.headers.update({"Accept": "text/html", "Accept-Language": language})
    first = await client.get("/v1/auth/cli", params=CLI | {"state": SCRIPT})
    chooser = {"request": request_token_in(first), "provider": "apple"}
    return {
        "sign in": first,
        "choose": await client.get("/v1/auth/sign-in", params=chooser),
        "consent": await consent_page(client, state=SCRIPT),
        "stopped": await client.get("/v1/auth/cli", params={"redirect_uri": SCRIPT}),
    }


async def test_every_page_has_strict_headers_and_loads_and_shows_nothing_from_outside(
    client: httpx2.AsyncClient,
) -> None:
    for name, page in (await all_pages(client)).items():
        policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
        back_to = {"stopped": "'none'"}.get(name, "'self' http://127.0.0.1:9999")
        assert policy["form-action"] == back_to, name
        assert {policy[each] for each in ("default-src", "script-src", "base-uri", "frame-ancestors")} == {"'none'"}
        assert page.headers["cache-control"] == "no-store", name
        assert page.headers["referrer-policy"] == "no-referrer", name
        assert page.headers["x-content-type-options"] == "nosniff", name
        assert re.findall(r'<(?:link|img|iframe|object)[^>]* (?:src|href)="([^"]*)"', page.text) == [
            "data:,", "/_sandbox/style.css",
        ], name  # fmt: skip
        assert not re.search(r"<script|\s(style|on\w+)=|url\(", page.text), name
        assert "alert(1)" not in page.text, name
        assert [page.text.count(f"<{tag}") for tag in ("title>", "h1>", "main>")] == [1, 1, 1], name
        assert '<html lang="en">' in page.text, name


async def test_the_pages_are_in_spanish_for_a_spanish_browser(client: httpx2.AsyncClient) -> None:
    pages = await all_pages(client, "es-MX,es;q=0.9")
    for page in pages.values():
        assert page.headers["content-language"] == "es"
        assert "Accept-Language" in page.headers["vary"]
    assert not any(account.description in pages["choose"].text for account in ACCOUNTS.values())
    assert "¿Permitir el acceso a Sandbox Client?" in pages["consent"].text
    assert "Leer las transcripciones de las llamadas" in pages["consent"].text
    assert "Después vuelves a http://127.0.0.1:9999" in unescape(pages["consent"].text)
    assert SCOPES_ES.keys() == SCOPES.keys()
