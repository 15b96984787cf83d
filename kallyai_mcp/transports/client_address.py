"""The address that a request comes from: the connection's, or the one that a trusted proxy names."""

import logging
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

_log = logging.getLogger(__name__)

UNKNOWN = "unknown"
"""The address of a client whose own address was replaced by a proxy that no setting names."""


class ClientAddress:
    """ASGI middleware that believes `X-Forwarded-For` and `X-Forwarded-Proto` only from trusted proxies.

    uvicorn's own command line believes them from 127.0.0.1 unless it is told not to (`--no-proxy-headers`), and so a
    client of a tunnel on this machine could have a new address for each request. When uvicorn has replaced an address,
    the real one is lost; all such clients count as one. `trusted` are addresses and networks of the proxies.
    """

    def __init__(self, app: ASGIApp, trusted: Sequence[str] = ()) -> None:
        self._app = app
        # uvicorn has types of its own for the same ASGI app.
        self._forwarded: ASGIApp = ProxyHeadersMiddleware(app, list(trusted)) if trusted else app  # type: ignore[arg-type, assignment]
        self._has_warned = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http" and self._is_replaced(scope):
            if not self._has_warned:
                self._has_warned = True
                _log.warning(
                    "uvicorn has replaced a client's address: start it with --no-proxy-headers, and name your proxy in "
                    "KALLYAI_TRUSTED_PROXIES"
                )
            scope["client"] = (UNKNOWN, 0)
            await self._app(scope, receive, send)
            return
        await self._forwarded(scope, receive, send)

    @staticmethod
    def _is_replaced(scope: Scope) -> bool:
        """Whether the client's own header names its address, so that uvicorn may have taken it from there."""
        header = ",".join(Headers(scope=scope).getlist("x-forwarded-for"))
        if not header or not scope.get("client"):
            return False
        host = scope["client"][0]
        named = (part.strip() for part in header.split(","))
        return any(part == host or part.startswith((f"{host}:", f"[{host}]")) for part in named)
