"""The call service: tools use it to place calls and to find out how they ended.

It reads calls from the ledger, so every process knows about every call.
"""

import logging
import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import anyio

from kallyai_mcp.api.errors import PolicyError
from kallyai_mcp.api.models import Call, Submission
from kallyai_mcp.calls.appointment import Calendar
from kallyai_mcp.calls.clock import Stopwatch
from kallyai_mcp.calls.delivery import Delivery
from kallyai_mcp.calls.ledger.base import LedgerUnavailableError
from kallyai_mcp.calls.ledger.reservation import Precheck
from kallyai_mcp.calls.policy import Consent
from kallyai_mcp.calls.records import AccountKey, CallRecord
from kallyai_mcp.calls.schedule import NOW, Schedule
from kallyai_mcp.calls.worker import CallWorker
from kallyai_mcp.telemetry import call_refused

_log = logging.getLogger(__name__)

LOOK_EVERY = 5.0
"""Seconds between two reads of the ledger while a tool waits: another process may have run the call to its end."""


@dataclass(frozen=True)
class Placed:
    """The result of a request for a call.

    Attributes:
        record: The record of the call: a new one, or the duplicate that answers the request.
        is_new: Whether it is a new one.
    """

    record: CallRecord
    is_new: bool


class CallService:
    """Places calls, and reports how they went.

    Every async method raises `NotSignedInError` when no account is signed in, and `LedgerUnavailableError` when the
    ledger can't be used. Then no call was placed. `wait` raises neither.

    Args:
        worker: Runs the calls; it must be open as long as the service is used.

    Attributes:
        schedules: Whether calls may be scheduled: the worker places them when they are due.
        lists: The call lists.
        delivery: Notes which outcomes were delivered.
    """

    def __init__(self, worker: CallWorker) -> None:
        self._worker = worker
        self._clock = worker.clock
        self._timing = worker.timing
        self.schedules = worker.places_due
        self.lists = worker.lists
        self.delivery = Delivery(lambda calls, delivered: worker.ledger.mark_delivered(calls, delivered=delivered))

    async def precheck(
        self,
        submission: Submission,
        *,
        timezone: str,
        redial: bool = False,
        asked_by: str | None = None,
        schedule: Schedule = NOW,
    ) -> Precheck:
        """What `place` would find in the ledger now, for the question to the user; `place` checks again.

        A refusal is written into the audit trail.

        Args:
            submission: As for `place`, like `timezone`, `redial`, and `schedule`.
            timezone: See `submission`.
            redial: See `submission`.
            asked_by: The client's own name and version.
            schedule: See `submission`.
        """
        since = Stopwatch(self._clock)
        asked = await self._new_record(submission, timezone, schedule=schedule)
        if (running := self._running(asked)) is not None:
            return Precheck(asked.account, asked.fingerprint, running, refusal=None, last_call=None)
        found = await self._worker.ledger.precheck(asked, redial=redial)
        if found.refusal is not None:
            await self._worker.ledger.note_refusal(asked, found.refusal, Consent(asked_by, "not_needed"))
            _count(found.refusal)
        return replace(found, since=since)

    async def place(
        self,
        submission: Submission,
        *,
        timezone: str,
        session_id: str | None = None,
        redial: bool = False,
        consent: Consent | None = None,
        schedule: Schedule = NOW,
    ) -> Placed:
        """Start or schedule a call, unless it is a duplicate (rule 6 of placing a call).

        Args:
            submission: What KallyAI is asked to do; valid and normalized.
            timezone: The IANA name of the user's time zone.
            session_id: The session that the call belongs to ("CallCreateRequest").
            redial: Place a duplicate too, unless the earlier call is active or its outcome was not delivered.
            consent: The user's consent; None when no consent is checked.
            schedule: When the call is due, and how often it may be placed; from `scheduled`.

        Raises:
            PolicyError: A setting refuses the call.
            ConsentOutdatedError: The consent no longer fits; ask the user again.
        """
        asked = await self._new_record(submission, timezone, session_id, schedule)
        if (running := self._running(asked)) is not None:
            return Placed(running, is_new=False)
        try:
            # Shielded, so that a canceled request leaves no record without a worker.
            with anyio.CancelScope(shield=True):
                record, is_new = await self._worker.reserve(asked, redial=redial, consent=consent)
        except PolicyError as error:
            _count(error)
            raise
        return Placed(await self._looked_again(record), is_new)

    async def find(self, id_: str) -> CallRecord | None:
        """The account's record with this `tracking_id` or `call_id`; None when there is none.

        KallyAI is asked once more when it may say more about the call (`CallRecord.may_change`).
        """
        account = await self._worker.account()
        try:
            record = await self._worker.ledger.find(account, id_)
        except LedgerUnavailableError:
            running = [record for record in self._worker.running(account) if record.tracking_id == id_]
            if not running:
                raise
            return running[0]
        return self._worker.as_known(await self._looked_again(record)) if record is not None else None

    async def find_ended(self, call_ids: Collection[str]) -> dict[str, CallRecord]:
        """The account's records with these `call_id`s that have an outcome, by `call_id`."""
        return await self._worker.ledger.find_ended(await self._worker.account(), call_ids)

    async def findings_of(self, call: Call) -> tuple[Calendar | None, bool]:
        """See `CallSettler.findings_of`; for an ended call that is not in the ledger."""
        return await self._worker.findings_of(await self._worker.account(), call)

    async def list_unsettled(self) -> list[CallRecord]:
        """See `Ledger.list_unsettled`."""
        return await self._worker.ledger.list_unsettled(await self._worker.account())

    async def account(self) -> AccountKey:
        """The account that is signed in, on which calls are placed."""
        return await self._worker.account()

    def scheduled(self, not_before: datetime | None, retries: int) -> Schedule:
        """The schedule of a call that is due at `not_before` (aware; None for at once), with at most `retries` retries.

        It is in UTC. `place_by` is `Timing.place_within` after `not_before`.
        """
        if not_before is None:
            return Schedule(attempts=1 + retries)
        due = not_before.astimezone(UTC)  # a sum in a zone with summer time would ignore the change of the clocks
        return Schedule(due, due + timedelta(seconds=self._timing.place_within), 1 + retries)

    async def wait(self, record: CallRecord, seconds: float) -> CallRecord:
        """Wait until a call has ended, at most `seconds` (`math.inf` for no limit).

        A call that is scheduled for later than that is not waited for.

        Returns:
            The record as it was read last.
        """
        until = None if math.isinf(seconds) else self._clock.now() + timedelta(seconds=seconds)
        end = self._clock.monotonic() + seconds
        with self.delivery.waiting(record):
            while record.is_awaited(until):
                left = end - self._clock.monotonic()
                with self._clock.move_on_after(min(left, LOOK_EVERY)):
                    record = await self._worker.ended(record, until)
                if left <= LOOK_EVERY:
                    break
                if record.is_awaited(until):
                    # Read once more: the time-out may have come between the end of the call and the read.
                    with self._clock.move_on_after(left - LOOK_EVERY):
                        record = await self._newest(record)
        return self._worker.as_known(record)

    async def cancel(self, tracking_id: str) -> bool:
        """Cancel a call whose request has not left. If it has left, there will be no further attempt.

        Returns:
            False when the request has left, or there is no such call.
        """
        return await self._worker.ledger.cancel(await self._worker.account(), tracking_id)

    async def _new_record(
        self, submission: Submission, timezone: str, session_id: str | None = None, schedule: Schedule = NOW
    ) -> CallRecord:
        account, now = await self._worker.account(), self._clock.now()
        return CallRecord.new(submission, account, now, timezone=timezone, session_id=session_id, schedule=schedule)

    def _running(self, asked: CallRecord) -> CallRecord | None:
        """The record of the same call that this process runs now; else None."""
        running = self._worker.running(asked.account)
        return next((record for record in running if record.fingerprint == asked.fingerprint), None)

    async def _looked_again(self, record: CallRecord) -> CallRecord:
        """`record` after KallyAI was asked once more about it, if it may change."""
        if not record.may_change:
            return record
        await self._worker.look_again(record)
        return await self._newest(record)

    async def _newest(self, record: CallRecord) -> CallRecord:
        try:
            return await self._worker.ledger.find(record.account, record.tracking_id) or record
        except LedgerUnavailableError:
            return record


def _count(error: PolicyError) -> None:
    """Log and count a call that a setting refused. Its number is only in the audit trail."""
    _log.info("not called, because of %s", error.setting)
    call_refused(error.code)
