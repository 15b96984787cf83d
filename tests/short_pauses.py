"""Pauses that take a tenth of their time, for tests that show what comes after them."""

import asyncio
from types import ModuleType
from typing import Any

import uvicorn.server

from kallyai_mcp.calls.clock import Clock


class ShortPauses(Clock):
    """A clock of calls whose pauses between two tries, or between two looks, are short."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / 10)


class _Asyncio(ModuleType):
    """asyncio, except that `sleep` is short."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    @staticmethod
    async def sleep(delay: float) -> None:
        await asyncio.sleep(delay / 10)


def install() -> None:
    """Let uvicorn look more often whether it should end; each server of this process would keep its test waiting."""
    vars(uvicorn.server)["asyncio"] = _Asyncio(asyncio.__name__)
