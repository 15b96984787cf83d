"""A limit on how many invalid bearer tokens of one address are checked."""

from collections.abc import Awaitable, Callable

import anyio
from mcp.server.auth.provider import AccessToken

from kallyai_mcp.common_types import RateLimit
from kallyai_mcp.urls import network_of

_CONCURRENT_CHECKS = 4
"""How many unknown tokens of one address are checked at the same time. The limit may be exceeded by this number."""


class VerificationUnavailableError(Exception):
    """A bearer token can't be checked now. The client may try again after `retry_after` seconds."""

    def __init__(self, retry_after: float = 5) -> None:
        super().__init__()
        self.retry_after = retry_after


class TooManyAttemptsError(Exception):
    """A bearer token was not checked, because its address has sent too many invalid ones.

    The client may try again after `retry_after` seconds.
    """

    def __init__(self, retry_after: float) -> None:
        super().__init__()
        self.retry_after = retry_after


Verifier = Callable[[str], Awaitable[AccessToken | None]]
"""Checks a bearer token; returns its content, or None if it is invalid. Raises `VerificationUnavailableError`."""


class BearerThrottle:
    """Checks bearer tokens, but not those of an address that has sent too many invalid ones.

    A check may take a request to KallyAI. A token that was valid before is always checked, so that others at the same
    address can't block its owner. The addresses of one /64 network of IPv6 count as one (`network_of`).

    Args:
        verifier: Checks a bearer token.
        is_known: Returns whether a bearer token was valid before.
        wrong_bearer_limit: How many invalid tokens each address may send; None for no limit.
    """

    def __init__(
        self, verifier: Verifier, is_known: Callable[[str], bool], wrong_bearer_limit: RateLimit | None
    ) -> None:
        self._verifier = verifier
        self._is_known = is_known
        self._limit = wrong_bearer_limit
        self._checks: dict[str, anyio.CapacityLimiter] = {}

    async def check(self, bearer: str, address: str) -> AccessToken | None:
        """The content of a bearer token that `address` has sent; None if it is invalid.

        Raises:
            VerificationUnavailableError: The token can't be checked now.
            TooManyAttemptsError: The token was not checked.
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
