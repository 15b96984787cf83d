"""Streams that stay open: how many there may be, and that each ends soon after its bearer token stops being valid."""

import asyncio
import logging
from collections import Counter
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kallyai_mcp.transports.bearer_throttle import VerificationUnavailableError, Verifier

_log = logging.getLogger(__name__)

MOST = 2_000
"""How many streams this process keeps open; each one takes about 80 kB."""

MOST_PER_CALLER = 200
"""How many streams one account may have open (one address, if no token is needed)."""

VERIFY_SECONDS = 30.0
"""How long after a bearer token was verified it is verified again, while its stream is open."""


def is_stream(scope: Scope) -> bool:
    """Whether a request is answered with a stream that ends only when the client leaves.

    The SDK refuses a message whose method is not that of the header (MCP 2026-07-28, "Streamable HTTP").
    """
    if scope["method"] == "GET":
        return scope["path"] in ("/mcp", "/sse")
    return Headers(scope=scope).get("mcp-method") in ("subscriptions/listen", "events/stream")


class OpenStreams:
    """Counts the streams of this process, and serves them."""

    def __init__(self, verifier: Verifier | None) -> None:
        self._verifier = verifier
        self._open: Counter[str] = Counter()

    def refusal(self, caller: str) -> str | None:
        """Why `caller` may not open one more stream; None if it may."""
        if self._open[caller] >= MOST_PER_CALLER:
            return f"You have {MOST_PER_CALLER} streams open, which is the most. Close one first."
        if self._open.total() >= MOST:
            return f"This server has {MOST} streams open, which is the most."
        return None

    async def serve(
        self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, *, caller: str, bearer: str | None
    ) -> None:
        """Run `app` for a stream of `caller`; when `bearer` is not valid any more, end it as if the client had left."""
        is_unfinished = False
        ended = asyncio.Event()

        async def watched(message: Message) -> None:
            nonlocal is_unfinished
            if ended.is_set():
                return  # uvicorn, too, drops what is sent to a client that has left
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
            with suppress(VerificationUnavailableError):  # nothing is known to have changed
                is_valid = await self._verifier(bearer) is not None
        _log.info("a stream ends: its bearer token is no longer valid")
        ended.set()
