"""Draws the bitmaps of the bundle's icon from its SVG: `python -m tests.bundle.icon`."""

from pathlib import Path

import anyio

from tests.chromium import CHROMIUM, FLAGS
from tests.playwright_names import async_playwright

FOLDER = Path(__file__).parents[2] / "kallyai_mcp" / "bundle"
SIZES = {"icon.png": 512, "icon-48.png": 48}
"""Width and height in pixels: 512 as Claude Desktop requires, 48 for clients of MCP that show no SVG."""


async def draw() -> None:
    """Write the files next to `icon.svg`, with a transparent background."""
    svg = (FOLDER / "icon.svg").read_text(encoding="utf-8")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        style = "<style>html, body { margin: 0 } svg { display: block; width: 100vw; height: 100vh }</style>"
        for name, size in SIZES.items():
            page = await browser.new_page(viewport={"width": size, "height": size})
            await page.set_content(f"{style}{svg}")
            await page.screenshot(path=FOLDER / name, omit_background=True)
        await browser.close()


if __name__ == "__main__":
    anyio.run(draw)
