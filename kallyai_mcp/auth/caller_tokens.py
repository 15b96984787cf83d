"""Callers with accounts of their own: each request carries its caller's KallyAI access token, and is served with it."""

import hashlib
import hmac
import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import anyio

from kallyai_mcp.api.errors import ForbiddenError, NotSignedInError, UnauthorizedError
from kallyai_mcp.auth.tokens import Tokens

if TYPE_CHECKING:
    from mcp.server.auth.provider import AccessToken

_log = logging.getLogger(__name__)

VERDICT_SECONDS = 60.0
"""For how long a token that was found good counts as good without asking again."""

_NOBODY = "nobody"
"""The account of a token that names none, when it is told to have this lineage."""


class CallerTokens:
    """The token of whoever's request is being served: the API client's token source where callers bring their own.

    A task that a request starts keeps its caller: Python hands the context on.
    """

    async def access_token(self) -> str:
        """The caller's token.

        Raises:
            NotSignedInError: No request is being served.
        """
        token = _token_at_hand()
        if token is None:
            raise NotSignedInError("No caller's token is at hand.")
        return token.token

    async def renew(self, rejected: str) -> str:  # noqa: ARG002 - it can't be renewed, whichever it was
        """Always raises `NotSignedInError`: only the caller can bring a new one."""
        raise NotSignedInError(
            "KallyAI does not accept the token of this request any more; the client must send a new one."
        )

    async def current(self) -> Tokens | None:
        """The caller's token as `Tokens`; None when no request is being served."""
        token = _token_at_hand()
        return _tokens(token.token, lineage=token.subject) if token is not None else None


class CallerVerifier:
    """Says whether a bearer is a KallyAI access token that works, by asking KallyAI something cheap with it.

    A good one is remembered by its hash for a minute at most; a bad one is not. One that may not ask is a bad one, too:
    an account is told by a token's claims, and some services answer a forged token as one that lacks a permission.

    A token without claims names nobody, and no answer of KallyAI's does (reference: "User Endpoints"), so whoever has
    one is a new caller after each renewal: their calls are still in KallyAI's list, but the same call asked for again
    is not recognised, and `get_call` knows no `tracking_id` of before. That is logged once.

    Args:
        ask: Asks KallyAI with a token; raises what the API client raises.
        clock: A clock that only goes forward, in seconds.
        most: How many good ones are remembered; beyond that all may be forgotten, and are asked about again.
    """

    def __init__(
        self,
        ask: Callable[[str], Awaitable[object]],
        clock: Callable[[], float] = time.monotonic,
        *,
        most: int = 10_000,
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._most = most
        self._good_until: dict[bytes, float] = {}
        self._asking: dict[bytes, anyio.Lock] = {}
        self._has_warned = False

    async def __call__(self, bearer: str) -> "AccessToken | None":
        """Whose token `bearer` is; None when it is not good.

        Raises:
            KallyAIError: KallyAI can't be asked.
        """
        if not bearer.isascii() or not bearer.isprintable() or " " in bearer:
            return None
        digest = _hashed(bearer)
        lock = self._asking.setdefault(digest, anyio.Lock())
        try:
            async with lock:  # a hundred requests with a new token ask once
                if self._good_until.get(digest, -math.inf) <= self._clock() and not await self._is_good(bearer):
                    self._good_until.pop(digest, None)
                    return None
                self._remember(digest)
        finally:
            if not lock.statistics().tasks_waiting:
                self._asking.pop(digest, None)
        from mcp.server.auth.provider import AccessToken  # late: it loads a web framework

        account = _tokens(bearer).account
        if not self._has_warned and _tokens(bearer, lineage=_NOBODY).account == _NOBODY:
            self._has_warned = True
            _log.warning("callers' tokens name no account: after a renewal, a caller counts as another one")
        return AccessToken(token=bearer, client_id="caller", scopes=[], subject=account)

    def known(self, bearer: str) -> bool:
        """Whether `bearer` was good when KallyAI was last asked about it, however long ago; asks nobody."""
        return _hashed(bearer) in self._good_until

    async def _is_good(self, bearer: str) -> bool:
        try:
            await self._ask(bearer)
        except (UnauthorizedError, NotSignedInError, ForbiddenError):
            return False
        return True

    def _remember(self, digest: bytes) -> None:
        now = self._clock()
        if digest not in self._good_until or self._good_until[digest] <= now:
            if len(self._good_until) >= self._most:
                self._good_until = {key: until for key, until in self._good_until.items() if until > now}
            if len(self._good_until) >= self._most:
                self._good_until.clear()
            self._good_until[digest] = now + VERDICT_SECONDS


class SecretVerifier:
    """Says whether a bearer is the one secret, compared in constant time.

    Args:
        secret: What whoever may come in knows.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    async def __call__(self, bearer: str) -> "AccessToken | None":
        """Nobody's token in particular; None when `bearer` is not the secret."""
        from mcp.server.auth.provider import AccessToken  # late: it loads a web framework

        return AccessToken(token="", client_id="secret", scopes=[]) if self.known(bearer) else None

    def known(self, bearer: str) -> bool:
        """Whether `bearer` is the secret."""
        return hmac.compare_digest(bearer.encode(), self._secret)


def _token_at_hand() -> "AccessToken | None":
    from mcp.server.auth.middleware.auth_context import get_access_token  # late: it loads a web framework

    return get_access_token()


def _hashed(bearer: str) -> bytes:
    return hashlib.sha256(bearer.encode()).digest()


def _tokens(token: str, lineage: str | None = None) -> Tokens:
    return Tokens.from_document({"access_token": token, "expires_at": math.inf, "lineage": lineage})
