"""The ledger that the settings lead to."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from kallyai_mcp.calls.policy import CallPolicy
from kallyai_mcp.calls.timing import Timing
from kallyai_mcp.settings import Settings

if TYPE_CHECKING:
    from kallyai_mcp.calls.ledger.base import Database
    from kallyai_mcp.calls.ledger.sql import Ledger


def _system_now() -> datetime:
    return datetime.now(UTC)


def open_database(settings: Settings, now: Callable[[], datetime] = _system_now) -> "Database":
    """The database that all workers share, or else this user's file; nothing is read or written yet.

    Args:
        settings: The settings.
        now: The wall clock of this user's file; the shared database has a clock of its own.
    """
    if settings.database_url is not None:
        from kallyai_mcp.calls.ledger.postgres import PostgresDatabase  # an extra

        return PostgresDatabase(settings.database_url)
    from kallyai_mcp.calls.ledger.sqlite import SqliteDatabase

    return SqliteDatabase(settings.home / "ledger.db", now=now)


def open_ledger(settings: Settings, now: Callable[[], datetime] = _system_now) -> "Ledger":
    """The ledger in that database, with the call policy and the timing of the settings.

    Args:
        settings: The settings.
        now: See `open_database`.
    """
    from kallyai_mcp.calls.ledger.sql import Ledger

    return Ledger(open_database(settings, now), policy=call_policy(settings), timing=timing(settings))


def timing(settings: Settings) -> Timing:
    """The times and counts of calls that the settings change."""
    return Timing(repeat_after=settings.same_call_seconds, search=settings.settle_seconds, keep_days=settings.keep_days)


def call_policy(settings: Settings) -> CallPolicy:
    """Which calls the settings refuse."""
    return CallPolicy(
        calls_per_hour=settings.calls_per_hour,
        calls_per_day=settings.calls_per_day,
        calls_per_number=settings.calls_per_number,
        allowed=settings.allow_numbers,
        denied=settings.deny_numbers,
        stopped=settings.stop_calls,
    )
