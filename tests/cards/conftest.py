"""One browser and one host for all tests of the cards; each test has its own server and sandbox."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from kallyai_mcp.cards.pages import call_card
from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.settings import Settings
from tests.agent import Agent, open_agent
from tests.cards.kit import Chat, Tabs, serve_host_pages
from tests.cards.npm import bundled
from tests.npm import missing
from tests.playwright_names import Browser
from tests.sandbox.manual_clock import ManualClock

Open = Callable[..., Awaitable[Chat]]


@pytest.fixture(scope="session")
def tabs(chromium: Browser) -> Iterator[Tabs]:
    if reason := missing():
        pytest.skip(reason)
    with serve_host_pages(bundled()) as host_pages:
        yield Tabs(chromium, host_pages)


@pytest.fixture
async def agent(settings: Settings, clock: ManualClock, app: SandboxApp) -> AsyncIterator[Agent]:
    """An agent of the sandbox; a card gets the same in both protocol generations."""
    async with open_agent(settings, mode="auto", clock=clock, app=app) as agent:
        yield agent


@pytest.fixture
async def open_card(tabs: Tabs, agent: Agent, clock: ManualClock) -> AsyncIterator[Open]:
    """Opens a card, by default the call card, in a chat that is closed before the next one."""
    async with AsyncExitStack() as opened:

        async def open_(html: str | None = None, *, by: Agent = agent, **options: Any) -> Chat:
            await opened.aclose()
            shown = tabs.chat(by, html or call_card(), now=clock.now(), **options)
            return await opened.enter_async_context(shown)

        yield open_
