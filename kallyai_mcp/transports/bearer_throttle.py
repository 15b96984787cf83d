"""Bearers that were never good before: few at once from one address, and not many wrong ones."""

import ipaddress
from collections.abc import Awaitable, Callable

import anyio
from mcp.server.auth.provider import AccessToken

from kallyai_mcp.common_types import RateLimit

_AT_ONCE = 4
"""How many strangers of one address are checked at the same time; so many may exceed the allowance."""


class VerificationUnavailableError(Exception):
    """Whether a bearer is good can't be told right now.

    Args:
        retry_after: Seconds after which it may be.
    """

    def __init__(self, retry_after: float = 5) -> None:
        super().__init__()
        self.retry_after = retry_after


class TooManyAttemptsError(Exception):
    """So many bearers from this address were no good that another one isn't even checked now.

    Args:
        retry_after: Seconds after which one may be.
    """

    def __init__(self, retry_after: float) -> None:
        super().__init__()
        self.retry_after = retry_after


Verifier = Callable[[str], Awaitable[AccessToken | None]]
"""Says whose a bearer is; None when it is not good. Raises `VerificationUnavailableError`."""


class BearerThrottle:
    """Checks bearers, and stops checking for addresses that many wrong ones come from.

    A check may cost a question to KallyAI, so wrong ones are counted, and an address that has used up its allowance is
    refused before anything is asked. A bearer that was good before is always checked: whoever has one is held up by
    nobody, not even by others at the same address. An address of IPv6 stands for its /64, which is one household's.

    Args:
        verifier: Checks a bearer.
        known: Whether a bearer was good before; asks nobody.
        wrong: How many wrong ones may come from one address.
    """

    def __init__(self, verifier: Verifier, known: Callable[[str], bool], wrong: RateLimit) -> None:
        self._verifier = verifier
        self._known = known
        self._wrong = wrong
        self._checking: dict[str, anyio.CapacityLimiter] = {}

    async def check(self, bearer: str, address: str) -> AccessToken | None:
        """Whose `bearer` is, which came from `address`; None when it is not good.

        Raises:
            VerificationUnavailableError: That can't be told now.
            TooManyAttemptsError: It was not checked.
        """
        if self._known(bearer):
            return await self._verifier(bearer)
        household = _household(address)
        limiter = self._checking.setdefault(household, anyio.CapacityLimiter(_AT_ONCE))
        try:
            async with limiter:
                if (wait := await self._wrong.look(household)) > 0:
                    raise TooManyAttemptsError(wait)
                token = await self._verifier(bearer)
                if token is None:
                    await self._wrong.wait(household)
                return token
        finally:
            if not limiter.borrowed_tokens and not limiter.statistics().tasks_waiting:
                self._checking.pop(household, None)


def _household(address: str) -> str:
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:  # a Unix socket's, or a proxy's own words
        return address
    if ip.version == 4:
        return address
    return str(ip.ipv4_mapped or ipaddress.ip_network((int(ip), 64), strict=False))
