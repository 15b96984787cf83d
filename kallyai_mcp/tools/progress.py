"""Messages about the progress of a tool, for clients that ask for them (`progressToken`; MCP, "Progress").

Many clients give up 5 to 60 s after their request. Each message restarts that time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

import anyio
from mcp.server.mcpserver import Context

EVERY = 3.0
"""Seconds between two messages. The shortest time-out of a known client is 5 seconds."""

_Result = TypeVar("_Result")


@dataclass
class _Message:
    """The text of the progress messages of a tool call; None until the tool has called `say`."""

    text: Callable[[], str] | None = None


_message: ContextVar[_Message | None] = ContextVar("kallyai_mcp_progress", default=None)


def say(text: Callable[[], str]) -> None:
    """Set the text of the next progress messages of this tool call; `text` is called for each message."""
    if (message := _message.get()) is not None:
        message.text = text


async def with_progress(work: Awaitable[_Result], ctx: Context[Any, Any], *, at_once: bool) -> _Result:
    """Return what `work` returns; until then, send a message every `EVERY` seconds, and with `at_once` one now."""
    message = _Message()
    token = _message.set(message)
    reports = asyncio.create_task(_report(message, ctx, at_once))
    try:
        return await work
    finally:
        reports.cancel()
        _message.reset(token)


async def _report(message: _Message, ctx: Context[Any, Any], at_once: bool) -> None:
    began = anyio.current_time()
    if not at_once:
        await anyio.sleep(EVERY)
    while True:
        text = message.text() if message.text is not None else None
        await ctx.report_progress(anyio.current_time() - began, message=text)
        await anyio.sleep(EVERY)
