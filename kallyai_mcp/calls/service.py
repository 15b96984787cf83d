"""The dialler: it places calls in tasks of its own, so that a client that gives up does not hang up.

What it knows of a call it reads from the ledger, so that any process can be asked about any call.
"""

import logging
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self

import anyio

from kallyai_mcp.api.errors import KallyAIError, PolicyError
from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.ledger.base import Ledger, LedgerUnavailableError
from kallyai_mcp.calls.policy import CallPolicy, Consent
from kallyai_mcp.calls.records import AccountKey, AuditEntry, CallRecord, CallState, fingerprint
from kallyai_mcp.calls.timing import Timing
from kallyai_mcp.calls.worker import CallWorker
from kallyai_mcp.telemetry import call_refused

if TYPE_CHECKING:
    from kallyai_mcp.api.client import KallyAI

_log = logging.getLogger(__name__)

PROGRESS_EVERY = 5.0
"""Seconds between two words of progress while a tool waits."""

Progress = Callable[[float], Awaitable[None]]
"""Called with the seconds elapsed since the call was asked for."""


@dataclass(frozen=True)
class Placed:
    """The record that counts, and whether it was made just now or the same call had been asked for before."""

    record: CallRecord
    is_new: bool


class CallService:
    """Places calls and follows them to their end.

    Use it as an async context manager; leaving it stops waiting for the calls under way. They go on at KallyAI, and the
    next process to start, or another one that runs, settles their records.

    Args:
        connect: Gives the API client; called when it is first needed.
        scope: Says whose calls are placed now; raises `NotSignedInError` when nobody's can be.
        ledger: Gives the ledger; called when it is first needed.
        rules: Times and counts.
        guards: What may be rung, and how often.
        now: The clock.
    """

    def __init__(
        self,
        connect: "Callable[[], KallyAI]",
        scope: Callable[[], Awaitable[AccountKey]],
        ledger: Callable[[], Ledger],
        *,
        rules: Timing = Timing(),  # noqa: B008 - frozen
        guards: CallPolicy = CallPolicy(),  # noqa: B008 - frozen
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._rules = rules
        self._guards = guards
        self._now = now
        self._crew = CallWorker(connect, scope, ledger, rules, now)
        self._askers: dict[str, object] = {}

    async def __aenter__(self) -> Self:
        await self._crew.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self._crew.__aexit__(exc_type, exc, traceback)

    async def place(
        self, submission: Submission, *, timezone: str, redial: bool = False, consent: Consent | None = None
    ) -> Placed:
        """Start a call, unless the same one may not be placed again yet (`Ledger.enter`) and `redial` isn't asked for.

        Args:
            submission: What to say to whom; checked already.
            timezone: IANA name of the user's time zone.
            redial: Really ring again.
            consent: How the call came to be placed, for the audit trail.

        Raises:
            PolicyError: The guard rails forbid it, so nothing was dialled; never when nothing was to be dialled.
            NotSignedInError: Nobody's calls can be placed.
            LedgerUnavailableError: It can't be written down, so nothing was dialled.
        """
        entry = await self._entry(submission, timezone)
        recent = timedelta(seconds=self._rules.recent)
        # Shielded: a record that nobody carries out would have to be found and settled first.
        with anyio.CancelScope(shield=True), _refusals_told():
            record, is_new = await self._ledger.enter(
                entry, redial=redial, recent=recent, policy=self._guards, consent=consent
            )
            if is_new:
                self._crew.start(record, self._crew.carrier.dial)
        if record.state is CallState.UNKNOWN:
            record = await self._looked_again(record)
        return Placed(record, is_new)

    async def admit(self, submission: Submission, *, timezone: str, consent: Consent | None = None) -> None:
        """Refuse what `place` would refuse at this moment, before its user is asked about it for nothing.

        The refusal goes into the audit trail. That nothing is raised is no promise: `place` looks again.

        Args:
            submission: What to say to whom; checked already, and not `asked_before`.
            timezone: IANA name of the user's time zone.
            consent: As far as it is known, for the audit trail.

        Raises:
            PolicyError: The guard rails forbid it.
            NotSignedInError: Nobody's calls can be placed.
            LedgerUnavailableError: The ledger can't be read, or not written.
        """
        if self._guards.caps() or self._guards.ban(submission.respondent_phone):
            entry = await self._entry(submission, timezone)
            with _refusals_told():
                await self._ledger.admit(entry, policy=self._guards, consent=consent)

    async def asked_before(self, submission: Submission, *, redial: bool = False) -> bool:
        """Whether `place` would dial nothing at this moment, because the same call is under way or was just made.

        Raises:
            NotSignedInError: Nobody's calls can be placed.
            LedgerUnavailableError: The ledger can't be read.
        """
        if redial:
            return False
        entry = await self._entry(submission, "UTC")
        return await self._ledger.same(entry, recent=timedelta(seconds=self._rules.recent)) is not None

    async def last_rung(self, number: str) -> datetime | None:
        """When this account's last call to `number` (E.164) was placed, or may have been; None when none is known.

        Raises:
            NotSignedInError: Nobody's records can be shown.
            LedgerUnavailableError: The ledger can't be read.
        """
        return await self._ledger.last_rung(await self._crew.whose(), number)

    async def audit(self, limit: int = 100) -> list[AuditEntry]:
        """The newest `limit` entries of this account's audit trail, the newest first.

        Raises:
            NotSignedInError: Nobody's records can be shown.
            LedgerUnavailableError: The ledger can't be read.
        """
        return await self._ledger.audit(await self._crew.whose(), limit)

    async def find(self, id_: str) -> CallRecord | None:
        """The record with this `tracking_id` or `call_id`; one whose outcome is unknown is looked for once more.

        Raises:
            NotSignedInError: Nobody's records can be shown.
            LedgerUnavailableError: The ledger can't be read.
        """
        record = await self._ledger.find(await self._crew.whose(), id_)
        if record is not None and record.state is CallState.UNKNOWN:
            record = await self._looked_again(record)
        return record

    async def unsettled(self) -> list[CallRecord]:
        """The calls under way and those whose outcome is unknown, newest first.

        Raises:
            NotSignedInError: Nobody's records can be shown.
            LedgerUnavailableError: The ledger can't be read.
        """
        return await self._ledger.unsettled(await self._crew.whose())

    async def wait(self, record: CallRecord, seconds: float, progress: Progress) -> CallRecord:
        """Wait until `record` has come to its end, at most `seconds`; returns it as it then is.

        `progress` is told every five seconds meanwhile.
        """
        asker = self._askers[record.tracking_id] = object()
        try:
            with anyio.move_on_after(seconds):
                while record.is_under_way:
                    with anyio.move_on_after(PROGRESS_EVERY):
                        record = await self._crew.ended(record)
                    if record.is_under_way:
                        # Once more beyond the time-out, which may have struck between the news and the look.
                        record = await self._ledger.find(record.scope, record.tracking_id) or record
                    if record.is_under_way:
                        await progress(record.elapsed(self._now()))
        finally:
            if self._askers.get(record.tracking_id) is asker:
                del self._askers[record.tracking_id]
        return record

    async def hand_out(self, record: CallRecord) -> None:
        """Note that an agent is being told how `record` ended, unless somebody has asked again meanwhile.

        Whoever asks for a call a second time has not heard the answer of the first; so while the second waits, the
        first has told nobody.
        """
        if record.is_under_way or record.handed_out or record.tracking_id in self._askers:
            return
        with suppress(LedgerUnavailableError):  # then it will be told once more, which does no harm
            await self._ledger.hand_out(record.tracking_id)

    async def take_back(self, tracking_id: str) -> None:
        """Note that the agent did not hear how a call ended after all: its answer crossed with its giving up."""
        with suppress(LedgerUnavailableError):
            await self._ledger.take_back(tracking_id)

    async def _entry(self, submission: Submission, timezone: str) -> CallRecord:
        """A record of a call that is asked for now, not written down yet."""
        return CallRecord(
            tracking_id=f"t-{uuid.uuid4()}",
            scope=await self._crew.whose(),
            fingerprint=fingerprint(submission),
            key=str(uuid.uuid4()),
            submission=submission,
            timezone=timezone,
            owner=self._crew.owner,
            state=CallState.PREPARED,
            placed_at=self._now(),
        )

    async def _looked_again(self, record: CallRecord) -> CallRecord:
        with suppress(KallyAIError):  # it stays unknown
            await self._crew.carrier.look_once(record)
        return await self._ledger.find(record.scope, record.tracking_id) or record

    @property
    def _ledger(self) -> Ledger:
        return self._crew.ledger


@contextmanager
def _refusals_told() -> Iterator[None]:
    """Log and count what the guard rails refuse within it; the number is in the audit trail alone."""
    try:
        yield
    except PolicyError as hit:
        _log.info("not dialled, because of %s", hit.setting)
        call_refused(hit.code)
        raise
