"""Runs call lists: starts a list, places its calls one after another, and reports how far it has come."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

import anyio

from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.call_lists import CallList, ListConsent, StopReason, Until, ask_only
from kallyai_mcp.calls.clock import Clock, Stopwatch
from kallyai_mcp.calls.ledger.base import LedgerUnavailableError
from kallyai_mcp.calls.records import AccountKey, is_tracking_id, new_tracking_id
from kallyai_mcp.calls.retries import Retries

if TYPE_CHECKING:
    from kallyai_mcp.calls.ledger.call_lists import ListLedger
    from kallyai_mcp.calls.worker import CallWorker


class ListService:
    """The call lists of one worker, which also places their calls.

    Every method raises the errors that the documentation of `CallService` names.
    """

    def __init__(self, worker: "CallWorker", clock: Clock, retries: Retries) -> None:
        self._worker = worker
        self._clock = clock
        self._retries = retries
        self._known: set[str] = set()
        """The ids of the lists that this worker runs, or is about to run or to undo."""

    def new(
        self,
        account: AccountKey,
        submissions: Sequence[Submission],
        until: Until,
        *,
        accept_other_time: bool,
        timezone: str,
        own_zones: bool = False,
    ) -> CallList:
        """A list that is requested now and not in the ledger yet; the arguments are attributes of `CallList`."""
        list_id = new_tracking_id()
        return CallList(
            list_id,
            account,
            tuple(ask_only(submission) if until == "all" else submission for submission in submissions),
            until,
            accept_other_time,
            timezone,
            self._clock.now(),
            own_zones,
            session_id=list_id,
        )

    async def find_same(self, asked: CallList, *, ever: bool = False) -> CallList | None:
        """The list that stands for `asked`; see `ListLedger.find_same`."""
        return await self._ledger.find_same(asked, ever=ever)

    async def last_calls(self, asked: CallList) -> tuple[datetime | None, ...]:
        """See `ListLedger.last_calls`."""
        return await self._ledger.last_calls(asked)

    async def list_unfinished(self) -> list[CallList]:
        """The account's lists that go on or wait for the user, newest first; see `ListLedger.list_unfinished`."""
        return await self._ledger.list_unfinished(await self._worker.account())

    async def find(self, list_id: str) -> CallList | None:
        """The account's list with this id; None when there is none.

        If it has stopped at an unknown outcome, KallyAI is asked once more.
        """
        if not is_tracking_id(list_id):
            return None
        found = await self._ledger.find(await self._worker.account(), list_id)
        if found is None or found.stop_reason is not StopReason.UNKNOWN:
            return found
        if not found.records or not found.records[-1].may_change:
            return found
        await self._worker.look_again(found.records[-1])
        return await self._ledger.find(found.account, list_id)

    async def cancel(self, list_id: str) -> bool:
        """Stop a list, so that it can't go on. A call that is in progress goes on.

        Returns:
            False when it had ended, or there is no such list.
        """
        return await self._ledger.cancel(await self._worker.account(), list_id)

    async def wait(self, found: CallList, seconds: float, changed: Callable[[CallList], None]) -> CallList:
        """Wait until a list has stopped and its last call has ended, at most `seconds`.

        Args:
            found: The list.
            seconds: How long to wait at most.
            changed: Called with the list each time it was read.

        Returns:
            The list as it was read last.
        """
        with self._clock.move_on_after(seconds):
            while found.is_open:
                await self._clock.sleep(self._worker.timing.poll)
                with suppress(LedgerUnavailableError):
                    found = await self._ledger.find(found.account, found.list_id) or found
                changed(found)
        return found

    async def place(self, asked: CallList, agreed: ListConsent) -> tuple[CallList, bool]:
        """Start a list, unless the ledger has one that stands for it (`ListLedger.find_same`).

        Args:
            asked: The list, from `new`.
            agreed: The user's consent.

        Returns:
            The list in the ledger, and whether it is new.

        Raises:
            ConsentOutdatedError: The consent no longer fits; ask the user again.
        """
        asked = replace(asked, worker=await self._worker.leased_name())
        with self._starting(asked.list_id, undo=partial(self._ledger.release, asked)):
            found, is_new = await self._ledger.reserve(asked, agreed)
        if is_new:
            self._start(found)
        else:
            self._known.discard(asked.list_id)
        return found, is_new

    async def go_on(
        self, found: CallList, *, after: int | None, agreed: ListConsent | None = None
    ) -> tuple[CallList, bool]:
        """Let a list go on that has stopped, and run it; arguments, results, and errors as in `ListLedger.go_on`."""
        worker = await self._worker.leased_name()
        if found.list_id in self._known:  # this worker still runs it
            return await self._ledger.find(found.account, found.list_id) or found, False
        stopped = replace(found, worker=worker)
        with self._starting(found.list_id, undo=partial(self._ledger.stop_again, stopped)):
            found, goes_on = await self._ledger.go_on(found, worker, after=after, agreed=agreed)
        if goes_on:
            self._start(found)
        else:
            self._known.discard(found.list_id)
        return found, goes_on

    async def has_abandoned(self, worker: str | None) -> bool:
        """Whether a list goes on that no living process runs; `worker` is the name of this worker, if it has one."""
        return await self._ledger.has_abandoned(worker, tuple(self._known))

    async def take_over(self, account: AccountKey, worker: str) -> None:
        """Run the account's lists that no living process runs."""
        for found in await self._ledger.take_over(account, worker, tuple(self._known)):
            self._start(found)

    @property
    def _ledger(self) -> "ListLedger":
        return self._worker.ledger.lists

    @contextmanager
    def _starting(self, list_id: str, *, undo: Callable[[], Awaitable[None]]) -> Iterator[None]:
        """A context for the transaction that starts a list.

        `take_over` leaves the list alone meanwhile. A canceled request waits for the end of the transaction, so that
        its list is run. If the ledger does not confirm the transaction, `undo` is repeated until it succeeds, because
        the client is told that nobody is called.
        """

        async def undone() -> None:
            try:
                await self._retries.until_written(undo)
            finally:
                self._known.discard(list_id)

        self._known.add(list_id)
        try:
            with anyio.CancelScope(shield=True):
                yield
        except LedgerUnavailableError:
            self._worker.in_background(undone)
            raise
        except BaseException:
            self._known.discard(list_id)
            raise

    def _start(self, found: CallList) -> None:
        self._known.add(found.list_id)
        self._worker.in_background(partial(self._run, found))

    async def _run(self, found: CallList) -> None:
        """Place the calls of a list, one after another, until it stops or belongs to another worker.

        After an error, the next worker that looks for abandoned lists goes on with it.
        """
        try:
            while True:
                since_reserved = Stopwatch(self._clock)
                found, record, is_new = await self._retries.until_written(partial(self._ledger.advance, found))
                if record is None:
                    return
                if is_new:
                    self._worker.send(record, since_reserved)
                await self._worker.ended(record, self._clock.now())
        finally:
            self._known.discard(found.list_id)
