"""Every page of the sign-in and of the sandbox is easy to see and to use, in a real browser."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from kallyai_mcp.auth.oauth_server.scopes import SCOPES
from kallyai_mcp.auth.pages import loopback_page
from kallyai_mcp.sandbox.app import SandboxApp
from tests.auth.oauth_server.shown_pages import shown_pages
from tests.page_checks import hard_to_use
from tests.playwright_names import Browser, Page, Route
from tests.sandbox.auth.requests import request_token_in

SANDBOX = "http://sandbox.test"
BROWSERS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light", "viewport": {"width": 1000, "height": 900}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1000, "height": 900}},
    "narrow, Spanish": {"locale": "es-ES", "viewport": {"width": 320, "height": 900}},
    "forced colors": {"forced_colors": "active", "viewport": {"width": 700, "height": 900}},
}


@pytest.fixture(scope="module", params=BROWSERS)
async def tab(chromium: Browser, request: pytest.FixtureRequest) -> AsyncIterator[Page]:
    """A tab for all tests, since opening one takes longer than a test."""
    context = await chromium.new_context(**BROWSERS[request.param])
    yield await context.new_page()
    await context.close()


@pytest.fixture
async def page(tab: Page) -> AsyncIterator[Page]:
    yield tab
    await tab.unroute_all()
    await tab.context.clear_cookies()
    await tab.goto("about:blank")


async def problems(page: Page) -> list[str]:
    """What is hard to use as it is, and at 200 % text."""
    found = await hard_to_use(page)
    await page.evaluate("document.documentElement.style.fontSize = '200%'")
    return found + await hard_to_use(page)


async def language_of(page: Page) -> str:
    language: str = await page.evaluate("navigator.language")
    return language


async def test_the_pages_at_the_end_of_a_sign_in(page: Page) -> None:
    for kind in ("done", "failed", "over", "wrong"):
        body = loopback_page(kind, await language_of(page), who="ada.lovelace@a-rather-long-name.example.com")
        await page.set_content(body.decode())

        assert await problems(page) == [], kind


async def test_the_pages_of_the_hosted_sign_in(page: Page) -> None:
    shown = await shown_pages(await language_of(page), " ".join(SCOPES), name="An app with a rather long name")
    for name, html in shown.items():
        await page.set_content(html)

        assert await page.get_by_role("heading", level=1).is_visible(), name
        assert await problems(page) == [], name


@pytest.mark.parametrize("publisher", ["app.example.com", None])
@pytest.mark.parametrize("language", ["en", "es"])
async def test_the_buttons_of_the_consent_page_are_visible_on_a_phone(
    chromium: Browser, language: str, publisher: str | None
) -> None:
    scopes = " ".join(SCOPES)
    shown = await shown_pages(language, scopes, name="An app with a rather long name", publisher=publisher)
    async with await chromium.new_context(viewport={"width": 390, "height": 844}) as context:
        page = await context.new_page()
        await page.set_content(shown["consent"])
        for button in await page.get_by_role("button").all():
            box = await button.bounding_box()

            assert box is not None
            assert box["y"] + box["height"] <= 844
        assert await page.get_by_role("listitem").count() == len(SCOPES)
        assert ("app.example.com" in shown["consent"]) is (publisher is not None)
        assert any(words in shown["consent"] for words in ("Nobody has checked", "Nadie")) is (publisher is None)


async def test_the_pages_of_the_sandbox(page: Page, app: SandboxApp) -> None:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=SANDBOX) as client:
        client.headers.update({"Accept": "text/html", "Accept-Language": await language_of(page)})

        async def answer(route: Route) -> None:
            response = await client.get(route.request.url)
            await route.fulfill(status=response.status_code, headers=dict(response.headers), body=response.content)

        await page.route(f"{SANDBOX}/**", answer)
        first = await client.get("/v1/auth/cli", params={"redirect_uri": "http://localhost:9999"})
        token = app.state.sandbox.issue_tokens()["access_token"]
        portal = await client.get("/v1/stripe/billing-portal", headers={"Authorization": f"Bearer {token}"})
        paths = {
            "home": "/",
            "billing": portal.json()["url"].removeprefix(SANDBOX),
            "docs": "/docs",
            "play": "/_sandbox/play",
            "sign in": "/v1/auth/cli?redirect_uri=http://localhost:9999",
            "choose": f"/v1/auth/sign-in?request={request_token_in(first)}&provider=apple",
            "stopped": "/v1/auth/cli?redirect_uri=http://evil.example",
        }
        for name, path in paths.items():
            await page.goto(SANDBOX + path)

            assert await problems(page) == [], name
