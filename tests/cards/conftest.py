"""One browser and one host for all cards; for each test a server of its own, with the sandbox behind it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from playwright.async_api import Browser, async_playwright

from kallyai_mcp.cards.pages import call_card
from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.settings import Settings
from tests.agent import Agent, agent_on
from tests.cards.kit import CHROMIUM, FLAGS, Chat, Stage, Tabs, staged
from tests.cards.npm import bundled, missing
from tests.sandbox.manual_clock import ManualClock

Open = Callable[..., Awaitable[Chat]]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
async def stage() -> AsyncIterator[Stage]:
    if lacking := missing():
        pytest.skip(lacking)
    async with staged(bundled()) as stage:
        yield stage


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no chromium on this machine (Debian: apt-get install chromium)")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
def tabs(chromium: Browser, stage: Stage) -> Tabs:
    return Tabs(chromium, stage)


@pytest.fixture
async def agent(settings: Settings, clock: ManualClock, app: SandboxApp) -> AsyncIterator[Agent]:
    """An agent whose telephone is the sandbox; what a card gets is the same in both eras of the protocol."""
    async with agent_on(settings, mode="auto", clock=clock, app=app) as agent:
        yield agent


@pytest.fixture
async def open_card(tabs: Tabs, agent: Agent, clock: ManualClock) -> AsyncIterator[Open]:
    """Opens a card, the call card unless told otherwise, in a chat that is closed when the test ends."""
    async with AsyncExitStack() as opened:

        async def open_(html: str | None = None, *, by: Agent = agent, **options: Any) -> Chat:
            shown = tabs.chat(by, html or call_card(), now=clock.now(), **options)
            return await opened.enter_async_context(shown)

        yield open_
