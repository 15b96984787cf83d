"""Every page of the sign-in and of the sandbox is easy to see and to use, in a real browser."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from kallyai_mcp.auth.oauth_server.scopes import SCOPES
from kallyai_mcp.sandbox.app import SandboxApp
from tests.auth.oauth_server.shown_pages import shown_pages
from tests.page_checks import hard_to_use
from tests.playwright_names import Browser, Page
from tests.shown_pages import LONG_APP, hosted_pages, sandbox_pages

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
    """What is hard to use in any of the media, at the usual size of text and at 200 %, with all
    that is folded away open.
    """
    found: list[str] = []
    await page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    for name, (width, media) in MEDIA.items():
        await page.set_viewport_size({"width": width, "height": 900})
        await page.emulate_media(**media)
        for size in ("", "200%"):
            await page.evaluate(f"document.documentElement.style.fontSize = '{size}'")
            found += [
                f"{name} {size}: {problem}" for problem in await hard_to_use(page, axe=not size)
            ]
    return found


async def test_the_pages_of_signing_in(page: Page) -> None:
    for name, html in (await hosted_pages(LANGUAGE)).items():
        await page.set_content(html)

        assert await page.get_by_role("heading", level=1).is_visible(), name
        assert await problems(page) == [], name


async def test_the_consent_buttons_are_visible_on_phones(page: Page) -> None:
    await page.set_viewport_size({"width": 390, "height": 844})
    for language in ("en", "es"):
        for publisher in ("app.example.com", None):
            shown = await shown_pages(
                language, " ".join(SCOPES), name=LONG_APP, publisher=publisher
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


@pytest.mark.programs
async def test_the_pages_of_the_sandbox(page: Page, app: SandboxApp) -> None:
    async with sandbox_pages(page, app, LANGUAGE) as urls:
        for name, url in urls.items():
            await page.goto(url)

            assert await problems(page) == [], name
