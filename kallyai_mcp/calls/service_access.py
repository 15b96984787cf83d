"""Gives the API client for requests about calls, checks which account is signed in, and learns the service's time."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.clock import Clock, Stopwatch
from kallyai_mcp.calls.records import AccountKey
from kallyai_mcp.calls.service_clock import ServiceClock

if TYPE_CHECKING:
    from kallyai_mcp.api.client import KallyAI


class ServiceAccess:
    """Gives the API client for requests about calls, and knows the service's clock.

    Args:
        connect: Returns the API client; called when it is first needed.
        account: Returns the account that is signed in now; raises `NotSignedInError` when there is none.
        clock: The clock of this machine.
    """

    def __init__(
        self, connect: "Callable[[], KallyAI]", account: Callable[[], Awaitable[AccountKey]], clock: Clock
    ) -> None:
        self._connect = connect
        self.account = account
        self._clock = clock
        self._service_clock = ServiceClock(clock)

    def service_time(self) -> datetime | None:
        """The time by the service's clock (aware); None when it is not known."""
        return self._service_clock.now()

    async def learn_time(self, account: AccountKey) -> None:
        """If the service's clock is not known, send a request for the `Date` of its response.

        Raises:
            KallyAIError: As `api_of`, and the errors of `KallyAI.list_calls`.
        """
        if self.service_time() is None:
            async with self.api_of(account) as api:
                await api.list_calls(limit=1)

    async def check_account(self, account: AccountKey) -> None:
        """Check that `account` is signed in now.

        Raises:
            NotSignedInError: No account is signed in.
            KallyAIError: Another account is signed in (code `account_changed`).
        """
        if await self.account() != account:
            raise KallyAIError(
                "Another account is signed in now than when this call was asked for.", code="account_changed"
            )

    @contextmanager
    def api(self) -> "Iterator[KallyAI]":
        """A context with the API client. At its end, the service's clock is set by the `Date` of the last response."""
        api = self._connect()
        before, began = api.server_time, Stopwatch(self._clock)
        try:
            yield api
        finally:
            if api.server_time is not None and api.server_time is not before:
                self._service_clock.set(api.server_time, began.passed())

    @asynccontextmanager
    async def api_of(self, account: AccountKey) -> "AsyncIterator[KallyAI]":
        """A context with the API client, for reading what belongs to `account`.

        Raises:
            NotSignedInError: No account is signed in.
            KallyAIError: Another account is signed in (code `account_changed`). At the end of the context, what was
                read may be of that account, and must not be used.
        """
        await self.check_account(account)
        with self.api() as api:
            yield api
        await self.check_account(account)
