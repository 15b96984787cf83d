"""A user whose client can ask them, and an agent of theirs."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import anyio
import anyio.to_thread
from mcp.client import ClientRequestContext
from mcp.types import (
    ElicitRequestParams,
    ElicitRequestURLParams,
    ElicitResult,
)

from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.settings import Settings
from tests.agent import Agent, open_agent
from tests.sandbox.manual_clock import ManualClock

LIMIT = 120
"""Seconds that a test may take."""

NIGHT = datetime(2026, 1, 25, 12, 30, tzinfo=UTC)
"""4:30 AM at the bistro."""

NOON = datetime(2026, 1, 25, 20, 0, tzinfo=UTC)

Reply = Mapping[str, Any] | str | Callable[[str], Any]
"""The content of a form, or `decline` or `cancel`, or a function that opens a link."""


class User:
    """A user whose replies are given in advance.

    Attributes:
        asked: What they were asked.
    """

    def __init__(self, *replies: Reply) -> None:
        self._replies = list(replies)
        self.asked: list[ElicitRequestParams] = []

    @property
    def messages(self) -> list[str]:
        return [params.message for params in self.asked]

    async def __call__(self, _: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        self.asked.append(params)
        reply = self._replies.pop(0)
        if isinstance(params, ElicitRequestURLParams) and callable(reply):
            await anyio.to_thread.run_sync(reply, params.url)
            return ElicitResult(action="accept")
        if isinstance(reply, str):
            return ElicitResult(action="decline" if reply == "decline" else "cancel")
        assert isinstance(reply, Mapping)
        return ElicitResult(action="accept", content=dict(reply))


@asynccontextmanager
async def open_agent_for(
    settings: Settings, mode: str, clock: ManualClock, app: SandboxApp | None, user: User | None
) -> AsyncIterator[Agent]:
    with anyio.fail_after(LIMIT):
        async with open_agent(
            settings, mode=mode, clock=clock, app=app, elicitation_callback=user
        ) as agent:
            yield agent
