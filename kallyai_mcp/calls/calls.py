"""The calls of this program: tools use it to place calls and to find out how they ended.

It reads calls from the ledger, so every process knows about every call.
"""

import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

import anyio

from kallyai_mcp.api.errors import PolicyError
from kallyai_mcp.api.models import Call, Submission
from kallyai_mcp.calls.appointment import Calendar
from kallyai_mcp.calls.call_lists import CallList, ListConsent, StopReason
from kallyai_mcp.calls.clock import Stopwatch
from kallyai_mcp.calls.delivery import Delivery
from kallyai_mcp.calls.findings import read_findings
from kallyai_mcp.calls.ledger.base import ConsentOutdatedError, LedgerUnavailableError
from kallyai_mcp.calls.ledger.ledger import Ledger
from kallyai_mcp.calls.ledger.reservation import Precheck
from kallyai_mcp.calls.policy import Consent
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState, is_tracking_id, new_tracking_id
from kallyai_mcp.calls.schedule import NOW, Schedule
from kallyai_mcp.calls.worker import Worker
from kallyai_mcp.telemetry import call_refused

_log = logging.getLogger(__name__)

LOOK_EVERY = 5.0
"""Seconds between two reads of the ledger while a tool waits: another process may have run the call to its end."""

_MAX_ATTEMPTS = 3
"""How often the user is asked for a consent that is outdated each time."""

Written = TypeVar("Written")
Other = TypeVar("Other")


@dataclass(frozen=True)
class Placed:
    """The result of a request for a call.

    Attributes:
        record: The record of the call: a new one, or the duplicate that answers the request.
        is_new: Whether it is a new one.
    """

    record: CallRecord
    is_new: bool


class Calls:
    """Places calls and lists of calls, and reports how they went.

    Every async method raises `NotSignedInError` when no account is signed in, and `LedgerUnavailableError` when the
    ledger can't be used. Then no call was placed. `wait` and `wait_for_list` raise neither.

    Args:
        worker: Runs the calls; it must be open as long as this is used.

    Attributes:
        worker: The same one.
        delivery: Notes which outcomes were delivered.
    """

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self._clock = worker.clock
        self.delivery = Delivery(lambda calls, delivered: self.ledger.mark_delivered(calls, delivered=delivered))

    @property
    def ledger(self) -> Ledger:
        """The ledger, for what is only read."""
        return self.worker.ledger

    async def account(self) -> AccountKey:
        """The account that is signed in, on which calls are placed."""
        return await self.worker.account()

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

        A refusal is written into the audit trail, with `asked_by`: the client's own name and version.
        """
        since = Stopwatch(self._clock)
        asked = await self._new_record(submission, timezone, None, schedule)
        if (running := self._same_running(asked)) is not None:
            return Precheck(asked.account, asked.fingerprint, running, refusal=None, last_call=None)
        found = await self.ledger.precheck(asked, redial=redial)
        if found.refusal is not None:
            await self.ledger.note_refusal(asked, found.refusal, Consent(asked_by, "not_needed"))
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
        if (running := self._same_running(asked)) is not None:
            return Placed(running, is_new=False)
        try:
            # Shielded, so that a canceled request leaves no record without a worker.
            with anyio.CancelScope(shield=True):
                # Started before the ledger is used, because the machine may be suspended meanwhile.
                since = consent.since if consent is not None and consent.since is not None else Stopwatch(self._clock)
                asked = replace(asked, worker=await self.worker.leased_name())
                undo = partial(self.ledger.release, asked.account, asked.tracking_id)
                with self.worker.reserving(asked.tracking_id, undo=undo):
                    record, is_new = await self.ledger.reserve(asked, redial=redial, consent=consent)
                    if is_new and record.is_active:
                        self.worker.send(record, since)
        except PolicyError as error:
            _count(error)
            raise
        return Placed(await self._looked_again(record), is_new)

    async def find(self, id_: str) -> CallRecord | None:
        """The account's record with this `tracking_id` or `call_id`; None when there is none.

        KallyAI is asked once more when it may say more about the call (`CallRecord.may_change`).
        """
        account = await self.account()
        try:
            record = await self.ledger.find(account, id_)
        except LedgerUnavailableError:
            running = [record for record in self.worker.running(account) if record.tracking_id == id_]
            if not running:
                raise
            return running[0]
        return self.worker.as_known(await self._looked_again(record)) if record is not None else None

    async def list_unsettled(self) -> list[CallRecord]:
        """See `Ledger.list_unsettled`."""
        return await self.ledger.list_unsettled(await self.account())

    async def list_unfinished(self) -> list[CallList]:
        """The account's lists that go on or wait for the user; see `ListLedger.list_unfinished`."""
        return await self.ledger.lists.list_unfinished(await self.account())

    async def findings_of(self, call: Call) -> tuple[Calendar | None, bool]:
        """See `read_findings`; for an ended call that is not in the ledger."""
        within = self.worker.timing.calendar
        return await read_findings(self.worker.service, await self.account(), call, None, within=within)

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
                    record = await self.worker.ended(record, until)
                if left <= LOOK_EVERY:
                    break
                if record.is_awaited(until):
                    # Read once more: the time-out may have come between the end of the call and the read.
                    with self._clock.move_on_after(left - LOOK_EVERY):
                        record = await self._newest(record)
        return self.worker.as_known(record)

    async def cancel(self, tracking_id: str) -> bool:
        """Cancel a call whose request has not left. If it has left, there will be no further attempt.

        Returns:
            False when the request has left, or there is no such call.
        """
        return await self.ledger.cancel(await self.account(), tracking_id)

    def scheduled(self, not_before: datetime | None, retries: int) -> Schedule:
        """The schedule of a call that is due at `not_before` (aware; None for at once), with at most `retries` retries.

        It is in UTC. `place_by` is `Timing.place_within` after `not_before`.
        """
        if not_before is None:
            return Schedule(attempts=1 + retries)
        due = not_before.astimezone(UTC)  # a sum in a zone with summer time would ignore the change of the clocks
        return Schedule(due, due + timedelta(seconds=self.worker.timing.place_within), 1 + retries)

    async def find_list(self, list_id: str) -> CallList | None:
        """The account's list with this id; None when there is none.

        If it has stopped at an unknown outcome, KallyAI is asked once more.
        """
        if not is_tracking_id(list_id):
            return None
        found = await self.ledger.lists.find(await self.account(), list_id)
        if found is None or found.stop_reason is not StopReason.UNKNOWN:
            return found
        if not found.records or not found.records[-1].may_change:
            return found
        with suppress(LedgerUnavailableError):
            await self.worker.look_again(found.records[-1])
        return await self.ledger.lists.find(found.account, list_id)

    async def wait_for_list(self, found: CallList, seconds: float, changed: Callable[[CallList], None]) -> CallList:
        """Wait until a list has stopped and its last call has ended, at most `seconds`.

        `changed` is called with the list each time it was read.

        Returns:
            The list as it was read last.
        """
        with self._clock.move_on_after(seconds):
            while found.is_open:
                await self._clock.sleep(self.worker.timing.poll)
                with suppress(LedgerUnavailableError):
                    found = await self.ledger.lists.find(found.account, found.list_id) or found
                changed(found)
        return found

    async def place_list(self, asked: CallList, agreed: ListConsent) -> tuple[CallList, bool]:
        """Start a list, unless the ledger has one that stands for it (`ListLedger.find_same`).

        Returns:
            The list in the ledger, and whether it is new.

        Raises:
            ConsentOutdatedError: The consent no longer fits; ask the user again.
        """
        return await self._send_first(asked, partial(self.ledger.lists.reserve, asked, agreed))

    async def continue_list(
        self, found: CallList, *, after: int | None, agreed: ListConsent | None = None
    ) -> tuple[CallList, bool]:
        """Let a list go on that has stopped; arguments, results, and errors as in `ListLedger.go_on`.

        Unless the user has decided so, KallyAI is asked first whether somebody talked after all in its last call.
        """
        for record in found.records[-2:] if after is None else ():
            if record.state is CallState.ENDED and not record.reached:
                await self.worker.look_again(record)
        return await self._send_first(found, partial(self.ledger.lists.go_on, found, after=after, agreed=agreed))

    async def cancel_list(self, list_id: str) -> bool:
        """Stop a list, so that it can't go on. A call that is in progress goes on.

        Returns:
            False when it had ended, or there is no such list.
        """
        return await self.ledger.lists.cancel(await self.account(), list_id)

    async def _send_first(
        self, found: CallList, write: Callable[[str, str], Awaitable[tuple[CallList, CallRecord | None, bool]]]
    ) -> tuple[CallList, bool]:
        """Send the call that a transaction of a list has reserved.

        A canceled request waits for the end of the transaction, so that its call is sent. If the ledger does not
        confirm the transaction, the list is stopped, because the client is told that nobody is called.
        """
        worker, id_, since_reserved = await self.worker.leased_name(), new_tracking_id(), Stopwatch(self._clock)
        with self.worker.reserving(id_, undo=partial(self.ledger.lists.release, found, id_)):
            with anyio.CancelScope(shield=True):
                found, record, goes_on = await write(worker, id_)
            if record is not None:
                self.worker.send(record, since_reserved)
        return found, goes_on

    async def _new_record(
        self, submission: Submission, timezone: str, session_id: str | None, schedule: Schedule
    ) -> CallRecord:
        account, now = await self.account(), self._clock.now()
        return CallRecord.new(submission, account, now, timezone=timezone, session_id=session_id, schedule=schedule)

    def _same_running(self, asked: CallRecord) -> CallRecord | None:
        """The record of the same call that this process runs now; else None."""
        running = self.worker.running(asked.account)
        return next((record for record in running if record.fingerprint == asked.fingerprint), None)

    async def _looked_again(self, record: CallRecord) -> CallRecord:
        """`record` after KallyAI was asked once more about it, if it may change."""
        if not record.may_change:
            return record
        with suppress(LedgerUnavailableError):
            await self.worker.look_again(record)
        return await self._newest(record)

    async def _newest(self, record: CallRecord) -> CallRecord:
        try:
            return await self.ledger.find(record.account, record.tracking_id) or record
        except LedgerUnavailableError:
            return record


async def place_with_consent(
    ask: Callable[[Sequence[Consent]], Awaitable[Consent | Other]], place: Callable[[Consent], Awaitable[Written]]
) -> Written | Other:
    """Ask for consent and place the call or the list. When the consent is outdated by then, ask again.

    Args:
        ask: Gets the outdated consents. Returns a new consent, or any other value to give up.
        place: Places the call (`Calls.place`) or the list (`Calls.place_list`).

    Returns:
        What `place` returned, or the value with which `ask` gave up.

    Raises:
        ConsentOutdatedError: The consent was outdated three times.
    """
    outdated: list[Consent] = []
    while True:
        consent = await ask(outdated)
        if not isinstance(consent, Consent):
            return consent
        try:
            return await place(consent)
        except ConsentOutdatedError:
            outdated.append(consent)
            if len(outdated) == _MAX_ATTEMPTS:
                raise


def _count(error: PolicyError) -> None:
    """Log and count a call that a setting refused. Its number is only in the audit trail."""
    _log.info("not called, because of %s", error.setting)
    call_refused(error.code)
