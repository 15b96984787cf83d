"""The call worker: runs calls in the task group of the server, and takes over the calls of workers that have died."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

import anyio

from kallyai_mcp.api.errors import KallyAIError, NotSignedInError
from kallyai_mcp.calls.clock import Clock, Stopwatch
from kallyai_mcp.calls.ledger.base import BATCH, LedgerUnavailableError, Result
from kallyai_mcp.calls.ledger.ledger import Ledger
from kallyai_mcp.calls.list_service import ListService
from kallyai_mcp.calls.policy import Consent
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState, is_tracking_id
from kallyai_mcp.calls.retries import Retries, run_logged
from kallyai_mcp.calls.sender import CallSender
from kallyai_mcp.calls.service_access import ServiceAccess
from kallyai_mcp.calls.settler import CallSettler
from kallyai_mcp.calls.timing import Timing

if TYPE_CHECKING:
    from kallyai_mcp.api.client import KallyAI

_log = logging.getLogger(__name__)

_DAY = 86400.0

_FIRST_PAUSE = 1.0
"""Seconds until the first work in the background: the client that started the server waits for the list of tools."""

_LEARN_TIME = 60.0
"""The most seconds that a due call waits for the service's time. A cold start of the service takes up to 30."""

_SIGNED_OUT = KallyAIError("Nobody was signed in when the call was due.", code="signed_out_when_due")
_TOO_MANY = KallyAIError("Too many calls were due at the same time.", code="too_many_when_due")


class CallWorker:
    """Runs calls to their end. Use it as an async context manager, whose exit stops its tasks.

    After that the phone calls go on at KallyAI, and the next worker settles their records.

    Args:
        connect: Returns the API client; called when it is first needed.
        account: Returns the account on which calls are placed now; raises `NotSignedInError` when there is none.
        ledger: Returns the ledger, always the same one, and opens it when it is first needed. The caller closes it.
        timing: Times and counts.
        clock: The clock.
        places_due: Whether to place scheduled calls when they are due. Not where clients send their own KallyAI tokens:
            there the account is known only during a request.
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
        self._running: dict[str, tuple[CallRecord, asyncio.Future[None]]] = {}
        self._senders: dict[str, CallSender] = {}
        self._reserving: set[str] = set()
        self._checked: dict[AccountKey, float] = {}
        self._due_again = -math.inf
        self._is_over = False
        self._tasks = anyio.create_task_group()
        self.lists = ListService(self, clock)

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._watch)
        self._tasks.start_soon(self._keep_small)
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
        """The account on which calls are placed now. Raises `NotSignedInError` when there is none.

        In the background, its calls are taken over from workers that have died. Where clients send their own tokens,
        that is possible only during a request, so it happens here too.
        """
        account = await self._service.account()
        now = self.clock.monotonic()
        if now - self._checked.get(account, -math.inf) > self.timing.watch:
            recent = {known: at for known, at in self._checked.items() if now - at <= self.timing.watch}
            self._checked = recent | {account: now}
            self.in_background(partial(self._take_over, account))
            if not self.places_due:
                self.in_background(self._place_due)
        return account

    async def in_time(self, read: Callable[[], Awaitable[Result]], seconds: float) -> Result:
        """The result of `read`. If it takes longer than `seconds`, it goes on in the background.

        Raises:
            LedgerUnavailableError: `read` failed, or takes longer.
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
        """The account's calls that this worker runs now. Known even when the ledger can't be used."""
        return [self.as_known(record) for record, _ in self._running.values() if record.account == account]

    async def reserve(self, asked: CallRecord, *, redial: bool, consent: Consent | None) -> tuple[CallRecord, bool]:
        """Reserve a call for this worker, and run it if it is new and due; see `Ledger.reserve`."""
        # Started before the ledger is used, because the machine may be suspended meanwhile.
        since_reserved = consent.since if consent is not None and consent.since is not None else Stopwatch(self.clock)
        asked = replace(asked, worker=await self.leased_name())
        with self.reserving(asked.tracking_id, undo=partial(self.ledger.release, asked.account, asked.tracking_id)):
            record, is_new = await self.ledger.reserve(asked, redial=redial, consent=consent)
            if is_new and record.is_active:
                self.send(record, since_reserved)
        return record, is_new

    @contextmanager
    def reserving(self, tracking_id: str, *, undo: Callable[[], Awaitable[None]]) -> Iterator[None]:
        """A context for a transaction that reserves a call under this id; `take_over` leaves the call alone meanwhile.

        If the ledger does not confirm the transaction, it may have been committed all the same. Then `undo` is repeated
        until it succeeds, because the client is told of an error.
        """

        async def undone() -> None:
            try:
                await self._retries.until_written(undo)
            finally:
                self._reserving.discard(tracking_id)

        self._reserving.add(tracking_id)
        try:
            yield
        except LedgerUnavailableError:
            self.in_background(undone)
            raise
        except BaseException:
            self._reserving.discard(tracking_id)
            raise
        self._reserving.discard(tracking_id)

    async def ended(self, record: CallRecord, until: datetime | None) -> CallRecord:
        """Wait until a call has ended, or is scheduled for later than `until` (None: for any time).

        Any process may run it. When the ledger can't be used, it is read again later.

        Returns:
            The record as it was read last.
        """
        while record.is_awaited(until):
            running = self._running.get(record.tracking_id)
            if running is None:
                await self.clock.sleep(self.timing.poll if record.is_active else self.timing.watch)
            else:
                await asyncio.shield(running[1])
            with suppress(LedgerUnavailableError):
                record = await self.ledger.find(record.account, record.tracking_id) or record
        return record

    async def leased_name(self) -> str:
        """The name of this worker, which holds its lease. If it has none, it takes a new lease under a new name.

        A worker has no lease at first, and after the database was restarted.
        """
        async with self._leasing:
            if self._name is None or not await self.ledger.holds_lease(self._name):
                self._name = await self.ledger.take_lease()
            return self._name

    def send(self, record: CallRecord, since_reserved: Stopwatch) -> None:
        """Start to place a call that this worker has reserved, and to run it to its end.

        `since_reserved` runs since before the reservation.
        """
        sender = CallSender(
            record,
            since_reserved,
            service=self._service,
            ledger=self.ledger,
            settler=self._settler,
            timing=self.timing,
            clock=self.clock,
        )
        self._senders[record.tracking_id] = sender
        self._start(record, sender.place)

    def as_known(self, record: CallRecord) -> CallRecord:
        """`record`, as `reserved` until this worker has written its request, with the error of the last connection.

        The ledger says `sent` before there is a connection.
        """
        sender = self._senders.get(record.tracking_id)
        if sender is None or not record.is_active:
            return record
        if sender.was_written:
            return replace(record, state=CallState.SENT)
        return replace(record, state=CallState.RESERVED, sent_at=None, error=sender.not_connected)

    def in_background(self, work: Callable[[], Awaitable[None]]) -> None:
        """Start `work` in the task group of the server. Its errors are logged and end nothing else.

        After the end of this worker nothing is started: the next worker finds the calls in the ledger. A request that
        reserves a call is not canceled, so it may come here after the end.
        """
        if not self._is_over:
            self._tasks.start_soon(run_logged, work)

    def _start(self, record: CallRecord, work: Callable[[], Awaitable[None]]) -> None:
        if not self._is_over:
            ended = asyncio.get_running_loop().create_future()
            self._running[record.tracking_id] = (record, ended)
            self._tasks.start_soon(self._run, record, work, ended)

    async def _run(self, record: CallRecord, work: Callable[[], Awaitable[None]], ended: asyncio.Future[None]) -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - no record must stay active, and one call must not end all others
            _log.exception("A call could not be run to its end")
            problem = KallyAIError(f"An error of kallyai-mcp itself: {type(error).__name__}", code="internal_error")
            await run_logged(partial(self.ledger.finish, record, CallState.UNKNOWN, error=problem))
        finally:
            # If the ledger confirmed the end late, the next attempt may already run under the same tracking id.
            if self._running.get(record.tracking_id) == (record, ended):
                del self._running[record.tracking_id]
                self._senders.pop(record.tracking_id, None)
            ended.set_result(None)
        if record.session_id is not None and is_tracking_id(record.session_id):  # a call of a list
            await run_logged(partial(self._send_following, record))

    async def _send_following(self, record: CallRecord) -> None:
        """Send the calls of lists that come after `record`, which has ended, with the token of its request."""
        worker = await self.leased_name()
        async with self._taking_over:
            since_reserved = Stopwatch(self.clock)
            for following in await self.ledger.take_following(record, worker):
                self.send(following, since_reserved)

    async def _watch(self) -> None:
        """Settle the calls of workers that have died, and place the calls that are due."""
        pause = _FIRST_PAUSE
        while True:
            await self.clock.sleep(pause)
            pause = self.timing.watch
            await run_logged(self._take_over)
            if self.places_due and self.clock.monotonic() >= self._due_again:
                await run_logged(self._place_due)

    async def _keep_small(self) -> None:
        """Delete old records. Beside `_watch`, because hundreds of thousands of them take minutes."""
        pause = _FIRST_PAUSE
        while True:
            await self.clock.sleep(pause)
            pause = self.timing.purge
            await run_logged(self._purge)

    async def _purge(self) -> None:
        seconds = max(self.timing.keep_days * _DAY, _DAY)  # limits and duplicates look back a day
        while await self.ledger.purge(seconds):
            await self.clock.sleep(self.timing.purge_pause)

    async def _place_due(self) -> None:
        """Place scheduled calls that are due, and end those that are too late, up to `BATCH` of each."""
        if not await self.ledger.has_due():
            return
        try:
            account = await self._service.account()
        except NotSignedInError:
            noted = await self.ledger.note_hindrance(None, _SIGNED_OUT)
            if not await self.ledger.expire() and not noted:
                self._due_again = self.clock.monotonic() + self.timing.due_pause
            return
        with self.clock.move_on_after(_LEARN_TIME), suppress(KallyAIError):
            await self._service.learn_time(account)
        async with anyio.create_task_group() as looks:  # somebody may have talked in an earlier attempt after all
            for attempt in await self.ledger.attempts_before_due(account, BATCH):
                looks.start_soon(self.look_again, attempt)
        worker = await self.leased_name()
        async with self._taking_over:  # else a call that is reserved here, but not started, would be taken over
            since_reserved = Stopwatch(self.clock)
            in_progress = sum(record.schedule.not_before is not None for record, _ in self._running.values())
            most = min(BATCH, self.timing.due_at_once - in_progress)
            if most <= 0:
                await self.ledger.note_hindrance(None, _TOO_MANY)
            due = await self.ledger.take_due(
                account,
                worker,
                most=max(most, 0),
                service_time=self._service.service_time,
                is_only_account=self.places_due,
            )
            for record in due:
                if record.is_active:
                    self.send(record, since_reserved)
        if not await self.ledger.expire() and not due and most > 0:
            self._due_again = self.clock.monotonic() + self.timing.due_pause

    async def _take_over(self, account: AccountKey | None = None) -> None:
        """Take over the account's calls of workers that have died; None for the account signed in now."""
        if not await self.ledger.has_abandoned(self._name, self._known()):
            return
        account = account or await self._service.account()  # only now: this may ask the system's keyring
        worker = await self.leased_name()
        async with self._taking_over:  # else two tasks would start the same record, which the ledger gives to both
            for record in await self.ledger.take_over(account, worker, self._known()):
                if record.tracking_id not in self._known():
                    self._start(record, partial(self._settler.settle, record))

    def _known(self) -> set[str]:
        """The tracking ids of the calls that this worker runs or is about to run."""
        return self._reserving | self._running.keys()
