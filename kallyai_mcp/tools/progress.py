"""Progress of a tool, for clients that asked for it (`progressToken`; MCP, "Progress").

Many clients give up 5 to 60 s after their request, and wait again as long after each message of progress.
"""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

import anyio
from mcp.server.mcpserver import Context

from kallyai_mcp.background import beside

EVERY = 3.0
"""Seconds between two messages: the shortest time-out of a client that is known is 5."""

_Result = TypeVar("_Result")


@dataclass
class _Now:
    """What the tool does now; None until the tool has said it."""

    text: Callable[[], str] | None = None


_now: ContextVar[_Now | None] = ContextVar("kallyai_mcp_progress", default=None)


def say(text: Callable[[], str]) -> None:
    """Have the next messages of the present tool say `text`, which is called for each message."""
    if (now := _now.get()) is not None:
        now.text = text


async def with_progress(work: Callable[[], Awaitable[_Result]], ctx: Context[Any, Any], *, at_once: bool) -> _Result:
    """Return what `work` returns; report its progress every `EVERY` seconds until then, and maybe at once."""
    if (ctx.request_context.meta or {}).get("progress_token") is None:
        return await work()
    now = _Now()
    token = _now.set(now)
    try:
        async with beside(_report, now, ctx, at_once):
            return await work()
    finally:
        _now.reset(token)


async def _report(now: _Now, ctx: Context[Any, Any], at_once: bool) -> None:
    began = anyio.current_time()
    if not at_once:
        await anyio.sleep(EVERY)
    while True:
        await ctx.report_progress(anyio.current_time() - began, message=now.text() if now.text is not None else None)
        await anyio.sleep(EVERY)
