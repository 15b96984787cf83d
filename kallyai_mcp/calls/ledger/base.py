"""The ledger, and what it needs of a database; `sqlite.py` and `postgres.py` are the two drivers."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar
from weakref import WeakValueDictionary

import anyio

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.policy import CallPolicy
from kallyai_mcp.calls.records import AccountKey
from kallyai_mcp.calls.timing import Timing

_log = logging.getLogger(__name__)

_NEWEST = 7
"""The version of the schema that this program writes; `migrations/N.sql` leads from version N - 1 to version N."""

Row = dict[str, Any]
"""One row by column name: text, integers, floats, and None."""

BATCH = 100
"""How many records a transaction takes, expires, or deletes at most, so that none holds up the others for long."""

_SHARED = 20
"""How many writes share a transaction at most. With a distant database, each takes several round trips."""

ServiceTime = Callable[[], datetime | None]
"""Returns the time by the service's clock (aware), None when it is not known. Called within the transaction."""

Result = TypeVar("Result")
Params = ParamSpec("Params")


class LedgerUnavailableError(KallyAIError, code="ledger_unavailable"):
    """The ledger can't be read or written, so no call is placed (code `ledger_unavailable`)."""


class ConstraintError(LedgerUnavailableError):
    """A unique index, which is a rule, or a record of a newer version refused a transaction, which was rolled back."""


class LeaseLostError(Exception):
    """The worker of this process no longer holds its lease, so that nothing was written."""


class StatementError(Exception):
    """The database refused a statement: an error of this program, which is logged and never taken for an outage."""


class ConsentOutdatedError(KallyAIError, code="consent_outdated"):
    """The consent no longer fits: the number was called since it was given, or its confirmation was used already."""


def _storable(values: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a statement, with replacements for NUL and unpaired surrogates, which can't be stored."""
    return {
        name: value.encode("utf-8", "replace").decode().replace("\0", "\ufffd") if isinstance(value, str) else value
        for name, value in values.items()
    }


@dataclass(eq=False)
class Tx:
    """One open transaction. Statements use the SQL that both databases share, with `:name` parameters.

    `_execute` runs one with its values, and returns a cursor; it may put that off until rows are fetched.

    Attributes:
        now: The time by the ledger's clock when it began, in seconds since the epoch.
        holds_lease: Whether the worker of this process still holds its lease.
        is_abandoned: Whether no living process holds the lease of another worker. True stays true until the transaction
            ends.
    """

    _execute: Callable[[str, Row], Any]
    now: float
    holds_lease: Callable[[str], bool]
    is_abandoned: Callable[[str], bool]
    policy: CallPolicy = field(init=False)
    timing: Timing = field(init=False)

    def rows(self, statement: str, **values: Any) -> list[Row]:
        """Run a statement that returns rows: a SELECT, or one with RETURNING."""
        found: list[Row] = self._execute(statement, _storable(values)).fetchall()
        return found

    def run(self, statement: str, **values: Any) -> None:
        """Run a statement that returns no rows, at the latest before the next one that does, or the end."""
        self._execute(statement, _storable(values))


class Database(Protocol):
    """A database that holds a ledger. Methods raise `LedgerUnavailableError`; `StatementError` for an error of ours."""

    async def read(self, work: Callable[[Tx], Result]) -> Result:
        """Run `work`, which only reads, in one transaction."""

    async def write(self, work: Callable[[Tx], Result], account: AccountKey | None = None) -> Result:
        """Run `work` in one transaction. When this returns, every process sees the changes, and they survive a crash.

        Of the transactions that name an account, those of the same one run one after another. Raises `ConstraintError`
        when a unique index refused the changes.
        """

    def version(self) -> object:
        """A value that differs after a change, or may differ; None while there is no database. It takes no time."""

    async def take_lease(self) -> str:
        """Take a lease until `aclose` or the end of this process; returns the name of its new worker."""

    async def aclose(self) -> None:
        """Give up the lease and close all connections."""


@dataclass(eq=False)
class _Write:
    """A write, and the result or the error of the transaction that it was in."""

    work: Callable[[Tx], Any]
    outcome: Any = field(default_factory=lambda: LedgerUnavailableError("The ledger did not confirm a write"))


@dataclass(eq=False)
class _Queue:
    """The writes of one account that wait for its next transaction. The first `alone` of them share none."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: list[_Write] = field(default_factory=list)
    alone: int = 0


class Ledger:
    """The records of calls, which all processes of one user or all workers of one server share.

    The modules of this package have the functions that read and write them; each runs in one transaction here, as in
    `ledger.write(progress.mark_sent, record)`. Both methods raise `LedgerUnavailableError` when the `database` can't be
    used.
    """

    def __init__(self, database: Database, *, policy: CallPolicy, timing: Timing) -> None:
        self.database = database
        self._policy = policy
        self._timing = timing
        self._queues = WeakValueDictionary[AccountKey | None, _Queue]()

    async def read(
        self, work: Callable[Concatenate[Tx, Params], Result], /, *args: Params.args, **more: Params.kwargs
    ) -> Result:
        """Run `work`, which only reads, with these arguments in one transaction."""
        return await self.database.read(lambda tx: work(self._configured(tx), *args, **more))

    async def write(
        self, work: Callable[Concatenate[Tx, Params], Result], /, *args: Params.args, **more: Params.kwargs
    ) -> Result:
        """Run `work` with these arguments in one transaction; see `Database.write`.

        Writes of one account run one after another. The account is the first argument, or the attribute `account` of
        that; with another first argument, as of `mark_delivered`, no account is locked. Writes that wait for the same
        one share the next transaction, so they wait for the disk once.
        """
        first = next(iter(args), None)
        named = getattr(first, "account", first)
        account = named if isinstance(named, AccountKey) else None
        write = _Write(lambda tx: work(self._configured(tx), *args, **more))
        queue = self._queues.setdefault(account, _Queue())
        queue.waiting.append(write)
        try:
            with anyio.CancelScope(shield=True):  # a canceled request must not hide whether it has written
                async with queue.turn:
                    while write in queue.waiting:  # else it was in the transaction of another one
                        await self._make_next(queue, account)
        finally:
            if write in queue.waiting:  # the server ends, so nobody runs what this would reserve
                queue.waiting.remove(write)
        if isinstance(write.outcome, Exception):
            raise write.outcome
        result: Result = write.outcome
        return result

    async def _make_next(self, queue: _Queue, account: AccountKey | None) -> None:
        """Make the next writes in one transaction. If one of them is refused, each gets a transaction of its own."""
        most = 1 if queue.alone else _SHARED
        queue.alone = max(0, queue.alone - 1)
        together, queue.waiting = queue.waiting[:most], queue.waiting[most:]
        try:
            outcomes = await self.database.write(lambda tx: [write.work(tx) for write in together], account)
        except Exception as error:  # noqa: BLE001 - raised by `write`
            if isinstance(error, LedgerUnavailableError) and not isinstance(error, ConstraintError):
                # All that wait fail with it: none waits for more than one time limit.
                together, queue.waiting, queue.alone = together + queue.waiting, [], 0
            elif len(together) > 1:
                queue.waiting, queue.alone = together + queue.waiting, len(together)
                return
            outcomes = [error] * len(together)
        for write, outcome in zip(together, outcomes, strict=True):
            write.outcome = outcome

    def _configured(self, tx: Tx) -> Tx:
        tx.policy, tx.timing = self._policy, self._timing
        return tx


def migrate(tx: Tx) -> None:
    """Migrate the schema, in a transaction that no other migration runs beside.

    A database of a newer version is not changed. Its records that this version can't read are skipped.
    """
    tx.run("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
    version = tx.rows("SELECT COALESCE(MAX(version), 0) AS version FROM schema_version")[0]["version"]
    if version > _NEWEST:
        _log.warning("The ledger was written by a newer version of kallyai-mcp; calls that only it knows are skipped")
    for number in range(version + 1, _NEWEST + 1):
        if number == 3:  # this version has no more tables of webhooks
            live = "SELECT id FROM webhook_subscriptions WHERE ended IS NULL AND expires_at > :now"
            if ended := len(tx.rows(live, now=tx.now)):
                _log.warning("Webhooks are gone; subscriptions that ended with them: %s. get_call follows calls", ended)
        text = (files("kallyai_mcp.calls.ledger") / "migrations" / f"{number}.sql").read_text(encoding="utf-8")
        for statement in text.removesuffix(";\n").split(";\n"):
            tx.run(statement)
    if version < _NEWEST:
        tx.run("DELETE FROM schema_version")
        tx.run("INSERT INTO schema_version (version) VALUES (:version)", version=_NEWEST)
