"""A limit on how many invalid bearer tokens one address may have checked."""

from collections.abc import Awaitable, Callable

import anyio
from mcp.server.auth.provider import AccessToken

from kallyai_mcp.common_types import RateLimit
from kallyai_mcp.urls import network_of

_CONCURRENT_CHECKS = 4
"""How many unknown tokens of one address are checked at once; so many may exceed the limit."""


class VerificationUnavailableError(Exception):
    """A bearer token can't be checked now, but maybe in `retry_after` seconds."""

    def __init__(self, retry_after: float = 5) -> None:
        super().__init__()
        self.retry_after = retry_after


class TooManyAttemptsError(Exception):
    """A bearer token was not checked: its address has sent too many invalid ones, so it waits `retry_after` seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__()
        self.retry_after = retry_after


Verifier = Callable[[str], Awaitable[AccessToken | None]]
"""Checks a bearer token: returns whose it is, None if it is invalid. Raises `VerificationUnavailableError`."""


class BearerThrottle:
    """Checks bearer tokens, but not those of an address that has sent too many invalid ones.

    A check may cost a request to KallyAI. A token that was valid before is always checked, so that its owner can't be
    locked out by others at the same address. All IPv6 addresses of one /64 count as one, because one household has it.
    """

    def __init__(
        self, verifier: Verifier, is_known: Callable[[str], bool], wrong_bearer_limit: RateLimit | None
    ) -> None:
        self._verifier = verifier
        self._is_known = is_known
        self._limit = wrong_bearer_limit
        self._checks: dict[str, anyio.CapacityLimiter] = {}

    async def check(self, bearer: str, address: str) -> AccessToken | None:
        """Whose token `bearer` is, which `address` has sent; None if it is invalid.

        Raises:
            VerificationUnavailableError: It can't be checked now.
            TooManyAttemptsError: It was not checked.
        """
        if self._limit is None or self._is_known(bearer):
            return await self._verifier(bearer)
        network = network_of(address)
        limiter = self._checks.setdefault(network, anyio.CapacityLimiter(_CONCURRENT_CHECKS))
        try:
            async with limiter:
                if (wait := self._limit.peek(network)) > 0:
                    raise TooManyAttemptsError(wait)
                token = await self._verifier(bearer)
                if token is None:
                    self._limit.acquire(network)
                return token
        finally:
            if not limiter.borrowed_tokens and not limiter.statistics().tasks_waiting:
                self._checks.pop(network, None)
