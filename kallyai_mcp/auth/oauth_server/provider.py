"""The provider behind the SDK's authorization routes. Codes and tokens are sealed, with KallyAI's inside; none is kept.

    MCP client                      this server                                     KallyAI
    401, metadata, registration ──► a client_id with the client's metadata inside
    /oauth/authorize ─────────────► our consent page ── allow ────────────────────► sign-in, consent
    its redirect URI ◄───────────── /oauth/callback: our code, KallyAI's inside ◄── code
    /oauth/token ─────────────────► KallyAI's code ───────────────────────────────► KallyAI's tokens
                 ◄───────────────── our tokens, KallyAI's inside ◄─────────────────

All codes and tokens of one consent are a family. Its code and its refresh tokens are numbered generations; each can be
used until the next is issued. If one is used again, two parties have it, so the family is revoked (OAuth 2.1, sections
4.1.3 and 4.3.1).
"""

import json
import logging
import math
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Protocol

from mcp.server.auth import provider as sdk
from mcp.server.auth.handlers.authorize import AuthorizationRequest
from mcp.shared.auth import OAuthClientInformationFull as Client
from mcp.shared.auth import OAuthToken
from pydantic import AnyUrl, BaseModel

from kallyai_mcp.api.errors import ServiceError
from kallyai_mcp.auth.oauth_server.clients import ClientError, check_client, public_client
from kallyai_mcp.auth.oauth_server.metadata_documents import read_client
from kallyai_mcp.auth.oauth_server.scopes import BILLING_LINK, SCOPES, ToolScopes, in_order
from kallyai_mcp.auth.oauth_server.sealed_tokens import Purpose, SealedTokens
from kallyai_mcp.auth.tokens import REVOKED_SIGN_IN, SIGN_IN_CLAIM, Tokens
from kallyai_mcp.urls import https_host

if TYPE_CHECKING:
    from kallyai_mcp.api.client import KallyAI
    from kallyai_mcp.api.models import TokenGrant

_log = logging.getLogger(__name__)

CODE_SECONDS = 60.0
"""How long a code is valid: as long as KallyAI's code in it."""

REFRESH_SECONDS = 90 * 24 * 3600.0
"""How long an unused refresh token is valid, and how long a revocation is remembered."""

_MAX_REQUEST = 2_800
"""The most characters of a request: a browser keeps 4,096 bytes in a cookie, and sealing adds a third."""

_GENERATION = "oauth_generation"
"""The kind of the shared values that have the newest generation of each family."""

_OUR_ERRORS = frozenset({"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_request"})
"""KallyAI's errors that are about this server's configuration, and not about the user's sign-in."""


class SharedState(Protocol):
    """Texts by kind and name that expire, which all workers share and restarts keep. `SharedValues` implements it.

    Each method is one atomic step, also between workers. Each raises `KallyAIError` when the state can't be reached.
    `put` sets a value and returns the one before.
    """

    async def put(self, kind: str, name: str, value: str, seconds: float) -> str | None: ...  # noqa: D102
    async def get(self, kind: str, name: str) -> str | None: ...  # noqa: D102


class _Opened(BaseModel):
    """A code or refresh token that was opened, as the SDK's token handler reads it."""

    content: dict[str, Any]
    client_id: str
    scopes: list[str]
    expires_at: float = math.inf
    """The seal has an end, by the injected clock."""
    redirect_uri: AnyUrl | None = None
    redirect_uri_provided_explicitly: bool = True
    code_challenge: str = ""


@dataclass(frozen=True, repr=False)
class Provider:
    """The provider for the SDK's handlers. What uses the shared state, or asks KallyAI, raises `KallyAIError`.

    `fetch` fetches a client's metadata document; `client_id` and `client_secret` are ours at KallyAI.
    """

    issuer: str
    sealed_tokens: SealedTokens
    shared_state: SharedState
    fetch: Callable[[str], Awaitable[bytes]]
    api: "Callable[[], KallyAI]"
    client_id: str
    client_secret: str
    tool_scopes: ToolScopes

    @property
    def default_scopes(self) -> tuple[str, ...]:
        """All scopes that the tools need: those of a client that asks for none."""
        return in_order(scope for scopes in (*self.tool_scopes.values(), BILLING_LINK) for scope in scopes)

    async def find_client(self, client_id: str) -> Client:
        """The client with its redirect URIs; raises `ClientError`."""
        if client_id.startswith("https:"):
            return await read_client(self.fetch, client_id, self.issuer)
        if (client := await self.get_client(client_id)) is None:
            raise ClientError("it is not registered here, and can register again")
        return client

    async def get_client(self, client_id: str) -> Client | None:
        """The client; reads no document, so that a token request never waits for somebody else's server."""
        if client_id.startswith("https:"):
            return public_client(client_id, {})
        content = self.sealed_tokens.open("client", client_id)
        return None if content is None else Client.model_validate(content | {"client_id": client_id})

    async def register_client(self, client_info: Client) -> None:
        """Seal a client's metadata, with its secret, in its client_id."""
        try:
            check_client(client_info, self.issuer)
        except ClientError as error:
            raise sdk.RegistrationError("invalid_redirect_uri", str(error)) from None
        if client_info.client_secret is not None:  # the SDK reads a secret of `client_secret_basic` only with a form
            client_info.token_endpoint_auth_method = "client_secret_post"  # noqa: S105 - the name of a method
        names = {"client_name", "redirect_uris", "token_endpoint_auth_method", "client_secret"}
        client_info.client_id = self.sealed_tokens.seal("client", client_info.model_dump(mode="json", include=names))

    def authorize(self, client: Client, asked: AuthorizationRequest, redirect_uri: str) -> dict[str, Any]:
        """A client's request with what the consent page shows, as JSON types; raises `AuthorizeError`."""
        wanted = (asked.scope or "").split()
        scopes = in_order(wanted) if wanted else self.default_scopes
        if not scopes:
            raise sdk.AuthorizeError("invalid_scope", f"The scopes are {' '.join(SCOPES)}.")
        if not self._is_ours(resource := asked.resource or self.issuer):
            raise sdk.AuthorizeError("invalid_target", "resource is not this server")
        authorization = {
            "family": secrets.token_urlsafe(16),
            "generation": 0,
            "client": _key_of(client),
            "name": client.client_name,
            "publisher": https_host(client.client_id),
            "redirect_uri": redirect_uri,
            "code_challenge": asked.code_challenge,
            "state": asked.state,
            "resource": resource,
            "scopes": scopes,
        }
        if len(json.dumps(authorization)) > _MAX_REQUEST:
            raise sdk.AuthorizeError("invalid_request", "the request, such as its state, is too long")
        return authorization

    def kallyai_url(self, flow: str, scopes: Iterable[str]) -> str:
        """The URL of KallyAI's page where a user signs in and allows this server to act for them."""
        api = self.api()
        return api.authorize_url(api.base_url, self.client_id, self._callback, state=flow, scope=" ".join(scopes))

    def code(self, authorization: Mapping[str, Any], kallyai_code: str) -> str:
        """A code for a request (`authorize`) that the user has allowed, with KallyAI's code inside."""
        return self.sealed_tokens.seal("code", {**authorization, "code": kallyai_code}, seconds=CODE_SECONDS)

    async def load_authorization_code(self, client: Client, authorization_code: str) -> _Opened | None:
        """A code that is the client's. The SDK then checks the verifier and the redirect URI."""
        return await self._load("code", client, authorization_code)

    async def load_refresh_token(self, client: Client, refresh_token: str) -> _Opened | None:
        """A refresh token that is the client's."""
        return await self._load("refresh", client, refresh_token)

    async def exchange_authorization_code(self, _: Client, authorization_code: _Opened) -> OAuthToken:
        """Tokens for a code."""
        content = authorization_code.content
        asked = self.api().exchange_code(content["code"], self._callback, self.client_id, self.client_secret)
        return await self._exchange(content, asked, content["scopes"])

    async def exchange_refresh_token(self, _: Client, refresh_token: _Opened, scopes: list[str]) -> OAuthToken:
        """New tokens for a refresh token."""
        content = refresh_token.content
        asked = self.api().refresh_code(content["token"], self.client_id, self.client_secret)
        return await self._exchange(content, asked, scopes)

    async def load_access_token(self, token: str) -> sdk.AccessToken | None:
        """The content of our token: KallyAI's token, and the account as `subject`; None if it is not valid here."""
        content = self.sealed_tokens.open("access", token)
        if content is None or not await self._is_valid(content):
            return None
        return sdk.AccessToken(
            token=content["token"],
            client_id=content["client"],
            scopes=content["scopes"],
            resource=content["resource"],
            subject=content["account"],
            claims={"iss": self.issuer, SIGN_IN_CLAIM: content["family"]},
        )

    def opened(self, sealed: str) -> dict[str, Any] | None:
        """The content of a code or token; None if it is none of ours that is valid."""
        purposes: tuple[Purpose, ...] = ("access", "refresh", "code")
        return next(filter(None, (self.sealed_tokens.open(purpose, sealed) for purpose in purposes)), None)

    async def revoke(self, client: Client, token: str) -> None:
        """Revoke a token of the client with its family (RFC 7009, section 2.1)."""
        content = self.opened(token)
        if content is not None and content["client"] == _key_of(client):
            await self.revoke_family(content["family"])

    async def revoke_family(self, family: str) -> None:
        """Revoke all codes and tokens of one consent."""
        await self.shared_state.put(REVOKED_SIGN_IN, family, "1", REFRESH_SECONDS)

    def is_known(self, bearer: str) -> bool:
        """Whether a token was issued here, even if it has expired or was revoked; asks no other server."""
        return self.sealed_tokens.open("access", bearer, even_expired=True) is not None

    @property
    def _callback(self) -> str:
        return f"{self.issuer}/oauth/callback"

    def _is_ours(self, resource: str) -> bool:
        return resource.rstrip("/").lower() in {self.issuer, f"{self.issuer}/mcp", f"{self.issuer}/sse"}

    async def _is_valid(self, content: Mapping[str, Any]) -> bool:
        """Whether the content of a code or token is for this server, and its family not revoked."""
        return (
            self._is_ours(content["resource"])
            and await self.shared_state.get(REVOKED_SIGN_IN, content["family"]) is None
        )

    async def _load(self, purpose: Purpose, client: Client, sealed: str) -> _Opened | None:
        content = self.sealed_tokens.open(purpose, sealed)
        if content is None or content["client"] != _key_of(client) or not await self._is_valid(content):
            return None
        return _Opened.model_validate({**content, "content": content, "client_id": client.client_id})

    async def _exchange(
        self, content: Mapping[str, Any], asked: "Awaitable[TokenGrant]", scopes: list[str]
    ) -> OAuthToken:
        """The tokens that KallyAI gives for a code or refresh token, which is not used up while KallyAI can't be asked.

        What KallyAI refuses ends the sign-in, and so does a second use.
        """
        family, generation = content["family"], content["generation"]
        try:
            grant = await asked
        except ServiceError as error:
            if error.code in _OUR_ERRORS:
                _log.error("KallyAI refuses this server itself (%s): is KALLYAI_CLIENT_SECRET right?", error.code)
            elif error.status in (400, 401, 403):
                await self.revoke_family(family)
                raise sdk.TokenError("invalid_grant", "KallyAI does not honor this sign-in any more.") from None
            raise
        account = Tokens.from_grant(grant, 0).account
        # Of several requests with one code or token, only the first that gets here finds no later generation.
        newest = await self.shared_state.put(_GENERATION, family, str(generation + 1), REFRESH_SECONDS)
        if int(newest or 0) > generation:
            await self.revoke_family(family)
            _log.warning("a code or refresh token was used again: its sign-in is revoked")
            raise sdk.TokenError("invalid_grant", "This was used before, so the sign-in is revoked.")
        return self._issue({"account": account, **content, "generation": generation + 1}, grant, scopes)

    def _issue(self, content: Mapping[str, Any], grant: "TokenGrant", requested: list[str]) -> OAuthToken:
        """The token response (RFC 6749, section 5.1), with what the user allowed and KallyAI granted."""
        # KallyAI granted all if it does not say what.
        granted = [name for name in content["scopes"] if grant.scope is None or name in grant.scope.split()]
        allowed = [name for name in granted if name in requested]
        if not allowed:
            raise sdk.TokenError("invalid_scope", "KallyAI granted none of the scopes that were asked for.")
        token = {name: content[name] for name in ("family", "client", "resource", "account")}
        access = token | {"token": grant.access_token.get_secret_value(), "scopes": allowed}
        kept = grant.refresh_token.get_secret_value() if grant.refresh_token is not None else content.get("token")
        refresh = token | {"token": kept, "scopes": granted, "generation": content["generation"]}
        return OAuthToken(
            access_token=self.sealed_tokens.seal("access", access, seconds=grant.expires_in),
            expires_in=grant.expires_in,
            scope=" ".join(allowed),
            refresh_token=kept and self.sealed_tokens.seal("refresh", refresh, seconds=REFRESH_SECONDS),
        )


def _key_of(client: Client) -> str:
    """A digest of the client_id, for sealed content: the client_id of a registered client is long."""
    return sha256(client.client_id.encode()).hexdigest()[:32]
