"""Makes a picture of each state of the cards: `python -m tests.cards.gallery FOLDER [STATE…]`.

Each picture shows a state as it is 390 and 800 px wide, in light and dark, in English and Spanish.
"""

import base64
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
from mcp.types import CallToolResult

from kallyai_mcp.cards.pages import call_card, quota_card
from tests.agent import Agent, Answer
from tests.cards.kit import NEW_YORK, Chat, Tabs
from tests.cards.pictures import studio
from tests.cards.states import NOW, STATES, State
from tests.playwright_names import Browser

VARIANTS = ((390, "light", "en-US"), (390, "dark", "es-ES"), (800, "light", "es-ES"))
"""The width in px, the theme, and the language of each picture of a state."""

FITS = (
    "Math.abs(document.documentElement.scrollHeight - innerHeight) <= 1"
    " && document.documentElement.getBoundingClientRect().height <= innerHeight + 1"
)
"""Whether the host has given the card the height that the card needs."""


async def main(folder: Path, names: list[str]) -> None:
    """Make the pictures of the states with these names; of all of them, if there is no name."""
    async with studio() as (browser, tabs, _):
        for name in names or STATES:
            await _sheet(folder / f"{name}.png", STATES[name], browser, tabs)


class Answering(Agent):
    """An agent whose tools answer what a state says, and an error else."""

    def __init__(self, state: State) -> None:
        self._answers = state.answers

    async def use(
        self, tool: str, arguments: Mapping[str, Any] | None = None, /, **more: Any
    ) -> Answer:
        """What a tool answers, whatever the `arguments` are."""
        del arguments, more
        given = self._answers.get(tool)
        error = {"status": "error", "code": "unavailable"}
        return Answer(
            CallToolResult(content=[], structured_content=given or error, is_error=given is None)
        )


async def _sheet(path: Path, state: State, browser: Browser, tabs: Tabs) -> None:
    """One picture with all variants of a state side by side."""
    pictures = []
    for width, theme, language in VARIANTS:
        context = {**NEW_YORK, "theme": theme, "locale": language}
        card = quota_card if state.is_quota else call_card
        html = card(sandbox=state.sandbox)
        options: dict[str, Any] = {"now": NOW, "context": context, "width": width}
        async with tabs.chat(Answering(state), html, color_scheme=theme, **options) as shown:
            await _show(shown, state, dark=theme == "dark")
            pictures.append(await shown.page.screenshot())
    await side_by_side(path, pictures, browser)


async def side_by_side(path: Path, pictures: list[bytes], browser: Browser) -> None:
    """Make one picture of several."""
    images = "".join(
        f'<img src="data:image/png;base64,{base64.b64encode(picture).decode()}">'
        for picture in pictures
    )
    page = await browser.new_page(viewport={"width": 1640, "height": 300})
    await page.set_content(
        f"<body style='margin:0;display:flex;align-items:start;gap:20px'>{images}"
    )
    await page.screenshot(path=path, full_page=True)
    await page.close()


async def _show(shown: Chat, state: State, *, dark: bool) -> None:
    await shown.page.evaluate(
        "dark => { document.documentElement.className = dark ? 'dark' : '' }", dark
    )
    await shown.start(state.arguments)
    if state.structure is not None:
        result = CallToolResult(
            content=[], structured_content=state.structure, is_error=state.is_error
        )
        await shown.give(Answer(result), state.arguments)
    if state.press:
        await shown.frame.evaluate(
            "name => document.querySelectorAll('#choices button:not([hidden])')[name].click()",
            state.press - 1,
        )
    if shown.idle is not None:
        await shown.idle.wait()
    if "get_transcript" in state.answers:
        await shown.until("!document.getElementById('conversation').hidden")
    if "get_call" in state.answers:
        await shown.until("document.getElementById('status').textContent")
    if state.is_quota and not state.is_error:
        await shown.until("!document.getElementById('period').hidden")
    await shown.until(FITS)
    height = await shown.page.evaluate(
        "Math.ceil(document.querySelector('main').getBoundingClientRect().bottom) + 24"
    )
    size = shown.page.viewport_size
    assert size is not None
    await shown.page.set_viewport_size({"width": size["width"], "height": height})


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    anyio.run(main, target, sys.argv[2:])
