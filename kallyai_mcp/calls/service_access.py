"""KallyAI as one account sees it: every request is checked to be of that account, and tells the service's time."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.clock import Clock, Stopwatch
from kallyai_mcp.calls.records import AccountKey
from kallyai_mcp.calls.service_clock import ServiceClock

if TYPE_CHECKING:
    from kallyai_mcp.api.client import KallyAI


class ServiceAccess:
    """Gives the API client for calls, and knows the service's clock.

    Args:
        connect: Gives the API client; called when it is first needed.
        account: Says which account is signed in now; raises `NotSignedInError` when there is none.
        clock: The only clock.
    """

    def __init__(
        self, connect: "Callable[[], KallyAI]", account: Callable[[], Awaitable[AccountKey]], clock: Clock
    ) -> None:
        self._connect = connect
        self.account = account
        self._clock = clock
        self._service_clock = ServiceClock(clock)

    def service_time(self) -> datetime | None:
        """The time by the service's clock, if it is known."""
        return self._service_clock.now()

    async def learn_time(self, account: AccountKey) -> None:
        """Ask KallyAI for something, for the `Date` of the response, if the service's clock is not known.

        Raises:
            KallyAIError: As `api_of`, and the errors of `KallyAI.list_calls`.
        """
        if self.service_time() is None:
            async with self.api_of(account) as api:
                await api.list_calls(limit=1)

    async def check_account(self, account: AccountKey) -> None:
        """Raise `KallyAIError` (code `account_changed`) unless `account` is signed in."""
        if await self.account() != account:
            raise KallyAIError(
                "Another account is signed in now than when this call was asked for.", code="account_changed"
            )

    @asynccontextmanager
    async def api(self) -> "AsyncIterator[KallyAI]":
        """The API client; afterwards the service's clock is known, by the `Date` of a response that came meanwhile."""
        api = self._connect()
        before, began = api.server_time, Stopwatch(self._clock)
        try:
            yield api
        finally:
            if api.server_time is not None and api.server_time is not before:
                self._service_clock.set(api.server_time, began.passed())

    @asynccontextmanager
    async def api_of(self, account: AccountKey) -> "AsyncIterator[KallyAI]":
        """The same for reading what belongs to `account`; what was read counts only if nothing is raised.

        Raises:
            KallyAIError: Another account was signed in before or after (code `account_changed`).
        """
        await self.check_account(account)
        async with self.api() as api:
            yield api
        await self.check_account(account)
