"""Opens the ledger that the settings name."""

import importlib.util
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from kallyai_mcp.calls.clock import Clock
from kallyai_mcp.calls.ledger.base import LedgerUnavailableError
from kallyai_mcp.calls.policy import CallPolicy
from kallyai_mcp.calls.timing import Timing
from kallyai_mcp.cli.output import SetupError
from kallyai_mcp.setting_values import MAKE_KEY
from kallyai_mcp.settings import Settings

if TYPE_CHECKING:
    from kallyai_mcp.calls.ledger.base import Database
    from kallyai_mcp.calls.ledger.ledger import Ledger

POSTGRES = "PostgreSQL (KALLYAI_DATABASE_URL)"
"""The name of the shared database for display; its URL may have a password."""


def open_database(settings: Settings, now: Callable[[], datetime] | None = None) -> "Database":
    """The database that all workers share (`KALLYAI_DATABASE_URL`), or this user's file. It is not read yet.

    `now` is the wall clock for the user's file, None for the machine's. The shared database has its own clock.

    Raises:
        LedgerUnavailableError: The URL of the database is not valid, or the extra `postgres` is not installed.
    """
    if settings.database_url is None:
        from kallyai_mcp.calls.ledger.sqlite import SqliteDatabase

        return SqliteDatabase(settings.home / "ledger.db", now=now or Clock().now)
    if importlib.util.find_spec("psycopg_pool") is None:
        raise LedgerUnavailableError("KALLYAI_DATABASE_URL needs the extra `postgres`: kallyai-mcp[postgres]")
    from kallyai_mcp.calls.ledger.postgres import PostgresDatabase

    try:
        return PostgresDatabase(settings.database_url)
    except ValueError:
        raise LedgerUnavailableError("KALLYAI_DATABASE_URL is not a valid URL of a PostgreSQL database") from None


def create_ledger(database: "Database", settings: Settings, clock: Clock = Clock()) -> "Ledger":  # noqa: B008 - never changes
    """The ledger in a database, with the settings' call policy and timing."""
    from kallyai_mcp.calls.ledger.ledger import Ledger

    policy = CallPolicy(
        calls_per_hour=settings.calls_per_hour,
        calls_per_day=settings.calls_per_day,
        calls_per_number=settings.calls_per_number,
        allowed=settings.allow_numbers,
        denied=settings.deny_numbers,
        stopped=settings.stop_calls,
    )
    return Ledger(database, policy=policy, timing=timing(settings), clock=clock)


def check_shared_database(settings: Settings) -> None:
    """Check the settings of the shared database, if there is one, without a connection to it.

    Raises:
        SetupError: The settings are not complete or not valid.
    """
    if settings.database_url is None:
        return
    if not settings.secret_keys:
        raise SetupError(
            f"KALLYAI_DATABASE_URL needs KALLYAI_SECRET_KEYS, the same for all workers; `{MAKE_KEY}` makes one."
        )
    try:
        open_database(settings)
    except LedgerUnavailableError as error:
        raise SetupError(str(error)) from None


def timing(settings: Settings) -> Timing:
    """The times and counts of calls, from the settings."""
    return Timing(
        repeat_after=settings.same_call_seconds,
        search=settings.settle_seconds,
        place_within=settings.late_seconds,
        keep_days=settings.keep_days,
    )
