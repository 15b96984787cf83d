"""What the tests use of Playwright, which is in the dependency group `browser`: without it, those
tests are skipped.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING or find_spec("playwright"):
    from playwright.async_api import (
        Browser,
        BrowserContext,
        ConsoleMessage,
        Frame,
        FrameLocator,
        Locator,
        Page,
        Request,
        Route,
        async_playwright,
        expect,
    )
else:  # only their annotations are evaluated then
    Browser = BrowserContext = ConsoleMessage = Frame = FrameLocator = Locator = Page = Request = (
        Route
    ) = object
    async_playwright = expect = None

__all__ = [
    "Browser",
    "BrowserContext",
    "ConsoleMessage",
    "Frame",
    "FrameLocator",
    "Locator",
    "Page",
    "Request",
    "Route",
    "async_playwright",
    "expect",
]
