"""The dialler: it places calls in tasks of its own, so that a client that gives up does not hang up.

What it knows of a call it reads from the ledger, so that any process can be asked about any call.
"""

import logging
import math
import uuid
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self

import anyio

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Submission
from kallyai_mcp.dialing.carrying import Carrier
from kallyai_mcp.dialing.ledger import Ledger, LedgerUnavailable
from kallyai_mcp.dialing.records import Record, Scope, State, fingerprint
from kallyai_mcp.dialing.rules import Rules
from kallyai_mcp.telemetry import call_under_way

if TYPE_CHECKING:
    from kallyai_mcp.api.client import KallyAI

_log = logging.getLogger(__name__)

PROGRESS_EVERY = 5.0
"""Seconds between two words of progress while a tool waits."""

_GLANCE = 0.25
"""Seconds between two looks into the ledger for a call that another process carries out."""

_WATCH = 5.0
"""Seconds between two searches for calls whose process has died."""

Progress = Callable[[float], Awaitable[None]]
"""Called with the seconds elapsed since the call was asked for."""


@dataclass(frozen=True)
class Placed:
    """The record that counts, and whether it was made just now or the same call had been asked for before."""

    record: Record
    is_new: bool


class Dialler:
    """Places calls and follows them to their end.

    Use it as an async context manager; leaving it stops waiting for the calls under way. They go on at KallyAI, and the
    next process to start, or another one that runs, settles their records.

    Args:
        connect: Gives the API client; called when it is first needed.
        scope: Says whose calls are placed now; raises `NotSignedIn` when nobody's can be.
        ledger: Gives the ledger; called when it is first needed.
        rules: Times and counts.
        now: The clock.
    """

    def __init__(
        self,
        connect: "Callable[[], KallyAI]",
        scope: Callable[[], Awaitable[Scope]],
        ledger: Callable[[], Ledger],
        *,
        rules: Rules = Rules(),  # noqa: B008 - frozen
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._scope = scope
        self._open_ledger = ledger
        self._connect = connect
        self._rules = rules
        self._now = now
        self._owner = uuid.uuid4().hex
        self._opened: tuple[Ledger, Carrier] | None = None
        self._ends: dict[str, anyio.Event] = {}
        self._askers: dict[str, object] = {}
        self._adopted: dict[Scope, float] = {}
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
                with suppress(LedgerUnavailable):
                    await self._ledger.leave(self._owner)
                with suppress(LedgerUnavailable):
                    await self._ledger.aclose()
        return result

    async def place(self, submission: Submission, *, timezone: str, redial: bool = False) -> Placed:
        """Start a call, unless the same one may not be placed again yet (`Ledger.enter`) and `redial` isn't asked for.

        Args:
            submission: What to say to whom; checked already.
            timezone: IANA name of the user's time zone.
            redial: Really ring again.

        Raises:
            NotSignedIn: Nobody's calls can be placed.
            LedgerUnavailable: It can't be written down, so nothing was dialled.
        """
        entry = Record(
            tracking_id=f"t-{uuid.uuid4()}",
            scope=await self._whose(),
            fingerprint=fingerprint(submission),
            key=str(uuid.uuid4()),
            submission=submission,
            timezone=timezone,
            owner=self._owner,
            state=State.PREPARED,
            placed_at=self._now(),
        )
        # Shielded: a record that nobody carries out would have to be found and settled first.
        with anyio.CancelScope(shield=True):
            recent = timedelta(seconds=self._rules.recent)
            record, is_new = await self._ledger.enter(entry, redial=redial, recent=recent)
            if is_new:
                self._start(record, self._carrier.dial)
        if record.state is State.UNKNOWN:
            record = await self._looked_again(record)
        return Placed(record, is_new)

    async def find(self, id_: str) -> Record | None:
        """The record with this `tracking_id` or `call_id`; one whose outcome is unknown is looked for once more.

        Raises:
            NotSignedIn: Nobody's records can be shown.
            LedgerUnavailable: The ledger can't be read.
        """
        record = await self._ledger.find(await self._whose(), id_)
        if record is not None and record.state is State.UNKNOWN:
            record = await self._looked_again(record)
        return record

    async def unsettled(self) -> list[Record]:
        """The calls under way and those whose outcome is unknown, newest first.

        Raises:
            NotSignedIn: Nobody's records can be shown.
            LedgerUnavailable: The ledger can't be read.
        """
        return await self._ledger.unsettled(await self._whose())

    async def wait(self, record: Record, seconds: float, progress: Progress) -> Record:
        """Wait until `record` has come to its end, at most `seconds`; returns it as it then is.

        `progress` is told every five seconds meanwhile.
        """
        asker = self._askers[record.tracking_id] = object()
        try:
            with anyio.move_on_after(seconds):
                while record.is_under_way:
                    with anyio.move_on_after(PROGRESS_EVERY):
                        record = await self._ended(record)
                    if record.is_under_way:
                        # Once more beyond the time-out, which may have struck between the news and the look.
                        record = await self._ledger.find(record.scope, record.tracking_id) or record
                    if record.is_under_way:
                        await progress(record.elapsed(self._now()))
        finally:
            if self._askers.get(record.tracking_id) is asker:
                del self._askers[record.tracking_id]
        return record

    async def hand_out(self, record: Record) -> None:
        """Note that an agent is being told how `record` ended, unless somebody has asked again meanwhile.

        Whoever asks for a call a second time has not heard the answer of the first; so while the second waits, the
        first has told nobody.
        """
        if record.is_under_way or record.handed_out or record.tracking_id in self._askers:
            return
        with suppress(LedgerUnavailable):  # then it will be told once more, which does no harm
            await self._ledger.hand_out(record.tracking_id)

    async def take_back(self, tracking_id: str) -> None:
        """Note that the agent did not hear how a call ended after all: its answer crossed with its giving up."""
        with suppress(LedgerUnavailable):
            await self._ledger.take_back(tracking_id)

    async def _ended(self, record: Record) -> Record:
        """Wait for the end of `record`."""
        while record.is_under_way:
            end = self._ends.get(record.tracking_id)
            if end is None:
                await anyio.sleep(_GLANCE)
            else:
                await end.wait()
            record = await self._ledger.find(record.scope, record.tracking_id) or record
        return record

    async def _looked_again(self, record: Record) -> Record:
        with suppress(KallyAIError):  # it stays unknown
            await self._carrier.look_once(record)
        return await self._ledger.find(record.scope, record.tracking_id) or record

    def _start(self, record: Record, work: Callable[[Record], Awaitable[None]]) -> None:
        self._ends[record.tracking_id] = anyio.Event()
        self._tasks.start_soon(self._carry, record, work)

    async def _carry(self, record: Record, work: Callable[[Record], Awaitable[None]]) -> None:
        try:
            with call_under_way():
                await work(record)
        except Exception as error:  # noqa: BLE001 - a record must not stay behind, and one call must not end all others
            _log.exception("A call could not be followed to its end")
            with suppress(LedgerUnavailable):
                problem = KallyAIError(f"An error of kallyai-mcp itself: {type(error).__name__}", code="internal_error")
                await self._ledger.end(record.tracking_id, State.UNKNOWN, self._now(), error=problem)
        finally:
            self._ends.pop(record.tracking_id).set()

    async def _beat(self) -> None:
        """Say that this process is alive, while it has calls under way."""
        while True:
            await anyio.sleep(self._rules.beat)
            if self._ends:
                with suppress(LedgerUnavailable):
                    await self._ledger.beat(self._owner, self._now())

    async def _watch(self) -> None:
        """Settle the calls of processes that have died, and remove what is too old to be kept."""
        pause = 1.0  # not at once: whoever has just started us waits for the list of tools
        while True:
            await anyio.sleep(pause)
            pause = _WATCH
            with suppress(KallyAIError):  # the next round may have more luck
                await self._ledger.forget(self._now() - timedelta(days=self._rules.keep_days))
                # Asked first, because whose calls these are may take a look into the system's keyring.
                if await self._ledger.has_orphans(self._owner, self._now(), self._silence):
                    await self._adopt(await self._scope())

    async def _whose(self) -> Scope:
        """Whose calls are placed now; what a dead process left of theirs is settled meanwhile.

        Where callers bring their own tokens this is the only time at which theirs is at hand.
        """
        scope = await self._scope()
        now = anyio.current_time()
        if now - self._adopted.get(scope, -math.inf) > _WATCH:
            self._adopted = {known: at for known, at in self._adopted.items() if now - at <= _WATCH} | {scope: now}
            self._tasks.start_soon(self._adopt_if_any, scope)
        return scope

    async def _adopt_if_any(self, scope: Scope) -> None:
        with suppress(LedgerUnavailable):  # the next one may have more luck
            if await self._ledger.has_orphans(self._owner, self._now(), self._silence):
                await self._adopt(scope)

    async def _adopt(self, scope: Scope) -> None:
        for orphan in await self._ledger.adopt(scope, self._owner, self._now(), self._silence):
            if orphan.tracking_id not in self._ends:
                self._start(orphan, self._carrier.settle)

    @property
    def _silence(self) -> timedelta:
        return timedelta(seconds=self._rules.silence)

    @property
    def _ledger(self) -> Ledger:
        return self._open()[0]

    @property
    def _carrier(self) -> Carrier:
        return self._open()[1]

    def _open(self) -> tuple[Ledger, Carrier]:
        if self._opened is None:
            ledger = self._open_ledger()
            self._opened = (ledger, Carrier(self._connect, ledger, self._owner, self._rules, self._now))
        return self._opened
