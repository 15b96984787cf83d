"""Makes the pictures of the cards for the README: `python -m tests.cards.pictures FOLDER`.

The font is Inter (Debian: apt-get install fonts-inter), since a minimal Linux machine has no system font.
"""

import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
from playwright.async_api import async_playwright, expect

from kallyai_mcp.cards.pages import call_card, quota_card
from kallyai_mcp.sandbox.app import create_app
from tests.agent import BISTRO, Agent, open_agent, settings_in
from tests.cards.kit import NEW_YORK, Chat, Tabs, serve_host_pages
from tests.cards.npm import bundled
from tests.chromium import CHROMIUM, FLAGS
from tests.sandbox.manual_clock import ManualClock

CONTEXT = {**NEW_YORK, "styles": {"variables": {"--font-sans": "Inter, system-ui, sans-serif"}}}
TABLE = {**BISTRO, "task_description": "Book a table by the window, or on the terrace if it is warm"}
DAYS = {3: "01", 4: "0", 6: "03", 9: "0", 10: "000", 13: "04", 16: "00", 17: "5", 20: "001", 22: "0", 24: "040"}
"""By day of January: the last digits of the test numbers +1202555010… that were called."""


async def main(folder: Path) -> None:
    """Make all pictures."""
    async with async_playwright() as playwright, serve_host_pages(bundled()) as host_pages:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, "--disable-lcd-text"])
        tabs = Tabs(browser, host_pages)
        with tempfile.TemporaryDirectory() as home:
            async with _at(datetime(2026, 1, 25, 15, 30, tzinfo=UTC), Path(home)) as (agent, clock):
                await _calls(folder, tabs, agent, clock)
        with tempfile.TemporaryDirectory() as home:
            async with _at(datetime(2026, 1, 2, 16, 0, tzinfo=UTC), Path(home)) as (agent, clock):
                await _quota(folder, tabs, agent, clock)
        await browser.close()


@asynccontextmanager
async def _at(moment: datetime, home: Path) -> AsyncIterator[tuple[Agent, ManualClock]]:
    clock = ManualClock(moment)
    app = create_app(clock=clock)
    async with open_agent(settings_in(home), mode="auto", clock=clock, app=app) as agent:
        yield agent, clock
    app.state.sandbox.close()


async def _calls(folder: Path, tabs: Tabs, agent: Agent, clock: ManualClock) -> None:
    made = await agent.use("make_call", TABLE)
    common: dict[str, Any] = {"now": clock.now(), "device_scale_factor": 1.5}
    for theme in ("light", "dark"):
        options = common | {"context": {**CONTEXT, "theme": theme}, "color_scheme": theme}
        async with tabs.chat(agent, call_card(), **options) as shown:
            await shown.give(made, TABLE)
            await expect(shown.button("Calendar file")).to_be_visible()
            await _take(shown, folder / f"call-{theme}.png", dark=theme == "dark")
    async with tabs.chat(agent, call_card(), context=CONTEXT, now=clock.now(), device_scale_factor=1.25) as shown:
        await shown.give(made, TABLE)
        await shown.button("Conversation").click()
        await expect(shown.card.get_by_role("listitem").first).to_be_visible()
        await _take(shown, folder / "transcript.png", tallest=620)
        await shown.button("Hide conversation").click()
        await shown.button("Call again…").click()
        await _take(shown, folder / "call-again.png")
    missed = {**TABLE, "respondent_phone": "+12025550104"}
    answer = await agent.use("make_call", missed)
    async with tabs.chat(agent, call_card(), context=CONTEXT, width=320, **common) as shown:
        await shown.give(answer, missed)
        await expect(shown.button("Call again…")).to_be_visible()
        await _take(shown, folder / "narrow.png")
    clock.hold()
    answer = await agent.use("make_call", {**TABLE, "party_size": 5, "wait_seconds": 0})
    async with tabs.chat(agent, call_card(), context=CONTEXT, **common) as shown:
        await shown.give(answer, TABLE)
        await expect(shown.card.get_by_role("timer")).to_be_visible()
        await _take(shown, folder / "in-progress.png")


async def _quota(folder: Path, tabs: Tabs, agent: Agent, clock: ManualClock) -> None:
    for day, numbers in DAYS.items():
        clock.set(datetime(2026, 1, day, 16, tzinfo=UTC))
        for digit in numbers:
            clock.advance(minutes=9)
            await agent.use("make_call", {**TABLE, "respondent_phone": f"+1202555010{digit}"})
    now = clock.now() + timedelta(hours=20)
    async with tabs.chat(agent, quota_card(), context=CONTEXT, now=now, device_scale_factor=1.5) as shown:
        await shown.give(await agent.use("check_quota"))
        await expect(shown.card.get_by_role("img")).to_be_visible()
        await _take(shown, folder / "quota.png")


async def _take(shown: Chat, path: Path, *, dark: bool = False, tallest: int = 2000) -> None:
    if dark:
        await shown.page.evaluate("document.documentElement.className = 'dark'")
    await shown.until("Math.abs(document.documentElement.scrollHeight - innerHeight) <= 1")
    await shown.page.mouse.move(0, 0)
    height = await shown.page.evaluate("Math.ceil(document.querySelector('main').getBoundingClientRect().bottom) + 24")
    size = shown.page.viewport_size
    assert size is not None
    await shown.page.set_viewport_size({"width": size["width"], "height": min(height, tallest)})
    await shown.page.screenshot(path=path)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    anyio.run(main, target)
