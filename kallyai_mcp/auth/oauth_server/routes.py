"""The routes of the hosted sign-in: the SDK's handlers with our provider, the pages, and the limits of both."""

import math
from collections.abc import Awaitable, Callable, Sequence
from types import SimpleNamespace
from typing import Any

from mcp.server.auth.handlers.metadata import MetadataHandler
from mcp.server.auth.handlers.register import RegistrationHandler
from mcp.server.auth.handlers.revoke import RevocationHandler
from mcp.server.auth.handlers.token import TokenHandler
from mcp.server.auth.middleware.client_auth import ClientAuthenticator
from mcp.server.auth.routes import build_metadata
from mcp.server.auth.settings import ClientRegistrationOptions, RevocationOptions
from mcp.shared.auth import OAuthMetadata
from pydantic import AnyHttpUrl
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.auth.oauth_server.consent import Consent
from kallyai_mcp.auth.oauth_server.provider import Provider
from kallyai_mcp.auth.oauth_server.scopes import SCOPES
from kallyai_mcp.urls import network_of


def oauth_routes(provider: Provider, acquire: Callable[[str], float] = lambda _: 0) -> Sequence[Route]:
    """The endpoints and the metadata, which need no bearer token.

    `acquire` counts one use of an endpoint by a caller; it returns 0, or the seconds until one is allowed.
    """
    consent = Consent(provider)
    of_sdk: Any = provider  # the SDK's types ask for `revoke_token`, too, which only `of_revocation` needs
    clients = ClientAuthenticator(of_sdk)
    of_revocation: Any = SimpleNamespace(
        load_access_token=provider.load_access_token,
        load_refresh_token=provider.load_revocable,
        revoke_token=lambda token: provider.revoke(token.family, token.content.get("browser", "")),
    )

    async def revoke(request: Request) -> Response:
        # The SDK's model of the form requires a `client_secret`, which public clients don't have. With the hint,
        # a token is loaded with its client: it has only the digest of a client_id. Of two fields, the last counts.
        form = b"client_secret=&" + await request.body() + b"&token_type_hint=refresh_token"

        async def receive() -> Message:
            return {"type": "http.request", "body": form}

        return await RevocationHandler(of_revocation, clients).handle(Request(request.scope, receive))

    issuer, methods = provider.issuer, ["none", "client_secret_post"]
    registration = ClientRegistrationOptions(enabled=True, valid_scopes=sorted(SCOPES))
    of_paths = build_metadata(AnyHttpUrl(f"{issuer}/oauth"), None, registration, RevocationOptions(enabled=True))
    ours = {
        "issuer": issuer,
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "authorization_response_iss_parameter_supported": True,
        "client_id_metadata_document_supported": True,
    }
    metadata = MetadataHandler(OAuthMetadata.model_validate(of_paths.model_dump() | ours))

    def route(method: str, path: str, endpoint: Callable[[Request], Awaitable[Response]]) -> Route:
        async def serve(request: Request) -> Response:
            if (wait := acquire(f"{method} {path} {await _caller(request, provider)}")) > 0:
                return _try_later(429, "Too many requests.", wait)
            try:
                response = await endpoint(request)
            except KallyAIError as error:
                return _try_later(503, "KallyAI or the database can't be asked now.", error.retry_after or 5)
            response.headers.setdefault("Cache-Control", "no-store")
            return response

        return Route(path, serve, methods=[method])

    return [
        route("GET", "/", consent.home),
        route("GET", "/oauth/authorize", consent.authorize),
        route("GET", "/oauth/consent", consent.show),
        route("POST", "/oauth/consent", consent.decide),
        route("GET", "/oauth/callback", consent.callback),
        route("POST", "/oauth/sign-out", consent.sign_out),
        route("POST", "/oauth/register", RegistrationHandler(of_sdk, ClientRegistrationOptions()).handle),
        route("POST", "/oauth/token", TokenHandler(of_sdk, clients).handle),
        route("POST", "/oauth/revoke", revoke),
        Route("/.well-known/oauth-authorization-server", metadata.handle),
    ]


def _try_later(status: int, description: str, seconds: float) -> Response:
    headers = {"Retry-After": str(math.ceil(seconds)), "Cache-Control": "no-store"}
    answer = {"error": "temporarily_unavailable", "error_description": description}
    return JSONResponse(answer, status, headers=headers)


async def _caller(request: Request, provider: Provider) -> str:
    """What a limit counts: the sign-in of the code or token in the form, else the address.

    Hosted clients of many users share addresses, and one metadata document. A client alone does not count, because
    anybody may register as many as they like.
    """
    await request.body()  # so that it can be read again
    form = await request.form(max_files=0)
    for name in ("code", "refresh_token", "token"):
        content = provider.sealed_tokens.open(str(form.get(name)), "access", "refresh", "code")
        if content is not None:
            return str(content["family"])
    return network_of(request.client.host) if request.client is not None else "unknown"
