"""Access tokens of callers: each HTTP request is served with the KallyAI token that its caller
sends.
"""

import time
from collections.abc import Awaitable, Callable
from hashlib import sha256
from weakref import WeakValueDictionary

import anyio
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken

from kallyai_mcp.api.errors import ForbiddenError, NotSignedInError, UnauthorizedError
from kallyai_mcp.api.values import is_token
from kallyai_mcp.auth.tokens import SIGN_IN_CLAIM, Tokens

CACHE_SECONDS = 60.0
"""How long a verdict about a token counts without another request to KallyAI."""

_MAX_CACHED = 10_000


class CallerTokens:
    """The API client's token source for callers with their own tokens: the token of the current
    request.

    A task that a request starts has the same token, because it inherits the request's context. The
    task may go on after the request, as a call list does. So `current` checks whether the sign-in
    (the claim `SIGN_IN_CLAIM`, which tokens that we issue have) was revoked since.
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
            "KallyAI does not accept the token of this request any more; the client must send a "
            "new one."
        )

    async def current(self) -> Tokens | None:
        """The caller's token as `Tokens`; None when there is no current request, or its sign-in was
        revoked.

        Raises `KallyAIError` if it is not known whether the sign-in was revoked.
        """
        token = get_access_token()
        if token is None:
            return None
        sign_in = (token.claims or {}).get(SIGN_IN_CLAIM)
        if sign_in is not None and await self._is_revoked(sign_in):
            return None
        return Tokens.of(token.token, lineage=token.subject)


class _Remembered:
    """Tokens with one verdict, by their digests, each for `CACHE_SECONDS`.

    Those that have expired are still known as long as there is room.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: dict[bytes, float] = {}

    def add(self, digest: bytes) -> None:
        if len(self._until) >= _MAX_CACHED:
            self._until.clear()
        self._until[digest] = self._clock() + CACHE_SECONDS

    def remove(self, digest: bytes) -> None:
        self._until.pop(digest, None)

    def has(self, digest: bytes) -> bool:
        return digest in self._until

    def has_lately(self, digest: bytes) -> bool:
        return self.has(digest) and self._clock() < self._until[digest]


class CallerVerifier:
    """Verifies a bearer token by a cheap request to KallyAI with it (`send`).

    The verdict counts for `CACHE_SECONDS`. A token without the permission for the request counts as
    invalid. The account is taken from the claims of the token, and a service may answer a forged
    token like one that lacks a permission.

    The account of a token without claims is not known, because no response of KallyAI has it
    (reference: "User Endpoints"). Its caller counts as a new account after each renewal: the calls
    before are still in KallyAI's list, but neither duplicates nor a `tracking_id` of the time
    before are found.
    """

    def __init__(
        self,
        send: Callable[[str], Awaitable[object]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._send = send
        self._good = _Remembered(clock)
        self._refused = _Remembered(clock)
        self._locks: WeakValueDictionary[bytes, anyio.Lock] = WeakValueDictionary()

    async def __call__(self, bearer: str) -> AccessToken | None:
        """Verify `bearer`; None if it is not valid.

        Raises `KallyAIError` when KallyAI can't be reached.
        """
        if not is_token(bearer):
            return None
        digest = _digest(bearer)
        # For many requests with one new token, KallyAI is asked once. An unused lock is forgotten.
        async with self._locks.setdefault(digest, anyio.Lock()):
            if not self._good.has_lately(digest) and not self._refused.has_lately(digest):
                await self._ask(bearer, digest)
        if not self._good.has(digest):
            return None
        account = Tokens.of(bearer).account
        return AccessToken(token=bearer, client_id="caller", scopes=[], subject=account)

    def is_known(self, bearer: str) -> bool:
        """Whether the last verdict about `bearer` was good, however long ago; sends no request."""
        return self._good.has(_digest(bearer))

    def is_refused(self, bearer: str) -> bool:
        """Whether `bearer` is malformed, or was refused just now; sends no request."""
        return not is_token(bearer) or self._refused.has_lately(_digest(bearer))

    async def _ask(self, bearer: str, digest: bytes) -> None:
        """Ask KallyAI about a token, and remember the verdict."""
        try:
            await self._send(bearer)
        except (UnauthorizedError, NotSignedInError, ForbiddenError):
            self._good.remove(digest)
            self._refused.add(digest)
        else:
            self._good.add(digest)


def _digest(bearer: str) -> bytes:
    return sha256(bearer.encode()).digest()
