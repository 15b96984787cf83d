"""Issues codes and tokens: sealed texts with KallyAI's, which a client can't read, and can use only at this server.

All codes and tokens of one consent are a family. A code can be used once, and a refresh token until its successor is
issued. If one is used again, two parties have it, so its family is revoked (OAuth 2.1, sections 4.1.3 and 4.3.1).
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from mcp.server.auth.provider import AccessToken

from kallyai_mcp.api.errors import KallyAIError, ServiceError
from kallyai_mcp.auth.oauth_server import pkce, scopes
from kallyai_mcp.auth.oauth_server.client_registry import key_of
from kallyai_mcp.auth.oauth_server.errors import OAuthError
from kallyai_mcp.auth.oauth_server.flow_cookies import AuthorizationRequest
from kallyai_mcp.auth.oauth_server.sealed_tokens import SealedTokens
from kallyai_mcp.auth.oauth_server.shared_state import SharedState
from kallyai_mcp.auth.oauth_server.upstream import Upstream
from kallyai_mcp.auth.tokens import Tokens
from kallyai_mcp.common_types import REVOKED_SIGN_IN, SIGN_IN_CLAIM

if TYPE_CHECKING:
    from kallyai_mcp.api.models import TokenGrant

_log = logging.getLogger(__name__)

CODE_SECONDS = 60.0
"""How long a code is valid: as long as KallyAI's code in it."""

REFRESH_SECONDS = 90 * 24 * 3600.0
"""How long an unused refresh token is valid, and how long a revocation is remembered."""

_USED_CODE = "oauth_code"
_GENERATION = "oauth_generation"
"""The kinds of values in the shared state: a code that was used, and the generation of the newest refresh token.

Their name is always the family.
"""

_OUR_ERRORS = frozenset({"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_request"})
"""KallyAI's errors that are about this server's configuration, and not about the user's sign-in."""


@dataclass(frozen=True, repr=False)
class TokenIssuer:
    """Issues codes and tokens, verifies them, and revokes them.

    Every method but `code` raises `KallyAIError` when the shared state can't be reached.

    Attributes:
        sealed_tokens: Seals codes and tokens.
        shared_state: Remembers which codes and tokens were used or revoked.
        upstream: Our OAuth client at KallyAI.
        issuer: Our own base URL, for the tokens that `verify` returns.
        is_ours: Returns whether a resource (RFC 8707) is this server.
        clock: Returns seconds since the epoch.
    """

    sealed_tokens: SealedTokens
    shared_state: SharedState
    upstream: Upstream
    issuer: str
    is_ours: Callable[[str], bool]
    clock: Callable[[], float]

    def code(self, authorization: AuthorizationRequest, upstream_code: str) -> str:
        """A code for a request that the user has allowed, with KallyAI's code (`upstream_code`) inside."""
        names = ("family", "client", "redirect_uri", "challenge", "resource", "scopes")
        content = {name: getattr(authorization, name) for name in names} | {"code": upstream_code}
        return self.sealed_tokens.seal("code", content, seconds=CODE_SECONDS)

    async def redeem(self, form: Mapping[str, str], client_id: str) -> dict[str, Any]:
        """Exchange a code (OAuth 2.1, section 4.1.3); returns the token response.

        Args:
            form: `code`, `code_verifier`, and optionally `redirect_uri` and `resource`.
            client_id: The authenticated client.

        Raises:
            OAuthError: The parameters don't fit together, the code was used before, or KallyAI refuses it or can't be
                reached. If KallyAI can't be reached, the code can be used again.
        """
        content = self.sealed_tokens.open("code", form.get("code"))
        if content is None or content["client"] != key_of(client_id):
            raise OAuthError("invalid_grant", "The code is not good for this client, or not any more.")
        if not pkce.matches(form.get("code_verifier", ""), content["challenge"]):
            raise OAuthError("invalid_grant", "code_verifier is not the one of this code's code_challenge.")
        if form.get("redirect_uri", content["redirect_uri"]) != content["redirect_uri"]:
            raise OAuthError("invalid_grant", "redirect_uri is not the one that the code was sent to.")
        self._check_resource(form, content["resource"])
        family = content["family"]
        if await self._is_revoked(family):
            raise OAuthError("invalid_grant", "This sign-in was revoked.")
        if not await self.shared_state.add(_USED_CODE, family, "1", 2 * CODE_SECONDS):
            await self._refuse_reuse(family, "code")
        try:
            grant = await self._ask_upstream(self.upstream.exchange(content["code"]))
        except OAuthError as error:
            if error.retry_after is not None:
                # The code may be used again: no token was issued, and KallyAI accepts its own code only once.
                await self.shared_state.drop(_USED_CODE, family)
            raise
        account = self._read(grant).account
        granted = _granted_scopes(content["scopes"], grant.scope)
        token = {"family": family, "client": content["client"], "resource": content["resource"], "account": account}
        return self._response(token | {"generation": 0}, grant, granted, granted)

    async def refresh(self, form: Mapping[str, str], client_id: str) -> dict[str, Any]:
        """Exchange a refresh token (RFC 6749, section 6); returns the token response.

        Args:
            form: `refresh_token`, and optionally `scope` and `resource`.
            client_id: The authenticated client.

        Raises:
            OAuthError: The token is not this client's, was used before, or KallyAI refuses it or can't be reached. If
                KallyAI can't be reached, the token can be used again.
        """
        content = self.sealed_tokens.open("refresh", form.get("refresh_token"))
        if content is None or content["client"] != key_of(client_id) or not self.is_ours(content["resource"]):
            raise OAuthError("invalid_grant", "The refresh token is not good for this client, or not any more.")
        self._check_resource(form, content["resource"])
        requested = form["scope"].split() if "scope" in form else content["scopes"]
        if not set(requested) <= set(content["scopes"]):
            raise OAuthError(
                "invalid_scope", "A refresh can't ask for more than was granted; authorize again for more."
            )
        family, generation = content["family"], content["generation"]
        if await self._is_revoked(family):
            raise OAuthError("invalid_grant", "This sign-in was revoked.")
        if int(await self.shared_state.get(_GENERATION, family) or 0) > generation:
            await self._refuse_reuse(family, "refresh token")
        grant = await self._ask_upstream(self.upstream.refresh(content["token"]))
        # Of several requests with one token, only the first that gets here finds no later generation.
        replaced = await self.shared_state.put(_GENERATION, family, str(generation + 1), REFRESH_SECONDS)
        if int(replaced or 0) > generation:
            await self._refuse_reuse(family, "refresh token")
        self._read(grant)
        granted = _granted_scopes(content["scopes"], grant.scope)
        token = {name: content[name] for name in ("family", "client", "resource", "account")}
        token["generation"] = generation + 1
        allowed = [scope for scope in granted if scope in requested]
        return self._response(token, grant, granted, allowed, content["token"])

    async def verify(self, bearer: str) -> AccessToken | None:
        """The content of our token: KallyAI's token, and the account as `subject`; None if `bearer` is not valid."""
        content = self.sealed_tokens.open("access", bearer)
        if content is None or not self.is_ours(content["resource"]) or await self._is_revoked(content["family"]):
            return None
        return AccessToken(
            token=content["token"],
            client_id=content["client"],
            scopes=content["scopes"],
            expires_at=int(content["exp"]),
            resource=content["resource"],
            subject=content["account"],
            claims={"iss": self.issuer, SIGN_IN_CLAIM: content["family"]},
        )

    async def revoke(self, token: str, client_id: str) -> None:
        """Revoke a token with its family (RFC 7009, section 2.1), if it is the client's; else do nothing."""
        content = self.sealed_tokens.open("refresh", token) or self.sealed_tokens.open("access", token)
        if content is not None and content["client"] == key_of(client_id):
            await self.revoke_family(content["family"])

    async def revoke_family(self, family: str) -> None:
        """Revoke all codes and tokens of one consent."""
        await self.shared_state.put(REVOKED_SIGN_IN, family, "1", REFRESH_SECONDS)

    def _check_resource(self, form: Mapping[str, str], granted: str) -> None:
        requested = form.get("resource")
        if requested is not None and not (self.is_ours(requested) and self.is_ours(granted)):
            raise OAuthError("invalid_target", "resource is not this server.")

    async def _is_revoked(self, family: str) -> bool:
        return await self.shared_state.get(REVOKED_SIGN_IN, family) is not None

    async def _refuse_reuse(self, family: str, what: str) -> NoReturn:
        await self.revoke_family(family)
        _log.warning("a %s was used again: its sign-in is revoked", what)
        raise OAuthError("invalid_grant", f"The {what} was used before, so the sign-in is revoked.")

    async def _ask_upstream(self, request: "Awaitable[TokenGrant]") -> "TokenGrant":
        """KallyAI's answer.

        Raises:
            OAuthError: KallyAI refuses; or, with a `retry_after`, it can't be reached now.
        """
        try:
            return await request
        except ServiceError as error:
            if error.status in (400, 401, 403) and error.code not in _OUR_ERRORS:
                raise OAuthError("invalid_grant", "KallyAI does not honor this sign-in any more.") from None
            if error.code in _OUR_ERRORS:
                _log.error("KallyAI refuses this server itself (%s): is KALLYAI_CLIENT_SECRET right?", error.code)
            raise _unavailable(error) from None
        except KallyAIError as error:
            raise _unavailable(error) from None

    def _read(self, grant: "TokenGrant") -> Tokens:
        try:
            return Tokens.from_grant(grant, self.clock())
        except KallyAIError as error:
            raise _unavailable(error) from None

    def _response(
        self,
        token: Mapping[str, Any],
        grant: "TokenGrant",
        granted: list[str],
        allowed: list[str],
        refresh_token: str | None = None,
    ) -> dict[str, Any]:
        """The token response (RFC 6749, section 5.1).

        Args:
            token: The content of the refresh token, without KallyAI's token and the scopes.
            grant: KallyAI's answer.
            granted: The scopes of the refresh token.
            allowed: The scopes of the access token.
            refresh_token: KallyAI's refresh token, if `grant` has no new one.
        """
        if not allowed:
            raise OAuthError("invalid_scope", "KallyAI granted none of the scopes that were asked for.")
        access = {name: token[name] for name in ("family", "client", "resource", "account")}
        access |= {"token": grant.access_token.get_secret_value(), "scopes": allowed}
        response = {
            "access_token": self.sealed_tokens.seal("access", access, seconds=grant.expires_in),
            "token_type": "Bearer",
            "expires_in": grant.expires_in,
            "scope": " ".join(allowed),
        }
        refresh_token = grant.refresh_token.get_secret_value() if grant.refresh_token is not None else refresh_token
        if refresh_token is not None:
            content = {**token, "token": refresh_token, "scopes": granted}
            response["refresh_token"] = self.sealed_tokens.seal("refresh", content, seconds=REFRESH_SECONDS)
        return response


def _granted_scopes(consented: Iterable[str], granted: str | None) -> list[str]:
    """The scopes that the user allowed and KallyAI granted; all if KallyAI does not say (RFC 6749, section 5.1)."""
    names = list(consented)
    return names if granted is None else [name for name in names if name in scopes.parse(granted)]


def _unavailable(error: KallyAIError) -> OAuthError:
    description = "KallyAI can't be asked now. Try again in a moment."
    return OAuthError("temporarily_unavailable", description, 503, error.retry_after or 5)
