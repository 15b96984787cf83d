"""The routes of the hosted sign-in: the SDK's handlers with our provider, the pages, and the limits of both."""

import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from mcp.server.auth.handlers.register import RegistrationHandler
from mcp.server.auth.handlers.token import TokenHandler
from mcp.server.auth.middleware.client_auth import AuthenticationError, ClientAuthenticator
from mcp.server.auth.settings import ClientRegistrationOptions
from mcp.server.transport_security import RequestBodyLimitMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, request_response

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.auth.oauth_server.consent import Consent
from kallyai_mcp.auth.oauth_server.provider import Provider, key_of
from kallyai_mcp.auth.oauth_server.scopes import MAX_BODY, SCOPES
from kallyai_mcp.urls import network_of


def oauth_routes(provider: Provider, acquire: Callable[[str], float] = lambda _: 0) -> Sequence[Route]:
    """The endpoints and the metadata, which need no bearer token.

    `acquire` counts one use of an endpoint by a caller; it returns 0, or the seconds until one is allowed.
    """
    consent = Consent(provider)
    of_sdk: Any = provider  # it has no `revoke_token`, which the SDK's types ask for, and our `revoke` does not need
    clients = ClientAuthenticator(of_sdk)

    async def revoke(request: Request) -> Response:  # the SDK's handler refuses public clients, which have no secret
        try:
            client = await clients.authenticate_request(request)
        except AuthenticationError as error:
            return JSONResponse({"error": "invalid_client", "error_description": error.message}, 401)
        content = provider.opened(str((await request.form()).get("token")))
        if content is not None and content["client_id"] == key_of(client):  # RFC 7009, section 2.1
            await provider.revoke(content["family"])
        return Response()

    async def metadata(_: Request) -> Response:  # RFC 8414, section 2
        issuer, methods = provider.issuer, ["none", "client_secret_post"]
        document = {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/oauth/authorize",
            "token_endpoint": f"{issuer}/oauth/token",
            "registration_endpoint": f"{issuer}/oauth/register",
            "revocation_endpoint": f"{issuer}/oauth/revoke",
            "token_endpoint_auth_methods_supported": methods,
            "revocation_endpoint_auth_methods_supported": methods,
            "scopes_supported": sorted(SCOPES),
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            "client_id_metadata_document_supported": True,
        }
        return JSONResponse(document, headers={"Cache-Control": "public, max-age=3600"})

    def route(method: str, path: str, endpoint: Callable[[Request], Awaitable[Response]]) -> Route:
        async def serve(request: Request) -> Response:
            if (wait := acquire(f"{path} {await _caller(request, provider)}")) > 0:
                return _try_later(429, "Too many requests.", wait)
            try:
                response = await endpoint(request)
            except KallyAIError as error:
                return _try_later(503, "KallyAI or the database can't be asked now.", error.retry_after or 5)
            response.headers.setdefault("Cache-Control", "no-store")
            return response

        return Route(path, RequestBodyLimitMiddleware(request_response(serve), MAX_BODY), methods=[method])

    return [
        route("GET", "/", consent.home),
        route("GET", "/oauth/authorize", consent.authorize),
        route("POST", "/oauth/consent", consent.decide),
        route("GET", "/oauth/callback", consent.callback),
        route("POST", "/oauth/sign-out", consent.sign_out),
        route("POST", "/oauth/register", RegistrationHandler(of_sdk, ClientRegistrationOptions()).handle),
        route("POST", "/oauth/token", TokenHandler(of_sdk, clients).handle),
        route("POST", "/oauth/revoke", revoke),
        Route("/.well-known/oauth-authorization-server", metadata),
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
        if (content := provider.opened(str(form.get(name)))) is not None:
            return str(content["family"])
    return network_of(request.client.host) if request.client is not None else "unknown"
