"""Ledgers for tests, at a place that another process can be given in one word."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from kallyai_mcp.calls.ledger.base import Database
from kallyai_mcp.calls.ledger.postgres import PostgresDatabase
from kallyai_mcp.calls.ledger.sql import Ledger
from kallyai_mcp.calls.ledger.sqlite import SqliteDatabase
from kallyai_mcp.calls.policy import CallPolicy, Consent
from kallyai_mcp.calls.records import CallRecord
from kallyai_mcp.calls.timing import Timing

Now = Callable[[], datetime]


def system_now() -> datetime:
    return datetime.now(UTC)


def database_at(place: str, now: Now | None = None) -> Database:
    """The database in a file, or at a URL of PostgreSQL."""
    if place.startswith("postgresql://"):
        return PostgresDatabase(place, now=now)
    return SqliteDatabase(Path(place), now=now or system_now)


def ledger_at(
    place: str,
    now: Now | None = None,
    *,
    policy: CallPolicy = CallPolicy(),  # noqa: B008 - frozen
    timing: Timing = Timing(),  # noqa: B008 - frozen
) -> Ledger:
    """The ledger in a file, or at a URL of PostgreSQL."""
    return Ledger(database_at(place, now), policy=policy, timing=timing)


@asynccontextmanager
async def opened(place: str | Path, now: Now | None = None) -> AsyncIterator[Ledger]:
    """A ledger, closed at the end of the block."""
    ledger = ledger_at(str(place), now)
    try:
        yield ledger
    finally:
        await ledger.aclose()


async def kept_record(
    place: str | Path,
    record: CallRecord,
    *,
    consent: Consent | None = None,
    policy: CallPolicy = CallPolicy(),  # noqa: B008 - frozen
) -> None:
    """Write `record` into the ledger at `place`, as it is and when it was placed."""
    ledger = ledger_at(str(place), lambda: record.placed_at, policy=policy)
    try:
        await ledger.reserve(record, redial=True, consent=consent)
    finally:
        await ledger.aclose()
