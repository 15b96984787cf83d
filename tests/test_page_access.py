"""Every page of the sign-in and of the sandbox is easy to see and to use, in a real browser."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from kallyai_mcp.auth.oauth_server.scopes import SCOPES
from kallyai_mcp.auth.pages import loopback_page
from kallyai_mcp.sandbox.app import SandboxApp
from tests.auth.oauth_server.shown_pages import shown_pages
from tests.page_checks import hard_to_use
from tests.playwright_names import Browser, Page, Route
from tests.sandbox.auth.requests import LOOPBACK, request_token_in
from tests.sandbox.sandbox_app import client_of

SANDBOX = "http://sandbox.test"
LONG_NAME = "An app with a rather long name"
LANGUAGE = "es"
"""Its texts are longer."""

MEDIA: dict[str, tuple[int, dict[str, Any]]] = {
    "light": (1000, {"color_scheme": "light", "forced_colors": "none"}),
    "dark": (1000, {"color_scheme": "dark", "forced_colors": "none"}),
    "narrow": (320, {"color_scheme": "light", "forced_colors": "none"}),
    "forced colors": (700, {"color_scheme": "light", "forced_colors": "active"}),
}
"""Widths in pixels, and media."""


@pytest.fixture(scope="module")
async def page(chromium: Browser) -> AsyncIterator[Page]:
    """One tab for all tests."""
    async with await chromium.new_context() as context:
        yield await context.new_page()


async def problems(page: Page) -> list[str]:
    """What is hard to use in any of the media, at the usual size of text and at 200 %."""
    found: list[str] = []
    for name, (width, media) in MEDIA.items():
        await page.set_viewport_size({"width": width, "height": 900})
        await page.emulate_media(**media)
        for size in ("", "200%"):
            await page.evaluate(f"document.documentElement.style.fontSize = '{size}'")
            found += [
                f"{name} {size}: {problem}" for problem in await hard_to_use(page, axe=not size)
            ]
    return found


async def test_the_last_sign_in_pages_are_accessible(page: Page) -> None:
    for kind in ("done", "failed", "over", "wrong"):
        body = loopback_page(kind, LANGUAGE, who="ada.lovelace@a-rather-long-name.example.com")
        await page.set_content(body.decode())

        assert await problems(page) == [], kind


async def test_the_pages_of_the_hosted_sign_in(page: Page) -> None:
    for name, html in (await shown_pages(LANGUAGE, " ".join(SCOPES), name=LONG_NAME)).items():
        await page.set_content(html)

        assert await page.get_by_role("heading", level=1).is_visible(), name
        assert await problems(page) == [], name


async def test_the_consent_buttons_are_visible_on_phones(page: Page) -> None:
    await page.set_viewport_size({"width": 390, "height": 844})
    for language in ("en", "es"):
        for publisher in ("app.example.com", None):
            shown = await shown_pages(
                language, " ".join(SCOPES), name=LONG_NAME, publisher=publisher
            )
            await page.set_content(shown["consent"])
            boxes = [
                await button.bounding_box() for button in await page.get_by_role("button").all()
            ]

            assert boxes
            assert all(box is not None and box["y"] + box["height"] <= 844 for box in boxes)
            assert await page.get_by_role("listitem").count() == len(SCOPES)
            assert ("app.example.com" in shown["consent"]) is (publisher is not None)
            assert any(words in shown["consent"] for words in ("Nobody has checked", "Nadie")) is (
                publisher is None
            )


async def test_the_pages_of_the_sandbox(page: Page, app: SandboxApp) -> None:
    async with client_of(app) as client:
        client.headers.update({"Accept": "text/html", "Accept-Language": LANGUAGE})

        async def answer(route: Route) -> None:
            response = await client.get(route.request.url)
            await route.fulfill(
                status=response.status_code, headers=dict(response.headers), body=response.content
            )

        await page.route(f"{SANDBOX}/**", answer)
        first = await client.get("/v1/auth/cli", params={"redirect_uri": "http://localhost:9999"})
        query = {
            "response_type": "code",
            "client_id": "sandbox-client",
            "redirect_uri": LOOPBACK,
            "state": "s",
        }
        web = request_token_in(await client.get("/v1/auth/authorize", params=query))
        consent = await client.post(
            "/v1/auth/sign-in", data={"request": web, "account": "acct-personal"}
        )
        token = app.state.sandbox.issue_tokens()["access_token"]
        portal = await client.get(
            "/v1/stripe/billing-portal", headers={"Authorization": f"Bearer {token}"}
        )
        paths = {
            "home": "/",
            "billing": portal.json()["url"].removeprefix(SANDBOX),
            "play": "/_sandbox/play",
            "sign in": "/v1/auth/cli?redirect_uri=http://localhost:9999",
            "choose": f"/v1/auth/sign-in?request={request_token_in(first)}&provider=apple",
            "consent": f"/v1/auth/{consent.headers['location']}",
            "stopped": "/v1/auth/cli?redirect_uri=http://evil.example",
        }
        for name, path in paths.items():
            await page.goto(SANDBOX + path)

            assert await problems(page) == [], name
        await page.goto("about:blank")
