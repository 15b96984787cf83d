"""Makes a picture of each page that a person sees in a browser: `python -m tests.cards.page_gallery
FOLDER [PAGE…]`. The variants are those of the cards' pictures.
"""

import sys
from pathlib import Path

import anyio

from tests.cards.gallery import VARIANTS, side_by_side
from tests.cards.pictures import studio
from tests.playwright_names import Browser
from tests.sandbox.sandbox_app import sandbox_app
from tests.shown_pages import hosted_pages, sandbox_pages


async def main(folder: Path, names: list[str]) -> None:
    """Make the pictures of the pages with these names; of all of them, if there is no name."""
    async with studio() as (browser, _, _):
        variants = [await _pictures(browser, *variant, names) for variant in VARIANTS]
        for name in variants[0]:
            await side_by_side(folder / f"{name}.png", [one[name] for one in variants], browser)


async def _pictures(
    browser: Browser, width: int, theme: str, language: str, names: list[str]
) -> dict[str, bytes]:
    """A picture of each page, by its name."""
    page = await browser.new_page(viewport={"width": width, "height": 300})
    await page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    pictures = {}
    with sandbox_app(plays=True) as app:
        async with sandbox_pages(page, app, language) as urls:
            for name, content in {**await hosted_pages(language), **urls}.items():
                if names and name not in names:
                    continue
                if content.startswith("http"):
                    await page.goto(content)
                else:
                    await page.set_content(content)
                pictures[name] = await page.screenshot(full_page=True)
    await page.close()
    return pictures


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    anyio.run(main, target, sys.argv[2:])
