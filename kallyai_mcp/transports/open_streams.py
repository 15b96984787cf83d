"""Limits the number of streams that stay open, and ends each soon after its bearer token is no longer valid."""

import asyncio
import logging
from collections import Counter
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kallyai_mcp.transports.bearer_throttle import VerificationUnavailableError, Verifier

_log = logging.getLogger(__name__)

MOST = 2_000
"""The most open streams of this process. Each takes about 80 kB."""

MOST_PER_CALLER = 200
"""The most open streams of one account (of one address, if no token is needed)."""

VERIFY_SECONDS = 30.0
"""Seconds between two checks of the bearer token of an open stream."""


def is_stream(scope: Scope) -> bool:
    """Whether a request is answered with a stream that ends only when the client disconnects.

    The header `Mcp-Method` can be used, because the SDK refuses a message with another method (MCP 2026-07-28,
    "Streamable HTTP").
    """
    if scope["method"] == "GET":
        return scope["path"] in ("/mcp", "/sse")
    return Headers(scope=scope).get("mcp-method") in ("subscriptions/listen", "events/stream")


class OpenStreams:
    """Counts the streams of this process, and serves them.

    Args:
        verifier: Checks bearer tokens; None if no token is needed.
    """

    def __init__(self, verifier: Verifier | None) -> None:
        self._verifier = verifier
        self._open: Counter[str] = Counter()

    def refusal(self, caller: str) -> str | None:
        """Why `caller` may not open one more stream, in words; None if it may."""
        if self._open[caller] >= MOST_PER_CALLER:
            return f"You have {MOST_PER_CALLER} streams open, which is the most. Close one first."
        if self._open.total() >= MOST:
            return f"This server has {MOST} streams open, which is the most."
        return None

    async def serve(
        self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, *, caller: str, bearer: str | None
    ) -> None:
        """Run `app` for a stream of `caller`. When `bearer` is no longer valid, end it like after a disconnection."""
        is_unfinished = False
        ended = asyncio.Event()

        async def watched(message: Message) -> None:
            nonlocal is_unfinished
            if ended.is_set():
                return  # as uvicorn drops what is sent after the client has disconnected
            is_unfinished = message["type"] == "http.response.start" or message.get("more_body", False)
            await send(message)

        async def receive_until_ended() -> Message:
            received, end = asyncio.ensure_future(receive()), asyncio.ensure_future(ended.wait())
            try:
                await asyncio.wait((received, end), return_when=asyncio.FIRST_COMPLETED)
                return {"type": "http.disconnect"} if end.done() else received.result()
            finally:
                received.cancel()
                end.cancel()

        self._open[caller] += 1
        watch = asyncio.create_task(self._end_when_invalid(bearer, ended)) if bearer is not None else None
        try:
            await app(scope, receive_until_ended, watched)
        finally:
            if watch is not None:
                watch.cancel()
            self._open[caller] -= 1
            if not self._open[caller]:
                del self._open[caller]
        if ended.is_set() and is_unfinished:
            await send({"type": "http.response.body"})

    async def _end_when_invalid(self, bearer: str, ended: asyncio.Event) -> None:
        assert self._verifier is not None, "a bearer was accepted"  # noqa: S101
        is_valid = True
        while is_valid:
            await asyncio.sleep(VERIFY_SECONDS)
            with suppress(VerificationUnavailableError):  # as long as nothing is known, the token counts as valid
                is_valid = await self._verifier(bearer) is not None
        _log.info("a stream ends: its bearer token is no longer valid")
        ended.set()
