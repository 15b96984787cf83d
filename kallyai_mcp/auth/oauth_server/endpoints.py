"""The endpoints that MCP clients call: registration, token, revocation, and the metadata of all endpoints.

The SDK's `TokenHandler` and `RevocationHandler` are not used, because they

* ignore `resource` (RFC 8707), so that they issue a token for another server;
* use the last of two parameters with one name;
* have other error codes than RFC 6749, section 5.2, for an unknown grant type and a wrong redirect_uri;
* have no answer for "KallyAI can't be reached" (503 with Retry-After);
* require a client_secret from a public client that revokes its token.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from mcp.server.auth.json_response import PydanticJSONResponse
from mcp.shared.auth import OAuthMetadata
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.auth.oauth_server import scopes
from kallyai_mcp.auth.oauth_server.client_registry import AUTH_METHODS, ClientRegistry
from kallyai_mcp.auth.oauth_server.errors import OAuthError
from kallyai_mcp.auth.oauth_server.forms import read_form, read_json
from kallyai_mcp.auth.oauth_server.token_issuer import TokenIssuer

_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_METADATA_HEADERS = {"Cache-Control": "max-age=3600", "Access-Control-Allow-Origin": "*"}


@dataclass(frozen=True, repr=False)
class Endpoints:
    """The endpoints.

    Attributes:
        issuer: Our own base URL.
        clients: Registers and authenticates the clients.
        tokens: Makes and revokes the tokens.
        clock: Returns seconds since the epoch.
    """

    issuer: str
    clients: ClientRegistry
    tokens: TokenIssuer
    clock: Callable[[], float]

    async def register(self, request: Request) -> Response:
        """`POST /oauth/register` (RFC 7591, section 3)."""
        try:
            answer = self.clients.register(await read_json(request), self.clock())
        except OAuthError as error:
            return _error_response(error)
        return JSONResponse(answer, 201, headers=_NO_STORE)

    async def token(self, request: Request) -> Response:
        """`POST /oauth/token` (OAuth 2.1, section 3.2)."""
        try:
            form, client_id = await self._authenticate(request)
            grant_type = form.get("grant_type")
            if grant_type == "authorization_code":
                return JSONResponse(await self.tokens.redeem(form, client_id), headers=_NO_STORE)
            if grant_type == "refresh_token":
                return JSONResponse(await self.tokens.refresh(form, client_id), headers=_NO_STORE)
            description = "grant_type must be authorization_code or refresh_token."
            raise OAuthError("unsupported_grant_type", description)  # noqa: TRY301 - answered as all others
        except (OAuthError, KallyAIError) as error:
            return _error_response(error)

    async def revoke(self, request: Request) -> Response:
        """`POST /oauth/revoke` (RFC 7009, section 2)."""
        try:
            form, client_id = await self._authenticate(request)
            if "token" not in form:
                raise OAuthError("invalid_request", "token is missing.")  # noqa: TRY301 - answered as all others
            await self.tokens.revoke(form["token"], client_id)
        except (OAuthError, KallyAIError) as error:
            return _error_response(error)
        return Response(status_code=200, headers=_NO_STORE)

    async def server_metadata(self, _: Request) -> Response:
        """The authorization server's metadata (RFC 8414, section 2)."""
        base = f"{self.issuer}/oauth"
        metadata = OAuthMetadata.model_validate(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{base}/authorize",
                "token_endpoint": f"{base}/token",
                "registration_endpoint": f"{base}/register",
                "revocation_endpoint": f"{base}/revoke",
                "scopes_supported": scopes.SCOPES,
                "response_modes_supported": ["query"],
                "grant_types_supported": ["authorization_code", "refresh_token"],
                "token_endpoint_auth_methods_supported": AUTH_METHODS,
                "revocation_endpoint_auth_methods_supported": AUTH_METHODS,
                "code_challenge_methods_supported": ["S256"],
                "ui_locales_supported": ["en", "es"],
                "authorization_response_iss_parameter_supported": True,
                "client_id_metadata_document_supported": True,
            }
        )
        return PydanticJSONResponse(metadata, headers=_METADATA_HEADERS)

    async def _authenticate(self, request: Request) -> tuple[dict[str, str], str]:
        form = await read_form(request)
        client_id = self.clients.authenticate(form, request.headers.get("Authorization", ""))
        if client_id is None:
            raise OAuthError("invalid_client", "The client is not known, or its secret is wrong.", 401)
        return form, client_id


def _error_response(error: OAuthError | KallyAIError) -> Response:
    if isinstance(error, KallyAIError):
        description = "It can't be told whether this is still good. Try again in a moment."
        error = OAuthError("temporarily_unavailable", description, 503, error.retry_after or 5)
    headers = dict(_NO_STORE)
    if error.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after))
    elif error.status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="kallyai-mcp"'
    return JSONResponse({"error": error.code, "error_description": error.description}, error.status, headers=headers)
