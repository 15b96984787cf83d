"""Ledgers for tests. The place of a ledger is one string, which can be given to another process as an argument."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from kallyai_mcp.calls.clock import Clock
from kallyai_mcp.calls.ledger.base import Database, LedgerUnavailableError, Transaction
from kallyai_mcp.calls.ledger.ledger import Ledger
from kallyai_mcp.calls.ledger.postgres import PostgresDatabase
from kallyai_mcp.calls.ledger.sqlite import SqliteDatabase
from kallyai_mcp.calls.policy import CallPolicy, Consent
from kallyai_mcp.calls.records import AccountKey, CallRecord
from kallyai_mcp.calls.timing import Timing
from tests.calls.manual_time import ManualClock

Now = Callable[[], datetime]
Result = TypeVar("Result")


def system_now() -> datetime:
    return datetime.now(UTC)


def database_at(place: str, now: Now | None = None) -> Database:
    """The database in a file, or at a URL of PostgreSQL."""
    if place.startswith("postgresql://"):
        return PostgresDatabase(place, now=now)
    return SqliteDatabase(Path(place), now=now or system_now)


@asynccontextmanager
async def opened(
    place: str | Path,
    now: Now | None = None,
    policy: CallPolicy = CallPolicy(),  # noqa: B008 - frozen
    clock: Clock = Clock(),  # noqa: B008 - never changes
) -> AsyncIterator[Ledger]:
    """The ledger in a file, or at a URL of PostgreSQL, closed at the end of the block."""
    database = database_at(str(place), now)
    async with aclosing(Ledger(database, policy=policy, timing=Timing(), clock=clock)) as ledger:
        yield ledger


async def kept_record(
    place: str | Path,
    record: CallRecord,
    *,
    consent: Consent | None = None,
    policy: CallPolicy = CallPolicy(),  # noqa: B008 - frozen
) -> None:
    """Write `record` into the ledger at `place`, as it is and when it was placed."""
    async with opened(place, lambda: record.placed_at, policy) as ledger:
        await ledger.reserve(record, redial=True, consent=consent)


class WatchedDatabase:
    """A database whose transactions a test counts, and lets fail.

    The time of `clock` does not pass while a transaction is open.

    Attributes:
        begun: How many uses of it there were, by kind.
        is_down: Whether every transaction fails.
        unconfirmed: How many of the next writes happen without a confirmation.
        after_write: Called with the result of each write, which has happened by then.
    """

    def __init__(self, database: Database, clock: ManualClock) -> None:
        clock.databases.append(self)
        self._database = database
        self._open = 0
        self._closed = asyncio.Event()
        self.begun = Counter[str]()
        self.is_down = False
        self.unconfirmed = 0
        self.after_write: Callable[[object], None] = lambda _: None

    async def read(self, work: Callable[[Transaction], Result]) -> Result:
        async with self._watched("read"):
            return await self._database.read(work)

    async def write(self, work: Callable[[Transaction], Result], account: AccountKey | None = None) -> Result:
        async with self._watched("write"):
            result = await self._database.write(work, account)
            if self.unconfirmed:
                self.unconfirmed -= 1
                raise LedgerUnavailableError("the confirmation was lost")
            self.after_write(result)
            return result

    def version(self) -> object:
        return self._database.version()

    async def take_lease(self) -> str:
        async with self._watched("lease"):
            return await self._database.take_lease()

    async def aclose(self) -> None:
        async with self._watched("end"):
            await self._database.aclose()

    @property
    def is_busy(self) -> bool:
        """Whether a transaction is open."""
        return self._open > 0

    async def idle(self) -> None:
        """Return once no transaction is open."""
        while self._open:
            self._closed.clear()
            await self._closed.wait()

    @asynccontextmanager
    async def _watched(self, kind: str) -> AsyncIterator[None]:
        self._open += 1
        self.begun[kind] += 1
        try:
            if self.is_down and kind in ("read", "write"):
                raise LedgerUnavailableError("the database is down")
            yield
        finally:
            self._open -= 1
            self._closed.set()
