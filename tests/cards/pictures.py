"""Makes the pictures for the README and the docs: `python -m tests.cards.pictures
.github/pictures`.

They show the cards with results of the real server, the consent page, and the page on which a
person plays the restaurant. A minimal Linux machine has no system font; the pictures then use the
first of `FONTS` that it has (Debian: apt-get install fonts-inter).
"""

import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx2

from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.disclosure import with_disclosure
from kallyai_mcp.cards.pages import call_card, quota_card
from kallyai_mcp.sandbox.app import create_app
from kallyai_mcp.sandbox.serve import running
from tests.agent import BISTRO, Agent, open_agent, settings_in
from tests.auth.oauth_server.shown_pages import shown_pages
from tests.cards.kit import NEW_YORK, Chat, Tabs, serve_host_pages
from tests.cards.npm import bundled
from tests.chromium import CHROMIUM, FLAGS
from tests.playwright_names import Browser, async_playwright, expect
from tests.reference.cases import EXAMPLE
from tests.sandbox.manual_clock import ManualClock

FONTS = ("Inter", "Roboto", "Noto Sans", "Liberation Sans", "DejaVu Sans")
FULL_SCREEN = {"displayMode": "inline", "availableDisplayModes": ["inline", "fullscreen"]}
TABLE = {
    **BISTRO,
    "task_description": "Book a table by the window, or on the terrace if it is warm",
}
CANDIDATES = [
    {"respondent_phone": "+12025550103", "business_name": "First Bistro"},
    {"respondent_phone": "+12025550102", "business_name": "Second Bistro"},
    {"respondent_phone": "+12025550100", "business_name": "Third Bistro"},
]
"""One is busy, one has no table, and one is not called yet."""
CONSENT = "calls:read calls:write transcripts:read subscription:read"
DAYS = {
    3: "01",
    4: "0",
    6: "03",
    9: "0",
    10: "000",
    13: "04",
    16: "00",
    17: "5",
    20: "001",
    22: "0",
    24: "040",
}
"""By day of January: the last digits of the test numbers +1202555010… that were called."""


async def main(folder: Path) -> None:
    """Make all pictures."""
    async with studio() as (browser, tabs, home):
        async with agent_at(datetime(2026, 1, 25, 15, 30, tzinfo=UTC), home / "calls") as (
            agent,
            clock,
        ):
            await _calls(folder, tabs, agent, clock)
        async with agent_at(datetime(2026, 1, 2, 16, 0, tzinfo=UTC), home / "quota") as (
            agent,
            clock,
        ):
            await _quota(folder, tabs, agent, clock)
        await _consent_page(folder, browser)
        await _played_call(folder, browser)


@asynccontextmanager
async def studio() -> AsyncIterator[tuple[Browser, Tabs, Path]]:
    """A browser for pictures, its tabs with the host page, and a folder for homes."""
    async with async_playwright() as playwright:
        with serve_host_pages(bundled()) as host_pages, tempfile.TemporaryDirectory() as home:
            browser = await playwright.chromium.launch(
                executable_path=CHROMIUM,
                args=[*FLAGS, "--disable-lcd-text"],
                env=_with_fonts(Path(home)),
            )
            yield browser, Tabs(browser, host_pages), Path(home)
            await browser.close()


def _with_fonts(home: Path) -> dict[str, str | float | bool]:
    """The environment of a browser whose system font is the first of `FONTS` on this machine
    (fontconfig).
    """
    names = "".join(f"<string>{name}</string>" for name in FONTS)
    edit = f'<edit name="family" mode="prepend" binding="strong">{names}</edit>'
    system = ("system-ui", "sans", "sans-serif")
    rules = [
        f'<match><test name="family"><string>{name}</string></test>{edit}</match>'
        for name in system
    ]
    file = home / "fonts.conf"
    file.write_text(
        "<fontconfig><include "
        f"ignore_missing='yes'>/etc/fonts/fonts.conf</include>{''.join(rules)}</fontconfig>"
    )
    return {**os.environ, "FONTCONFIG_FILE": str(file)}


@asynccontextmanager
async def agent_at(moment: datetime, home: Path) -> AsyncIterator[tuple[Agent, ManualClock]]:
    """An agent of a sandbox of its own, at this moment, and the clock of both."""
    clock = ManualClock(moment)
    app = create_app(clock=clock)
    async with open_agent(settings_in(home), mode="auto", clock=clock, app=app) as agent:
        yield agent, clock
    app.state.sandbox.close()


async def _calls(folder: Path, tabs: Tabs, agent: Agent, clock: ManualClock) -> None:
    made = await agent.use("make_call", TABLE)
    common: dict[str, Any] = {"now": clock.now(), "device_scale_factor": 1.5}
    for theme in ("light", "dark"):
        options = common | {"context": {**NEW_YORK, "theme": theme}, "color_scheme": theme}
        async with tabs.chat(agent, call_card(), **options) as shown:
            await shown.give(made, TABLE)
            await expect(shown.button("Add to calendar")).to_be_visible()
            await _take(shown, folder / f"call-{theme}.png", dark=theme == "dark")
    async with tabs.chat(
        agent, call_card(), context={**NEW_YORK, **FULL_SCREEN}, **common
    ) as shown:
        await shown.give(made, TABLE)
        await shown.button("Conversation").click()
        await expect(shown.card.get_by_role("listitem").first).to_be_visible()
        await shown.until("!document.getElementById('conversation').hidden")
        await _take(shown, folder / "transcript.png")
    around = {
        name: value
        for name, value in TABLE.items()
        if name not in ("respondent_phone", "business_name")
    }
    shots: list[tuple[str, dict[str, Any]]] = [
        (
            "other-time.png",
            {**TABLE, "respondent_phone": "+12025550101", "accept_other_time": True},
        ),
        ("around.png", around | {"until": "booked", "candidates": CANDIDATES}),
        ("call-again.png", {**TABLE, "respondent_phone": "+12025550104"}),
    ]
    for name, arguments in shots:
        answer = await agent.use(
            "call_around" if "candidates" in arguments else "make_call", arguments
        )
        async with tabs.chat(agent, call_card(), context=NEW_YORK, **common) as shown:
            await shown.give(answer, arguments)
            await expect(shown.card.locator("#said")).to_be_visible()
            if name == "call-again.png":
                await shown.button("Call again").click()
            await _take(shown, folder / name)


async def _consent_page(folder: Path, browser: Browser) -> None:
    page = await browser.new_page(viewport={"width": 640, "height": 400}, device_scale_factor=1.5)
    await page.set_content((await shown_pages("en", CONSENT, name="Claude"))["consent"])
    await page.screenshot(path=folder / "consent.png", full_page=True)


async def _played_call(folder: Path, browser: Browser) -> None:
    """The page of a call in which a person has picked up, and types an answer."""
    asked = with_disclosure(Submission(**EXAMPLE))
    clock = ManualClock(datetime(2026, 1, 25, 15, 30, tzinfo=UTC))
    clock.hold()
    app = create_app(clock=clock, plays=True)
    token = app.state.sandbox.issue_tokens()["access_token"]
    async with running(app) as url, httpx2.AsyncClient(base_url=url, timeout=60) as client:
        page = await browser.new_page(
            viewport={"width": 560, "height": 400}, device_scale_factor=1.5
        )
        await page.goto(f"{url}/_sandbox/play")
        async with anyio.create_task_group() as group:
            group.start_soon(_place, client, asked.as_json(), token)
            await page.get_by_role("button", name="Pick up").click()
            await expect(page.get_by_role("listitem")).to_have_count(2)
            await page.get_by_label("You say").fill("We are full at seven. Would 8:30 pm do?")
            for theme in ("light", "dark"):
                await page.emulate_media(color_scheme=theme)
                await page.mouse.move(0, 0)
                await page.screenshot(path=folder / f"played-{theme}.png", full_page=True)
            await page.get_by_role("button", name="Hang up").click()
            await expect(page.get_by_text("The call has ended.")).to_be_visible()
            clock.advance(minutes=10)
    app.state.sandbox.close()


async def _place(client: httpx2.AsyncClient, submission: dict[str, Any], token: str) -> None:
    """Place the call, and wait until it has ended."""
    body = {"submission": submission, "timezone": "America/New_York"}
    headers = {"Authorization": f"Bearer {token}"}
    (await client.post("/v1/calls", headers=headers, json=body)).raise_for_status()


async def _quota(folder: Path, tabs: Tabs, agent: Agent, clock: ManualClock) -> None:
    for day, numbers in DAYS.items():
        clock.set(datetime(2026, 1, day, 16, tzinfo=UTC))
        for digit in numbers:
            clock.advance(minutes=9)
            await agent.use("make_call", {**TABLE, "respondent_phone": f"+1202555010{digit}"})
    now = clock.now() + timedelta(hours=20)
    async with tabs.chat(
        agent, quota_card(), context=NEW_YORK, now=now, device_scale_factor=1.5
    ) as shown:
        await shown.give(await agent.use("check_quota"))
        await expect(shown.card.get_by_role("img")).to_be_visible()
        await _take(shown, folder / "quota.png")


async def _take(shown: Chat, path: Path, *, dark: bool = False) -> None:
    if dark:
        await shown.page.evaluate("document.documentElement.className = 'dark'")
    await shown.until("Math.abs(document.documentElement.scrollHeight - innerHeight) <= 1")
    await shown.page.mouse.move(0, 0)
    height = await shown.page.evaluate(
        "Math.ceil(document.querySelector('main').getBoundingClientRect().bottom) + 24"
    )
    size = shown.page.viewport_size
    assert size is not None
    await shown.page.set_viewport_size({"width": size["width"], "height": height})
    await shown.page.screenshot(path=path)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    anyio.run(main, target)
