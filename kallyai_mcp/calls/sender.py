"""Sending the request of a call.

"The rules of placing a call" of the design, in the order in which they apply to one call:

1. A request leaves only after the record says `sent`, and only while this worker holds its lease, the account signed in
   is the record's account, and the record is young (`_marked_sent`).
2. A call counts as refused only when the answer proves it (`outcome.proves_no_call`).
3. A lost response may have placed the call: it is looked for (`settler`).
4. The same key is sent again only within a second of the first send. After that, the worker only looks.
"""

from collections.abc import Callable
from contextlib import suppress

from kallyai_mcp.api.errors import KallyAIError, NotConnectedError, RateLimitedError
from kallyai_mcp.api.models import Call
from kallyai_mcp.calls.clock import Clock
from kallyai_mcp.calls.ledger.sql import Ledger
from kallyai_mcp.calls.outcome import proves_no_call
from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.calls.retries import Retries
from kallyai_mcp.calls.service_access import ServiceAccess
from kallyai_mcp.calls.settler import CallSettler
from kallyai_mcp.calls.timing import Timing


class CallSender:
    """Sends requests for calls, and hands each call over to the settler when it was answered or lost.

    Args:
        service: KallyAI.
        ledger: Gives the ledger.
        settler: Brings calls to their end.
        timing: Times and counts.
        clock: The only clock.
    """

    def __init__(
        self,
        service: ServiceAccess,
        ledger: Callable[[], Ledger],
        settler: CallSettler,
        *,
        timing: Timing,
        clock: Clock,
    ) -> None:
        self._service = service
        self._ledger = ledger
        self._settler = settler
        self._timing = timing
        self._clock = clock
        self._retries = Retries(clock, timing)

    async def place(self, record: CallRecord) -> None:
        """Place the call of a new record, and bring it to its end."""
        pauses = self._retries.pauses(self._timing.pause)
        first_sent: float | None = None
        tries = 0
        while True:
            marked = await self._marked_sent(record)
            if isinstance(marked, KallyAIError):
                if first_sent is None:
                    await self._settler.finish(record, CallState.REFUSED, error=marked)
                    return
                break
            record = marked
            left = self._clock.monotonic()
            answer = await self._send(record)
            if isinstance(answer, Call):
                await self._settler.take_answer(record, answer)
                return
            if first_sent is None and proves_no_call(answer):
                tries += 1
                pause = answer.retry_after if answer.retry_after is not None else next(pauses)
                again = isinstance(answer, NotConnectedError | RateLimitedError) and tries < self._timing.connect_tries
                if not again or pause > self._timing.longest_pause:
                    await self._settler.finish(record, CallState.REFUSED, error=answer)
                    return
                await self._clock.sleep(pause)
                continue
            # Once a response was lost, a refusal of a later request says nothing about the first one.
            first_sent = left if first_sent is None else first_sent
            lost = answer
            record = await self._settler.mark_response_lost(record)
            await self._clock.sleep(self._timing.first_look)
            with suppress(KallyAIError):
                if await self._settler.look(record):
                    return
            if self._clock.monotonic() - first_sent >= self._timing.resend_within:
                break
        await self._settler.search(record, lost, self._timing.search)

    async def _marked_sent(self, record: CallRecord) -> CallRecord | KallyAIError:
        """The record after the ledger says `sent`; else why no request may leave now."""
        try:
            if await self._service.account() != record.account:
                words = "Someone else signed in before the request left, so no call was placed."
                return KallyAIError(words, code="account_changed")
            return await self._ledger().mark_sent(record, service_time=self._service.service_time())
        except KallyAIError as error:
            return error

    async def _send(self, record: CallRecord) -> Call | KallyAIError:
        """Send the request once."""
        try:
            async with self._service.api() as api:
                return await api.create_call(
                    record.submission,
                    timezone=record.timezone,
                    session_id=record.session_id,
                    idempotency_key=record.idempotency_key,
                )
        except KallyAIError as error:
            return error
