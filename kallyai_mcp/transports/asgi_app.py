"""The ASGI app: `/mcp` (Streamable HTTP), the older `/sse` with `/messages/`, `/health`, and
`/ready`.

`/mcp` keeps no sessions, so any worker can answer any request. A session of `/sse` is its
connection and belongs to one worker. So a load balancer must send all requests of a client to one
worker. Workers that share a port can't be addressed separately, so they don't serve `/sse`.
"""

import asyncio
import logging
import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import RequestBodyLimitMiddleware, TransportSecuritySettings
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.transports.access import AccessMiddleware, AccessPolicy
from kallyai_mcp.transports.messages import MessageMiddleware

MAX_BODY_BYTES = 64 * 1024
"""The most bytes of a request's body. A request that places a call is far shorter."""

READY_TIMEOUT = 2.0
"""The most seconds of one readiness check."""

REMEMBER_SECONDS = 2.0
"""How many seconds the results are kept before the checks run again."""

Check = Callable[[], Awaitable[object]]
"""A readiness check. It raises an exception if the part that it checks is not ready."""

_log = logging.getLogger(__name__)
_NO_CHECKS = TransportSecuritySettings(enable_dns_rebinding_protection=False)
"""Turns the SDK's checks of `Host` and `Origin` off: the `AccessMiddleware` checks them for every
path.
"""


def http_app(
    server: MCPServer[AppContext],
    policy: AccessPolicy,
    *,
    checks: Mapping[str, Check],
    lifespan: AbstractAsyncContextManager[object],
    sse: bool = True,
    routes: Sequence[BaseRoute] = (),
    middleware: Sequence[Middleware] = (),
) -> Starlette:
    """The app of both HTTP transports.

    `checks` are those of `/ready`. `lifespan` is entered before the first request is served, and
    left when the app ends. Without `sse`, `/sse` answers 404. `routes` are more routes, such as
    those of the OAuth server, which come first, and `middleware` is inside of the
    `AccessMiddleware`, and gets each body as one message.
    """
    streamable = server.streamable_http_app(stateless_http=True, transport_security=_NO_CHECKS)
    for route in streamable.routes:
        if isinstance(route, Route):
            route.methods = {"POST"}  # a GET would open a stream, on which nothing comes
            route.app = _with_session_id(route.app)
    all_routes: list[BaseRoute] = [*routes, *streamable.routes, *status_routes(checks)]
    if sse:
        events = server.sse_app(transport_security=_NO_CHECKS)
        for route in events.routes:
            if isinstance(route, Route) and route.methods:
                # Starlette adds it to GET; the SDK opens a stream for it.
                route.methods.discard("HEAD")
        all_routes += events.routes

    @asynccontextmanager
    async def app_lifespan(_: Starlette) -> AsyncIterator[None]:
        async with lifespan, server.session_manager.run():
            yield

    stack = [
        Middleware(ProxyHeadersMiddleware, trusted_hosts=list(policy.trusted_proxies)),
        *([_cors(policy)] if policy.origins else []),
        Middleware(AccessMiddleware, policy=policy),
        Middleware(RequestBodyLimitMiddleware, max_body_size=MAX_BODY_BYTES),
        Middleware(MessageMiddleware),
        *middleware,
    ]
    app = Starlette(routes=all_routes, middleware=stack, lifespan=app_lifespan)
    app.router.redirect_slashes = False  # by http behind a proxy, with the client's token
    return app


class _Remembered:
    """A readiness check whose result is kept for `REMEMBER_SECONDS`."""

    def __init__(self, name: str, check: Check, clock: Callable[[], float]) -> None:
        self._name = name
        self._check = check
        self._clock = clock
        self._lock = asyncio.Lock()
        self._state = ""
        self._checked_at = float("-inf")

    async def state(self) -> str:
        """What the check found last; it runs again when that is too old."""
        async with self._lock:
            if self._clock() >= self._checked_at + REMEMBER_SECONDS:
                self._state = await self._run()
                self._checked_at = self._clock()
            return self._state

    async def _run(self) -> str:
        try:
            async with asyncio.timeout(READY_TIMEOUT):  # the ledger shields its steps from anyio's
                await self._check()
        except Exception as error:  # noqa: BLE001 - any failure means that it is not ready
            _log.warning("not ready: %s: %s", self._name, type(error).__name__)
            return "unreachable"
        return "ok"


def status_routes(
    checks: Mapping[str, Check], clock: Callable[[], float] = time.monotonic
) -> list[Route]:
    """`/health` and `/ready` for load balancers.

    They are public, so many requests must cost no more than one. `checks` are the readiness checks
    by name: `/ready` runs all of them, `/ready?check=NAME` this one alone. `clock` is monotonic, in
    seconds.
    """
    remembered = {name: _Remembered(name, check, clock) for name, check in checks.items()}

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def ready(request: Request) -> Response:
        names = sorted(set(request.query_params.getlist("check")) or remembered)
        if not remembered.keys() >= set(names):
            known = ", ".join(sorted(remembered))
            return PlainTextResponse(f"There is no such check. The checks are: {known}", 400)
        states = await asyncio.gather(*(remembered[name].state() for name in names))
        found = dict(zip(names, states, strict=True))
        if set(states) == {"ok"}:
            return JSONResponse({"status": "ready", "checks": found}, 200)
        return JSONResponse({"status": "not ready", "checks": found}, 503)

    return [Route("/health", health), Route("/ready", ready)]


def _with_session_id(app: ASGIApp) -> ASGIApp:
    """`/mcp` with an id in the response to the first request of a client up to 2025-11-25.

    The server keeps no sessions. An id only identifies a client, so that a notification can cancel
    its request (`server/cancellations.py`), and a load balancer can send both to one worker. Every
    worker accepts every id, and an id gives no access.
    """

    async def named(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                MutableHeaders(scope=message)["Mcp-Session-Id"] = secrets.token_urlsafe(24)
            await send(message)

        # Only `initialize` has neither header: later requests of these versions have the version.
        is_first = not {b"mcp-session-id", b"mcp-protocol-version"} & {
            name for name, _ in scope["headers"]
        }
        await app(scope, receive, send_named if is_first else send)

    return named


def _cors(policy: AccessPolicy) -> Middleware:
    patterns = [re.escape(origin).replace(r":\*", r"(:\d+)?") for origin in policy.origins]
    return Middleware(
        CORSMiddleware,
        allow_origin_regex="|".join(patterns),
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["*"],
        expose_headers=["Mcp-Session-Id", "WWW-Authenticate", "Retry-After"],
    )
