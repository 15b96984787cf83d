"""The address of a request's client: that of the connection, or the one in the headers of a trusted proxy."""

import logging
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

_log = logging.getLogger(__name__)

UNKNOWN = "unknown"
"""The address of a client whose own address is not known, because an untrusted header has replaced it."""


class ClientAddress:
    """ASGI middleware that uses `X-Forwarded-For` and `X-Forwarded-Proto` only from trusted proxies.

    Without `--no-proxy-headers`, uvicorn's own command line uses them from 127.0.0.1. So a client of a tunnel on this
    machine could have a new address for each request. When uvicorn has replaced an address, the real one is lost, and
    all such clients count as one.

    Args:
        app: The next app.
        trusted: The addresses and networks of the trusted proxies.
    """

    def __init__(self, app: ASGIApp, trusted: Sequence[str] = ()) -> None:
        self._app = app
        # uvicorn has types of its own for the same ASGI app.
        self._forwarded: ASGIApp = ProxyHeadersMiddleware(app, list(trusted)) if trusted else app  # type: ignore[arg-type, assignment]
        self._has_warned = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request with the address of its client in the scope."""
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
        """Whether the address is in the client's own header, so that uvicorn may have taken it from there."""
        header = ",".join(Headers(scope=scope).getlist("x-forwarded-for"))
        if not header or not scope.get("client"):
            return False
        host = scope["client"][0]
        named = (part.strip() for part in header.split(","))
        return any(part == host or part.startswith((f"{host}:", f"[{host}]")) for part in named)
