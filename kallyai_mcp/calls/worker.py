"""The calls that one process carries out: its own, and those it takes over from processes that have died."""

import logging
import math
import uuid
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self

import anyio

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.call_runner import CallRunner
from kallyai_mcp.calls.ledger.base import Ledger, LedgerUnavailableError
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState
from kallyai_mcp.calls.timing import Timing
from kallyai_mcp.telemetry import call_in_progress

if TYPE_CHECKING:
    from kallyai_mcp.api.client import KallyAI

_log = logging.getLogger(__name__)

_GLANCE = 0.25
"""Seconds between two looks into the ledger for a call that another process carries out."""

_WATCH = 5.0
"""Seconds between two searches for calls whose process has died."""


class CallWorker:
    """Carries calls in tasks of its own, and settles what others have left.

    Use it as an async context manager; leaving it cancels the tasks. What they carried is then for whoever adopts it.

    Args:
        connect: Gives the API client; called when it is first needed.
        scope: Says whose calls are placed now; raises `NotSignedInError` when nobody's can be.
        ledger: Gives the ledger; called when it is first needed.
        rules: Times and counts.
        now: The clock.

    Attributes:
        owner: This process, in the ledger.
    """

    def __init__(
        self,
        connect: "Callable[[], KallyAI]",
        scope: Callable[[], Awaitable[AccountKey]],
        ledger: Callable[[], Ledger],
        rules: Timing,
        now: Callable[[], datetime],
    ) -> None:
        self.owner = uuid.uuid4().hex
        self._scope = scope
        self._open_ledger = ledger
        self._connect = connect
        self._rules = rules
        self._now = now
        self._opened: tuple[Ledger, CallRunner] | None = None
        self._ends: dict[str, anyio.Event] = {}
        self._adopted: dict[AccountKey, float] = {}
        self._stack = AsyncExitStack()
        self._tasks = anyio.create_task_group()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._tasks)
        self._tasks.start_soon(self._watch)
        self._tasks.start_soon(self._beat)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        self._tasks.cancel_scope.cancel()
        result = await self._stack.__aexit__(exc_type, exc, traceback)
        if self._opened is not None:
            with anyio.CancelScope(shield=True):
                with suppress(LedgerUnavailableError):
                    await self.ledger.leave(self.owner)
                with suppress(LedgerUnavailableError):
                    await self.ledger.aclose()
        return result

    @property
    def ledger(self) -> Ledger:
        """The ledger, opened."""
        return self._open()[0]

    @property
    def carrier(self) -> CallRunner:
        """Who brings records to their end."""
        return self._open()[1]

    async def whose(self) -> AccountKey:
        """Whose calls are placed now; what a dead process left of theirs is settled meanwhile.

        Where callers bring their own tokens this is the only time at which theirs is at hand.
        """
        scope = await self._scope()
        now = anyio.current_time()
        if now - self._adopted.get(scope, -math.inf) > _WATCH:
            self._adopted = {known: at for known, at in self._adopted.items() if now - at <= _WATCH} | {scope: now}
            self._tasks.start_soon(self._adopt_if_any, scope)
        return scope

    async def ended(self, record: CallRecord) -> CallRecord:
        """Wait for the end of `record`."""
        while record.is_under_way:
            end = self._ends.get(record.tracking_id)
            if end is None:
                await anyio.sleep(_GLANCE)
            else:
                await end.wait()
            record = await self.ledger.find(record.scope, record.tracking_id) or record
        return record

    def start(self, record: CallRecord, work: Callable[[CallRecord], Awaitable[None]]) -> None:
        """Do `work`, which brings `record` to its end, in a task of its own."""
        self._ends[record.tracking_id] = anyio.Event()
        self._tasks.start_soon(self._carry, record, work)

    async def _carry(self, record: CallRecord, work: Callable[[CallRecord], Awaitable[None]]) -> None:
        try:
            with call_in_progress():
                await work(record)
        except Exception as error:  # noqa: BLE001 - a record must not stay behind, and one call must not end all others
            _log.exception("A call could not be followed to its end")
            with suppress(LedgerUnavailableError):
                problem = KallyAIError(f"An error of kallyai-mcp itself: {type(error).__name__}", code="internal_error")
                await self.ledger.end(record.tracking_id, CallState.UNKNOWN, self._now(), error=problem)
        finally:
            self._ends.pop(record.tracking_id).set()

    async def _beat(self) -> None:
        """Say that this process is alive, while it has calls under way."""
        while True:
            await anyio.sleep(self._rules.beat)
            if self._ends:
                with suppress(LedgerUnavailableError):
                    await self.ledger.beat(self.owner, self._now())

    async def _watch(self) -> None:
        """Settle the calls of processes that have died, and remove what is too old to be kept."""
        pause = 1.0  # not at once: whoever has just started us waits for the list of tools
        while True:
            await anyio.sleep(pause)
            pause = _WATCH
            with suppress(KallyAIError):  # the next round may have more luck
                await self.ledger.forget(self._now() - timedelta(days=self._rules.keep_days))
                # Asked first, because whose calls these are may take a look into the system's keyring.
                if await self.ledger.has_orphans(self.owner, self._now(), self._silence):
                    await self._adopt(await self._scope())

    async def _adopt_if_any(self, scope: AccountKey) -> None:
        with suppress(LedgerUnavailableError):  # the next one may have more luck
            if await self.ledger.has_orphans(self.owner, self._now(), self._silence):
                await self._adopt(scope)

    async def _adopt(self, scope: AccountKey) -> None:
        for orphan in await self.ledger.adopt(scope, self.owner, self._now(), self._silence):
            if orphan.tracking_id not in self._ends:
                self.start(orphan, self.carrier.settle)

    @property
    def _silence(self) -> timedelta:
        return timedelta(seconds=self._rules.silence)

    def _open(self) -> tuple[Ledger, CallRunner]:
        if self._opened is None:
            ledger = self._open_ledger()
            self._opened = (ledger, CallRunner(self._connect, ledger, self.owner, self._rules, self._now))
        return self._opened
