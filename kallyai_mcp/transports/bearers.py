"""Whether a bearer token is good, and how often that is asked.

A check may take a request to KallyAI. So an address that sends wrong tokens gets only a
limited number of them. But many users share an address, so nobody is locked out by others: a
token that was good before is always checked, and a new one waits for its turn.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from weakref import WeakValueDictionary

import anyio
from mcp.server.auth.provider import AccessToken

from kallyai_mcp.clock import Clock
from kallyai_mcp.transports.rate_limiter import RateLimiter

_log = logging.getLogger(__name__)

WRONG = "20/minute"
"""How many wrong tokens one network may send before its new ones have to wait for their turn."""

TURNS = "5/second"
"""How many new tokens of such a network are checked."""

TURN_SECONDS = 10.0
"""How long a new token may wait for its turn."""

CONCURRENT_CHECKS = 4
"""How many new tokens of one network are checked at once.

`WRONG` may be exceeded by this number.
"""

_LOGGED = "1/minute"

_CHECK_SECONDS = 10.0
"""The most seconds of one check of a bearer token, for which KallyAI may be asked."""

Verifier = Callable[[str], Awaitable[AccessToken | None]]
"""Checks a bearer token; returns its content, or None if it is invalid.

Raises `KallyAIError` if that is not known.
"""


@dataclass(frozen=True)
class BearerCheck:
    """Which bearer tokens are good.

    Attributes:
        verify: Checks a token.
        is_known: Whether a token was good before, however long ago; asks nobody.
        is_refused: Whether a token is certainly wrong; asks nobody.
    """

    verify: Verifier
    is_known: Callable[[str], bool]
    is_refused: Callable[[str], bool]


class TooManyWrongError(Exception):
    """A network has sent too many wrong tokens. After `seconds`, it may send one again."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds


class Bearers:
    """Checks bearer tokens, with limits for each network (`network_of`)."""

    def __init__(self, check: BearerCheck, clock: Clock | None = None) -> None:
        self._check = check
        self._clock = clock or Clock()
        self._wrong = RateLimiter(WRONG, clock=self._clock.monotonic)
        self._turns = RateLimiter(TURNS, clock=self._clock.monotonic)
        self._logged = RateLimiter(_LOGGED, clock=self._clock.monotonic)
        # The dictionary forgets a limiter that no request uses.
        self._checks: WeakValueDictionary[str, anyio.CapacityLimiter] = WeakValueDictionary()

    async def verify(self, bearer: str, network: str) -> AccessToken | None:
        """The content of a bearer token that a network has sent; None if it is invalid.

        Raises as `ask`, and `TooManyWrongError`.
        """
        if self._check.is_known(bearer):
            return await self.ask(bearer)
        if self._check.is_refused(bearer):
            self._count_refused(network)
            return None
        return await self._check_new(bearer, network)

    async def ask(self, bearer: str) -> AccessToken | None:
        """The content of a bearer token; raises as `Verifier`, and `TimeoutError`."""
        with anyio.fail_after(_CHECK_SECONDS):
            return await self._check.verify(bearer)

    async def _check_new(self, bearer: str, network: str) -> AccessToken | None:
        """Check a token that has no verdict, when it is its turn."""
        latest = self._clock.monotonic() + TURN_SECONDS
        fresh = anyio.CapacityLimiter(CONCURRENT_CHECKS)
        async with self._checks.setdefault(network, fresh):
            if self._has_verdict(bearer):  # another request with it was first
                return await self.verify(bearer, network)
            await self._take_turn(network, latest)
            token = await self.ask(bearer)
            if token is None:
                self._wrong.acquire(network)
            return token

    def _has_verdict(self, bearer: str) -> bool:
        return self._check.is_known(bearer) or self._check.is_refused(bearer)

    async def _take_turn(self, network: str, latest: float) -> None:
        """Return when a new token of a network may be checked; raises if that is not until
        `latest`.

        A network that sent few wrong tokens need not wait.
        """
        if self._wrong.peek(network) == 0:
            return
        self._log_limit()
        wait = self._turns.acquire(network)
        while wait > 0:
            if self._clock.monotonic() + wait > latest:
                raise TooManyWrongError(wait)
            await self._clock.sleep(wait)
            wait = self._turns.acquire(network)

    def _count_refused(self, network: str) -> None:
        wait = self._wrong.acquire(network)
        if wait > 0:
            self._log_limit()
            raise TooManyWrongError(wait)

    def _log_limit(self) -> None:
        """Say once a minute that a network has reached the limit."""
        if self._logged.acquire("") == 0:
            _log.warning(
                "one address sends too many wrong tokens: they get 429, and its new tokens wait "
                "for "
                "their check (behind a proxy, KALLYAI_TRUSTED_PROXIES tells addresses apart)"
            )
