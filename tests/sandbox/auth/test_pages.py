"""The sign-in pages: their headers, their languages, and their content."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import httpx2
import pytest

from kallyai_mcp.sandbox.accounts import ACCOUNTS, SCOPES, SCOPES_ES
from tests.sandbox.auth.requests import LOOPBACK, SCRIPT, consent_page, request_token_in

CLI = {"redirect_uri": "http://localhost:9999", "state": SCRIPT}


async def all_pages(client: httpx2.AsyncClient, language: str = "en") -> dict[str, httpx2.Response]:
    """Return each page in this language."""
    client.headers.update({"Accept": "text/html", "Accept-Language": language})
    first = await client.get("/v1/auth/cli", params=CLI)
    return {
        "sign in": first,
        "choose": await client.get(
            "/v1/auth/sign-in", params={"request": request_token_in(first), "provider": "apple"}
        ),
        "consent": await consent_page(client, state=SCRIPT),
        "stopped": await client.get("/v1/auth/cli", params={"redirect_uri": SCRIPT}),
    }


async def test_every_page_has_strict_security_headers(client: httpx2.AsyncClient) -> None:
    for name, page in (await all_pages(client)).items():
        policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
        (style,) = re.findall(r"<style>(.*?)</style>", page.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        back_to = {"consent": "'self' http://127.0.0.1:9999", "stopped": "'none'"}
        assert policy == {
            "default-src": "'none'",
            "style-src": f"'sha256-{digest}'",
            "form-action": back_to.get(name, "'self' http://localhost:9999"),
            "base-uri": "'none'",
            "frame-ancestors": "'none'",
        }, name
        assert page.headers["cache-control"] == "no-store", name
        assert page.headers["referrer-policy"] == "no-referrer", name
        assert page.headers["x-content-type-options"] == "nosniff", name
        assert page.headers["content-type"] == "text/html; charset=utf-8", name


async def test_no_page_loads_anything_or_runs_anything(client: httpx2.AsyncClient) -> None:
    for name, page in (await all_pages(client)).items():
        assert not re.search(r"<(script|link|img|iframe|object)|\s(src|href|style|on\w+)=|url\(|@import", page.text), (
            name
        )


async def test_no_page_shows_request_parameters(client: httpx2.AsyncClient) -> None:
    for name, page in (await all_pages(client)).items():
        assert "alert(1)" not in page.text, name


async def test_every_page_says_that_it_is_the_sandbox(client: httpx2.AsyncClient) -> None:
    for language, name_of_it, notice in (
        ("en", "Sandbox", "This is the KallyAI sandbox on your own machine."),
        ("es", "Entorno de pruebas", "Este es el entorno de pruebas de KallyAI en tu propio equipo."),
    ):
        for name, page in (await all_pages(client, language)).items():
            assert notice in page.text, (language, name)
            assert f'<span class="badge">{name_of_it}</span>' in page.text, (language, name)


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("es", "es"),
        ("es-MX,es;q=0.9,en;q=0.8", "es"),
        ("en-GB,en;q=0.9,es;q=0.8", "en"),
        ("ca,fr;q=0.9,ES-es;q=0.5,en;q=0.4", "es"),
        ("en;q=0.2, es;q=0.9", "es"),
        ("es;q=0, en;q=0.1", "en"),
        ("es;q=nonsense", "en"),
        ("es;level=1", "es"),
        ("fr", "en"),
        ("*", "en"),
        ("", "en"),
    ],
)
async def test_the_language_follows_accept_language(client: httpx2.AsyncClient, accepted: str, language: str) -> None:
    titles = {"en": "Sign in to KallyAI", "es": "Inicia sesión en KallyAI"}
    page = await client.get("/v1/auth/cli", params=CLI, headers={"Accept-Language": accepted})
    assert f'<html lang="{language}">' in page.text
    assert f"<h1>{titles[language]}</h1>" in page.text
    assert page.headers["content-language"] == language
    assert "Accept-Language" in page.headers["vary"]


async def test_a_browser_without_a_preference_gets_english(client: httpx2.AsyncClient) -> None:
    page = await client.get("/v1/auth/cli", params=CLI)
    assert page.headers["content-language"] == "en"


def test_spanish_has_texts_for_every_account_and_scope() -> None:
    assert all(account.spanish not in ("", account.description) for account in ACCOUNTS.values())
    assert SCOPES_ES.keys() == SCOPES.keys()


async def test_the_spanish_pages_are_spanish_throughout(client: httpx2.AsyncClient) -> None:
    pages = await all_pages(client, "es")
    for description in (account.description for account in ACCOUNTS.values()):
        assert description not in pages["choose"].text
    assert "Solo puede llamar a Estados Unidos y Canadá" in pages["choose"].text
    assert "¿Permitir el acceso a Sandbox Client?" in pages["consent"].text
    assert "Leer las transcripciones de las llamadas" in pages["consent"].text
    assert "Read call" not in pages["consent"].text
    assert "No se puede continuar" in pages["stopped"].text


@pytest.mark.parametrize("language", ["en", "es"])
async def test_an_expired_page_says_so_in_html(client: httpx2.AsyncClient, language: str) -> None:
    headers = {"Accept": "text/html,*/*", "Accept-Language": language}
    page = await client.post("/v1/auth/consent", data={"request": "x", "decision": "deny"}, headers=headers)
    assert page.status_code == 400
    assert {"en": "This page is too old", "es": "Esta página caducó"}[language] in page.text
    assert "sign_in_expired" in page.text


class _Outline(HTMLParser):
    """The parts of a page that assistive technology needs: language, title, landmarks, and headings."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.lang: str | None = None
        self.viewport = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "html":
            self.lang = dict(attrs).get("lang")
        if ("name", "viewport") in attrs:
            self.viewport = True


async def test_every_page_has_one_title_one_heading_and_one_main_part(client: httpx2.AsyncClient) -> None:
    for name, page in (await all_pages(client)).items():
        outline = _Outline(page.text)
        assert [outline.tags.count(tag) for tag in ("title", "h1", "main")] == [1, 1, 1], name
        assert outline.lang == "en", name
        assert outline.viewport, name


async def test_the_redirect_origin_is_shown_before_consent(client: httpx2.AsyncClient) -> None:
    page = await consent_page(client, redirect_uri=LOOPBACK)
    assert "Then you go back to http://127.0.0.1:9999" in page.text
