"""What clients themselves ask: registration, tokens, revocation, and the metadata that leads them there."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from kallyai_mcp.auth.oauth_server import scopes
from kallyai_mcp.auth.oauth_server.clients import METHODS, Clients, InvalidClientError
from kallyai_mcp.auth.oauth_server.forms import InvalidFormError, read_form, read_json
from kallyai_mcp.auth.oauth_server.grants import Grants, Refused
from kallyai_mcp.auth.oauth_server.revocation import RevocationUnavailableError

RESOURCE_METADATA = "/.well-known/oauth-protected-resource"
"""Where the metadata of the base URL is; a path of it follows (RFC 9728, section 3.1)."""

_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_DISCOVERED = {"Cache-Control": "max-age=3600", "Access-Control-Allow-Origin": "*"}


class Endpoints:
    """The endpoints.

    Args:
        issuer: Our own base URL.
        clients: Registers and recognises clients.
        grants: Gives out tokens and takes them back.
        clock: Seconds since the epoch.
    """

    def __init__(self, issuer: str, clients: Clients, grants: Grants, clock: Callable[[], float]) -> None:
        self._issuer = issuer
        self._clients = clients
        self._grants = grants
        self._clock = clock

    async def register(self, request: Request) -> Response:
        """`POST /oauth/register` (RFC 7591, section 3)."""
        try:
            answer = self._clients.register(await read_json(request), self._clock())
        except InvalidFormError as error:
            return _error("invalid_client_metadata", str(error))
        except InvalidClientError as error:
            return _error(error.code, error.words)
        return JSONResponse(answer, 201, headers=_NO_STORE)

    async def token(self, request: Request) -> Response:
        """`POST /oauth/token` (OAuth 2.1, section 3.2)."""
        try:
            form, client_id = await self._authenticated(request)
            kind = form.get("grant_type")
            if kind == "authorization_code":
                return JSONResponse(await self._grants.redeem(form, client_id), headers=_NO_STORE)
            if kind == "refresh_token":
                return JSONResponse(await self._grants.refresh(form, client_id), headers=_NO_STORE)
        except (Refused, RevocationUnavailableError) as error:
            return _refusal(error)
        return _error("unsupported_grant_type", "grant_type must be authorization_code or refresh_token.")

    async def revoke(self, request: Request) -> Response:
        """`POST /oauth/revoke` (RFC 7009, section 2)."""
        try:
            form, client_id = await self._authenticated(request)
            token = form.get("token")
            if token is not None:
                await self._grants.revoke(token, client_id)
        except (Refused, RevocationUnavailableError) as error:
            return _refusal(error)
        if token is None:
            return _error("invalid_request", "token is missing.")
        return Response(status_code=200, headers=_NO_STORE)

    async def server_metadata(self, _: Request) -> Response:
        """The authorization server's metadata (RFC 8414, section 2)."""
        endpoint = f"{self._issuer}/oauth/"
        document = {
            "issuer": self._issuer,
            "authorization_endpoint": f"{endpoint}authorize",
            "token_endpoint": f"{endpoint}token",
            "registration_endpoint": f"{endpoint}register",
            "revocation_endpoint": f"{endpoint}revoke",
            "scopes_supported": scopes.SCOPES,
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_methods_supported": METHODS,
            "revocation_endpoint_auth_methods_supported": METHODS,
            "code_challenge_methods_supported": ["S256"],
            "ui_locales_supported": ["en", "es"],
            "authorization_response_iss_parameter_supported": True,
            "client_id_metadata_document_supported": True,
        }
        return JSONResponse(document, headers=_DISCOVERED)

    async def resource_metadata(self, request: Request) -> Response:
        """The protected resource's metadata (RFC 9728, section 2), of the path in the request's own."""
        document = {
            "resource": self._issuer + request.url.path.removeprefix(RESOURCE_METADATA),
            "authorization_servers": [self._issuer],
            "scopes_supported": scopes.NEEDED,
            "bearer_methods_supported": ["header"],
            "resource_name": "KallyAI agent_on",
        }
        return JSONResponse(document, headers=_DISCOVERED)

    async def _authenticated(self, request: Request) -> tuple[dict[str, str], str]:
        try:
            form = await read_form(request)
        except InvalidFormError as error:
            raise Refused("invalid_request", str(error)) from None
        client_id = self._clients.authenticate(form, request.headers.get("Authorization", ""))
        if client_id is None:
            raise Refused("invalid_client", "The client is not known, or its secret is wrong.", 401)
        return form, client_id


def _refusal(error: Refused | RevocationUnavailableError) -> Response:
    if isinstance(error, RevocationUnavailableError):
        words = "It can't be told whether this is still good. Try again in a moment."
        error = Refused("temporarily_unavailable", words, 503, error.retry_after)
    headers: Mapping[str, Any] = {}
    if error.retry_after is not None:
        headers = {"Retry-After": str(math.ceil(error.retry_after))}
    elif error.status == 401:
        headers = {"WWW-Authenticate": 'Basic realm="kallyai-mcp"'}
    return _error(error.code, error.words, error.status, headers)


def _error(code: str, words: str, status: int = 400, headers: Mapping[str, str] | None = None) -> Response:
    body = {"error": code, "error_description": words}
    return JSONResponse(body, status, headers=_NO_STORE | dict(headers or {}))
