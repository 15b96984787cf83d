"""Who may use the HTTP server, and how much of it: the policy, the ASGI middleware that enforces
it, and its metadata.

Each process counts its own limits.
"""

import asyncio
import logging
import math
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import anyio
from mcp.server.auth.handlers.metadata import ProtectedResourceMetadataHandler
from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.shared.auth import ProtectedResourceMetadata
from starlette.authentication import AuthCredentials
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.telemetry import count_refused_request
from kallyai_mcp.transports.bearers import BearerCheck, Bearers, TooManyWrongError
from kallyai_mcp.transports.rate_limiter import RateLimiter
from kallyai_mcp.transports.uvicorn_server import MAX_HEAD_BYTES, MAX_HEADERS
from kallyai_mcp.urls import client_network

_log = logging.getLogger(__name__)

MOST_STREAMS = 2_000
"""The most open streams of this process. Each takes about 80 kB."""

MOST_PER_CALLER = 200
"""The most open streams of one account (of one address, if no token is needed)."""

VERIFY_SECONDS = 30.0
"""Seconds between two checks of the bearer token of an open stream."""

_RETRY_AFTER = 5.0
"""After how many seconds a client should try again if its token can't be checked, and KallyAI names
no time.
"""

_STATUS_PATHS = frozenset({"/health", "/ready"})
"""The paths for load balancers, which have no bearer token and may send an address as `Host`."""

_OPEN_PATHS = _STATUS_PATHS | {"/"}

_METADATA = "/.well-known/oauth-protected-resource"
"""The beginning of the path of the metadata.

The rest is the path of the resource (RFC 9728, section 3.1).
"""


@dataclass(frozen=True)
class AccessPolicy:
    """Who may use the HTTP server: by the headers `Host` and `Origin`, and by the bearer token of a
    request.

    Attributes:
        hosts: Allowed values of `Host`. `name:*` allows any port or none. None allows all values.
        origins: Allowed values of `Origin`, in the same form. Requests without `Origin` are always
            allowed.
        bearers: Which bearer tokens are good; None if no token is needed.
        rate_limit: How many requests each account may send (each address, if no token is needed).
        metadata_at: The server's base URL for clients, if it has metadata that names the
            authorization server.
        trusted_proxies: Addresses and networks of proxies whose `X-Forwarded-For` header is used.
    """

    hosts: Sequence[str] | None
    origins: Sequence[str]
    bearers: BearerCheck | None
    rate_limit: str
    metadata_at: str | None
    trusted_proxies: Sequence[str]


def _matches(value: str, allowed: Sequence[str]) -> bool:
    value = value.lower()
    with_any_port = f"{re.sub(':[0-9]{1,5}$', '', value)}:*"
    return not {value, with_any_port}.isdisjoint(map(str.lower, allowed))


class _Unauthorized(NamedTuple):
    """Why a request gets 401: the body, and the parts of the challenge."""

    error: str
    description: str
    challenge: tuple[str, ...]


_NO_BEARER = _Unauthorized("unauthorized", "A bearer token is needed", ())
"""Without a token, the challenge names no error (RFC 6750, section 3.1)."""

_NOT_VALID = "This bearer token is not valid"
_WRONG_BEARER = _Unauthorized(
    "invalid_token", _NOT_VALID, (f'error="invalid_token", error_description="{_NOT_VALID}"',)
)


class _Answer:
    """A response on its way to the client, which can be ended early.

    What the app sends after that is dropped.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self.has_begun = self._is_complete = False

    async def send(self, message: Message) -> None:
        if not self._is_complete:
            self.has_begun = True
            self._is_complete = message["type"] == "http.response.body" and not message.get(
                "more_body", False
            )
            await self._send(message)

    async def end(self) -> None:
        if self.has_begun:
            await self.send({"type": "http.response.body"})


class AccessMiddleware:
    """Refuses requests that the policy does not allow, and ends the open ones when the server
    stops.

    * 431: the headers are too long.
    * 421: the `Host` is another one.
    * 403: the `Origin` is another one.
    * 401: there is no valid bearer token.
    * 503: the token can't be checked now, or the server stops.
    * 429: too many requests or open streams of one caller, or too many invalid tokens from one
      address.

    It puts the user into the ASGI scope and into the SDK's context, where the SDK's transports read
    it.
    """

    def __init__(self, app: ASGIApp, policy: AccessPolicy) -> None:
        self._app = AuthContextMiddleware(app)
        self._policy = policy
        self._rate_limit = RateLimiter(policy.rate_limit)
        self._bearers = None if policy.bearers is None else Bearers(policy.bearers)
        self._streams: Counter[str] = Counter()
        """The number of open streams of each caller that has any."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send)
        try:
            await self._serve(scope, receive, answer)
        except (
            asyncio.CancelledError
        ):  # the server stops; uvicorn would log that as an error of the app
            await answer.end()
            if not answer.has_begun:
                await PlainTextResponse("The server stops", 503)(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        headers = Headers(scope=scope)
        refusal = self._check_headers(scope, headers)
        if refusal is None and not _is_open(scope["path"]):
            bearer = _bearer(headers)
            caller = await self._find_caller(scope, bearer)
            if isinstance(caller, Response):
                refusal = caller
            elif _is_stream(scope, headers):
                refusal = self._check_streams(caller)
                if refusal is None:
                    await self._serve_stream(scope, receive, answer, caller=caller, bearer=bearer)
                    return
        if refusal is not None:
            count_refused_request(refusal.status_code)
        await (refusal or self._app)(scope, receive, answer.send)

    def _check_headers(self, scope: Scope, headers: Headers) -> Response | None:
        size = len(scope["raw_path"]) + len(scope["query_string"])
        size += sum(len(name) + len(value) for name, value in headers.raw)
        if size > MAX_HEAD_BYTES or len(headers.raw) > MAX_HEADERS:
            return PlainTextResponse("The headers are too long", 431)
        if scope["path"] in _STATUS_PATHS:
            return None
        hosts = self._policy.hosts
        if hosts is not None and not _matches(headers.get("host", ""), hosts):
            return PlainTextResponse("This server is not known by that name", 421)
        origin = headers.get("origin")
        if origin is not None and not _matches(origin, self._policy.origins):
            return PlainTextResponse("That web page may not use this server", 403)
        return None

    async def _find_caller(self, scope: Scope, bearer: str | None) -> str | Response:
        """Put the user into the scope; returns the caller's name for the limits, or the refusal."""
        caller = client_network(scope)
        if self._bearers is not None:
            token = await self._verify(self._bearers, bearer, caller)
            if token is None:
                return self._unauthorized(scope, _NO_BEARER if bearer is None else _WRONG_BEARER)
            if isinstance(token, Response):
                return token
            scope["user"] = AuthenticatedUser(token)
            scope["auth"] = AuthCredentials(token.scopes)
            caller = token.subject or token.client_id
        wait = self._rate_limit.acquire(caller)
        if wait > 0:
            return _retry_later(429, "Too many requests", wait)
        return caller

    async def _verify(
        self, bearers: Bearers, bearer: str | None, network: str
    ) -> AccessToken | Response | None:
        """The content of a bearer token, or a refusal to check it; None if it is wrong or
        missing.
        """
        if bearer is None:
            return None
        try:
            return await bearers.verify(bearer, network)
        except TooManyWrongError as error:
            text = "Too many wrong tokens from this address"
            return _retry_later(429, text, error.seconds)
        except (KallyAIError, TimeoutError) as error:
            _log.warning(
                "a bearer could not be verified: %s", getattr(error, "code", "no answer in time")
            )
            wait = getattr(error, "retry_after", None) or _RETRY_AFTER
            return _retry_later(503, "KallyAI can't be asked whether this token is good", wait)

    def _unauthorized(self, scope: Scope, why: _Unauthorized) -> Response:
        """The challenge (RFC 6750, section 3) with the URL of the metadata (RFC 9728, section 5.1).

        `/messages` belongs to `/sse`.
        """
        parts = list(why.challenge)
        if self._policy.metadata_at is not None:
            resource = "/sse" if scope["path"].startswith(("/sse", "/messages")) else "/mcp"
            parts.append(f'resource_metadata="{self._policy.metadata_at}{_METADATA}{resource}"')
        headers = {"WWW-Authenticate": f"Bearer {', '.join(parts)}".strip()}
        body = {"error": why.error, "error_description": why.description}
        return JSONResponse(body, 401, headers=headers)

    def _check_streams(self, caller: str) -> Response | None:
        if self._streams[caller] < MOST_PER_CALLER and self._streams.total() < MOST_STREAMS:
            return None
        return _retry_later(429, "Too many streams are open. Close one first.", VERIFY_SECONDS)

    async def _serve_stream(
        self, scope: Scope, receive: Receive, answer: _Answer, *, caller: str, bearer: str | None
    ) -> None:
        """Run the app for a stream.

        When `bearer` is no longer valid, end it; uvicorn then tells the app.
        """
        self._streams[caller] += 1
        try:
            async with anyio.create_task_group() as tasks:
                if self._bearers is not None and bearer is not None:
                    tasks.start_soon(_end_when_invalid, self._bearers, bearer, answer)
                await self._app(scope, receive, answer.send)
                tasks.cancel_scope.cancel()
        finally:
            self._streams -= Counter([caller])  # drops a caller without streams


async def _end_when_invalid(bearers: Bearers, bearer: str, answer: _Answer) -> None:
    is_valid = True
    while is_valid:
        await anyio.sleep(VERIFY_SECONDS)
        # As long as nothing is known, the token counts as valid.
        with suppress(KallyAIError, TimeoutError):
            is_valid = await bearers.ask(bearer) is not None
    await answer.end()


def _is_open(path: str) -> bool:
    """Whether a path needs no token: its clients have none yet, or it does not exist."""
    return path in _OPEN_PATHS or path.startswith(("/oauth/", "/.well-known/"))


def _bearer(headers: Headers) -> str | None:
    kind, _, bearer = headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer":
        return None
    return bearer.strip() or None


def _is_stream(scope: Scope, headers: Headers) -> bool:
    """Whether a request is answered with a stream that ends only when the client disconnects.

    The header `Mcp-Method` can be used, because the SDK refuses a message with another method (MCP
    2026-07-28, "Streamable HTTP").
    """
    if scope["method"] == "GET":
        return bool(scope["path"] == "/sse")
    return headers.get("mcp-method") == "subscriptions/listen"


def _retry_later(status: int, text: str, seconds: float) -> Response:
    return JSONResponse({"error": text}, status, headers={"Retry-After": str(math.ceil(seconds))})


def metadata_routes(base_url: str, issuer: str, scopes: Sequence[str]) -> list[Route]:
    """The metadata documents of the base URL and of both MCP endpoints (RFC 9728, section 3.2)."""
    facts = {
        "authorization_servers": [issuer],
        "scopes_supported": scopes or None,
        "resource_name": "KallyAI phone",
    }
    routes = []
    for path in ("", "/mcp", "/sse"):
        document = ProtectedResourceMetadata.model_validate({"resource": base_url + path, **facts})
        routes.append(
            Route(f"{_METADATA}{path}", ProtectedResourceMetadataHandler(document).handle)
        )
    return routes
