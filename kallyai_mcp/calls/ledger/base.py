"""What the ledger needs of a database; `sqlite.py` and `postgres.py` are the two drivers."""

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from functools import wraps
from typing import Any, ClassVar, Concatenate, ParamSpec, Protocol, TypeVar

from kallyai_mcp.api.errors import KallyAIError

Row = dict[str, Any]
"""One row by column name: text, integers, floats, and None."""

Result = TypeVar("Result")
Params = ParamSpec("Params")

ServiceTime = Callable[[], datetime | None]
"""Gives the time by the service's clock; None when it is not known."""


class LedgerUnavailableError(KallyAIError):
    """The ledger can't be read or written, so no call is placed (code `ledger_unavailable`)."""

    default_code = "ledger_unavailable"


class ConsentOutdatedError(KallyAIError):
    """What the user agreed to has changed: the number was called since, or the confirmation was used already."""

    default_code = "consent_outdated"


class ConstraintError(Exception):
    """A constraint of the schema refused a transaction; nothing of it was written."""


def storable(values: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a statement, without what no database stores in a text: NUL and half of a surrogate pair."""
    return {
        name: value.encode("utf-8", "replace").decode().replace("\0", "\ufffd") if isinstance(value, str) else value
        for name, value in values.items()
    }


def moment(seconds: float) -> datetime:
    """A time of the ledger, in seconds since the epoch, as an aware one in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def moment_or_none(seconds: float | None) -> datetime | None:
    """The same for a column that may be empty."""
    return moment(seconds) if seconds is not None else None


def seconds_or_none(time: datetime | None) -> float | None:
    """What the ledger stores for a time, if there is one."""
    return time.timestamp() if time is not None else None


class Transaction(Protocol):
    """One open transaction. Statements use the SQL that both databases speak, with `:name` parameters.

    Attributes:
        SKIP_LOCKED: Ends a SELECT: its rows are for this transaction alone, and those of others are left out. Nothing
            in SQLite, where one transaction writes at a time.
    """

    SKIP_LOCKED: ClassVar[str]

    def rows(self, statement: str, **values: Any) -> list[Row]:
        """Run a statement that gives rows: a SELECT, or one with RETURNING."""
        ...

    def run(self, statement: str, **values: Any) -> int:
        """Run a statement that gives no rows; returns how many rows it changed."""
        ...

    def now(self) -> float:
        """The time by the ledger's clock, in seconds since the epoch."""
        ...

    def holds_lease(self, worker: str) -> bool:
        """Whether the worker of this process still holds its lease."""
        ...

    def is_abandoned(self, worker: str) -> bool:
        """Whether no living process holds the lease of another worker. Stays true until the transaction ends."""
        ...


Tx = Transaction
"""Its short name, in the functions that take one."""


class Database(Protocol):
    """A database that holds a ledger. Every method raises `LedgerUnavailableError` when the database can't be used."""

    async def read(self, work: Callable[[Transaction], Result], *, empty: Result) -> Result:
        """Run `work`, which only reads; returns `empty` where there is no database yet."""
        ...

    async def write(self, work: Callable[[Transaction], Result]) -> Result:
        """Run `work` in one transaction. When this returns, it has happened for every process and survives a crash.

        Raises:
            ConstraintError: A constraint refused it.
        """
        ...

    async def take_lease(self) -> str:
        """Take the lease of a new worker, and hold it until `aclose` or the end of this process; returns its name."""
        ...

    async def aclose(self) -> None:
        """Give up the lease and close all connections."""
        ...


class Transactions:
    """A class whose methods are one transaction each.

    Args:
        database: Where they run; each raises `LedgerUnavailableError` when it can't be used.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def _write_or_raise(self, work: Callable[[Transaction], Result | KallyAIError]) -> Result:
        """Run a transaction; an error that it returns is raised, after what it wrote was committed.

        One that breaks a constraint raises `LedgerUnavailableError`.
        """
        try:
            found = await self._database.write(work)
        except ConstraintError as error:
            raise LedgerUnavailableError(f"The ledger refused the call: {error}") from error
        if isinstance(found, KallyAIError):
            raise found
        return found


def writes(
    work: Callable[Concatenate[Transaction, Params], Result],
) -> Callable[Concatenate[Transactions, Params], Coroutine[Any, Any, Result]]:
    """A method that does `work` in one transaction."""

    @wraps(work)
    async def method(self: Transactions, /, *args: Params.args, **values: Params.kwargs) -> Result:
        return await self._database.write(lambda tx: work(tx, *args, **values))

    return method


def reads(
    work: Callable[Concatenate[Transaction, Params], Result], *, empty: Result
) -> Callable[Concatenate[Transactions, Params], Coroutine[Any, Any, Result]]:
    """The same for `work` that only reads; the method returns `empty` where there is no database yet."""

    @wraps(work)
    async def method(self: Transactions, /, *args: Params.args, **values: Params.kwargs) -> Result:
        return await self._database.read(lambda tx: work(tx, *args, **values), empty=empty)

    return method
