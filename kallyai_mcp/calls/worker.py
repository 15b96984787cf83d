"""The base of `Calls`: runs calls in its own task group, places what is due, takes over from dead workers."""

import logging
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Self

import anyio

from kallyai_mcp.api.errors import KallyAIError, NotSignedInError
from kallyai_mcp.calls.call_search import look_again
from kallyai_mcp.calls.context import CallContext, logged
from kallyai_mcp.calls.delivery import Delivery
from kallyai_mcp.calls.ledger import follow_up, progress, rows, upkeep
from kallyai_mcp.calls.ledger.base import BATCH, LedgerUnavailableError, ServiceTime
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState
from kallyai_mcp.calls.run import Run
from kallyai_mcp.clock import Stopwatch

_log = logging.getLogger(__name__)

_DAY = 86400.0

_FIRST_PAUSE = 1.0
"""Seconds until the first work in the background: the client that started the server waits for the list of tools."""


class Worker:
    """Runs calls to their end. Use it as an async context manager, whose exit stops its tasks.

    After that the phone calls go on at KallyAI, and the next worker settles their records.

    Unless it `works_alone`, it looks for what is to be done only during a request, and after one for the list that it
    has asked for, because no account is known without one: its clients send their own tokens. If it `is_read_only`, it
    places no call that is scheduled. Only if it `places_due`, a call for later can be asked for.
    """

    def __init__(self, context: CallContext, *, works_alone: bool = True, is_read_only: bool = False) -> None:
        self.context = context
        self.timing = context.timing
        self.clock = context.clock
        self.delivery = Delivery(context)
        self.places_due = works_alone and not is_read_only
        self._works_alone = works_alone
        self._is_read_only = is_read_only
        self._name: str | None = None
        self._leasing = anyio.Lock()
        self._taking_over = anyio.Lock()
        self._runs: dict[str, Run] = {}
        self._reserving: set[str] = set()
        self._checked: dict[AccountKey, float] = {}
        self._wake = anyio.Event()
        self._is_over = False
        self._tasks = anyio.create_task_group()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._purge)
        if self._works_alone:
            self._tasks.start_soon(self._watch)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        self._is_over = True
        self._tasks.cancel_scope.cancel()
        return await self._tasks.__aexit__(exc_type, exc, traceback)

    async def account_of_request(self) -> AccountKey:
        """The account of this request. Raises `NotSignedInError` when there is none.

        Also lets the background work run now, at most once in `Timing.watch_active`.
        """
        account = await self.context.account()
        now = self.clock.monotonic()
        self._checked = {known: at for known, at in self._checked.items() if now - at <= self.timing.watch_active}
        if account not in self._checked:
            self._checked[account] = now
            if self._works_alone:
                self._wake.set()
            else:
                self._in_background(partial(self._work, account))
        return account

    async def leased_name(self, *, checks: bool = True) -> str:
        """The name of this worker, which holds its lease; a new one when it has none.

        It has no lease at first, and after the database was restarted. Without `checks`, the ledger is not asked
        whether it still holds its lease.
        """
        async with self._leasing:
            if self._name is None or (
                checks and not await self.context.ledger.read(lambda tx, name: tx.holds_lease(name), self._name)
            ):
                self._name = await self.context.ledger.database.take_lease()
            return self._name

    @contextmanager
    def reserving(self, account: AccountKey, tracking_id: str) -> Iterator[None]:
        """A context for a transaction that reserves a call under this id; it is not taken over meanwhile.

        A canceled request waits for its end, so that it leaves no record without a worker. If the ledger does not
        confirm the transaction, it may have been committed all the same. Then that is undone, because the client is
        told of an error.
        """

        async def undone() -> None:
            try:
                await self.context.until_written(account, progress.release, account, tracking_id)
            finally:
                self._reserving.discard(tracking_id)

        self._reserving.add(tracking_id)
        try:
            with anyio.CancelScope(shield=True):
                yield
        except LedgerUnavailableError:
            self._in_background(undone)
            raise
        except BaseException:
            self._reserving.discard(tracking_id)
            raise
        self._reserving.discard(tracking_id)

    def start(self, record: CallRecord, since_reserved: Stopwatch | None = None) -> bool:
        """Start to run a call to its end; returns False after this worker's end: the next one finds it in the ledger.

        A request that reserves a call is not canceled, so it may come here after that. `since_reserved` runs since
        before the reservation; None for a call whose worker has died.
        """
        if not self._is_over:
            run = self._runs[record.tracking_id] = Run(record, self.context, since_reserved)
            self._tasks.start_soon(self._run, run, run.settle if since_reserved is None else run.place)
        return not self._is_over

    def same_running(self, new: CallRecord) -> CallRecord | None:
        """The record of the same call that this worker runs now. Known even when the ledger can't be used."""
        running = (run for run in self._runs.values() if run.record.account == new.account)
        return next((run.as_known(run.record) for run in running if run.record.fingerprint == new.fingerprint), None)

    def as_known(self, record: CallRecord) -> CallRecord:
        """`record` as this worker knows it (`Run.as_known`)."""
        run = self._runs.get(record.tracking_id)
        return run.as_known(record) if run is not None else record

    def _in_background(self, work: Callable[[], Awaitable[object]]) -> None:
        """Start `work`, unless this worker has ended. Its errors are logged and end nothing else."""

        async def run() -> None:
            with logged("in the background"):
                await work()

        if not self._is_over:
            self._tasks.start_soon(run)

    async def _run(self, run: Run, work: Callable[[], Awaitable[None]]) -> None:
        record = run.record
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - no record must stay active, and one call must not end all others
            _log.exception("A call could not be run to its end")
            problem = KallyAIError(f"An error of kallyai-mcp itself: {type(error).__name__}", code="internal_error")
            with logged("writing down an error"):
                unknown = replace(record, state=CallState.UNKNOWN, call=None, error=problem)
                await self.context.ledger.write(record.account, progress.finish, unknown)
            self._wake.set()  # if that could not be written, the record is taken over
        finally:
            # If the ledger confirmed the end late, the next attempt may already run under the same tracking id.
            if self._runs.get(record.tracking_id) is run:
                del self._runs[record.tracking_id]
            run.has_ended.set()
        end = run.end or record
        while end.plan_id is not None and not self._is_read_only:
            with logged("calling the next candidate"):
                if await self._send_next(end.account, end.plan_id):
                    break
            await self.clock.sleep(self.timing.longest_pause)

    async def _send_next(self, account: AccountKey, list_id: str) -> bool:
        """Send the next call of a list, which waits for the end of another one, with the token of the same request.

        A list that stops at a result waits while it is not known whether the call before reached somebody. Returns
        False if this has to be tried again: nothing else works without a request.
        """
        found = await self.context.ledger.read(follow_up.find_list, account, list_id)
        if found is None or not found.is_open or found.is_calling:
            return True
        unclear = [one for one in found.records[-2:-1] if one.state is CallState.ENDED and one.reached is None]
        is_known = not unclear or found.until == "all"
        if not is_known and not self._works_alone:
            is_known = await look_again(unclear[0], self.context)
        if is_known:
            await self._send_due(account, lambda: None, {list_id})
        return self._works_alone

    async def _send_due(self, account: AccountKey, service_time: ServiceTime, only: Collection[str]) -> None:
        """Send the calls that `follow_up.take_due` reserves for this worker."""
        worker = await self.leased_name()
        async with self._taking_over:  # else a call that is reserved here, but not started, would be taken over
            since_reserved = Stopwatch(self.clock)
            take_due = partial(follow_up.take_due, only=only, service_time=service_time)
            for record in await self.context.ledger.write(account, take_due, account, worker):
                self.start(record, since_reserved)

    async def _watch(self) -> None:
        """Do what is to be done when a request asks for it, when the ledger has changed, or when it is time.

        Otherwise this wakes once in `Timing.watch_idle` and uses no thread.
        """
        pause, work_at, version, one_look_ago = _FIRST_PAUSE, 0.0, None, None
        while True:
            with self.clock.move_on_after(pause):
                await self._wake.wait()
            is_time = self._wake.is_set() or pause < self.timing.watch_idle or self.clock.now().timestamp() >= work_at
            pause, self._wake = self.timing.watch_idle, anyio.Event()
            with logged("looking for work"):
                # A change counts at two looks, because the version may not show another one at about the same time.
                two_looks_ago, one_look_ago, version = one_look_ago, version, self.context.ledger.database.version()
                if version is None:
                    continue
                if is_time or version != two_looks_ago:
                    pause = self.timing.watch_active  # after an error
                    seconds = await self._work()
                    work_at = self.clock.now().timestamp() + seconds
                pause = min(self.timing.watch_idle, work_at - self.clock.now().timestamp())

    async def _purge(self) -> None:
        """Delete old records once in `Timing.purge`, if there is a ledger."""
        seconds = max(self.timing.keep_days * _DAY, _DAY)  # limits and duplicates look back a day
        pause = _FIRST_PAUSE
        while True:
            await self.clock.sleep(pause)
            pause = self.timing.purge
            with logged("deleting old records"):
                ledger = self.context.ledger
                while ledger.database.version() is not None and await ledger.write(None, upkeep.purge, seconds):
                    await self.clock.sleep(self.timing.purge_pause)

    async def _work(self, account: AccountKey | None = None) -> float:
        """Take over the account's calls of workers that have died, place those that are due, and end late ones.

        None is the account signed in now. Returns the seconds until there may be more to do.
        """
        work = await self.context.ledger.read(upkeep.find_work, self._name, self._known())
        is_due = (work.due_in <= 0 or work.is_abandoned) and not self._is_read_only  # what is taken over may be due
        is_more = False
        if work.is_abandoned or is_due:
            while is_due and await self.context.ledger.write(None, rows.expire):
                await self.clock.sleep(self.timing.purge_pause)
            try:
                account = account or await self.context.account()  # only now: this may ask the system's keyring
            except NotSignedInError:
                return self.timing.watch_idle
            is_more = work.is_abandoned and await self._take_over(account)
            is_more = (is_due and await self._place_due(account)) or is_more
        if work.is_in_progress or is_more:
            return self.timing.watch_active
        return work.due_in if work.due_in > 0 and not work.is_abandoned else self.timing.watch_idle

    async def _take_over(self, account: AccountKey) -> bool:
        """Take over up to `BATCH` calls of workers that have died; returns whether there may be more."""
        worker = await self.leased_name()
        async with self._taking_over:  # else two tasks would start the same record, which the ledger gives to both
            taken = await self.context.ledger.write(account, upkeep.take_over, account, worker, self._known())
            for record in taken:
                if record.is_active and record.tracking_id not in self._known():
                    self.start(record)
        return len(taken) >= BATCH

    async def _place_due(self, account: AccountKey) -> bool:
        """Place up to `BATCH` calls that are due; returns whether more may be due."""
        with suppress(KallyAIError):
            await self.context.learn_time(account)
        # Somebody may have talked after all in the calls that others are to follow. If that can't be written down,
        # nothing may be placed; while it is not known, a call waits until it expires.
        due = await self.context.ledger.read(follow_up.find_due, account)
        ready = {id_ for id_, before in due.items() if all([await look_again(one, self.context) for one in before])}
        await self._send_due(account, self.context.time, ready)
        return bool(ready) and len(due) == BATCH

    def _known(self) -> set[str]:
        """The tracking ids of the calls that this worker runs or is about to run."""
        return self._reserving | self._runs.keys()
