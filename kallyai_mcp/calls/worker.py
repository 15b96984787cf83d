"""Runs calls in the task group of the server, places them when they are due, and takes over those of dead workers."""

import logging
import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

import anyio

from kallyai_mcp.api.errors import KallyAIError, NotSignedInError
from kallyai_mcp.calls.clock import Clock, Stopwatch
from kallyai_mcp.calls.findings import look_again
from kallyai_mcp.calls.ledger.base import BATCH, LedgerUnavailableError
from kallyai_mcp.calls.ledger.ledger import Ledger
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState, is_tracking_id
from kallyai_mcp.calls.retries import run_logged, until_written
from kallyai_mcp.calls.run import Run
from kallyai_mcp.calls.service import Service
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


class Worker:
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

    Attributes:
        service: Gives the API client.
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
        self.timing = timing
        self.clock = clock
        self.places_due = places_due
        self.service = Service(connect, account, clock)
        self._ledger = ledger
        self._name: str | None = None
        self._leasing = anyio.Lock()
        self._taking_over = anyio.Lock()
        self._runs: dict[str, Run] = {}
        self._reserving: set[str] = set()
        self._lost_at: dict[str, Stopwatch] = {}
        self._checked: dict[AccountKey, float] = {}
        self._due_again = -math.inf
        self._is_over = False
        self._tasks = anyio.create_task_group()

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
        account = await self.service.account()
        now = self.clock.monotonic()
        if now - self._checked.get(account, -math.inf) > self.timing.watch:
            recent = {known: at for known, at in self._checked.items() if now - at <= self.timing.watch}
            self._checked = recent | {account: now}
            self._in_background(partial(self._take_over, account))
            if not self.places_due:
                self._in_background(self._place_due)
        return account

    async def leased_name(self) -> str:
        """The name of this worker, which holds its lease; a new one when it has none.

        It has no lease at first, and after the database was restarted.
        """
        async with self._leasing:
            if self._name is None or not await self.ledger.holds_lease(self._name):
                self._name = await self.ledger.take_lease()
            return self._name

    @contextmanager
    def reserving(self, tracking_id: str, *, undo: Callable[[], Awaitable[None]]) -> Iterator[None]:
        """A context for a transaction that reserves a call under this id; it is not taken over meanwhile.

        If the ledger does not confirm the transaction, it may have been committed all the same. Then `undo` is repeated
        until it succeeds, because the client is told of an error.
        """

        async def undone() -> None:
            try:
                await until_written(undo, self.clock, self.timing)
            finally:
                self._reserving.discard(tracking_id)

        self._reserving.add(tracking_id)
        try:
            yield
        except LedgerUnavailableError:
            self._in_background(undone)
            raise
        except BaseException:
            self._reserving.discard(tracking_id)
            raise
        self._reserving.discard(tracking_id)

    def send(self, record: CallRecord, since_reserved: Stopwatch) -> None:
        """Start to place a call that this worker has reserved, and to run it to its end.

        `since_reserved` runs since before the reservation.
        """
        run = self._new_run(record, since_reserved)
        self._start(run, run.place)

    def running(self, account: AccountKey) -> list[CallRecord]:
        """The account's calls that this worker runs now. Known even when the ledger can't be used."""
        return [run.as_known(run.record) for run in self._runs.values() if run.record.account == account]

    def as_known(self, record: CallRecord) -> CallRecord:
        """`record` as this worker knows it (`Run.as_known`)."""
        run = self._runs.get(record.tracking_id)
        return run.as_known(record) if run is not None else record

    async def ended(self, record: CallRecord, until: datetime | None) -> CallRecord:
        """Wait until a call has ended, or is scheduled for later than `until` (None: for any time).

        Any process may run it. When the ledger can't be used, it is read again later.

        Returns:
            The record as it was read last.
        """
        while record.is_awaited(until):
            run = self._runs.get(record.tracking_id)
            if run is None:
                await self.clock.sleep(self.timing.poll if record.is_active else self.timing.watch)
            else:
                await run.has_ended.wait()
            with suppress(LedgerUnavailableError):
                record = await self.ledger.find(record.account, record.tracking_id) or record
        return record

    async def look_again(self, record: CallRecord) -> None:
        """See `findings.look_again`."""
        await look_again(record, self.service, self.ledger, self.timing, self._lost_at.get(record.tracking_id))

    def _new_run(self, record: CallRecord, since_reserved: Stopwatch | None = None) -> Run:
        return Run(record, self.service, self.ledger, self.timing, self._lost_at, since_reserved)

    def _start(self, run: Run, work: Callable[[], Awaitable[None]]) -> None:
        """Start `work` of a run; nothing after the end of this worker: the next one finds the calls in the ledger.

        A request that reserves a call is not canceled, so it may come here after the end.
        """
        if not self._is_over:
            self._runs[run.record.tracking_id] = run
            self._tasks.start_soon(self._run, run, work)

    def _in_background(self, work: Callable[[], Awaitable[None]]) -> None:
        """Start `work`, unless this worker has ended. Its errors are logged and end nothing else."""
        if not self._is_over:
            self._tasks.start_soon(run_logged, work)

    async def _run(self, run: Run, work: Callable[[], Awaitable[None]]) -> None:
        record = run.record
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - no record must stay active, and one call must not end all others
            _log.exception("A call could not be run to its end")
            problem = KallyAIError(f"An error of kallyai-mcp itself: {type(error).__name__}", code="internal_error")
            await run_logged(partial(self.ledger.finish, record, CallState.UNKNOWN, error=problem))
        finally:
            # If the ledger confirmed the end late, the next attempt may already run under the same tracking id.
            if self._runs.get(record.tracking_id) is run:
                del self._runs[record.tracking_id]
            run.has_ended.set()
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

    async def _take_over(self, account: AccountKey | None = None) -> None:
        """Take over the account's calls of workers that have died; None for the account signed in now."""
        if not await self.ledger.has_abandoned(self._name, self._known()):
            return
        account = account or await self.service.account()  # only now: this may ask the system's keyring
        worker = await self.leased_name()
        async with self._taking_over:  # else two tasks would start the same record, which the ledger gives to both
            for record in await self.ledger.take_over(account, worker, self._known()):
                if record.tracking_id not in self._known():
                    run = self._new_run(record)
                    self._start(run, run.settle)

    async def _place_due(self) -> None:
        """Place scheduled calls that are due, and end those that are too late, up to `BATCH` of each."""
        if not await self.ledger.has_due():
            return
        try:
            account = await self.service.account()
        except NotSignedInError:
            noted = await self.ledger.note_hindrance(None, _SIGNED_OUT)
            if not await self.ledger.expire() and not noted:
                self._due_again = self.clock.monotonic() + self.timing.due_pause
            return
        with self.clock.move_on_after(_LEARN_TIME), suppress(KallyAIError):
            await self.service.learn_time(account)
        await self._look_before_due(account)
        worker = await self.leased_name()
        async with self._taking_over:  # else a call that is reserved here, but not started, would be taken over
            since_reserved = Stopwatch(self.clock)
            most = self._most_due()
            if not most:
                await self.ledger.note_hindrance(None, _TOO_MANY)
            due = await self.ledger.take_due(
                account,
                worker,
                most=most,
                service_time=self.service.time,
                is_only_account=self.places_due,
            )
            for record in due:
                if record.is_active:
                    self.send(record, since_reserved)
        if not await self.ledger.expire() and not due and most:
            self._due_again = self.clock.monotonic() + self.timing.due_pause

    def _most_due(self) -> int:
        """How many scheduled calls may be placed now."""
        in_progress = sum(run.record.schedule.not_before is not None for run in self._runs.values())
        return max(0, min(BATCH, self.timing.due_at_once - in_progress))

    async def _look_before_due(self, account: AccountKey) -> None:
        """Ask KallyAI whether somebody talked after all in the calls that others are due to follow.

        Raises:
            LedgerUnavailableError: What KallyAI says can't be written down, so nothing may be placed.
        """
        errors: list[LedgerUnavailableError] = []

        async def look(record: CallRecord) -> None:
            try:
                await self.look_again(record)
            except LedgerUnavailableError as error:
                errors.append(error)

        async with anyio.create_task_group() as looks:
            for record in await self.ledger.unreached_before_due(account, self._most_due()):
                looks.start_soon(look, record)
        if errors:
            raise errors[0]

    def _known(self) -> set[str]:
        """The tracking ids of the calls that this worker runs or is about to run."""
        return self._reserving | self._runs.keys()
