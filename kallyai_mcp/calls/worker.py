"""The call worker: it runs calls in the server's own task group, and takes over the calls of workers that died."""

import logging
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

import anyio

from kallyai_mcp.api.errors import KallyAIError, NotSignedInError
from kallyai_mcp.calls.clock import Clock, Stopwatch
from kallyai_mcp.calls.ledger.base import LedgerUnavailableError, Result
from kallyai_mcp.calls.ledger.ledger import Ledger
from kallyai_mcp.calls.list_service import ListService
from kallyai_mcp.calls.policy import Consent
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState
from kallyai_mcp.calls.retries import Retries, run_logged
from kallyai_mcp.calls.sender import CallSender
from kallyai_mcp.calls.service_access import ServiceAccess
from kallyai_mcp.calls.settler import CallSettler
from kallyai_mcp.calls.timing import Timing
from kallyai_mcp.telemetry import call_in_progress

if TYPE_CHECKING:
    from kallyai_mcp.api.client import KallyAI

_log = logging.getLogger(__name__)

_DAY = 86400.0

_LEARN_TIME = 60.0
"""How many seconds a call that is due waits for KallyAI to tell its time; a cold start takes up to 30."""


class CallWorker:
    """Runs calls to their end. Use it as an async context manager; leaving it stops its tasks.

    The calls themselves go on at KallyAI, and the next worker settles their records.

    Args:
        connect: Gives the API client; called when it is first needed.
        account: Says which account calls are placed on now; raises `NotSignedInError` when there is none.
        ledger: Gives the ledger, always the same one, and opens it when it is first needed; the caller closes it.
        timing: Times and counts.
        clock: The only clock of calls.
        places_due: Place scheduled calls when they are due. Not where callers bring their own tokens: there the account
            is known in requests only.
    """

    def __init__(
        self,
        connect: "Callable[[], KallyAI]",
        account: Callable[[], Awaitable[AccountKey]],
        ledger: Callable[[], Ledger],
        *,
        timing: Timing = Timing(),  # noqa: B008 - frozen
        clock: Clock,
        places_due: bool = True,
    ) -> None:
        self._service = ServiceAccess(connect, account, clock)
        self._ledger = ledger
        self.timing = timing
        self.clock = clock
        self.places_due = places_due
        self._retries = Retries(clock, timing)
        self._settler = CallSettler(self._service, lambda: self.ledger, timing=timing, clock=clock)
        self.look_again = self._settler.look_again
        self.findings_of = self._settler.findings_of
        self._name: str | None = None
        self._leasing = anyio.Lock()
        self._taking_over = anyio.Lock()
        self._running: dict[str, tuple[CallRecord, anyio.Event]] = {}
        self._reserving: set[str] = set()
        self._checked: dict[AccountKey, float] = {}
        self._due_again = -math.inf
        self._is_over = False
        self._tasks = anyio.create_task_group()
        self.lists = ListService(self, clock, self._retries)

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._watch)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        self._is_over = True
        self._tasks.cancel_scope.cancel()
        return await self._tasks.__aexit__(exc_type, exc, traceback)

    @property
    def ledger(self) -> Ledger:
        """The ledger."""
        return self._ledger()

    async def account(self) -> AccountKey:
        """Which account calls are placed on now; what a dead worker left of it is settled meanwhile.

        Where callers bring their own tokens, this is the only time at which theirs is at hand.
        """
        account = await self._service.account()
        now = self.clock.monotonic()
        if now - self._checked.get(account, -math.inf) > self.timing.watch:
            recent = {known: at for known, at in self._checked.items() if now - at <= self.timing.watch}
            self._checked = recent | {account: now}
            self.in_background(partial(self._take_over, account))
        return account

    async def in_time(self, read: Callable[[], Awaitable[Result]], seconds: float) -> Result:
        """What `read` returns within so many seconds; after them it goes on in the background.

        Raises `LedgerUnavailableError` when it failed, or takes longer.
        """
        results: list[Result] = []
        is_done = anyio.Event()

        async def work() -> None:
            try:
                results.append(await read())
            finally:
                is_done.set()

        self.in_background(work)
        with anyio.move_on_after(seconds):
            await is_done.wait()
        if not results:
            raise LedgerUnavailableError(f"The ledger did not answer within {seconds:g} s")
        return results[0]

    def running(self, account: AccountKey) -> list[CallRecord]:
        """The account's calls that this worker runs now, also when the ledger can't be read or its file is gone."""
        return [record for record, _ in self._running.values() if record.account == account]

    async def reserve(self, asked: CallRecord, *, redial: bool, consent: Consent | None) -> tuple[CallRecord, bool]:
        """Reserve a call for this worker, and run it if it is new; see `Ledger.reserve`."""
        # Begins before the ledger is used: the machine may be suspended meanwhile.
        since_reserved = consent.since if consent is not None and consent.since is not None else Stopwatch(self.clock)
        asked = replace(asked, worker=await self.leased_name())
        self._reserving.add(asked.tracking_id)
        try:
            record, is_new = await self.ledger.reserve(asked, redial=redial, consent=consent)
            if is_new and record.is_active:
                self.send(record, since_reserved)
        except LedgerUnavailableError:
            # The transaction may have been committed all the same; its record must not stay behind.
            release = partial(self.ledger.release, asked)
            self.in_background(partial(self._retries.until_written, release))
            raise
        finally:
            self._reserving.discard(asked.tracking_id)
        return record, is_new

    async def ended(self, record: CallRecord, until: datetime | None) -> CallRecord:
        """Wait until `record` has ended, or is scheduled for later than `until`, whichever process runs it.

        A ledger that can't be read meanwhile is asked again.
        """
        while record.is_awaited(until):
            running = self._running.get(record.tracking_id)
            if running is None:
                await self.clock.sleep(self.timing.poll if record.is_active else self.timing.watch)
            else:
                await running[1].wait()
            with suppress(LedgerUnavailableError):
                record = await self.ledger.find(record.account, record.tracking_id) or record
        return record

    async def leased_name(self) -> str:
        """The name of this worker. Without a lease, or after it has lost it, it takes a new one under a new name.

        A restart of the database ends all leases.
        """
        async with self._leasing:
            if self._name is None or not await self.ledger.holds_lease(self._name):
                self._name = await self.ledger.take_lease()
            return self._name

    def send(self, record: CallRecord, since_reserved: Stopwatch) -> None:
        """Place a call that this worker has reserved, and run it to its end; `since_reserved` began before that."""
        sender = CallSender(
            record,
            since_reserved,
            service=self._service,
            ledger=self.ledger,
            settler=self._settler,
            timing=self.timing,
            clock=self.clock,
        )
        self._start(record, sender.place)

    def in_background(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do `work` in the server's task group; an error of it is logged, and ends nothing else.

        When this worker has ended it does nothing: the next one finds in the ledger what is left. A request that
        reserves a call is not canceled, so it may come here after the end.
        """
        if not self._is_over:
            self._tasks.start_soon(run_logged, work)

    def _start(self, record: CallRecord, work: Callable[[], Awaitable[None]]) -> None:
        if not self._is_over:
            ended = anyio.Event()
            self._running[record.tracking_id] = (record, ended)
            self._tasks.start_soon(self._run, record, work, ended)

    async def _run(self, record: CallRecord, work: Callable[[], Awaitable[None]], ended: anyio.Event) -> None:
        try:
            with call_in_progress():
                await work()
        except Exception as error:  # noqa: BLE001 - a record must not stay behind, and one call must not end all others
            _log.exception("A call could not be run to its end")
            problem = KallyAIError(f"An error of kallyai-mcp itself: {type(error).__name__}", code="internal_error")
            with suppress(LedgerUnavailableError):
                await self.ledger.finish(record, CallState.UNKNOWN, error=problem)
        finally:
            # The next attempt may run already, under the same tracking id: the ledger may confirm the end of one late.
            if self._running.get(record.tracking_id) == (record, ended):
                del self._running[record.tracking_id]
            ended.set()

    async def _watch(self) -> None:
        """Settle the calls of workers that died, place those that are due, and delete what is too old to be kept."""
        pause = 1.0  # not at once: the client that started us waits for the list of tools
        purged = -math.inf
        while True:
            await self.clock.sleep(pause)
            pause = self.timing.watch
            await run_logged(self._take_over)
            if self.places_due and self.clock.monotonic() >= self._due_again:
                await run_logged(self._place_due)
            if self.clock.monotonic() - purged >= self.timing.purge:
                purged = self.clock.monotonic()
                await run_logged(self._purge)

    async def _purge(self) -> None:
        await self.ledger.purge(max(self.timing.keep_days * _DAY, _DAY))  # limits and duplicates look back a day

    async def _place_due(self) -> None:
        """Place the scheduled calls that are due."""
        if not await self.ledger.has_due():
            return
        try:
            account = await self._service.account()
        except NotSignedInError:
            error = KallyAIError("Nobody was signed in when the call was due.", code="signed_out_when_due")
            await self.ledger.note_hindrance(None, error)
            self._due_again = self.clock.monotonic() + self.timing.due_pause
            return
        with self.clock.move_on_after(_LEARN_TIME), suppress(KallyAIError):
            await self._service.learn_time(account)
        worker = await self.leased_name()
        async with self._taking_over:  # what is reserved here and not started yet must not be taken for left behind
            since_reserved = Stopwatch(self.clock)
            due = await self.ledger.take_due(account, worker, service_time=self._service.service_time)
            for record in due:
                self.send(record, since_reserved)
        if not due:
            self._due_again = self.clock.monotonic() + self.timing.due_pause

    async def _take_over(self, account: AccountKey | None = None) -> None:
        """Settle what dead workers have left of an account; None for the one that is signed in now."""
        is_left = await self.ledger.has_abandoned(self._name, self._known())
        if not is_left and not await self.lists.has_abandoned(self._name):
            return
        account = account or await self._service.account()  # only now: this may ask the system's keyring
        worker = await self.leased_name()
        async with self._taking_over:  # two at once would both start what the ledger gives to both
            for record in await self.ledger.take_over(account, worker, self._known()):
                if record.tracking_id not in self._known():
                    self._start(record, partial(self._settler.settle, record))
            await self.lists.take_over(account, worker)

    def _known(self) -> set[str]:
        """The tracking ids of the calls that this worker runs, or will run in a moment."""
        return self._reserving | self._running.keys()
