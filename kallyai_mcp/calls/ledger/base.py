"""The ledger, and what it needs of a database; `sqlite.py` and `postgres.py` are the two
drivers.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar
from weakref import WeakValueDictionary

import anyio

from kallyai_mcp.calls.errors import ConstraintError, LedgerUnavailableError, NewerSchemaError
from kallyai_mcp.calls.events import Answer_co, Event
from kallyai_mcp.calls.policy import CallPolicy
from kallyai_mcp.calls.records import AccountKey
from kallyai_mcp.calls.timing import Timing
from kallyai_mcp.telemetry import count, observed_transaction

_TRIES = 5
"""How often an event is decided anew because what was read has changed: few things change a record
without the lock of its account.
"""

Row = dict[str, Any]
"""One row by column name: text, integers, floats, and None."""

Result = TypeVar("Result")
Params = ParamSpec("Params")


class OutdatedError(Exception):
    """Something has changed since the transaction has read it, so nothing was written."""


class StatementError(Exception):
    """The database refused a statement: an error of this program, which is logged and never taken
    for an outage.
    """


def _storable(values: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a statement, as they can be stored."""
    return {name: _storable_value(value) for name, value in values.items()}


def _storable_value(value: Any) -> Any:
    """A value, with replacements for NUL and unpaired surrogates, which can't be stored."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
    return value


@dataclass(eq=False)
class Tx:
    """One open transaction.

    Statements use the SQL that both databases share, with `:name` parameters. `_execute` runs one
    with its values, and returns a cursor; it may put that off until rows are fetched.

    Attributes:
        now: The time by the ledger's clock when it began, in seconds since the epoch.
        holds_lease: Whether the worker of this process still holds its lease.
        is_abandoned: Whether no living process holds the lease of another worker. True stays true
            until the transaction ends.
        locked: The account whose lock this transaction has; None for a transaction without one.
        expires_before: A scheduled call whose time ended before this one has expired, in seconds
            since the epoch. It is earlier than `now` while nobody knows whether the ledger's clock
            is right.
    """

    _execute: Callable[[str, Row], Any]
    now: float
    holds_lease: Callable[[str], bool]
    is_abandoned: Callable[[str], bool]
    locked: AccountKey | None = None
    expires_before: float = field(init=False)
    policy: CallPolicy = field(init=False)
    timing: Timing = field(init=False)

    def rows(self, statement: str, **values: Any) -> list[Row]:
        """Run a statement that returns rows: a SELECT, or one with RETURNING."""
        found: list[Row] = self._execute(statement, _storable(values)).fetchall()
        return found

    def run(self, statement: str, **values: Any) -> None:
        """Run a statement that returns no rows, at the latest before the next one that does, or the
        end.
        """
        self._execute(statement, _storable(values))

    def require_lock(self, account: AccountKey) -> None:
        """Raise `StatementError` unless this transaction has locked the account, whose records it
        is about to change.

        SQLite locks its whole file, so without this a forgotten lock would show on PostgreSQL
        alone.
        """
        if self.locked != account:
            raise StatementError("A transaction changes calls of an account that it has not locked")


class Database(Protocol):
    """A database that holds a ledger.

    Methods raise `LedgerUnavailableError`; `StatementError` for an error of ours.

    Attributes:
        system: The name of the database's kind in OpenTelemetry's conventions.
    """

    system: str

    async def read(self, work: Callable[[Tx], Result]) -> Result:
        """Run `work`, which only reads, in one transaction."""

    async def write(
        self,
        work: Callable[[Tx], Result],
        account: AccountKey | None = None,
        *,
        is_durable: bool = True,
    ) -> Result:
        """Run `work` in one transaction.

        When this returns, every process sees the changes, and they survive a crash of our processes
        and, if it `is_durable`, one of the server and a loss of power: then it has waited for the
        disk. Of the transactions that name an account, those of the same one run one after another.
        Raises `ConstraintError` when a unique index refused the changes.
        """

    def version(self) -> object:
        """A value that differs after a change, or may differ; None while there is no database.

        It takes no time.
        """

    def has_lease(self) -> bool:
        """Whether this process seems to hold its lease; it takes no time.

        `Tx.holds_lease` is certain.
        """

    async def take_lease(self) -> str:
        """Take a lease until `aclose` or the end of this process; returns the name of its new
        worker.
        """

    async def aclose(self) -> None:
        """Give up the lease and close all connections."""


@dataclass(eq=False)
class _Turn:
    """Whose write of an account is made now.

    The others wait in this process, not each with a connection.

    Attributes:
        outages: How many writes failed because the database could not be used.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    outages: int = 0


class Ledger:
    """The records of calls, which all processes of one user or all workers of one server share.

    `handle` decides an event (`calls.decisions`), and writes what was decided. The modules of this
    package have functions for what needs no decision; each runs in one transaction here, as in
    `ledger.read(rows.find, account, tracking_id)`. All methods raise `LedgerUnavailableError` when
    the `database` can't be used.

    Attributes:
        certain_time: Returns the latest time that it certainly is (`Tx.expires_before`), for the
            time by the ledger's clock.
    """

    def __init__(self, database: Database, *, policy: CallPolicy, timing: Timing) -> None:
        self.database = database
        self._policy = policy
        self._timing = timing
        self.certain_time: Callable[[float], float] = lambda now: now
        self._turns = WeakValueDictionary[AccountKey | None, _Turn]()

    async def handle(self, account: AccountKey, event: Event[Answer_co]) -> Answer_co:
        """What the event does to the calls of an account, in one transaction; returns its answer.

        Raises the errors of the event; then nothing was written.
        """
        from kallyai_mcp.calls.endings import Ending, note
        from kallyai_mcp.calls.ledger.apply import handle  # which needs this module

        for _ in range(_TRIES):
            ended: list[Ending] = []
            with suppress(OutdatedError):
                answer: Answer_co = await self.write(account, handle, account, event, ended.append)
                for ending in ended:
                    note(ending)
                return answer
        raise LedgerUnavailableError("The ledger changes too often to be written")

    async def ask(self, account: AccountKey, event: Event[Answer_co]) -> Answer_co:
        """What `handle` would return now; nothing is written. Errors are those of `handle`."""
        from kallyai_mcp.calls.ledger.apply import ask

        answer: Answer_co = await self.read(ask, account, event)
        return answer

    async def read(
        self,
        work: Callable[Concatenate[Tx, Params], Result],
        /,
        *args: Params.args,
        **more: Params.kwargs,
    ) -> Result:
        """Run `work`, which only reads, with these arguments in one transaction."""
        with observed_transaction(self.database.system, _operation(work, args)):
            return await self.database.read(lambda tx: work(self._configured(tx), *args, **more))

    async def write(
        self,
        account: AccountKey | None,
        work: Callable[Concatenate[Tx, Params], Result],
        /,
        *args: Params.args,
        **more: Params.kwargs,
    ) -> Result:
        """Run `work` with these arguments in one transaction; see `Database.write`.

        Writes of one `account` run one after another, also those of other processes. None is for
        what spans accounts or belongs to none: no account is locked, so `work` may change no record
        of a call that depends on others.
        """
        with observed_transaction(self.database.system, _operation(work, args)):
            return await self._write_in_turn(
                account, lambda tx: work(self._configured(tx), *args, **more)
            )

    async def note(
        self,
        work: Callable[Concatenate[Tx, Params], Result],
        /,
        *args: Params.args,
        **more: Params.kwargs,
    ) -> Result:
        """As `write` without an account, for what does no harm if a loss of power or a crash of the
        server takes it back: nobody waits for the disk.
        """
        with observed_transaction(self.database.system, _operation(work, args)):
            return await self._write_in_turn(
                None, lambda tx: work(self._configured(tx), *args, **more), is_durable=False
            )

    async def _write_in_turn(
        self,
        account: AccountKey | None,
        work: Callable[[Tx], Result],
        *,
        is_durable: bool = True,
    ) -> Result:
        # A canceled request must not hide whether it has written.
        with anyio.CancelScope(shield=True):
            result: Result = await self._write_alone(account, work, is_durable=is_durable)
        return result

    async def _write_alone(
        self, account: AccountKey | None, work: Callable[[Tx], Result], *, is_durable: bool
    ) -> Result:
        """Write when no other write of the account is made by this process."""
        turn = self._turns.setdefault(account, _Turn())
        known_outages = turn.outages
        async with turn.lock:
            if turn.outages != known_outages:  # none waits for more than one time limit
                raise LedgerUnavailableError(
                    "The ledger could not be used for the write before this one"
                )
            try:
                return await self.database.write(work, account, is_durable=is_durable)
            except (ConstraintError, NewerSchemaError):
                # They come at once, and say that the database works: the writes that wait go on.
                raise
            except LedgerUnavailableError:
                turn.outages += 1
                count("kallyai.ledger.writes.unconfirmed", {})
                raise

    def _configured(self, tx: Tx) -> Tx:
        tx.expires_before = self.certain_time(tx.now)
        tx.policy = self._policy
        tx.timing = self._timing
        return tx


def _operation(work: Callable[..., object], args: Sequence[object]) -> str:
    """What a transaction is for: the event that it handles, else the function that it runs."""
    events = [type(each).__name__ for each in args if isinstance(each, Event)]
    return events[0] if events else work.__name__
