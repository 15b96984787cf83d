"""The call worker: it runs calls in the server's own task group, and settles the calls of workers that died.

"The rules of placing a call" of the design, in the order in which they apply to one call:

1. A request leaves only after the record says `sent`, and only while this worker holds its lease, the account signed in
   is the record's account, and the record is young (`_marked_sent`).
2. A call counts as refused only when the answer proves it (`outcome.proves_no_call`).
3. A lost response may have placed the call: it is looked for in the service's list (`call_search`).
4. The same key is sent again only within a second of the first send. After that, the worker only looks.
"""

import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

import anyio

from kallyai_mcp.api.errors import KallyAIError, NotConnectedError, RateLimitedError, ResponseLostError
from kallyai_mcp.api.models import Call
from kallyai_mcp.calls.call_search import SendTime, find_call
from kallyai_mcp.calls.clock import Clock
from kallyai_mcp.calls.ledger.base import LedgerUnavailableError
from kallyai_mcp.calls.ledger.sql import Ledger
from kallyai_mcp.calls.outcome import proves_no_call
from kallyai_mcp.calls.policy import Consent
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState
from kallyai_mcp.calls.retries import Retries, in_background
from kallyai_mcp.calls.service_clock import ServiceClock
from kallyai_mcp.calls.timing import Timing
from kallyai_mcp.telemetry import call_ended, call_in_progress, call_refused

if TYPE_CHECKING:
    from kallyai_mcp.api.client import KallyAI

_log = logging.getLogger(__name__)

_DAY = 86400.0


class CallWorker:
    """Runs calls to their end. Use it as an async context manager; leaving it stops its tasks.

    The calls themselves go on at KallyAI, and the next worker settles their records.

    Args:
        connect: Gives the API client; called when it is first needed.
        account: Says which account calls are placed on now; raises `NotSignedInError` when there is none.
        ledger: Gives the ledger; called when it is first needed.
        timing: Times and counts.
        clock: The only clock.
    """

    def __init__(
        self,
        connect: "Callable[[], KallyAI]",
        account: Callable[[], Awaitable[AccountKey]],
        ledger: Callable[[], Ledger],
        *,
        timing: Timing,
        clock: Clock,
    ) -> None:
        self._connect = connect
        self._account = account
        self._open_ledger = ledger
        self._timing = timing
        self._clock = clock
        self._retries = Retries(clock, timing)
        self._ledger: Ledger | None = None
        self._name: str | None = None
        self._leasing = anyio.Lock()
        self._taking_over = anyio.Lock()
        self._running: dict[str, tuple[CallRecord, anyio.Event]] = {}
        self._reserving: set[str] = set()
        self._checked: dict[AccountKey, float] = {}
        self._service_clock = ServiceClock(clock)
        self._stack = AsyncExitStack()
        self._tasks = anyio.create_task_group()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._tasks)
        self._tasks.start_soon(self._watch)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        self._tasks.cancel_scope.cancel()
        result = await self._stack.__aexit__(exc_type, exc, traceback)
        if self._ledger is not None:
            with anyio.CancelScope(shield=True), suppress(LedgerUnavailableError):
                await self._ledger.aclose()
        return result

    @property
    def ledger(self) -> Ledger:
        """The ledger, opened on first use."""
        if self._ledger is None:
            self._ledger = self._open_ledger()
        return self._ledger

    async def account(self) -> AccountKey:
        """Which account calls are placed on now; what a dead worker left of it is settled meanwhile.

        Where callers bring their own tokens, this is the only time at which theirs is at hand.
        """
        account = await self._account()
        now = self._clock.monotonic()
        if now - self._checked.get(account, -math.inf) > self._timing.watch:
            recent = {known: at for known, at in self._checked.items() if now - at <= self._timing.watch}
            self._checked = recent | {account: now}
            self._tasks.start_soon(in_background, partial(self._take_over, account))
        return account

    def running(self, account: AccountKey, fingerprint: str) -> CallRecord | None:
        """The call of this fingerprint that this worker runs now, also when the ledger's file is gone."""
        found = (record for record, _ in self._running.values())
        return next((r for r in found if (r.account, r.fingerprint) == (account, fingerprint)), None)

    async def reserve(self, asked: CallRecord, *, redial: bool, consent: Consent | None) -> tuple[CallRecord, bool]:
        """Reserve a call, and run it if it is new; see `Ledger.reserve`.

        Args:
            asked: The call; its `worker` is set here.
            redial: See `Ledger.reserve`.
            consent: See `Ledger.reserve`.
        """
        asked = replace(asked, worker=await self._leased())
        self._reserving.add(asked.tracking_id)
        try:
            record, is_new = await self.ledger.reserve(asked, redial=redial, consent=consent)
            if is_new:
                self._start(record, self._place)
        except LedgerUnavailableError:
            # The transaction may have been committed all the same; its record must not stay behind.
            release = partial(self.ledger.release, asked)
            self._tasks.start_soon(in_background, partial(self._retries.until_written, release))
            raise
        finally:
            self._reserving.discard(asked.tracking_id)
        return record, is_new

    async def ended(self, record: CallRecord) -> CallRecord:
        """Wait until `record` has ended, whichever process runs it.

        A ledger that can't be read meanwhile is asked again.
        """
        while record.is_active:
            running = self._running.get(record.tracking_id)
            if running is None:
                await self._clock.sleep(self._timing.poll)
            else:
                await running[1].wait()
            with suppress(LedgerUnavailableError):
                record = await self.ledger.find(record.account, record.tracking_id) or record
        return record

    async def look_again(self, record: CallRecord) -> None:
        """Look once more for the call of a record whose outcome is unknown."""
        with suppress(KallyAIError):  # it stays unknown
            call = await self._find_call(record)
            if call is not None and call.is_final:
                await self._finish(record, CallState.ENDED, call=call)

    async def _leased(self) -> str:
        """The name of this worker. Without a lease, or after it has lost it, it takes a new one under a new name.

        A restart of the database ends all leases.
        """
        async with self._leasing:
            if self._name is None or not await self.ledger.holds_lease(self._name):
                self._name = await self.ledger.take_lease()
            return self._name

    def _start(self, record: CallRecord, work: Callable[[CallRecord], Awaitable[None]]) -> None:
        self._running[record.tracking_id] = (record, anyio.Event())
        self._tasks.start_soon(self._run, record, work)

    async def _run(self, record: CallRecord, work: Callable[[CallRecord], Awaitable[None]]) -> None:
        try:
            with call_in_progress():
                await work(record)
        except Exception as error:  # noqa: BLE001 - a record must not stay behind, and one call must not end all others
            _log.exception("A call could not be run to its end")
            problem = KallyAIError(f"An error of kallyai-mcp itself: {type(error).__name__}", code="internal_error")
            with suppress(LedgerUnavailableError):
                await self.ledger.finish(record, CallState.UNKNOWN, error=problem)
        finally:
            self._running.pop(record.tracking_id)[1].set()

    async def _place(self, record: CallRecord) -> None:
        """Place the call of a new record, and bring it to its end."""
        pauses = self._retries.pauses(self._timing.pause)
        first_sent: float | None = None
        tries = 0
        while True:
            marked = await self._marked_sent(record)
            if isinstance(marked, KallyAIError):
                if first_sent is None:
                    await self._finish(record, CallState.REFUSED, error=marked)
                    return
                break
            record = marked
            left = self._clock.monotonic()
            answer = await self._send(record)
            if isinstance(answer, Call):
                await self._take_outcome(record, answer, proven=True)
                return
            if first_sent is None and proves_no_call(answer):
                tries += 1
                pause = answer.retry_after if answer.retry_after is not None else next(pauses)
                again = isinstance(answer, NotConnectedError | RateLimitedError) and tries < self._timing.connect_tries
                if not again or pause > self._timing.longest_pause:
                    await self._finish(record, CallState.REFUSED, error=answer)
                    return
                await self._clock.sleep(pause)
                continue
            # Once a response was lost, a refusal of a later request says nothing about the first one.
            first_sent = left if first_sent is None else first_sent
            lost = answer
            record = await self._marked_lost(record)
            await self._clock.sleep(self._timing.first_look)
            with suppress(KallyAIError):
                if (call := await self._find_call(record)) is not None:
                    await self._take_outcome(record, call, proven=False)
                    return
            if self._clock.monotonic() - first_sent >= self._timing.resend_within:
                break
        await self._search(record, lost, self._timing.search)

    async def _marked_sent(self, record: CallRecord) -> CallRecord | KallyAIError:
        """The record after the ledger says `sent`; else why no request may leave now."""
        try:
            if await self._account() != record.account:
                words = "Someone else signed in before the request left, so no call was placed."
                return KallyAIError(words, code="account_changed")
            return await self.ledger.mark_sent(record, service_time=self._service_clock.now())
        except KallyAIError as error:
            return error

    async def _marked_lost(self, record: CallRecord) -> CallRecord:
        return await self._retries.until_written(
            partial(self.ledger.mark_response_lost, record, service_time=self._service_clock.now())
        )

    async def _send(self, record: CallRecord) -> Call | KallyAIError:
        """Send the request once."""
        try:
            async with self._connected() as api:
                return await api.create_call(
                    record.submission, timezone=record.timezone, idempotency_key=record.idempotency_key
                )
        except KallyAIError as error:
            return error

    async def _settle(self, record: CallRecord) -> None:
        """Find out how a record ended whose worker died. No request is sent for it any more."""
        if record.state is CallState.RESERVED:
            words = "The server was stopped before the request left."
            await self._finish(record, CallState.REFUSED, error=KallyAIError(words, code="not_sent"))
            return
        record = await self._marked_lost(record)
        if record.call_id is not None:
            await self._follow(record, record.call_id)
            return
        age = (self._clock.now() - (record.sent_at or record.placed_at)).total_seconds()
        left = self._timing.search - min(max(age, 0), self._timing.search)
        await self._search(record, ResponseLostError("The server was stopped before the answer came."), left)

    async def _search(self, record: CallRecord, lost: KallyAIError, seconds: float) -> None:
        """Look for the call for so many seconds, and twice as long while the service can't be asked."""
        began = self._clock.monotonic()
        pauses = self._retries.pauses(self._timing.first_look)
        while True:
            elapsed = self._clock.monotonic() - began
            await self._clock.sleep(min(next(pauses), max(self._timing.first_look, seconds - elapsed)))
            elapsed = self._clock.monotonic() - began
            try:
                call = await self._find_call(record)
            except KallyAIError as error:
                _log.info("looking for a call whose response was lost: %s", error.code)
                lost = error
                if elapsed < 2 * max(seconds, self._timing.longest_pause):
                    continue
            else:
                if call is not None:
                    await self._take_outcome(record, call, proven=False)
                    return
                if elapsed < seconds:
                    continue
            await self._finish(record, CallState.UNKNOWN, error=lost)
            return

    async def _find_call(self, record: CallRecord) -> Call | None:
        """The service's call for `record`, bound to it; None when there is none, or there is doubt.

        Raises:
            KallyAIError: The service can't be asked, another account is signed in, or the ledger can't be used.
        """
        await self._check_account(record)
        if record.call_id is not None:
            async with self._connected() as api:
                return await api.get_call(record.call_id)
        competitors = await self.ledger.competitors(record)
        service_time = self._service_clock.now()

        def sent(record: CallRecord) -> SendTime:
            return SendTime.of(record, now=competitors.now, service_time=service_time)

        others = [(other, sent(other)) for other in competitors.unbound]
        async with self._connected() as api:
            call = await find_call(api, record, sent(record), others, competitors.call_ids)
        if call is not None and await self.ledger.bind_call_id(record, call.call_id, proven=False):
            return call
        return None

    async def _check_account(self, record: CallRecord) -> None:
        if await self._account() != record.account:
            raise KallyAIError("Another account is signed in, which can't see this call.", code="account_changed")

    async def _take_outcome(self, record: CallRecord, call: Call, *, proven: bool) -> None:
        """Write down `call`, once it has an outcome."""
        if proven:
            await self._retries.until_written(partial(self.ledger.bind_call_id, record, call.call_id, proven=True))
        if call.is_final:
            await self._finish(record, CallState.ENDED, call=call)
        else:
            await self._follow(record, call.call_id)

    async def _follow(self, record: CallRecord, call_id: str) -> None:
        """Ask for a call that was placed until it has ended."""
        pauses = self._retries.pauses(self._timing.pause, longest=5)
        last: KallyAIError = ResponseLostError("The call was placed, and KallyAI has not said yet how it ended.")
        began = self._clock.monotonic()
        while self._clock.monotonic() - began < self._timing.follow:
            try:
                await self._check_account(record)
                async with self._connected() as api:
                    call = await api.get_call(call_id)
            except KallyAIError as error:
                _log.info("following a call: %s", error.code)
                last = error
            else:
                if call.is_final:
                    await self._finish(record, CallState.ENDED, call=call)
                    return
            await self._clock.sleep(next(pauses))
        await self._finish(record, CallState.UNKNOWN, error=last)

    async def _finish(
        self, record: CallRecord, state: CallState, *, call: Call | None = None, error: KallyAIError | None = None
    ) -> None:
        await self._retries.until_written(partial(self.ledger.finish, record, state, call=call, error=error))
        if record.is_active:  # a record whose outcome was unknown has been counted
            if state is CallState.REFUSED:
                call_refused(error.code if error else "unknown")
            else:
                call_ended(call.status if call else "unknown", record.elapsed(self._clock.now()))

    @asynccontextmanager
    async def _connected(self) -> "AsyncIterator[KallyAI]":
        """The API client; afterwards the service's clock is known, by the `Date` of a response that came meanwhile."""
        api = self._connect()
        before = api.server_time
        try:
            yield api
        finally:
            if api.server_time is not None and api.server_time is not before:
                self._service_clock.set(api.server_time)

    async def _watch(self) -> None:
        """Settle the calls of workers that died, and delete what is too old to be kept."""
        pause = 1.0  # not at once: the client that started us waits for the list of tools
        while True:
            await self._clock.sleep(pause)
            pause = self._timing.watch
            await in_background(self._watch_once)

    async def _watch_once(self) -> None:
        await self.ledger.purge(max(self._timing.keep_days * _DAY, _DAY))  # limits and duplicates look back a day
        # Asked first, because finding out the account may take a look into the system's keyring.
        if await self.ledger.has_abandoned(self._name, self._known()):
            await self._take_over(await self._account())

    async def _take_over(self, account: AccountKey) -> None:
        if not await self.ledger.has_abandoned(self._name, self._known()):
            return
        worker = await self._leased()
        async with self._taking_over:  # two at once would both start what the ledger gives to both
            for record in await self.ledger.take_over(account, worker, self._known()):
                if record.tracking_id not in self._known():
                    self._start(record, self._settle)

    def _known(self) -> set[str]:
        """The tracking ids of the calls that this worker runs, or will run in a moment."""
        return self._reserving | self._running.keys()
