"""The routes of the hosted sign-in: the SDK's handlers with our provider, the pages, and the limits of both."""

import base64
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlencode

from mcp.server.auth.handlers.metadata import MetadataHandler
from mcp.server.auth.handlers.register import RegistrationHandler
from mcp.server.auth.handlers.revoke import RevocationHandler
from mcp.server.auth.handlers.token import TokenHandler
from mcp.server.auth.middleware.client_auth import ClientAuthenticator
from mcp.server.auth.routes import build_metadata
from mcp.server.auth.settings import ClientRegistrationOptions, RevocationOptions
from mcp.server.transport_security import RequestBodyLimitMiddleware
from mcp.shared.auth import OAuthMetadata
from pydantic import AnyHttpUrl
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, request_response
from starlette.types import ASGIApp, Message

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.auth.oauth_server.consent import Consent
from kallyai_mcp.auth.oauth_server.cookies import Cookies
from kallyai_mcp.auth.oauth_server.provider import Provider, Revocations
from kallyai_mcp.auth.oauth_server.scopes import SCOPES
from kallyai_mcp.auth.oauth_server.sealed_tokens import SealedTokens
from kallyai_mcp.common_types import RateLimit
from kallyai_mcp.urls import network_of

MAX_BODY = 32 * 1024
"""The most bytes of a body. A sealed refresh token is far shorter."""

_METHODS = ["none", "client_secret_post", "client_secret_basic"]
_BUSY = "temporarily_unavailable"
_Endpoint = Callable[[Request], Awaitable[Response]]


def oauth_routes(provider: Provider, api_host: str, rate: RateLimit | None = None) -> Sequence[Route]:
    """The endpoints and the metadata, which need no bearer token.

    Args:
        provider: The provider.
        api_host: KallyAI's host, for the pages.
        rate: How often each endpoint may be used; None for no limit.
    """
    consent = Consent(provider, Cookies(provider.sealed_tokens, secure=provider.issuer.startswith("https:")), api_host)
    clients, revocations = ClientAuthenticator(provider), Revocations(**vars(provider))
    table: list[tuple[str, str, Literal["page", "json", "form"], _Endpoint]] = [
        ("GET", "/", "page", consent.home),
        ("GET", "/oauth/authorize", "page", consent.authorize),
        ("POST", "/oauth/consent", "page", consent.decide),
        ("GET", "/oauth/callback", "page", consent.callback),
        ("GET", "/oauth/sign-out", "page", consent.apps),
        ("POST", "/oauth/sign-out", "page", consent.sign_out),
        ("POST", "/oauth/register", "json", RegistrationHandler(provider, ClientRegistrationOptions()).handle),
        ("POST", "/oauth/token", "form", TokenHandler(provider, clients).handle),
        ("POST", "/oauth/revoke", "form", RevocationHandler(revocations, clients).handle),
    ]

    def limited(path: str, kind: str, endpoint: _Endpoint) -> ASGIApp:
        async def serve(request: Request) -> Response:
            form = await _form(request) if kind == "form" else {}
            wait = rate.acquire(f"{path} {_caller(request, form, provider.sealed_tokens)}") if rate is not None else 0
            if wait > 0 and kind == "page":
                return _later(consent.problem(request, "busy", status=429), wait)
            if wait > 0:
                return _later(JSONResponse({"error": _BUSY, "error_description": "Too many requests."}, 429), wait)
            try:
                response = await endpoint(_with_form(request, form) if kind == "form" else request)
            except KallyAIError as error:
                answer = {"error": _BUSY, "error_description": "KallyAI or the database can't be asked now."}
                response = _later(JSONResponse(answer, 503), error.retry_after or 5)
            response.headers.setdefault("Cache-Control", "no-store")
            return response

        return RequestBodyLimitMiddleware(request_response(serve), MAX_BODY)

    routes = [Route(path, limited(path, kind, endpoint), methods=[method]) for method, path, kind, endpoint in table]
    metadata = MetadataHandler(_metadata(provider.issuer)).handle
    return [*routes, Route("/.well-known/oauth-authorization-server", metadata)]


def _metadata(issuer: str) -> OAuthMetadata:
    registration = ClientRegistrationOptions(enabled=True, valid_scopes=list(SCOPES))
    of_sdk = build_metadata(AnyHttpUrl(f"{issuer}/oauth"), None, registration, RevocationOptions(enabled=True))
    ours = {
        "issuer": issuer,
        "token_endpoint_auth_methods_supported": _METHODS,
        "revocation_endpoint_auth_methods_supported": _METHODS,
        "authorization_response_iss_parameter_supported": True,
        "client_id_metadata_document_supported": True,
    }
    return OAuthMetadata.model_validate(of_sdk.model_dump() | ours)


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form, with the client_id of the Basic header, which the SDK wants among them."""
    form = dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))
    kind, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "basic" and "client_id" not in form:
        with suppress(ValueError):
            form["client_id"] = unquote(base64.b64decode(encoded).decode().partition(":")[0])
    return form


def _with_form(request: Request, form: Mapping[str, str]) -> Request:
    """A request with this form, and with a client_secret, which the SDK's revocation wants of public clients, too."""
    body = urlencode({"client_secret": "", **form}).encode()
    kept = [pair for pair in request.scope["headers"] if pair[0] not in (b"content-type", b"content-length")]
    headers = [*kept, (b"content-type", b"application/x-www-form-urlencoded")]

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    return Request({**request.scope, "headers": headers}, receive)


def _caller(request: Request, form: Mapping[str, str], sealed_tokens: SealedTokens) -> str:
    """What a limit counts: the sign-in of a code or token in the form, or else the address of the request.

    Hosted clients of many users share addresses, and one metadata document. A client alone does not count, because
    anybody may register as many as they like.
    """
    token, refresh_token = form.get("token"), form.get("refresh_token")
    content = sealed_tokens.open("code", form.get("code")) or sealed_tokens.open("refresh", refresh_token or token)
    if (content := content or sealed_tokens.open("access", token)) is not None:
        return str(content["family"])
    return network_of(request.client.host) if request.client is not None else "unknown"


def _later(response: Response, seconds: float) -> Response:
    response.headers["Retry-After"] = str(math.ceil(seconds))
    return response
