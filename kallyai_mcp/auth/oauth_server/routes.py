"""The routes of the hosted sign-in: the pages, and the SDK's handlers in one wrapper.

What the SDK's handlers do otherwise than the standards say, and where it is put right:

| the SDK | the standard | put right in |
|---|---|---|
| authorize: an error goes to whatever redirect URI | RFC 9700, 4.11.2 | `Consent.authorize` |
| authorize: a port of this machine must be registered | RFC 8252, 7.3 | `Provider.of_request` |
| authorize: an unknown scope is refused | RFC 6749, 3.3 | `Provider.of_request` |
| token: a redirect URI that was left out can't be given | RFC 6749, 4.1.3 | `_with_redirect_uri` |
| token: each client gets a refresh token | RFC 7591, 2 | `Provider._refresh_token` |
| token: a renewal's scopes are left to us | RFC 6749, 6 | `Provider.exchange_refresh_token` |
| token, revoke: any body is read | RFC 6749, 3.2 | `form_of` |
| token: an unknown grant type is `invalid_request` | RFC 6749, 5.2 | `_CHECKS` |
| token: any verifier is good | RFC 7636, 4.1 | `_CHECKS` |
| revoke: a public client needs a `client_secret` | RFC 7009, 2.1 | `_for_revocation` |
| revoke: an access token is looked for without its client | RFC 7009, 2.1 | `_for_revocation` |
| revoke: a wrong client is an `unauthorized_client` | RFC 7009, 2.2.1 | `_plain_error` |
| all: a description has several lines, and quotation marks | RFC 6749, 5.2 | `_plain_error` |
"""

import json
import math
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

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
from kallyai_mcp.auth.oauth_server.forms import MEDIA_TYPE, Form, fields_of, form_of
from kallyai_mcp.auth.oauth_server.provider import Provider, RevocationProvider
from kallyai_mcp.auth.oauth_server.scopes import SCOPES
from kallyai_mcp.telemetry import count_refused_request
from kallyai_mcp.urls import client_network

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class _Check:
    """A check of a form that the SDK does not make, and the error of a form that fails it."""

    fails: Callable[[Form], bool]
    error: str
    description: str


_GRANT_TYPES = ("authorization_code", "refresh_token")
_VERIFIER = re.compile("[A-Za-z0-9._~-]{43,128}")
_CHECKS = (
    _Check(
        lambda form: form.get("grant_type", _GRANT_TYPES[0]) not in _GRANT_TYPES,
        "unsupported_grant_type",
        f"grant_type is one of {', '.join(_GRANT_TYPES)}",
    ),
    _Check(
        lambda form: "code_verifier" in form and not _VERIFIER.fullmatch(form["code_verifier"]),
        "invalid_request",
        "code_verifier has 43 to 128 letters, digits, and characters of -._~",
    ),
)


def oauth_routes(
    provider: Provider, acquire: Callable[[str], float] = lambda _: 0
) -> Sequence[Route]:
    """The endpoints and the metadata, which need no bearer token.

    `acquire` counts one use of an endpoint by a caller; it returns 0, or the seconds until one is
    allowed.
    """
    consent = Consent(provider)
    clients = ClientAuthenticator(provider)
    register = RegistrationHandler(provider, ClientRegistrationOptions()).handle
    token = TokenHandler(provider, clients).handle
    revoke = RevocationHandler(RevocationProvider(**vars(provider)), clients).handle
    metadata = MetadataHandler(_metadata(provider)).handle

    def with_redirect_uri(form: Form) -> Form:
        return _with_redirect_uri(provider, form)

    def route(method: str, path: str, endpoint: Handler) -> Route:
        async def serve(request: Request) -> Response:
            wait = acquire(f"{method} {path} {await _caller(request, provider)}")
            if wait > 0:
                count_refused_request(429)
                return _try_later(429, "Too many requests.", wait)
            try:
                response = await endpoint(request)
            except KallyAIError as error:
                wait = error.retry_after or 5
                return _try_later(503, "KallyAI or the database can't be asked now.", wait)
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
        route("POST", "/oauth/register", _plain(register)),
        route("POST", "/oauth/token", _plain(_of_form(token, with_redirect_uri, _CHECKS))),
        route("POST", "/oauth/revoke", _plain(_of_form(revoke, _for_revocation))),
        Route("/.well-known/oauth-authorization-server", metadata),
    ]


def _metadata(provider: Provider) -> OAuthMetadata:
    """The metadata of the server (RFC 8414)."""
    base = AnyHttpUrl(f"{provider.issuer}/oauth")
    methods = ["none", "client_secret_post"]
    registration = ClientRegistrationOptions(enabled=True, valid_scopes=sorted(SCOPES))
    of_paths = build_metadata(base, None, registration, RevocationOptions(enabled=True))
    ours = {
        "issuer": provider.issuer,
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "authorization_response_iss_parameter_supported": True,
        "client_id_metadata_document_supported": True,
    }
    return OAuthMetadata.model_validate(of_paths.model_dump() | ours)


def _of_form(
    handle: Handler, complete: Callable[[Form], Form], checks: Sequence[_Check] = ()
) -> Handler:
    """A handler of the SDK that gets a form, made `complete`, which fails none of the checks."""

    async def handled(request: Request) -> Response:
        form = await form_of(request)
        if form is None:
            return _error("invalid_request", f"The body must be a form ({MEDIA_TYPE})")
        for check in checks:
            if check.fails(form):
                return _error(check.error, check.description)
        body = urlencode(complete(form)).encode()

        async def receive() -> Message:
            return {"type": "http.request", "body": body}

        return await handle(Request(request.scope, receive))

    return handled


def _with_redirect_uri(provider: Provider, form: Form) -> Form:
    """A form with the redirect URI of its code, if the authorization request named none."""
    code = provider.sealed_tokens.open(form.get("code"), "code")
    if code is None or code["names_redirect_uri"]:
        return form
    return {"redirect_uri": code["redirect_uri"], **form}


def _for_revocation(form: Form) -> Form:
    """A form with the field that the SDK's model requires, and the hint that finds any token.

    With it, a token is loaded with its client, of whose client_id it has only the digest.
    """
    return {"client_secret": "", **form, "token_type_hint": "refresh_token"}


def _plain(handle: Handler) -> Handler:
    """A handler whose errors are as RFC 6749, section 5.2, says."""

    async def handled(request: Request) -> Response:
        response = await handle(request)
        return response if response.status_code < 400 else _plain_error(response)

    return handled


def _plain_error(response: Response) -> Response:
    content = json.loads(bytes(response.body))
    if response.status_code == 401:
        content["error"] = "invalid_client"
    if "error_description" in content:
        content["error_description"] = _in_one_line(content["error_description"])
    return JSONResponse(content, response.status_code)


def _in_one_line(description: str) -> str:
    """A description of an error in the characters that it may have."""
    plain = description.replace("\n", "; ").replace('"', "'")
    return re.sub(r"[^ !#-\[\]-~]", "?", plain)


def _error(error: str, description: str) -> Response:
    return JSONResponse({"error": error, "error_description": description}, 400)


def _try_later(status: int, description: str, seconds: float) -> Response:
    headers = {"Retry-After": str(math.ceil(seconds)), "Cache-Control": "no-store"}
    answer = {"error": "temporarily_unavailable", "error_description": description}
    return JSONResponse(answer, status, headers=headers)


async def _caller(request: Request, provider: Provider) -> str:
    """What a limit counts: the sign-in of the code or token in the form, else the address.

    Hosted clients of many users share addresses, and one metadata document. A client alone does
    not count, because anybody may register as many as they like.
    """
    form = await fields_of(request)
    for name in ("code", "refresh_token", "token"):
        content = provider.sealed_tokens.open(form.get(name), "access", "refresh", "code")
        if content is not None:
            return str(content["family"])
    return client_network(request.scope)
