"""Draws the bundle's icon from its SVG: `python -m tests.bundle.icon`."""

from pathlib import Path

import anyio
from playwright.async_api import async_playwright

from tests.chromium import CHROMIUM, FLAGS

FOLDER = Path(__file__).parents[2] / "kallyai_mcp" / "bundle"
SIZE = 512
"""Width and height in pixels, as Claude Desktop requires."""


async def draw() -> None:
    """Write `icon.png` next to `icon.svg`, with a transparent background."""
    svg = (FOLDER / "icon.svg").read_text(encoding="utf-8")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page(viewport={"width": SIZE, "height": SIZE})
        await page.set_content(f"<style>html, body {{ margin: 0 }} svg {{ display: block }}</style>{svg}")
        await page.screenshot(path=FOLDER / "icon.png", omit_background=True)
        await browser.close()


if __name__ == "__main__":
    anyio.run(draw)
