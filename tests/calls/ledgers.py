"""Ledgers and records for tests.

The place of a ledger is a string, which can be an argument of another process.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from kallyai_mcp.api.errors import PolicyError
from kallyai_mcp.api.models import Call, Submission
from kallyai_mcp.calls.errors import LedgerUnavailableError, LookFirstError
from kallyai_mcp.calls.events import Checked, Leave, Over, Requested
from kallyai_mcp.calls.fingerprint import fingerprint
from kallyai_mcp.calls.ledger import rows
from kallyai_mcp.calls.ledger.base import Database, Ledger, Tx
from kallyai_mcp.calls.ledger.postgres import PostgresDatabase
from kallyai_mcp.calls.ledger.sqlite import SqliteDatabase
from kallyai_mcp.calls.outcome import Findings, reached_somebody
from kallyai_mcp.calls.policy import NOT_LOOKED_AT, CallPolicy, Consent
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState
from kallyai_mcp.calls.timing import Timing
from tests.calls.manual_time import ManualClock

NOW = datetime(2026, 1, 25, 15, 30, tzinfo=UTC)
ACCOUNT = AccountKey("https://api.example", "account-1")
HERE, THERE = "+14155551234", "+34911234567"

Now = Callable[[], datetime]
Result = TypeVar("Result")


def system_now() -> datetime:
    return datetime.now(UTC)


def database_at(place: str, now: Now | None = None) -> Database:
    """The database in a file, or at a URL of PostgreSQL.

    A transaction of PostgreSQL has a minute, not 8 s: taking a hundred calls waits for the server
    two hundred times, and on a loaded machine each wait lasts 40 ms and more.
    """
    if place.startswith("postgresql://"):
        return PostgresDatabase(place, now=now, seconds=60)
    return SqliteDatabase(Path(place), now=now or system_now)


@asynccontextmanager
async def opened(
    place: str | Path,
    now: Now | None = None,
    policy: CallPolicy = CallPolicy(),  # noqa: B008 - frozen
) -> AsyncIterator[Ledger]:
    """The ledger in a file, or at a URL of PostgreSQL, closed at the end of the block."""
    async with aclosing(database_at(str(place), now)) as database:
        yield Ledger(database, policy=policy, timing=Timing())


async def kept_record(
    place: str | Path,
    record: CallRecord,
    *,
    consent: Consent = NOT_LOOKED_AT,
    policy: CallPolicy = CallPolicy(),  # noqa: B008 - frozen
) -> None:
    """Write `record` into the ledger at `place`, as it is and when it was placed, or that `policy`
    refuses it.
    """
    async with opened(place, lambda: record.asked_at, policy) as ledger:
        try:
            await looked_first(ledger, record, redial=True, consent=consent)
        except PolicyError as error:
            await ledger.write(
                record.account, rows.write_audit, record, consent, refused_by=error.setting
            )
            raise


def submission(**changes: Any) -> Submission:
    fields = {
        "task_category": "restaurant",
        "task_description": "Book a table",
        "respondent_phone": HERE,
    }
    return Submission.model_validate(fields | changes)


def asked(number: int = 1, **changes: Any) -> CallRecord:
    """A record that is not in the ledger yet, always of the same call; its tracking id is
    `t-<number>`.
    """
    wanted = changes.get("submission", submission())
    made = CallRecord(
        tracking_id=f"t-{number}",
        account=ACCOUNT,
        fingerprint=fingerprint(wanted),
        submission=wanted,
        timezone="America/New_York",
        worker="0000000a",
        asked_at=NOW,
    )
    return replace(made, **changes)


def another(number: int, phone: str = HERE, **changes: Any) -> CallRecord:
    """A record of a call with a task of its own, so that it is no duplicate of another one."""
    wanted = submission(task_description=f"Task {number}", respondent_phone=phone)
    return asked(number, submission=wanted, **changes)


def outcome(status: str = "success", call_id: str = "c-1") -> Call:
    return Call.model_validate(
        {"call_id": call_id, "status": status, "highlights": "Booked", "duration_seconds": 61.5}
    )


def ended_as(record: CallRecord, call: Call) -> CallRecord:
    return record.ended_with(call, Findings(None, reached_somebody(call)))


async def looked_first(
    ledger: Ledger, record: CallRecord, *, redial: bool, consent: Consent = NOT_LOOKED_AT
) -> CallRecord:
    """Reserve a call; of an earlier one that reached nobody, KallyAI says no more than is known."""
    asking = Checked(record, redial)
    try:
        return await ledger.handle(record.account, Requested(asking, consent))
    except LookFirstError as first:
        looked_at = first.record.tracking_id
        return await ledger.handle(record.account, Requested(asking, consent, looked_at))


async def reserved(
    ledger: Ledger, record: CallRecord, consent: Consent = NOT_LOOKED_AT
) -> CallRecord:
    """Reserve a call that is new."""
    record = await looked_first(ledger, record, redial=False, consent=consent)
    assert record.is_new
    return record


async def sent(ledger: Ledger, record: CallRecord) -> CallRecord:
    """Reserve a call under a lease of its own process, and note that its request leaves."""
    record = await reserved(ledger, replace(record, worker=await ledger.database.take_lease()))
    return await ledger.handle(record.account, Leave(record))


async def ended(
    ledger: Ledger, record: CallRecord, status: str = "success", *, delivered: bool = True
) -> CallRecord:
    """Reserve a call and write down its outcome."""
    over = ended_as(await reserved(ledger, record), outcome(status, f"c-{record.tracking_id}"))
    record = await ledger.handle(record.account, Over(over))
    if delivered:
        await ledger.write(None, rows.mark_delivered, [record], delivered=True)
    return record


async def is_placed(ledger: Ledger, record: CallRecord, *, redial: bool = False) -> bool:
    return (await looked_first(ledger, record, redial=redial)).is_new


async def state_of(ledger: Ledger, record: CallRecord) -> CallState | None:
    found = await ledger.read(rows.find, record.account, record.tracking_id)
    return found.state if found is not None else None


async def kept(ledger: Ledger, id_: str = "t-1") -> CallRecord:
    """The record with this id, which there must be."""
    found = await ledger.read(rows.find, ACCOUNT, id_)
    assert found is not None
    return found


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


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
        self.system = database.system
        self._database = database
        self._open = 0
        self._closed = asyncio.Event()
        self.begun = Counter[str]()
        self.is_down = False
        self.unconfirmed = 0
        self.after_write: Callable[[object], None] = lambda _: None

    async def read(self, work: Callable[[Tx], Result]) -> Result:
        async with self._watched("read"):
            return await self._database.read(work)

    async def write(
        self,
        work: Callable[[Tx], Result],
        account: AccountKey | None = None,
        *,
        is_durable: bool = True,
    ) -> Result:
        async with self._watched("write" if is_durable else "note"):
            result = await self._database.write(work, account, is_durable=is_durable)
            if self.unconfirmed:
                self.unconfirmed -= 1
                raise LedgerUnavailableError("the confirmation was lost")
            self.after_write(result)
            return result

    def version(self) -> object:
        return self._database.version()

    def has_lease(self) -> bool:
        return self._database.has_lease()

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
            if self.is_down and kind in ("read", "write", "note"):
                raise LedgerUnavailableError("the database is down")
            yield
        finally:
            self._open -= 1
            self._closed.set()
