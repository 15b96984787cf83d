"""Finds out how calls ended whose request may have left, and writes that into the ledger.

Rule 3 of placing a call: after a lost response the call may have been placed, so the service's list is searched for it
(`call_search`). If it can't be found, its outcome is `unknown`.
"""

import logging
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from kallyai_mcp.api.errors import KallyAIError, NotFoundError, ResponseLostError, UnusableCallIdError
from kallyai_mcp.api.models import Call
from kallyai_mcp.calls.appointment import Calendar, lies_before, read_appointment
from kallyai_mcp.calls.call_search import SendTime, UncertainError, find_call
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
"""The speakers in a transcript that are KallyAI: `ai` is the reference's; `role` has other words."""

Found = TypeVar("Found")


class CallSettler:
    """Finds out how calls ended; never places one.

    Args:
        service: Gives the API client.
        ledger: Returns the ledger.
        timing: Times and counts.
        clock: The clock.
    """

    def __init__(self, service: ServiceAccess, ledger: Callable[[], Ledger], *, timing: Timing, clock: Clock) -> None:
        self._service = service
        self._ledger = ledger
        self._timing = timing
        self._clock = clock
        self._since_sent: dict[str, Stopwatch] = {}
        """The time since the request left, by tracking id, for each request that this process sent and lost."""
        self._retries = Retries(clock, timing)

    async def settle(self, record: CallRecord) -> None:
        """Run a record to its end whose worker has died."""
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
        """Ask KallyAI once more about a record that may change (`CallRecord.may_change`); a request waits for that."""
        call, seconds = None, math.inf if record.state is CallState.UNKNOWN else self._timing.calendar
        with suppress(KallyAIError):  # the record stays unchanged
            with self._clock.move_on_after(seconds):
                call = await self._find(record)
            is_news = call != record.call or record.is_calendar_unread or not record.reached
            if call is not None and call.is_final and is_news:
                calendar, reached = await self.findings_of(record.account, call, record)
                await self._ledger().finish(record, CallState.ENDED, call=call, calendar=calendar, reached=reached)

    async def look(self, record: CallRecord) -> bool:
        """Search once for the call of a record whose response was lost. If it is found, run the record to its end.

        Returns:
            Whether it was found; False only when the service certainly does not list it.

        Raises:
            UncertainError: It is not certain whether the service lists it.
            KallyAIError: The service can't be asked, another account is signed in, or the ledger can't be used.
        """
        call = await self._find(record)
        if call is not None:
            await self._take(record, call)
        return call is not None

    async def search(
        self, record: CallRecord, lost: KallyAIError, seconds: float = 0, *, refusal: KallyAIError | None = None
    ) -> None:
        """Search for a call until it is found or `seconds` have passed, and run its record to its end.

        While it is not certain what the service lists, the search goes on for at least `Timing.search`. `lost` is why
        the response was lost: the error of the record if nothing is found. The record ends with `refusal`, if there is
        one, as soon as it is certain that the service does not list the call.
        """
        began = self._clock.monotonic()
        # After a refusal, a listed call is unlikely, and many requests may be why the service refuses.
        pauses = self._retries.pauses(self._timing.first_look if refusal is None else self._timing.longest_pause)
        while True:
            left = seconds - (self._clock.monotonic() - began)
            await self._clock.sleep(min(next(pauses), max(self._timing.first_look, left)) if left > 0 else next(pauses))
            elapsed = self._clock.monotonic() - began
            try:
                if await self.look(record):
                    return
            except KallyAIError as error:
                _log.info("looking for a call whose response was lost: %s", error.code)
                lost = lost if isinstance(error, UncertainError) else error
                if elapsed < self._timing.search:
                    continue
            else:
                if refusal is not None:
                    await self.finish(record, CallState.REFUSED, error=refusal)
                    return
                if elapsed < seconds:
                    continue
            await self.finish(record, CallState.UNKNOWN, error=lost)
            return

    async def take_answer(self, record: CallRecord, call: Call, left: Stopwatch | None) -> bool:
        """Run a record to its end, whose own request the service answered with `call`; `left` began when it left.

        Returns:
            False when `call` is the call of an earlier request: then it is not known whether a new one was placed.
        """
        service_time, since_sent = self._service.service_time, left.longest if left is not None else None
        bind = partial(
            self._ledger().bind_call, record, call, proven=True, service_time=service_time, since_sent=since_sent
        )
        is_bound = await self._retries.until_written(bind)
        if not is_bound and await self._is_earlier(record, call):
            return False
        await self._take(record, call)
        return True

    async def _is_earlier(self, record: CallRecord, call: Call) -> bool:
        """Whether `call` is certainly the call of an earlier request.

        The same id alone does not prove it: the service may use an id again. Nor does another record with the same
        idempotency key, which exists after the ledger was deleted.
        """
        other = await self._retries.until_written(partial(self._ledger().find, record.account, call.call_id))
        return (
            other is not None
            and other.call is not None
            and other.idempotency_key != record.idempotency_key
            and call.created_at is not None
            and call.created_at == other.call.created_at
        )

    async def mark_response_lost(self, record: CallRecord, since_sent: Stopwatch | None = None) -> CallRecord:
        """See `progress.mark_response_lost`; `since_sent` runs since the request left, if this process sent it."""
        if since_sent is not None:
            self._since_sent[record.tracking_id] = since_sent
        known = self._since_sent.get(record.tracking_id)
        mark = partial(
            self._ledger().mark_response_lost,
            record,
            service_time=self._service.service_time,
            since_sent=known.passed if known is not None else None,
        )
        return await self._retries.until_written(mark)

    async def finish(self, record: CallRecord, state: CallState, *, error: KallyAIError) -> None:
        """Write down that a call was refused, or that its outcome is unknown. Repeated until the ledger can be used."""
        await self._retries.until_written(partial(self._ledger().finish, record, state, error=error))
        if state is CallState.REFUSED:
            self._since_sent.pop(record.tracking_id, None)  # kept for an unknown call, which is searched for again
            call_refused(error.code)
        else:
            call_ended("unknown")

    async def _end(self, record: CallRecord, call: Call) -> None:
        """Write down the outcome of a call and its calendar file in one step."""
        self._since_sent.pop(record.tracking_id, None)
        calendar, reached = await self.findings_of(record.account, call, record)
        ended = partial(self._ledger().finish, record, CallState.ENDED, call=call, calendar=calendar, reached=reached)
        await self._retries.until_written(ended)
        if record.is_active:  # else it was counted when its outcome became unknown
            call_ended(call.status)

    async def findings_of(
        self, account: AccountKey, call: Call, record: CallRecord | None = None
    ) -> tuple[Calendar | None, bool]:
        """What KallyAI's calendar file and transcript say about an ended call of `account`.

        `record` is its record, if the ledger has one. An event that lies before the call is no booking, and yet a sign
        that the call reached somebody.

        Nothing is raised: an outcome must not be lost because nothing more can be read.

        Returns:
            The calendar, and whether the call reached somebody (`reached_somebody`). The calendar is None for a call
            without `success`, unless it has an appointment.
        """
        calendar = await self._read(account, partial(self._calendar_of, call)) or Calendar(is_known=False)
        event, called_at = calendar.appointment, record.called_at if record is not None else None
        number = (record or call).submission.respondent_phone
        zone_name = record.timezone if record is not None else None
        if event is not None and lies_before(event, call.created_at, called_at, number=number, zone_name=zone_name):
            calendar = Calendar()
        if call.plain_status == "success" or event is not None:
            return calendar, True
        if call.plain_status not in NOBODY_REACHED:
            return None, reached_somebody(call)
        callee_spoke = await self._read(account, partial(self._has_words, call))
        return None, reached_somebody(call, callee_spoke=callee_spoke)

    async def _read(self, account: AccountKey, read: "Callable[[KallyAI], Awaitable[Found]]") -> Found | None:
        """The result of `read`; None after an error, or when it takes longer than `Timing.calendar`."""
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
        """The service's call for `record`, which is bound to it; None when the service certainly lists none."""
        if record.call_id is not None:
            async with self._service.api_of(record.account) as api:
                return await api.get_call(record.call_id, number=record.submission.respondent_phone)
        if record.clock_offset is None:  # without the service's time, an older call could be taken for this one
            await self._service.learn_time(record.account)
        if (
            record.clock_offset is None
            and record.tracking_id in self._since_sent
            and self._service.service_time() is not None
        ):
            # Store the offset of the clocks now: our wall clock may be set before the next search.
            record = await self.mark_response_lost(record)
        competitors = await self._ledger().competitors(record)
        service_time = self._service.service_time()

        def sent(record: CallRecord) -> SendTime:
            return SendTime.of(record, now=competitors.now, service_time=service_time)

        others = [(other, sent(other)) for other in competitors.unbound]
        async with self._service.api_of(record.account) as api:
            call = await find_call(api, record, sent(record), others, competitors.call_ids)
        if call is not None and not await self._ledger().bind_call(record, call, proven=False):
            raise UncertainError("The call belongs to another record.")
        return call

    async def _take(self, record: CallRecord, call: Call) -> None:
        if call.is_final:
            await self._end(record, call)
        else:
            await self._follow(record, call.call_id)

    async def _follow(self, record: CallRecord, call_id: str) -> None:
        """Ask for a call that was placed until it has ended, or `Timing.follow` has passed."""
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
