"""The worker of a process: runs calls to their end, places what is due, and takes over from dead
workers.
"""

import logging
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Self

import anyio

from kallyai_mcp.api.errors import KallyAIError, NotSignedInError
from kallyai_mcp.calls.call_lists import CallList
from kallyai_mcp.calls.changes import BATCH
from kallyai_mcp.calls.context import CallContext, logged
from kallyai_mcp.calls.errors import LedgerUnavailableError
from kallyai_mcp.calls.events import Adopt, Due, Over, Release, ServiceTime, not_known
from kallyai_mcp.calls.findings import look_again
from kallyai_mcp.calls.gauges import keep_gauges
from kallyai_mcp.calls.late_calls import end_late_calls
from kallyai_mcp.calls.lease import Lease
from kallyai_mcp.calls.ledger import lists, upkeep
from kallyai_mcp.calls.purging import purge_old_records
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState
from kallyai_mcp.calls.run import Run
from kallyai_mcp.calls.wake_ups import Countdown, LedgerChanges, Signal
from kallyai_mcp.clock import Stopwatch
from kallyai_mcp.logs.request_ids import about_call

_log = logging.getLogger(__name__)

_LOOK_UPS = 10
"""How many calls before those that are due KallyAI is asked about at once."""

_FIRST_PAUSE = 1.0
"""Seconds until the first work in the background: a client waits for the list of tools."""


class Worker:
    """Runs calls to their end. Use it as an async context manager, whose exit stops its tasks.

    After that the phone calls go on at KallyAI, and the next worker settles their records.

    Unless it `works_alone`, it looks for what is to be done only during a request, and after one
    for the list that it has asked for, because no account is known without one: its clients send
    their own tokens. If it `is_read_only`, it places no call that is scheduled.
    """

    def __init__(
        self, context: CallContext, *, works_alone: bool = True, is_read_only: bool = False
    ) -> None:
        self.context = context
        self.timing = context.timing
        self.clock = context.clock
        self._works_alone = works_alone
        self._is_read_only = is_read_only
        self._lease = Lease(context)
        self._taking_over = anyio.Lock()
        self._runs: dict[str, Run] = {}
        self._reserving: set[str] = set()
        self._looked_for: dict[AccountKey, float] = {}
        """When requests of these accounts last made it look for work."""
        self._wake = Signal()
        self._abandoned = Signal()
        self._due = Signal()
        self._look_ups = anyio.CapacityLimiter(_LOOK_UPS)
        self._waiting: set[str] = set()
        """The tracking ids of calls that are due, and wait until those before them are known."""
        self._is_over = False
        self._tasks = anyio.create_task_group()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._tasks.start_soon(purge_old_records, self.context, _FIRST_PAUSE)
        self._tasks.start_soon(keep_gauges, self.context)
        if self._works_alone:
            self._tasks.start_soon(self._watch)
            takes_over = "taking over calls"
            self._tasks.start_soon(self._whenever, self._abandoned, takes_over, self._take_over_own)
        if self._works_alone and not self._is_read_only:
            self._tasks.start_soon(self._whenever, self._due, "placing calls", self._place_own)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        self._is_over = True
        self._tasks.cancel_scope.cancel()
        return await self._tasks.__aexit__(exc_type, exc, traceback)

    def look_soon(self, account: AccountKey) -> None:
        """Look for work for a request of this account, at most once in `Timing.watch_active`."""
        now = self.clock.monotonic()
        longest = self.timing.watch_active
        recent = {known: at for known, at in self._looked_for.items() if now - at <= longest}
        self._looked_for = {account: now} | recent
        if account in recent:
            return
        if self._works_alone:
            self._wake.set()
        else:
            self._in_background(partial(self._work_for, account))

    def wake(self) -> None:
        """Look for work now: a call may be due soon."""
        self._wake.set()

    def run_of(self, record: CallRecord) -> Run | None:
        """The run of a call, if this worker runs it now."""
        return self._runs.get(record.tracking_id)

    async def leased_name(self) -> str:
        """The name of this worker, which holds its lease."""
        return await self._lease.held_name()

    @contextmanager
    def reserving(self, account: AccountKey, *tracking_ids: str) -> Iterator[None]:
        """A context for a transaction that reserves calls under these ids; they are not taken over
        meanwhile.

        A canceled request waits for its end, so that it leaves no record without a worker. If the
        ledger does not confirm the transaction, it may have been committed all the same. Then that
        is undone, because the client is told of an error.
        """

        async def undone() -> None:
            try:
                for tracking_id in tracking_ids:
                    about_call(tracking_id)
                    await self.context.until_written(account, Release(tracking_id))
            finally:
                self._reserving.difference_update(tracking_ids)

        self._reserving.update(tracking_ids)
        try:
            with anyio.CancelScope(shield=True):
                yield
        except LedgerUnavailableError:
            self._in_background(undone)
            raise
        except BaseException:
            self._reserving.difference_update(tracking_ids)
            raise
        self._reserving.difference_update(tracking_ids)

    def start(self, record: CallRecord, since_reserved: Stopwatch | None = None) -> None:
        """Start to run a call to its end.

        `since_reserved` runs since before the reservation; None if its worker died. A request that
        reserves a call is not canceled, so it may come here after this worker's end. Then nothing
        was sent, and the next worker finds the record in the ledger.
        """
        if not self._is_over:
            run = self._runs[record.tracking_id] = Run(record, self.context)
            if since_reserved is None:
                self._tasks.start_soon(self._run, run, run.settle)
            else:
                self._tasks.start_soon(self._run, run, partial(run.place, since_reserved))

    def same_running(self, new: CallRecord) -> CallRecord | None:
        """The record of the same call that this worker runs now.

        Known even when the ledger can't be used.
        """
        for run in self._runs.values():
            if run.record.account == new.account and run.record.fingerprint == new.fingerprint:
                return run.record
        return None

    def _in_background(self, work: Callable[[], Awaitable[object]]) -> None:
        """Start `work`, unless this worker has ended.

        Its errors are logged and end nothing else.
        """

        async def run() -> None:
            with logged("in the background"):
                await work()

        if not self._is_over:
            self._tasks.start_soon(run)

    async def _run(self, run: Run, work: Callable[[], Awaitable[None]]) -> None:
        record = run.record
        about_call(record.tracking_id)
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - no record must stay active, and one call must not end all others
            _log.exception("A call could not be run to its end")
            problem = KallyAIError(
                f"An error of kallyai-mcp itself: {type(error).__name__}", code="internal_error"
            )
            with logged("writing down an error"):
                unknown = replace(record, state=CallState.UNKNOWN, call=None, error=problem)
                await self.context.ledger.handle(record.account, Over(unknown))
            self._wake.set()  # if that could not be written, the record is taken over
        finally:
            # If the ledger confirmed the end late, the next attempt may already run under the same
            # tracking id.
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
        """Send, with the token of the same request, what the end of a call of this list has made
        due: the next calls of the list, and of those that waited for room.

        A list waits while it is not known whether the call before stops it. Returns False if this
        has to be tried again: nothing else works without a request.
        """
        found = await self.context.ledger.read(lists.find_with_due, account, list_id)
        clear = [one.list_id for one in found if await self._is_clear(one)]
        if clear:
            await self._send_due(account, not_known, clear)
        return self._works_alone or not found

    async def _is_clear(self, found: CallList) -> bool:
        """Whether it is known how the call before the next one of a list ended, as far as that
        counts; where nothing works without a request, KallyAI is asked.
        """
        unclear = found.unclear_before_next
        if unclear is None:
            return True
        return not self._works_alone and await look_again(unclear, self.context)

    async def _send_due(
        self, account: AccountKey, service_time: ServiceTime, only: Collection[str]
    ) -> None:
        """Send the calls that `Due` reserves for this worker."""
        worker = await self.leased_name()
        # Else a call that is reserved here, but not started, would be taken over.
        async with self._taking_over:
            since_reserved = Stopwatch(self.clock)
            due = Due(worker, only, service_time)
            for record in await self.context.ledger.handle(account, due):
                self.start(record, since_reserved)

    async def _watch(self) -> None:
        """Look for work when a request asks for it, the ledger has changed, or it is time.

        Otherwise this wakes once in `Timing.watch_idle` and uses no thread.
        """
        changes = LedgerChanges()
        next_look = Countdown(0, self.clock)
        pause = _FIRST_PAUSE
        while True:
            was_asked = await self._wake.wait_for(pause, self.clock)
            pause = self.timing.watch_idle
            with logged("looking for work"):
                changes.look(self.context.ledger.database.version())
                if not changes.has_ledger:
                    continue
                if was_asked or changes.may_have_changed or next_look.is_over:
                    next_look = Countdown(await self._look_for_work(), self.clock)
                pause = min(pause, next_look.left)

    async def _look_for_work(self) -> float:
        """Wake the tasks that have something to do; returns the seconds until the next look."""
        with logged("looking for work"):
            work = await self._find_work()
            if work.is_abandoned:
                self._abandoned.set()
            if work.is_due:
                self._due.set()
            if work.is_in_progress:
                return self.timing.watch_active
            if work.is_abandoned or work.is_due:
                return min(self.timing.watch_idle, work.due_in)
            return work.due_in
        return self.timing.watch_active  # type: ignore[unreachable]  # after an error, which mypy does not see

    async def _find_work(self) -> upkeep.Work:
        return await self.context.ledger.read(upkeep.find_work, self._lease.name, self._known())

    async def _whenever(
        self,
        signal: Signal,
        task: str,
        work: Callable[[], Awaitable[bool]],
    ) -> None:
        """Do `work` whenever `signal` asks, a part in each `Timing.watch_active` until it is done.

        `work` does a part, and returns whether there may be more.
        """
        while True:
            await signal.wait()
            while not await self._do_part(task, work):
                await self.clock.sleep(self.timing.watch_active)

    async def _do_part(self, task: str, work: Callable[[], Awaitable[bool]]) -> bool:
        """Do a part of `work`; returns whether it was the last one. After an error, it was not."""
        with logged(task):
            try:
                is_more = await work()
            except NotSignedInError:
                return True  # until the next look
            return not is_more
        return False  # type: ignore[unreachable]  # as above

    async def _work_for(self, account: AccountKey) -> None:
        """Do the work for the account of a request, where none is done without a request."""
        work = await self._find_work()
        if work.is_abandoned:
            await self._take_over(account)
        may_be_due = work.is_due or work.is_abandoned  # what is taken over may be due
        if may_be_due and not self._is_read_only:
            await end_late_calls(self.context)
            await self._place_due(account)

    async def _take_over_own(self) -> bool:
        """`_take_over` for the account signed in now."""
        return await self._take_over(await self.context.account())

    async def _take_over(self, account: AccountKey) -> bool:
        """Take over up to `BATCH` calls of workers that have died; returns whether there may be
        more.
        """
        worker = await self.leased_name()
        # Else two tasks would start the same record, which the ledger gives to both.
        async with self._taking_over:
            known = frozenset(self._known())  # a copy: the ledger reads it in a thread
            taken = await self.context.ledger.handle(account, Adopt(worker, known))
            for record in taken:
                if record.is_active and record.tracking_id not in self._known():
                    self.start(record)
        if any(record.state is CallState.SCHEDULED for record in taken):
            self._due.set()
        return len(taken) >= BATCH

    async def _place_own(self) -> bool:
        """`_place_due` for the account signed in now; ends the late calls of all accounts first."""
        await end_late_calls(self.context)
        return await self._place_due(await self.context.account())

    async def _place_due(self, account: AccountKey) -> bool:
        """Place up to `BATCH` calls that are due; returns whether more may be due.

        A call that follows others is placed by a task of its own (`_place_after`).
        """
        with suppress(KallyAIError):
            await self.context.learn_time(account)
        waiting = frozenset(self._waiting)  # a copy: the ledger reads it in a thread
        due = await self.context.ledger.read(upkeep.find_due, account, besides=waiting)
        ready = {id_ for id_, before in due.items() if not before}
        if ready:
            await self._send_due(account, self.context.time, ready)
        for id_ in due.keys() - ready:
            self._waiting.add(id_)
            self._in_background(partial(self._place_after, account, id_, due[id_]))
        return len(due) == BATCH

    async def _place_after(
        self, account: AccountKey, id_: str, before: Collection[CallRecord]
    ) -> None:
        """Place a call that is due, once KallyAI has told all about the calls `before` it.

        Somebody may have talked in them after all. If that can't be written down, nothing may be
        placed. While it is not known, the call waits until the next look, or until it expires.
        """
        about_call(id_)
        try:
            async with self._look_ups:
                known = [await look_again(one, self.context) for one in before]
            if all(known):
                await self._send_due(account, self.context.time, {id_})
            else:
                await self.clock.sleep(self.timing.watch_idle)  # before KallyAI is asked again
        finally:
            self._waiting.discard(id_)

    def _known(self) -> set[str]:
        """The tracking ids of the calls that this worker runs or is about to run."""
        return self._reserving | self._runs.keys()
