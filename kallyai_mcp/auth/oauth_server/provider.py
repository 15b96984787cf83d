"""The provider behind the SDK's authorization routes.

Codes and tokens are sealed, with KallyAI's inside; none is kept.

    MCP client                      this server                                     KallyAI
    401, metadata, registration ──► a client_id with the client's metadata inside
    /oauth/authorize ─────────────► our consent page ── allow ────────────────────► sign-in, consent
    its redirect URI ◄───────────── /oauth/callback: our code, KallyAI's inside ◄── code
    /oauth/token ─────────────────► KallyAI's code ───────────────────────────────► KallyAI's tokens
                 ◄───────────────── our tokens, KallyAI's inside ◄─────────────────

All codes and tokens of one consent are a family. Its code and its refresh tokens are numbered
generations; each can be used until the next is issued. If one is used again, two parties have it,
so the family is revoked (OAuth 2.1, sections 4.1.3 and 4.3.1).
"""

import logging
import math
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcp.server.auth import provider as sdk
from mcp.shared.auth import OAuthClientInformationFull as Client
from mcp.shared.auth import OAuthToken
from pydantic import AnyUrl

from kallyai_mcp.api.errors import ServiceError
from kallyai_mcp.auth.oauth_server.clients import (
    ClientError,
    check_client,
    has_redirect_uri,
    only_redirect_uri,
    read_client,
)
from kallyai_mcp.auth.oauth_server.scopes import SCOPES
from kallyai_mcp.auth.oauth_server.sealed_content import (
    Code,
    RefreshToken,
    browser_of,
    digest,
    granted_of,
    key_of,
)
from kallyai_mcp.auth.oauth_server.sealed_tokens import Purpose, SealedTokens
from kallyai_mcp.auth.oauth_server.stored import REFRESH_SECONDS, Stored
from kallyai_mcp.auth.tokens import SIGN_IN_CLAIM, Tokens
from kallyai_mcp.urls import https_host

if TYPE_CHECKING:
    from kallyai_mcp.api.client import KallyAI
    from kallyai_mcp.api.models import TokenGrant

_log = logging.getLogger(__name__)

CODE_SECONDS = 60.0
"""How long a code is valid: as long as KallyAI's code in it."""

REQUEST_SECONDS = 1800.0
"""How long a client's request is valid, and how long a user may take on the pages."""

_REGISTERED = {
    "client_name",
    "redirect_uris",
    "grant_types",
    "token_endpoint_auth_method",
    "client_secret",
}
"""What a registration keeps of a client's metadata."""

_COMMON = ("family", "client_id", "resource", "browser", "is_renewable")
"""What all codes and tokens of one consent have in common; those of earlier builds lack two."""

_MAX_REQUEST = 3_800
"""The most characters of a sealed request: a browser keeps 4,096 bytes in a cookie with a request
and its family.
"""

_OUR_ERRORS = frozenset(
    {"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_request"}
)
"""KallyAI's errors that are about this server's configuration, and not about the user's sign-in."""


@dataclass(frozen=True, repr=False)
class Provider(sdk.OAuthAuthorizationServerProvider[Code, RefreshToken, sdk.AccessToken]):
    """The provider for the SDK's handlers. What is stored, or asks KallyAI, raises `KallyAIError`.

    `fetch` fetches a client's metadata document; `client_id` and `client_secret` are ours at
    KallyAI.
    """

    issuer: str
    sealed_tokens: SealedTokens
    stored: Stored
    fetch: Callable[[str], Awaitable[bytes]]
    api: "Callable[[], KallyAI]"
    client_id: str
    client_secret: str
    default_scopes: Sequence[str]
    """The scopes of a client that asks for none."""

    async def of_request(self, query: Mapping[str, str]) -> "ProviderOfRequest":
        """The provider for one authorization request, which knows the client of it; raises
        `ClientError`.

        The client has the redirect URI and the scopes of the request alone: the SDK compares
        normalized URIs, and would refuse another port of a loopback address, and scopes that we
        leave out.
        """
        client_id = query.get("client_id", "")
        if client_id.startswith("https:"):
            client: Client | None = await read_client(self.fetch, client_id, self.issuer)
        else:
            client = await self.get_client(client_id)
        if client is None:
            raise ClientError("it is not registered here, and can register again")
        redirect_uri = query.get("redirect_uri", only_redirect_uri(client))
        if not has_redirect_uri(client, redirect_uri, self.issuer):
            raise ClientError("it wants to send you to an address that is not its own")
        known = client.model_copy(
            update={"redirect_uris": [AnyUrl(redirect_uri)], "scope": query.get("scope")}
        )
        return ProviderOfRequest(**vars(self), known=known)

    async def get_client(self, client_id: str) -> Client | None:
        """The client; reads no document, so that a token request never waits for somebody else's
        server.
        """
        if client_id.startswith("https:"):
            return Client(client_id=client_id, token_endpoint_auth_method="none")  # noqa: S106 - the name of a method
        content = self.sealed_tokens.open(client_id, "client")
        if content is None:  # sealed with a key that was removed since, or by nobody
            sealed_anew = await self.stored.registration(digest(client_id))
            content = self.sealed_tokens.open(sealed_anew, "client")
        if content is None:
            return None
        return Client.model_validate(content | {"client_id": client_id})

    async def register_client(self, client_info: Client) -> None:
        """Seal a client's metadata, with its secret, in its client_id."""
        try:
            check_client(client_info, self.issuer)
        except ClientError as error:
            raise sdk.RegistrationError("invalid_redirect_uri", str(error)) from None
        # The SDK reads a secret of `client_secret_basic` only with a form.
        if client_info.client_secret is not None:
            client_info.token_endpoint_auth_method = "client_secret_post"  # noqa: S105 - the name of a method
        client_info.client_id = self._sealed(client_info)

    def _sealed(self, client: Client) -> str:
        metadata = client.model_dump(mode="json", include=_REGISTERED)
        return self.sealed_tokens.seal("client", metadata)

    async def _keep_registered(self, client: Client) -> None:
        """Store a registration, sealed anew, if the key that sealed its client_id is an old one.

        So its client needs not register again after that key is removed.
        """
        is_registered = not client.client_id.startswith("https:")
        if is_registered and not self.sealed_tokens.is_of_newest_key(client.client_id):
            await self.stored.keep_registration(key_of(client), self._sealed(client))

    async def authorize(self, client: Client, params: sdk.AuthorizationParams) -> str:
        """The consent page for a client's request, which is sealed in its URL; raises
        `AuthorizeError`.
        """
        wanted = " ".join(params.scopes or ()).split() or self.default_scopes
        scopes = sorted(SCOPES.intersection(wanted))
        if not scopes:
            raise sdk.AuthorizeError("invalid_scope", f"The scopes are {' '.join(sorted(SCOPES))}.")
        resource = (params.resource or self.issuer).rstrip("/").lower()
        if resource not in self._resources:
            raise sdk.AuthorizeError("invalid_target", "resource is not this server")
        asked = {
            "client_id": key_of(client),
            "name": client.client_name,
            "publisher": https_host(client.client_id),
            "redirect_uri": str(params.redirect_uri),
            "names_redirect_uri": params.redirect_uri_provided_explicitly,
            "is_renewable": "refresh_token" in client.grant_types,
            "code_challenge": params.code_challenge,
            "state": params.state,
            "scopes": scopes,
            "resource": resource,
        }
        sealed = self.sealed_tokens.seal("request", asked, REQUEST_SECONDS)
        if len(sealed) > _MAX_REQUEST:
            raise sdk.AuthorizeError(
                "invalid_request", "the request, such as its state, is too long"
            )
        return f"/oauth/consent?request={sealed}"

    def kallyai_url(self, authorization: Mapping[str, Any]) -> str:
        """The URL of KallyAI's page where a user signs in and allows this server to act for
        them.
        """
        scope = " ".join(authorization["scopes"])
        return self.api().authorize_url(
            self.client_id, self._callback, state=authorization["family"], scope=scope
        )

    async def _open(self, purposes: Sequence[Purpose], sealed: str) -> dict[str, Any] | None:
        content = self.sealed_tokens.open(sealed, *purposes)
        if content is None or content.get("resource") not in self._resources:
            return None
        if await self.stored.is_revoked(content["family"]):
            return None
        return content

    async def _open_of(
        self, client: Client, purposes: Sequence[Purpose], sealed: str
    ) -> dict[str, Any] | None:
        """The content of a code or token that is the client's."""
        content = await self._open(purposes, sealed)
        if content is None or content["client_id"] != key_of(client):
            return None
        return content

    async def load_authorization_code(self, client: Client, authorization_code: str) -> Code | None:
        """The code, if it is the client's."""
        content = await self._open_of(client, ("code",), authorization_code)
        if content is None:
            return None
        return Code(
            code=authorization_code,
            client_id=client.client_id,
            scopes=content["scopes"],
            expires_at=math.inf,  # what has expired can't be opened
            code_challenge=content["code_challenge"],
            redirect_uri=content["redirect_uri"],
            redirect_uri_provided_explicitly=True,
            content=content,
        )

    async def load_refresh_token(self, client: Client, refresh_token: str) -> RefreshToken | None:
        """The refresh token, if it is the client's."""
        return await self._load_token(client, ("refresh",), refresh_token)

    async def _load_token(
        self, client: Client, purposes: Sequence[Purpose], token: str
    ) -> RefreshToken | None:
        content = await self._open_of(client, purposes, token)
        if content is None:
            return None
        return RefreshToken(
            token=token, client_id=client.client_id, scopes=content["scopes"], content=content
        )

    async def exchange_authorization_code(
        self, client: Client, authorization_code: Code
    ) -> OAuthToken:
        """Tokens for a code."""
        used = authorization_code.content
        asked = self.api().exchange_code(
            used["token"], self._callback, self.client_id, self.client_secret
        )
        return await self._exchange(client, used | {"token": None}, used["scopes"], asked)

    async def exchange_refresh_token(
        self, client: Client, refresh_token: RefreshToken, scopes: Sequence[str]
    ) -> OAuthToken:
        """New tokens for a refresh token.

        `scopes` are those of the access token. The new refresh token has those of the one before
        (RFC 6749, section 6).
        """
        used = refresh_token.content
        asked = self.api().refresh_code(used["token"], self.client_id, self.client_secret)
        return await self._exchange(client, used, scopes, asked)

    async def load_access_token(self, token: str) -> sdk.AccessToken | None:
        """The content of our token: KallyAI's token, and the account as `subject`; None if it is
        not valid here.
        """
        content = await self._open(("access",), token)
        if content is None:
            return None
        return sdk.AccessToken.model_validate(
            content | {"claims": {SIGN_IN_CLAIM: content["family"]}}
        )

    def is_known(self, bearer: str) -> bool:
        """Whether a token was issued here, even if it has expired or was revoked; asks no other
        server.
        """
        return self.sealed_tokens.open(bearer, "access", even_expired=True) is not None

    async def revoke_token(self, token: sdk.AccessToken | RefreshToken) -> None:
        """Revoke the sign-in of a token that was loaded with its client."""
        if isinstance(token, RefreshToken):
            await self.end_sign_in(token.content)

    async def end_sign_in(self, used: Mapping[str, Any]) -> None:
        """Revoke the sign-in of a code or token, whose content is `used`."""
        await self.revoke(used["family"], browser_of(used))

    async def revoke(self, family: str, browser: str) -> None:
        """Revoke all codes and tokens of one consent, and take its app from its browser's list."""
        await self.stored.revoke(family)
        await self.stored.remove_app(browser, family)

    @property
    def _callback(self) -> str:
        return f"{self.issuer}/oauth/callback"

    @property
    def _resources(self) -> Collection[str]:
        """What names this server as a resource (RFC 8707)."""
        return self.issuer, f"{self.issuer}/mcp", f"{self.issuer}/sse"

    async def _exchange(
        self,
        client: Client,
        used: Mapping[str, Any],
        scopes: Sequence[str],
        asked: "Awaitable[TokenGrant]",
    ) -> OAuthToken:
        """The tokens that KallyAI gives for a code or refresh token, whose content is `used`."""
        grant = await self._grant(used, asked)
        granted = granted_of(used["scopes"], grant)
        of_access = [scope for scope in granted if scope in scopes]
        if not of_access:
            raise sdk.TokenError("invalid_scope", "KallyAI granted none of the requested scopes.")
        await self._keep_registered(client)
        both = {name: used[name] for name in _COMMON if name in used}
        account = used.get("subject") or Tokens.from_grant(grant, 0).account
        both["subject"] = account
        await self.stored.renew_sign_in(account, used["family"], browser_of(used))
        access = both | {"scopes": of_access, "token": grant.access_token.get_secret_value()}
        return OAuthToken(
            access_token=self.sealed_tokens.seal("access", access, grant.expires_in),
            expires_in=grant.expires_in,
            scope=" ".join(of_access),
            refresh_token=self._refresh_token(used, grant, both | {"scopes": granted}),
        )

    async def _grant(self, used: Mapping[str, Any], asked: "Awaitable[TokenGrant]") -> "TokenGrant":
        """What KallyAI grants for a code or refresh token, which is then used up.

        It is not while KallyAI can't be asked. What KallyAI refuses ends the sign-in, and so does
        a second use.
        """
        try:
            grant = await asked
        except ServiceError as error:
            if error.code in _OUR_ERRORS:
                _log.error(
                    "KallyAI refuses this server itself (%s): is KALLYAI_CLIENT_SECRET right?",
                    error.code,
                )
            elif error.status in (400, 401, 403):
                await self.end_sign_in(used)
                raise sdk.TokenError(
                    "invalid_grant", "KallyAI does not honor this sign-in any more."
                ) from None
            raise
        if not await self.stored.is_newest(used["family"], used["generation"] + 1):
            await self.end_sign_in(used)
            _log.warning("a code or refresh token was used again: its sign-in is revoked")
            raise sdk.TokenError(
                "invalid_grant", "This was used before, so the sign-in is revoked."
            )
        return grant

    def _refresh_token(
        self, used: Mapping[str, Any], grant: "TokenGrant", content: Mapping[str, Any]
    ) -> str | None:
        """The next refresh token; None if the client did not register for one, or KallyAI has none.

        KallyAI's own stays the same if it gives no new one.
        """
        of_kallyai = used["token"]
        if grant.refresh_token is not None:
            of_kallyai = grant.refresh_token.get_secret_value()
        if not of_kallyai or not used.get("is_renewable", True):
            return None
        more = {"token": of_kallyai, "generation": used["generation"] + 1}
        return self.sealed_tokens.seal("refresh", {**content, **more}, REFRESH_SECONDS)


@dataclass(frozen=True, repr=False, kw_only=True)
class ProviderOfRequest(Provider):
    """The provider for one authorization request, whose client is known."""

    known: Client

    async def get_client(self, client_id: str) -> Client:  # noqa: ARG002 - as the SDK calls it
        """The client of the request, whatever its id."""
        return self.known


class RevocationProvider(Provider):
    """The provider for revocation, which finds both kinds of tokens with their client."""

    async def load_refresh_token(self, client: Client, refresh_token: str) -> RefreshToken | None:
        """The access or refresh token, if it is the client's."""
        return await self._load_token(client, ("access", "refresh"), refresh_token)
