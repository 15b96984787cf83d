"""Call lists: starts a list, and reports how far it has come."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

import anyio

from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.call_lists import CallList, ListConsent, StopReason, Until, ask_only
from kallyai_mcp.calls.clock import Clock, Stopwatch
from kallyai_mcp.calls.ledger.base import LedgerUnavailableError
from kallyai_mcp.calls.records import AccountKey, CallRecord, is_tracking_id, new_tracking_id

if TYPE_CHECKING:
    from kallyai_mcp.calls.ledger.call_lists import ListLedger
    from kallyai_mcp.calls.worker import CallWorker


class ListService:
    """Starts the lists of candidates, and reads how far they have come. What follows a call, the ledger decides.

    Every method raises the errors that the documentation of `CallService` names.
    """

    def __init__(self, worker: "CallWorker", clock: Clock) -> None:
        self._worker = worker
        self._clock = clock

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
        return await self._advanced(asked, partial(self._ledger.reserve, asked, agreed))

    async def go_on(
        self, found: CallList, *, after: int | None, agreed: ListConsent | None = None
    ) -> tuple[CallList, bool]:
        """Let a list go on that has stopped; arguments, results, and errors as in `ListLedger.go_on`."""
        return await self._advanced(found, partial(self._ledger.go_on, found, after=after, agreed=agreed))

    async def _advanced(
        self, found: CallList, write: Callable[[str, str], Awaitable[tuple[CallList, CallRecord | None, bool]]]
    ) -> tuple[CallList, bool]:
        """Send the call that a transaction of a list has reserved.

        A canceled request waits for the end of the transaction, so that its call is sent. If the ledger does not
        confirm the transaction, the list is stopped, because the client is told that nobody is called.
        """
        worker, id_, since_reserved = await self._worker.leased_name(), new_tracking_id(), Stopwatch(self._clock)
        with self._worker.reserving(id_, undo=partial(self._ledger.release, found, id_)):
            with anyio.CancelScope(shield=True):
                found, record, goes_on = await write(worker, id_)
            if record is not None:
                self._worker.send(record, since_reserved)
        return found, goes_on

    @property
    def _ledger(self) -> "ListLedger":
        return self._worker.ledger.lists
