"""Access tokens of callers: each HTTP request is served with the KallyAI token that its caller sends."""

import math
import time
from collections.abc import Awaitable, Callable
from hashlib import sha256
from weakref import WeakValueDictionary

import anyio
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken

from kallyai_mcp.api.errors import ForbiddenError, NotSignedInError, UnauthorizedError
from kallyai_mcp.api.models import is_token
from kallyai_mcp.auth.tokens import SIGN_IN_CLAIM, Tokens

CACHE_SECONDS = 60.0
"""How long a verified token counts as valid without another request to KallyAI."""

_MAX_CACHED = 10_000


class CallerTokens:
    """The API client's token source for callers with their own tokens: the token of the current request.

    A task that a request starts has the same token, because it inherits the request's context. The task may go on after
    the request, as a call list does. So `current` checks whether the sign-in (the claim `SIGN_IN_CLAIM`, which tokens
    that we issue have) was revoked since.
    """

    def __init__(self, is_revoked: Callable[[str], Awaitable[bool]]) -> None:
        self._is_revoked = is_revoked

    async def access_token(self) -> str:
        """The caller's token; raises `NotSignedInError` when there is no current request."""
        token = get_access_token()
        if token is None:
            raise NotSignedInError("No caller's token is at hand.")
        return token.token

    async def renew(self, rejected: str) -> str:  # noqa: ARG002 - no token can be renewed
        """Always raises `NotSignedInError`, because only the caller can get a new token."""
        raise NotSignedInError(
            "KallyAI does not accept the token of this request any more; the client must send a new one."
        )

    async def current(self) -> Tokens | None:
        """The caller's token as `Tokens`; None when there is no current request, or its sign-in was revoked.

        Raises `KallyAIError` if it is not known whether the sign-in was revoked.
        """
        token = get_access_token()
        if token is None:
            return None
        sign_in = (token.claims or {}).get(SIGN_IN_CLAIM)
        if sign_in is not None and await self._is_revoked(sign_in):
            return None
        return Tokens.of(token.token, lineage=token.subject)


class CallerVerifier:
    """Verifies a bearer token by a cheap request to KallyAI with it (`send`).

    A valid token is cached by its hash for `CACHE_SECONDS`; an invalid one is not. A token without the permission for
    the request counts as invalid. The account is taken from the claims of the token, and a service may answer a forged
    token like one that lacks a permission.

    The account of a token without claims is not known, because no response of KallyAI has it (reference: "User
    Endpoints"). Its caller counts as a new account after each renewal: the calls before are still in KallyAI's list,
    but neither duplicates nor a `tracking_id` of the time before are found.
    """

    def __init__(self, send: Callable[[str], Awaitable[object]], clock: Callable[[], float] = time.monotonic) -> None:
        self._send, self._clock = send, clock
        self._valid_until: dict[bytes, float] = {}
        self._locks: WeakValueDictionary[bytes, anyio.Lock] = WeakValueDictionary()

    async def __call__(self, bearer: str) -> AccessToken | None:
        """Verify `bearer`; None if it is not valid. Raises `KallyAIError` when KallyAI can't be reached."""
        if not is_token(bearer):
            return None
        digest = sha256(bearer.encode()).digest()
        # So that for many requests with one new token, KallyAI is asked only once. A lock that none uses is forgotten.
        async with self._locks.setdefault(digest, anyio.Lock()):
            if self._valid_until.get(digest, -math.inf) <= self._clock():
                try:
                    await self._send(bearer)
                except (UnauthorizedError, NotSignedInError, ForbiddenError):
                    self._valid_until.pop(digest, None)
                    return None
                if len(self._valid_until) >= _MAX_CACHED:
                    self._valid_until.clear()
                self._valid_until[digest] = self._clock() + CACHE_SECONDS
        return AccessToken(token=bearer, client_id="caller", scopes=[], subject=Tokens.of(bearer).account)

    def is_known(self, bearer: str) -> bool:
        """Whether `bearer` was valid when it was last verified, however long ago; sends no request."""
        return sha256(bearer.encode()).digest() in self._valid_until
