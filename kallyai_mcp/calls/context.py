"""What all calls of a process share: KallyAI for one account, the service's clock, the ledger, and
the times.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.errors import ConstraintError, LedgerUnavailableError, NewerSchemaError
from kallyai_mcp.calls.events import Answer_co, Event
from kallyai_mcp.calls.ledger.base import Ledger
from kallyai_mcp.calls.records import AccountKey
from kallyai_mcp.calls.timing import Timing
from kallyai_mcp.clock import Clock, Stopwatch, pauses

if TYPE_CHECKING:
    from kallyai_mcp.api.client import KallyAI

_log = logging.getLogger(__name__)

_TOLERANCE = 5.0
"""Times that differ by less than this many seconds count as equal, because a `Date` is not more
exact.
"""

_JUMP = 120.0
"""Calls expire by the ledger's clock only if it was set by at most so many seconds meanwhile."""

_NEVER = 0.0
"""A time before that of any call, so that none is late."""

_OLDEST = 120.0
"""The most seconds from a request to its response for the `Date` to count: the machine may have
been suspended.
"""


@contextmanager
def logged(task: str) -> Iterator[None]:
    """A context for a task whose errors are logged and not raised: the server goes on, and an
    outcome counts.
    """
    try:
        yield
    except KallyAIError as error:
        _log.info("%s: %s", task, error.code)
    except Exception:  # noqa: BLE001 - see above
        _log.exception("%s failed", task)


class CallContext:
    """What all calls of a process share.

    The service's clock is the newest `Date` of a response, plus the time since.

    Attributes:
        account: Returns the account that is signed in now; raises `NotSignedInError` when there is
            none.
    """

    def __init__(
        self,
        connect: "Callable[[], KallyAI]",
        account: Callable[[], Awaitable[AccountKey]],
        ledger: Callable[[], Ledger],
        *,
        timing: Timing,
        clock: Clock,
    ) -> None:
        self._connect = connect
        self._ledger = ledger
        self.account = account
        self.timing = timing
        self.clock = clock
        self._ledger_began: float | None = None
        """What the ledger's clock showed at its first use, less `Clock.continuous` then."""
        self._date: tuple[datetime, Stopwatch] | None = None
        """The newest `Date` that counts, and the time since then."""

    @property
    def ledger(self) -> Ledger:
        """The ledger, which is opened when it is first needed."""
        ledger = self._ledger()
        ledger.certain_time = self._certain_time
        return ledger

    def time(self) -> datetime | None:
        """The time by the service's clock (aware).

        None when there was no response yet. Also None when our wall clock was set since, or a
        virtual machine was paused: then nobody knows how much time has passed.
        """
        if self._date is None:
            return None
        date, since = self._date
        return None if abs(since.drift()) > _TOLERANCE else date + timedelta(seconds=since.passed())

    def _certain_time(self, now: float) -> float:
        """The latest time that it certainly is, in seconds since the epoch; `now` is by the
        ledger's clock.

        A clock that is wrong for seconds must not end a call that is scheduled. So KallyAI's clock
        has to agree; if that is not known, the ledger's may not have been set.
        """
        was_set = self._was_set(now)
        known = self.time()
        if known is not None:
            return min(now, known.timestamp())
        return _NEVER if was_set else now

    def _was_set(self, now: float) -> bool:
        """Whether the ledger's clock, which shows `now`, was set since this process first used it.

        With PostgreSQL, that is the clock of the database's machine.
        """
        began = now - self.clock.continuous()
        if self._ledger_began is None:
            self._ledger_began = began
        return abs(began - self._ledger_began) > _JUMP

    async def until_written(self, account: AccountKey, event: Event[Answer_co]) -> Answer_co:
        """`Ledger.handle`, repeated until the ledger can be used: what is written, nobody could
        find out again.
        """
        waits = pauses(self.timing.pause, self.timing.longest_pause)
        while True:
            try:
                return await self.ledger.handle(account, event)
            except ConstraintError:
                raise
            except LedgerUnavailableError as error:
                if not isinstance(error, NewerSchemaError):  # which was said
                    _log.error("%s", error)
                await self.clock.sleep(next(waits))

    async def learn_time(self, account: AccountKey) -> None:
        """If the service's clock is not known, send a request for the `Date` of its response;
        errors as `api_of`.
        """
        if self.time() is None:
            async with self.api_of(account) as api:
                await api.list_calls(limit=1)

    async def check_account(self, account: AccountKey) -> None:
        """Raise `NotSignedInError`, or `KallyAIError` (code `account_changed`), unless `account` is
        signed in now.
        """
        if await self.account() != account:
            raise KallyAIError(
                "Another account is signed in than when the call was asked for.",
                code="account_changed",
            )

    @contextmanager
    def api(self) -> "Iterator[KallyAI]":
        """A context with the API client.

        At its end, the service's clock is set by the `Date` of the last response. A `Date` does not
        count if it is earlier than the clock's time: a cache may have kept the response for a long
        time without an `Age` header.
        """
        api = self._connect()
        before = api.server_time
        began = Stopwatch(self.clock)
        try:
            yield api
        finally:
            date = api.server_time
            is_of_this_request = date is not before and began.passed() <= _OLDEST
            if date is not None and is_of_this_request and self._is_newer(date):
                self._date = date, Stopwatch(self.clock)

    def _is_newer(self, date: datetime) -> bool:
        """Whether this `Date` of a response may set the service's clock."""
        if self._date is None:
            return True
        known, _ = self._date
        time = self.time() or date
        return date is not known and (time - date).total_seconds() <= _TOLERANCE

    @asynccontextmanager
    async def api_of(self, account: AccountKey) -> "AsyncIterator[KallyAI]":
        """A context with the API client, for reading what belongs to `account`; errors as
        `check_account`.

        An error at its end means that what was read may be of another account, and must not be
        used.
        """
        await self.check_account(account)
        with self.api() as api:
            yield api
        await self.check_account(account)
