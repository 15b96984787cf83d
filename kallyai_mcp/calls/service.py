"""The call service: what tools use to place calls and to find out how they ended.

What it knows of a call it reads from the ledger, so any process can be asked about any call.
"""

import logging
import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

import anyio

from kallyai_mcp.api.errors import PolicyError
from kallyai_mcp.api.models import Call, Submission
from kallyai_mcp.calls.appointment import Calendar
from kallyai_mcp.calls.clock import Stopwatch
from kallyai_mcp.calls.delivery import Delivery
from kallyai_mcp.calls.events import EventPage
from kallyai_mcp.calls.ledger.base import LedgerUnavailableError
from kallyai_mcp.calls.ledger.reservation import Precheck
from kallyai_mcp.calls.policy import Consent
from kallyai_mcp.calls.records import AccountKey, CallRecord
from kallyai_mcp.calls.schedule import NOW, Schedule
from kallyai_mcp.calls.worker import CallWorker
from kallyai_mcp.telemetry import call_refused

_log = logging.getLogger(__name__)

LOOK_EVERY = 5.0
"""Seconds between two looks into the ledger while a tool waits: another process may have ended the call."""


@dataclass(frozen=True)
class Placed:
    """The record that counts, and whether it was made just now or the same call had been asked for before."""

    record: CallRecord
    is_new: bool


_NEWEST = 10
"""Among how many calls the user's language is looked for."""


class CallService:
    """Places calls and follows them to their end.

    Every method that asks for an account or a call raises `NotSignedInError` when no account is signed in, and
    `LedgerUnavailableError` when the ledger can't be used; then no call was placed.

    Args:
        worker: Runs them; it is open as long as this is used.

    Attributes:
        schedules: Calls may be scheduled, and are placed when they are due.
        lists: Call lists.
        delivery: Which client was told which outcome.
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
        """What the ledger says about a call before its user is asked; `place` looks again.

        A refusal is written into the audit trail, with the client's name and version (`asked_by`).
        """
        since = Stopwatch(self._clock)
        asked = await self._asked(submission, timezone, schedule=schedule)
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
        """Start or schedule a call, unless the same one may not be placed again yet (rule 6 of the design).

        Args:
            submission: What KallyAI is asked to do; valid and normalized.
            timezone: IANA name of the user's time zone.
            session_id: The same for all calls of a session.
            redial: Place it again although it was placed, unless that call is active or its outcome not delivered.
            consent: What the user agreed to.
            schedule: When it is due, as `scheduled` gives it, and how often it may be placed.

        Raises:
            PolicyError: A setting refuses it.
            ConsentOutdatedError: What the user agreed to has changed; ask again.
        """
        asked = await self._asked(submission, timezone, session_id, schedule)
        if (running := self._running(asked)) is not None:
            return Placed(running, is_new=False)
        try:
            # Shielded: a record that no worker runs would have to be found and settled first.
            with anyio.CancelScope(shield=True):
                record, is_new = await self._worker.reserve(asked, redial=redial, consent=consent)
        except PolicyError as error:
            _count(error)
            raise
        return Placed(await self._looked_again(record), is_new)

    async def find(self, id_: str) -> CallRecord | None:
        """The record with this `tracking_id` or `call_id`; KallyAI is asked once more for what it has not told yet."""
        account = await self._worker.account()
        try:
            record = await self._worker.ledger.find(account, id_)
        except LedgerUnavailableError:
            running = [record for record in self._worker.running(account) if record.tracking_id == id_]
            if not running:
                raise
            return running[0]
        return await self._looked_again(record) if record is not None else None

    async def find_ended(self, call_ids: Collection[str]) -> dict[str, CallRecord]:
        """The records that have an outcome, by `call_id`, of those that are ours."""
        return await self._worker.ledger.find_ended(await self._worker.account(), call_ids)

    async def findings_of(self, call: Call) -> tuple[Calendar | None, bool]:
        """What else KallyAI knows of an ended call that is not in the ledger; see `CallSettler.findings_of`."""
        return await self._worker.findings_of(await self._worker.account(), call)

    async def list_unsettled(self) -> list[CallRecord]:
        """The calls in progress and those whose outcome is unknown, newest first."""
        return await self._worker.ledger.list_unsettled(await self._worker.account())

    async def account(self) -> AccountKey:
        """The account that is signed in."""
        return await self._worker.account()

    async def events(
        self, account: AccountKey, after: int | None, *, since: datetime | None = None, most: int = 100
    ) -> EventPage:
        """What happened to an account's calls after a position; see `Ledger.events`."""
        return await self._worker.ledger.events(account, after, since=since, most=most)

    def scheduled(self, not_before: datetime | None, retries: int) -> Schedule:
        """The schedule of a call that is due at that time, or at once, and is placed again so often at most."""
        if not_before is None:
            return Schedule(attempts=1 + retries)
        due = not_before.astimezone(UTC)  # in a zone whose clocks change, half an hour later is another time
        return Schedule(due, due + timedelta(seconds=self._timing.place_within), 1 + retries)

    async def last_language(self) -> str | None:
        """The language of the summary of the newest call that names one; None when none of the newest does.

        It is answered within a second, since a result waits for it.
        """
        read = partial(self._worker.ledger.list_newest, await self._worker.account(), _NEWEST)
        newest = await self._worker.in_time(read, 1.0)
        return next((record.submission.language for record in newest if record.submission.language), None)

    async def wait(self, record: CallRecord, seconds: float) -> CallRecord:
        """Wait until `record` has ended, at most `seconds`; returns it as it then is.

        A call that is scheduled for later is not waited for. If the ledger can't be read meanwhile, the record stays as
        it was.
        """
        until = None if math.isinf(seconds) else self._clock.now() + timedelta(seconds=seconds)
        with self.delivery.waiting(record), self._clock.move_on_after(seconds):
            while record.is_awaited(until):
                with self._clock.move_on_after(LOOK_EVERY):
                    record = await self._worker.ended(record, until)
                if record.is_awaited(until):
                    # Once more after the time-out, which may have struck between the news and the look.
                    record = await self._newest(record)
        return record

    async def cancel(self, tracking_id: str) -> bool:
        """Cancel a call whose request has not left; False when it is too late, or there is no such call.

        Where it is too late, there will be no further attempt.
        """
        return await self._worker.ledger.cancel(await self._worker.account(), tracking_id)

    async def _asked(
        self, submission: Submission, timezone: str, session_id: str | None = None, schedule: Schedule = NOW
    ) -> CallRecord:
        account, now = await self._worker.account(), self._clock.now()
        return CallRecord.new(submission, account, now, timezone=timezone, session_id=session_id, schedule=schedule)

    def _running(self, asked: CallRecord) -> CallRecord | None:
        """The same call, if this process runs it now, or is just telling its outcome."""
        known = self._worker.running(asked.account) + self.delivery.being_delivered()
        mine = (record for record in known if record.account == asked.account)
        return next((record for record in mine if record.fingerprint == asked.fingerprint), None)

    async def _looked_again(self, record: CallRecord) -> CallRecord:
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
    """Log and count what a setting refuses; the number is in the audit trail alone."""
    _log.info("not called, because of %s", error.setting)
    call_refused(error.code)
