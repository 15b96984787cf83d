"""Codes and tokens: KallyAI's own, sealed, so that whoever holds one of ours can read nothing and use it only here.

A family is all that comes out of one consent. A code is good once, a refresh token until the next one is given out; if
either comes back a second time, two parties hold it, and the family is revoked (OAuth 2.1, sections 4.1.3 and 4.3.1).
"""

import base64
import hashlib
import hmac
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from mcp.server.auth.provider import AccessToken

from kallyai_mcp.api.errors import KallyAIError, ServiceError
from kallyai_mcp.auth.oauth_server import scopes
from kallyai_mcp.auth.oauth_server.clients import key_of
from kallyai_mcp.auth.oauth_server.revocation import RevocationStore
from kallyai_mcp.auth.oauth_server.sealed_tokens import SealedTokens
from kallyai_mcp.auth.tokens import Tokens

if TYPE_CHECKING:
    from kallyai_mcp.api.client import KallyAI
    from kallyai_mcp.api.models import TokenGrant

_log = logging.getLogger(__name__)

CODE_SECONDS = 60.0
"""How long a code is good: as long as KallyAI's own within it."""

REFRESH_SECONDS = 90 * 24 * 3600.0
"""How long a refresh token is good that nobody uses, and how long a revocation is remembered."""

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_OURS_TO_MEND = frozenset({"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_request"})
"""KallyAI's errors that say something of this server's configuration, and nothing of the user's sign-in."""


class Refused(Exception):  # noqa: N818 - named for what happened
    """The token endpoint's error (RFC 6749, section 5.2).

    Args:
        code: Its `error`.
        words: Its `error_description`.
        status: The HTTP status.
        retry_after: Seconds after which the same request may succeed.
    """

    def __init__(self, code: str, words: str, status: int = 400, retry_after: float | None = None) -> None:
        super().__init__(words)
        self.code = code
        self.words = words
        self.status = status
        self.retry_after = retry_after


@dataclass(frozen=True, repr=False)
class Upstream:
    """Who we are at KallyAI ("OAuth2 Authorization Code Flow" of the reference).

    Attributes:
        api: The API client.
        client_id: Our client there.
        client_secret: Its secret.
        redirect_uri: Where KallyAI sends browsers back to.
    """

    api: "Callable[[], KallyAI]"
    client_id: str
    client_secret: str
    redirect_uri: str

    def authorize_url(self, state: str, asked: Iterable[str]) -> str:
        """The page on which a person signs in and lets us in."""
        api = self.api()
        scope = " ".join(asked)
        return api.authorize_url(api.base_url, self.client_id, self.redirect_uri, state=state, scope=scope)

    async def exchange(self, code: str) -> "TokenGrant":
        """Tokens for KallyAI's code; raises what the API client raises."""
        return await self.api().exchange_code(code, self.redirect_uri, self.client_id, self.client_secret)

    async def refresh(self, refresh_token: str) -> "TokenGrant":
        """New tokens for KallyAI's refresh token; raises what the API client raises."""
        return await self.api().refresh_code(refresh_token, self.client_id, self.client_secret)


def is_challenge(text: str | None) -> bool:
    """Whether `text` is a code challenge of the method S256 (RFC 7636, section 4.2)."""
    return text is not None and _CHALLENGE.fullmatch(text) is not None


class Grants:
    """Gives out codes and tokens, and takes them back.

    Args:
        seals: Seals them.
        marks: Remembers what was used and revoked.
        upstream: KallyAI.
        issuer: Who we are; goes into what `verify` answers.
        is_ours: Whether a resource (RFC 8707) is one of this server's.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        seals: SealedTokens,
        marks: RevocationStore,
        upstream: Upstream,
        issuer: str,
        is_ours: Callable[[str], bool],
        clock: Callable[[], float],
    ) -> None:
        self._seals = seals
        self._marks = marks
        self._upstream = upstream
        self._issuer = issuer
        self._is_ours = is_ours
        self._clock = clock

    def code(self, asked: Mapping[str, Any], upstream_code: str) -> str:
        """A code for what was consented to.

        Args:
            asked: `family`, `client` (its key), `redirect_uri`, `challenge`, `resource` and `scopes`.
            upstream_code: What KallyAI sent the browser back with.
        """
        names = ("family", "client", "redirect_uri", "challenge", "resource", "scopes")
        content = {name: asked[name] for name in names} | {"code": upstream_code}
        return self._seals.seal("code", content, seconds=CODE_SECONDS)

    async def redeem(self, form: Mapping[str, str], client_id: str) -> dict[str, Any]:
        """Tokens for a code (OAuth 2.1, section 4.1.3): the token response.

        Args:
            form: `code`, `code_verifier`, and what else of `redirect_uri` and `resource` the client sends.
            client_id: Who asks.

        Raises:
            Refused: They don't fit together, the code was used before, or KallyAI does not honour it.
            RevocationUnavailableError: It can't be told whether it was.
        """
        granted = self._seals.open("code", form.get("code"))
        if granted is None or granted["client"] != key_of(client_id):
            raise Refused("invalid_grant", "The code is not good for this client, or not any more.")
        if not _fits(form.get("code_verifier", ""), granted["challenge"]):
            raise Refused("invalid_grant", "code_verifier is not the one of this code's code_challenge.")
        if form.get("redirect_uri", granted["redirect_uri"]) != granted["redirect_uri"]:
            raise Refused("invalid_grant", "redirect_uri is not the one that the code was sent to.")
        self._check_resource(form, granted["resource"])
        if await self._is_revoked(granted["family"]):
            raise Refused("invalid_grant", "This sign-in was revoked.")
        spent = f"code:{granted['family']}"
        if await self._marks.put(spent, 1, 2 * CODE_SECONDS) is not None:
            await self._used_twice(granted["family"], "code")
        try:
            grant = await self._asked_upstream(self._upstream.exchange(granted["code"]))
        except Refused as error:
            if error.retry_after is not None:
                await self._marks.drop(spent)  # nothing was given out, and KallyAI takes its own code only once
            raise
        tokens = self._read(grant)
        allowed = _narrowed(granted["scopes"], grant.scope)
        content = {"family": granted["family"], "client": granted["client"], "resource": granted["resource"]}
        return self._response(content | {"account": tokens.account, "generation": 0}, grant, allowed, allowed)

    async def refresh(self, form: Mapping[str, str], client_id: str) -> dict[str, Any]:
        """New tokens for a refresh token (RFC 6749, section 6): the token response.

        Args:
            form: `refresh_token`, and what else of `scope` and `resource` the client sends.
            client_id: Who asks.

        Raises:
            Refused: The token is not this client's or not good any more, at KallyAI or here; or KallyAI can't be asked,
                and then nothing was used up.
            RevocationUnavailableError: It can't be told whether it is good.
        """
        held = self._seals.open("refresh", form.get("refresh_token"))
        if held is None or held["client"] != key_of(client_id) or not self._is_ours(held["resource"]):
            raise Refused("invalid_grant", "The refresh token is not good for this client, or not any more.")
        self._check_resource(form, held["resource"])
        asked = form["scope"].split() if "scope" in form else held["scopes"]
        if not set(asked) <= set(held["scopes"]):
            raise Refused("invalid_scope", "A refresh can't ask for more than was granted; authorize again for more.")
        if await self._is_revoked(held["family"]):
            raise Refused("invalid_grant", "This sign-in was revoked.")
        newest, generation = f"generation:{held['family']}", held["generation"]
        if (await self._marks.get(newest) or 0) > generation:
            await self._used_twice(held["family"], "refresh token")
        grant = await self._asked_upstream(self._upstream.refresh(held["token"]))
        if (await self._marks.put(newest, generation + 1, REFRESH_SECONDS) or 0) > generation:
            await self._used_twice(held["family"], "refresh token")
        self._read(grant)
        kept = _narrowed(held["scopes"], grant.scope)
        content = {name: held[name] for name in ("family", "client", "resource", "account")}
        content["generation"] = generation + 1
        return self._response(content, grant, kept, [scope for scope in kept if scope in asked], held["token"])

    async def verify(self, bearer: str) -> AccessToken | None:
        """Whose access token `bearer` is; `token` is then KallyAI's, `subject` the account. None when it is not good.

        Raises:
            RevocationUnavailableError: It can't be told whether it was revoked.
        """
        held = self._seals.open("access", bearer)
        if held is None or not self._is_ours(held["resource"]) or await self._is_revoked(held["family"]):
            return None
        return AccessToken(
            token=held["token"],
            client_id=held["client"],
            scopes=held["scopes"],
            expires_at=int(held["exp"]),
            resource=held["resource"],
            subject=held["account"],
            claims={"iss": self._issuer},
        )

    async def revoke(self, token: str, client_id: str) -> None:
        """Take back a token and all of its family (RFC 7009, section 2.1); one that is not the client's stays.

        Raises:
            RevocationUnavailableError: It can't be remembered.
        """
        held = self._seals.open("refresh", token) or self._seals.open("access", token)
        if held is not None and held["client"] == key_of(client_id):
            await self.revoke_family(held["family"])

    async def revoke_family(self, family: str) -> None:
        """Take back all that came out of one consent.

        Raises:
            RevocationUnavailableError: It can't be remembered.
        """
        await self._marks.put(f"revoked:{family}", 1, REFRESH_SECONDS)

    def _check_resource(self, form: Mapping[str, str], granted: str) -> None:
        asked = form.get("resource")
        if asked is not None and not (self._is_ours(asked) and self._is_ours(granted)):
            raise Refused("invalid_target", "resource is not this server.")

    async def _is_revoked(self, family: str) -> bool:
        return await self._marks.get(f"revoked:{family}") is not None

    async def _used_twice(self, family: str, what: str) -> NoReturn:
        await self.revoke_family(family)
        _log.warning("a %s came a second time: its sign-in is revoked", what)
        raise Refused("invalid_grant", f"The {what} was used before, so the sign-in is revoked.")

    async def _asked_upstream(self, asking: "Awaitable[TokenGrant]") -> "TokenGrant":
        """KallyAI's answer.

        Raises:
            Refused: It refused; or, with a `retry_after`, it can't be asked now.
        """
        try:
            return await asking
        except ServiceError as error:
            if error.status in (400, 401, 403) and error.code not in _OURS_TO_MEND:
                raise Refused("invalid_grant", "KallyAI does not honour this sign-in any more.") from None
            if error.code in _OURS_TO_MEND:
                _log.error("KallyAI refuses this server itself (%s): is KALLYAI_CLIENT_SECRET right?", error.code)
            raise _later(error) from None
        except KallyAIError as error:
            raise _later(error) from None

    def _read(self, grant: "TokenGrant") -> Tokens:
        try:
            return Tokens.from_grant(grant, self._clock())
        except KallyAIError as error:
            raise _later(error) from None

    def _response(
        self,
        content: Mapping[str, Any],
        grant: "TokenGrant",
        kept: list[str],
        allowed: list[str],
        refresh_token: str | None = None,
    ) -> dict[str, Any]:
        if not allowed:
            raise Refused("invalid_scope", "KallyAI granted none of the scopes that were asked for.")
        access = {name: content[name] for name in ("family", "client", "resource", "account")}
        access |= {"token": grant.access_token.get_secret_value(), "scopes": allowed}
        response = {
            "access_token": self._seals.seal("access", access, seconds=grant.expires_in),
            "token_type": "Bearer",
            "expires_in": grant.expires_in,
            "scope": " ".join(allowed),
        }
        renewing = grant.refresh_token.get_secret_value() if grant.refresh_token is not None else refresh_token
        if renewing is not None:
            sealed = {**content, "token": renewing, "scopes": kept}
            response["refresh_token"] = self._seals.seal("refresh", sealed, seconds=REFRESH_SECONDS)
        return response


def _fits(verifier: str, challenge: str) -> bool:
    if _VERIFIER.fullmatch(verifier) is None:
        return False
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).decode("ascii")
    return hmac.compare_digest(digest.rstrip("="), challenge)


def _narrowed(consented: Iterable[str], granted: str | None) -> list[str]:
    """What was consented to, as far as KallyAI granted it; all of it when it does not say (RFC 6749, section 5.1)."""
    names = list(consented)
    return names if granted is None else [name for name in names if name in scopes.known(granted)]


def _later(error: KallyAIError) -> Refused:
    words = "KallyAI can't be asked now. Try again in a moment."
    return Refused("temporarily_unavailable", words, 503, error.retry_after or 5)
