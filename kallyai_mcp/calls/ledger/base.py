"""What the ledger needs of a database; `sqlite.py` and `postgres.py` are the two drivers."""

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from functools import wraps
from typing import Any, ClassVar, Concatenate, ParamSpec, Protocol, TypeVar

from kallyai_mcp.api.errors import KallyAIError

Row = dict[str, Any]
"""One row by column name: text, integers, floats, and None."""

BATCH = 100
"""How many records a transaction takes, expires, or deletes at most, so that none holds up the others for long."""

Result = TypeVar("Result")
Params = ParamSpec("Params")

ServiceTime = Callable[[], datetime | None]
"""Returns the time by the service's clock (aware); None when it is not known."""


class LedgerUnavailableError(KallyAIError):
    """The ledger can't be read or written, so no call is placed (code `ledger_unavailable`)."""

    default_code = "ledger_unavailable"


class ConsentOutdatedError(KallyAIError):
    """The consent no longer fits: the number was called since it was given, or its confirmation was used already."""

    default_code = "consent_outdated"


class ConstraintError(Exception):
    """A unique index of the schema, which is a rule, refused a transaction, which was rolled back."""


class StatementError(Exception):
    """The database refused a statement: an error of this program, which is logged and never taken for an outage."""


def storable(values: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a statement, with replacements for NUL and unpaired surrogates, which can't be stored."""
    return {
        name: value.encode("utf-8", "replace").decode().replace("\0", "\ufffd") if isinstance(value, str) else value
        for name, value in values.items()
    }


def moment(seconds: float) -> datetime:
    """A time in the ledger (seconds since the epoch) as an aware time in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def moment_or_none(seconds: float | None) -> datetime | None:
    """`moment` for a column that may be NULL."""
    return moment(seconds) if seconds is not None else None


def seconds_or_none(time: datetime | None) -> float | None:
    """The seconds since the epoch that the ledger stores for a time; None for None."""
    return time.timestamp() if time is not None else None


class Transaction(Protocol):
    """One open transaction. Statements use the SQL that both databases share, with `:name` parameters.

    Attributes:
        SKIP_LOCKED: The end of a SELECT that locks its rows, and leaves out rows that others have locked. Empty for
            SQLite, where only one transaction writes at a time.
    """

    SKIP_LOCKED: ClassVar[str]

    def rows(self, statement: str, **values: Any) -> list[Row]:
        """Run a statement that returns rows: a SELECT, or one with RETURNING."""
        ...

    def run(self, statement: str, **values: Any) -> int:
        """Run a statement that returns no rows; returns how many rows it changed."""
        ...

    def now(self) -> float:
        """The time by the ledger's clock, in seconds since the epoch."""
        ...

    def holds_lease(self, worker: str) -> bool:
        """Whether the worker of this process still holds its lease."""
        ...

    def is_abandoned(self, worker: str) -> bool:
        """Whether no living process holds the lease of another worker. True stays true until the transaction ends."""
        ...


Tx = Transaction
"""A short name for the many functions with this argument."""


class Database(Protocol):
    """A database that holds a ledger. Every method raises `LedgerUnavailableError` when the database can't be used."""

    async def read(self, work: Callable[[Transaction], Result], *, empty: Result) -> Result:
        """Run `work`, which only reads, in one transaction; returns `empty` when there is no database yet."""
        ...

    async def write(self, work: Callable[[Transaction], Result]) -> Result:
        """Run `work` in one transaction. When this returns, every process sees the changes, and they survive a crash.

        Raises:
            ConstraintError: A constraint refused them.
        """
        ...

    async def take_lease(self) -> str:
        """Take a lease until `aclose` or the end of this process; returns the name of its new worker."""
        ...

    async def aclose(self) -> None:
        """Give up the lease and close all connections."""
        ...


class Transactions:
    """A base class: each method of its subclasses is one transaction, and raises `LedgerUnavailableError`.

    Args:
        database: The database of the transactions.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def _write_or_raise(self, work: Callable[[Transaction], Result | KallyAIError]) -> Result:
        """Run a transaction. If it returns an error, commit it and raise the error.

        Raises `LedgerUnavailableError` when a constraint refuses it.
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
    """A method with the arguments of `work` that runs `work` in one transaction."""

    @wraps(work)
    async def method(self: Transactions, /, *args: Params.args, **values: Params.kwargs) -> Result:
        return await self._database.write(lambda tx: work(tx, *args, **values))

    return method


def reads(
    work: Callable[Concatenate[Transaction, Params], Result], *, empty: Result
) -> Callable[Concatenate[Transactions, Params], Coroutine[Any, Any, Result]]:
    """As `writes`, for `work` that only reads; the method returns `empty` when there is no database yet."""

    @wraps(work)
    async def method(self: Transactions, /, *args: Params.args, **values: Params.kwargs) -> Result:
        return await self._database.read(lambda tx: work(tx, *args, **values), empty=empty)

    return method
