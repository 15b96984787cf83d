"""Finding out how calls ended whose request may have left, and writing it down.

Rule 3 of placing a call: a lost response may have placed the call, so it is looked for in the service's list
(`call_search`). What stays unfound is `unknown`.
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from kallyai_mcp.api.errors import KallyAIError, NotFoundError, ResponseLostError, UnusableCallIdError
from kallyai_mcp.api.models import Call
from kallyai_mcp.calls.appointment import Calendar, read_appointment
from kallyai_mcp.calls.call_search import SendTime, find_call
from kallyai_mcp.calls.clock import Clock, Stopwatch
from kallyai_mcp.calls.ledger.ledger import Ledger
from kallyai_mcp.calls.outcome import NOBODY_REACHED, reached_somebody
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState
from kallyai_mcp.calls.retries import Retries
from kallyai_mcp.calls.service_access import ServiceAccess
from kallyai_mcp.calls.timing import Timing
from kallyai_mcp.telemetry import call_ended, call_refused

if TYPE_CHECKING:
    from kallyai_mcp.api.client import KallyAI

_log = logging.getLogger(__name__)

_KALLYAI = frozenset({"ai", "assistant", "agent", "bot", "system"})
"""Who speaks for KallyAI in a transcript: `AI` in the reference; other words where the field is `role`."""

Found = TypeVar("Found")


class CallSettler:
    """Brings calls to their end without sending any request for a call."""

    def __init__(self, service: ServiceAccess, ledger: Callable[[], Ledger], *, timing: Timing, clock: Clock) -> None:
        self._service = service
        self._ledger = ledger
        self._timing = timing
        self._clock = clock
        self._left: dict[str, Stopwatch] = {}
        self._retries = Retries(clock, timing)

    async def settle(self, record: CallRecord) -> None:
        """Find out how a record ended whose worker died."""
        if record.state is CallState.RESERVED and record.schedule.not_before is not None:
            await self._retries.until_written(partial(self._ledger().put_back, record))
            return
        if record.state is CallState.RESERVED:
            words = "The server was stopped before the request left."
            await self.finish(record, CallState.REFUSED, error=KallyAIError(words, code="not_sent"))
            return
        if record.call is not None:
            await self._end(record, record.call)
            return
        record = await self.mark_response_lost(record)
        if record.call_id is not None:
            await self._follow(record, record.call_id)
            return
        age = (self._clock.now() - (record.sent_at or record.placed_at)).total_seconds()
        left = self._timing.search - min(max(age, 0), self._timing.search)
        await self.search(record, ResponseLostError("The server was stopped before the answer came."), left)

    async def look_again(self, record: CallRecord) -> None:
        """Look once more for the call of a record that may change; a request waits for that."""
        with suppress(KallyAIError):  # it stays as it is
            call = await self._find(record)
            if call is not None and call.is_final and (call != record.call or record.is_calendar_unread):
                calendar, reached = await self.findings_of(record.account, call)
                await self._ledger().finish(record, CallState.ENDED, call=call, calendar=calendar, reached=reached)

    async def look(self, record: CallRecord) -> bool:
        """Look once for the call of a record whose response was lost, and bring it to its end if it is found.

        Raises:
            KallyAIError: The service can't be asked, another account is signed in, or the ledger can't be used.
        """
        call = await self._find(record)
        if call is not None:
            await self._take(record, call)
        return call is not None

    async def search(self, record: CallRecord, lost: KallyAIError, seconds: float) -> None:
        """Look for the call for so many seconds; while the service can't be asked, as long as for a call just sent."""
        began = self._clock.monotonic()
        pauses = self._retries.pauses(self._timing.first_look)
        while True:
            elapsed = self._clock.monotonic() - began
            await self._clock.sleep(min(next(pauses), max(self._timing.first_look, seconds - elapsed)))
            elapsed = self._clock.monotonic() - began
            try:
                if await self.look(record):
                    return
            except KallyAIError as error:
                _log.info("looking for a call whose response was lost: %s", error.code)
                lost = error
                if elapsed < self._timing.search:
                    continue
            else:
                if elapsed < seconds:
                    continue
            await self.finish(record, CallState.UNKNOWN, error=lost)
            return

    async def take_answer(self, record: CallRecord, call: Call) -> bool:
        """Bring a call to its end that the service answered the record's own request with.

        Returns:
            False when it is an earlier call, which does not tell whether a new one was placed.
        """
        is_bound = await self._retries.until_written(partial(self._ledger().bind_call, record, call, proven=True))
        if not is_bound and await self._is_earlier(record, call):
            return False
        await self._take(record, call)
        return True

    async def _is_earlier(self, record: CallRecord, call: Call) -> bool:
        """Whether `call` surely is that of another request; a service may use an id again for a new call.

        After the ledger was deleted, another record may be of the same request.
        """
        other = await self._retries.until_written(partial(self._ledger().find, record.account, call.call_id))
        return (
            other is not None
            and other.call is not None
            and other.idempotency_key != record.idempotency_key
            and call.created_at is not None
            and call.created_at == other.call.created_at
        )

    async def mark_response_lost(self, record: CallRecord, left: Stopwatch | None = None) -> CallRecord:
        """See `Ledger.mark_response_lost`; `left` runs since the request left, if this process sent it."""
        if left is not None:
            self._left[record.tracking_id] = left
        left = self._left.get(record.tracking_id)
        service_time, since_sent = self._service.service_time, left.passed if left is not None else None
        return await self._retries.until_written(
            partial(self._ledger().mark_response_lost, record, service_time=service_time, since_sent=since_sent)
        )

    async def finish(self, record: CallRecord, state: CallState, *, error: KallyAIError) -> None:
        """Write down that a call was refused, or that its outcome is unknown, however long that takes."""
        await self._retries.until_written(partial(self._ledger().finish, record, state, error=error))
        if state is CallState.REFUSED:
            self._left.pop(record.tracking_id, None)  # one that is unknown is looked for again
            call_refused(error.code)
        else:
            call_ended("unknown", record.elapsed(self._clock.now()))

    async def _end(self, record: CallRecord, call: Call) -> None:
        """Write down the outcome of a call together with its calendar event; the record is active until then."""
        self._left.pop(record.tracking_id, None)
        calendar, reached = await self.findings_of(record.account, call)
        ended = partial(self._ledger().finish, record, CallState.ENDED, call=call, calendar=calendar, reached=reached)
        await self._retries.until_written(ended)
        if record.is_active:  # a record whose outcome was unknown has been counted
            call_ended(call.status, record.elapsed(self._clock.now()))

    async def findings_of(self, account: AccountKey, call: Call) -> tuple[Calendar | None, bool]:
        """What KallyAI's calendar file says of an ended call of `account`, and whether somebody may have talked in it.

        The calendar is None for a call that had no success, unless there is an appointment. Nothing is raised, because
        an outcome must not be lost when nothing else is known.
        """
        is_success = call.plain_status == "success"
        if not is_success and call.plain_status not in NOBODY_REACHED:
            return None, reached_somebody(call)
        calendar = await self._read(account, partial(self._calendar_of, call)) or Calendar(is_known=False)
        if is_success or calendar.appointment is not None:
            return calendar, True
        callee_spoke = await self._read(account, partial(self._has_words, call))
        return None, reached_somebody(call, callee_spoke=callee_spoke)

    async def _read(self, account: AccountKey, read: "Callable[[KallyAI], Awaitable[Found]]") -> Found | None:
        """What `read` finds out within seconds; None when it does not."""
        with self._clock.move_on_after(self._timing.calendar):
            try:
                async with self._service.api_of(account) as api:
                    return await read(api)
            except KallyAIError as error:
                _log.info("what KallyAI knows of a call that has ended can't be read: %s", error.code)
            except Exception:  # noqa: BLE001 - whatever is wrong with a calendar file, the outcome counts
                _log.exception("what KallyAI knows of a call that has ended can't be read")
        return None

    async def _calendar_of(self, call: Call, api: "KallyAI") -> Calendar:
        try:
            return Calendar(read_appointment(await api.get_calendar(call.call_id)))
        except UnusableCallIdError:
            return Calendar(is_known=False)
        except NotFoundError:
            return Calendar()

    async def _has_words(self, call: Call, api: "KallyAI") -> bool | None:
        """Whether the transcript has words of the callee; None when there is no transcript."""
        try:
            entries = (await api.get_transcript(call.call_id)).entries
        except NotFoundError:
            return None
        return any(entry.content and entry.speaker.casefold() not in _KALLYAI for entry in entries) if entries else None

    async def _find(self, record: CallRecord) -> Call | None:
        """The service's call for `record`, bound to it; None when there is none, or there is doubt."""
        if record.call_id is not None:
            async with self._service.api_of(record.account) as api:
                return await api.get_call(record.call_id, number=record.submission.respondent_phone)
        if record.clock_offset is None:  # without the service's clock, an older call could be taken for this one
            await self._service.learn_time(record.account)
        if (
            record.clock_offset is None
            and record.tracking_id in self._left
            and self._service.service_time() is not None
        ):
            # Our wall clock may be set before the next look; the time since the request left is known now.
            record = await self.mark_response_lost(record)
        competitors = await self._ledger().competitors(record)
        service_time = self._service.service_time()

        def sent(record: CallRecord) -> SendTime:
            return SendTime.of(record, now=competitors.now, service_time=service_time)

        others = [(other, sent(other)) for other in competitors.unbound]
        async with self._service.api_of(record.account) as api:
            call = await find_call(api, record, sent(record), others, competitors.call_ids)
        if call is not None and await self._ledger().bind_call(record, call, proven=False):
            return call
        return None

    async def _take(self, record: CallRecord, call: Call) -> None:
        if call.is_final:
            await self._end(record, call)
        else:
            await self._follow(record, call.call_id)

    async def _follow(self, record: CallRecord, call_id: str) -> None:
        """Ask for a call that was placed until it has ended."""
        pauses = self._retries.pauses(self._timing.pause, longest=5)
        last: KallyAIError = ResponseLostError("The call was placed, and KallyAI has not said yet how it ended.")
        began = self._clock.monotonic()
        while self._clock.monotonic() - began < self._timing.follow:
            try:
                async with self._service.api_of(record.account) as api:
                    call = await api.get_call(call_id, number=record.submission.respondent_phone)
            except KallyAIError as error:
                _log.info("following a call: %s", error.code)
                last = error
            else:
                if call.is_final:
                    await self._end(record, call)
                    return
            await self._clock.sleep(next(pauses))
        await self.finish(record, CallState.UNKNOWN, error=last)
