"""The ASGI app: `/mcp` (Streamable HTTP, both eras), `/sse` with its message endpoint, `/health` and `/ready`.

Streamable HTTP keeps no session on either era, so that any worker can take any request. A session of `/sse` lives as
long as its connection and so belongs to one worker: behind a load balancer all that comes from one client must go to
one worker, and where workers share a port, so that nobody can see to that, there is no `/sse`.
"""

import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.transports.access import METADATA_PATH, AccessMiddleware, AccessPolicy, metadata
from kallyai_mcp.transports.uvicorn_server import BodyTimeout, GracefulShutdown

_log = logging.getLogger(__name__)

MAX_BODY = 64 * 1024
"""Bytes of a request's body: the longest sensible call is far below it."""

READY_SECONDS = 2.0
"""How long a check of readiness may take."""

Check = Callable[[], Awaitable[object]]
"""Raises when what it asks can't be reached."""

_HEADERS = [
    "Authorization",
    "Content-Type",
    "Last-Event-ID",
    "Mcp-Method",
    "Mcp-Name",
    "Mcp-Protocol-Version",
    "Mcp-Session-Id",
    "X-Correlation-Id",
]
_NO_FURTHER_CHECKS = TransportSecuritySettings(enable_dns_rebinding_protection=False)
"""The SDK's own look at Host and Origin; the `AccessMiddleware` has looked already, at every path."""


def http_app(
    server: MCPServer[AppContext],
    door: AccessPolicy,
    *,
    checks: Mapping[str, Check],
    around: AbstractAsyncContextManager[object],
    sse: bool = True,
    beside: Sequence[BaseRoute] = (),
    within: Sequence[Middleware] = (),
) -> Starlette:
    """The one app of both HTTP transports.

    Args:
        server: The MCP server, the same as over stdio.
        door: Who may come in.
        checks: What `/ready` asks, by name.
        around: Entered when the app starts, before anything is served, and left when it ends.
        beside: More routes, such as a sign-in's; they come first.
        within: More middleware, behind the door.
        sse: Serve `/sse`; if not, it is answered with 404 and what to use in its place.
    """
    streamable = server.streamable_http_app(
        stateless_http=True, max_request_body_size=MAX_BODY, transport_security=_NO_FURTHER_CHECKS
    )
    routes: list[BaseRoute] = [*beside, *streamable.routes, *_status_routes(checks)]
    if sse:
        events = server.sse_app(max_request_body_size=MAX_BODY, transport_security=_NO_FURTHER_CHECKS)
        routes.extend(events.routes)
    else:
        routes.append(Route("/sse", _no_sse))
    if door.issuer is not None:

        async def protected_resource(request: Request) -> Response:
            return await metadata(request, door)

        routes += [Route(f"{METADATA_PATH}{path}", protected_resource) for path in ("/mcp", "/sse")]

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with around, server.session_manager.run():
            yield

    middleware = [Middleware(AccessMiddleware, door=door), Middleware(BodyTimeout), *within]
    if door.origins:
        middleware.insert(0, _cors(door))
    middleware.insert(0, Middleware(GracefulShutdown))
    return Starlette(routes=routes, middleware=middleware, lifespan=lifespan)


async def _no_sse(_: Request) -> Response:
    words = "Several workers share this port, and a session of /sse would be lost between them. Use /mcp."
    return PlainTextResponse(words, 404)


def _cors(door: AccessPolicy) -> Middleware:
    plain = [origin for origin in door.origins if not origin.endswith(":*")]
    any_port = "|".join(re.escape(origin[:-2]) + r"(:\d+)?" for origin in door.origins if origin.endswith(":*"))
    return Middleware(
        CORSMiddleware,
        allow_origins=plain,
        allow_origin_regex=any_port or None,
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=_HEADERS,
        expose_headers=["Mcp-Session-Id", "WWW-Authenticate", "Retry-After"],
    )


def _status_routes(checks: Mapping[str, Check]) -> list[BaseRoute]:
    async def health(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def ready(_: Request) -> Response:
        found: dict[str, str] = {}

        async def ask(name: str, check: Check) -> None:
            try:
                with anyio.fail_after(READY_SECONDS):
                    await check()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is not ready
                _log.warning("not ready: %s: %s", name, type(error).__name__)
                found[name] = "unreachable"
            else:
                found[name] = "ok"

        async with anyio.create_task_group() as tasks:
            for name, check in checks.items():
                tasks.start_soon(ask, name, check)
        is_ready = all(state == "ok" for state in found.values())
        body = {"status": "ready" if is_ready else "not ready", "checks": dict(sorted(found.items()))}
        return JSONResponse(body, 200 if is_ready else 503)

    return [Route("/health", health), Route("/ready", ready)]
