"""Opens the ledger, and what else the workers of a server share in its database."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from kallyai_mcp.calls.errors import LedgerUnavailableError
from kallyai_mcp.calls.ledger import shared_values, upkeep
from kallyai_mcp.calls.ledger.base import Ledger, Tx
from kallyai_mcp.calls.policy import CallPolicy
from kallyai_mcp.calls.timing import Timing

__all__ = [
    "Ledger",
    "SharedValues",
    "check_readable",
    "check_writable",
    "copy_file",
    "last_public_url",
    "note_public_url",
    "open_file",
    "open_server",
]


def ledger_file(home: Path) -> Path:
    """The SQLite file of the ledger in the program's folder."""
    return home / "ledger.db"


def open_file(
    path: Path, now: Callable[[], datetime], policy: CallPolicy, timing: Timing
) -> Ledger:
    """The ledger in an SQLite file, which its first use makes; `now` is the wall clock (aware)."""
    from kallyai_mcp.calls.ledger.sqlite import SqliteDatabase

    return Ledger(SqliteDatabase(path, now=now), policy=policy, timing=timing)


def open_server(url: str, policy: CallPolicy, timing: Timing) -> Ledger:
    """The ledger at a URL of PostgreSQL, which has a clock of its own.

    Raises:
        ImportError: Its driver is not installed (extra `postgres`).
        ValueError: The URL is not valid.
    """
    from kallyai_mcp.calls.ledger.postgres import PostgresDatabase

    return Ledger(PostgresDatabase(url), policy=policy, timing=timing)


async def copy_file(path: Path, url: str) -> Mapping[str, int]:
    """`copying.copy_file`, which needs the driver of PostgreSQL."""
    from kallyai_mcp.calls.ledger import copying

    return await copying.copy_file(path, url)


async def check_readable(ledger: Ledger) -> None:
    """Raise `LedgerUnavailableError` if the ledger can't be read, by its cheapest query."""
    await ledger.read(upkeep.find_work, None)


async def check_writable(ledger: Ledger) -> None:
    """Raise `LedgerUnavailableError` if the ledger can't be written."""

    def begin_writing(tx: Tx) -> float:
        return tx.now

    await ledger.write(None, begin_writing)


_PUBLIC_URL = "public_url"
_OF_LAST_START = "of the last start"

_KEEP_PUBLIC_URL = 3650 * 86_400.0
"""How long the address of a server is remembered, in seconds: longer than it runs at one."""


async def note_public_url(ledger: Ledger, url: str) -> None:
    """Remember the address of a server with hosted sign-ins, which starts now.

    Without a ledger that works, it is forgotten.
    """
    with suppress(LedgerUnavailableError):
        await SharedValues(ledger).put(_PUBLIC_URL, _OF_LAST_START, url, _KEEP_PUBLIC_URL)


async def last_public_url(ledger: Ledger) -> str | None:
    """The address that `note_public_url` has remembered; None if there is none."""
    return await SharedValues(ledger).get(_PUBLIC_URL, _OF_LAST_START)


class SharedValues:
    """Texts that workers share besides calls, such as revocations.

    Each belongs to a kind, and expires.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def put(self, kind: str, name: str, value: str, seconds: float) -> str | None:
        """Set a value that expires after `seconds`; returns the one before it, or None."""
        return await self._ledger.write(None, shared_values.put, kind, name, value, seconds)

    async def get(self, kind: str, name: str) -> str | None:
        """The value; None when there is none, or it has expired."""
        return await self._ledger.read(shared_values.get, kind, name)

    async def all_of(self, kind: str) -> Mapping[str, str]:
        """The values of a kind by name."""
        return await self._ledger.read(shared_values.all_of, kind)
