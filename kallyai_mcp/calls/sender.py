"""Sends the request of a call.

These are rules 1 to 4 of "The rules of placing a call" of the design:

1. A request leaves only after the record says `sent`, and only while this worker holds its lease, the account signed in
   is the record's account, and the record is young (`_check`).
2. A call counts as refused only when the response proves it (`outcome.proves_no_call`) and comes soon. After 429, the
   service's list must not show the call: the limit may be that of a service behind KallyAI, which had placed it.
3. After a lost response the call may have been placed, so the service is searched for it (`settler`).
4. The same key is sent again only once, within a second of the first send, because the service may ignore the key.
   After that, the worker only searches. A request that found no connection does not count as sent. After 429 the key
   is sent again at once after the list has shown that no such call has ended: the service knows the keys of the calls
   that are in progress.
"""

from contextlib import suppress

import anyio

from kallyai_mcp.api.errors import (
    KallyAIError,
    NotConnectedError,
    RateLimitedError,
    ResponseLostError,
    UnreadableResponseError,
)
from kallyai_mcp.api.models import Call
from kallyai_mcp.calls.clock import Clock, Stopwatch
from kallyai_mcp.calls.ledger.base import LedgerUnavailableError
from kallyai_mcp.calls.ledger.ledger import Ledger
from kallyai_mcp.calls.outcome import proves_no_call
from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.calls.retries import Retries
from kallyai_mcp.calls.service_access import ServiceAccess
from kallyai_mcp.calls.settler import CallSettler
from kallyai_mcp.calls.timing import Timing

_LISTED_BEFORE = 3.0
"""The most seconds from the look into the service's list to the request that relies on it."""

_LAST_WRITE = 2.0
"""The most seconds for which the end of the server waits for the ledger."""


class CallSender:
    """Sends the request for one call, and lets the settler find out how the call ended.

    Args:
        record: The reserved record of the call.
        since_reserved: Runs since just before the record was reserved.
        service: Gives the API client.
        ledger: Has the record.
        settler: Finds out how the call ended.
        timing: Times and counts.
        clock: The clock.
    """

    def __init__(
        self,
        record: CallRecord,
        since_reserved: Stopwatch,
        *,
        service: ServiceAccess,
        ledger: Ledger,
        settler: CallSettler,
        timing: Timing,
        clock: Clock,
    ) -> None:
        self._record = record
        self._since_reserved = since_reserved
        self._service = service
        self._ledger = ledger
        self._settler = settler
        self._timing = timing
        self._clock = clock
        self._since_sent: Stopwatch | None = None
        """Runs since the newest request left; after a lost response, since the first one."""
        self._lost: KallyAIError | None = None
        """Why the first response was lost; None while none was."""
        self._lost_count = 0
        """How many requests may have arrived without a response that counts."""
        self.was_written = False
        """Whether a request was written, whatever its response."""
        self.not_connected: NotConnectedError | None = None
        """Why the newest try found no connection, if one did."""
        self._may_have_left = False
        """Whether a request was written, and no response has proven that no call was placed."""
        self._is_limited = record.response_lost_at is not None
        """Whether a response was 429, or the response to an earlier request with the same key (`numbered_anew`)."""
        self._since_look: Stopwatch | None = None
        """Runs since before the service's list showed that the call had not been placed in spite of the limit."""

    async def place(self) -> None:
        """Place the call, and run it to its end. What happens is written into the ledger."""
        try:
            await self._place()
        except anyio.get_cancelled_exc_class():
            # The server ends. If the record stayed `sent`, the next server would search for a call that isn't there.
            if not self._may_have_left:
                with anyio.CancelScope(shield=True), anyio.move_on_after(_LAST_WRITE), suppress(LedgerUnavailableError):
                    await self._ledger.mark_not_sent(self._record)
            raise

    async def _place(self) -> None:
        pauses = Retries(self._clock, self._timing).pauses(self._timing.pause)
        is_due = self._record.schedule.not_before is not None
        most = self._timing.connect_tries_when_due if is_due else self._timing.connect_tries
        tries = 0
        if self._is_limited and await self._settle_limited(RateLimitedError("KallyAI got too many requests.")):
            return
        while True:
            answer = await self._send()
            if isinstance(answer, Call):
                if await self._settler.take_answer(self._record, answer, self._since_sent):
                    return
                answer = UnreadableResponseError("KallyAI answered with an earlier call.")
            # Once a response was lost, a refusal of a later request says nothing about the first one.
            if self._lost is not None or not proves_no_call(answer) or self._is_late():
                if await self._settle_lost(answer):
                    return
                continue
            self._is_limited = self._is_limited or isinstance(answer, RateLimitedError)
            self._may_have_left = self._is_limited
            tries += 1
            pause = answer.retry_after if answer.retry_after is not None else next(pauses)
            again = isinstance(answer, NotConnectedError | RateLimitedError) and tries < most
            if isinstance(answer, NotConnectedError):
                self.not_connected = answer
            if not again or pause > self._timing.longest_pause:
                await self._refuse(answer)
                return
            if not self.was_written:  # another process can see it, and cancel the call
                with suppress(LedgerUnavailableError):
                    await self._ledger.mark_not_sent(self._record)
            await self._clock.sleep(pause)
            if self._is_limited and await self._settle_limited(answer):
                return

    async def _settle_limited(self, error: KallyAIError) -> bool:
        """After 429, look for the call; returns False when it is certain that the service does not list it."""
        self._since_look = Stopwatch(self._clock)
        try:
            return await self._settler.look(self._record)
        except KallyAIError:
            self._record = await self._settler.mark_response_lost(self._record, self._since_sent)
            await self._settler.search(self._record, error, refusal=error)
            return True

    async def _refuse(self, error: KallyAIError) -> None:
        """End the call as refused, unless that was because of a limit and the service lists the call all the same."""
        if self._is_limited:
            self._record = await self._settler.mark_response_lost(self._record, self._since_sent)
            if await self._settle_limited(error):
                return
        await self._settler.finish(self._record, CallState.REFUSED, error=error)

    async def _settle_lost(self, error: KallyAIError) -> bool:
        """After a lost response, search for the call; returns False when its request may be sent again before that."""
        self._lost = self._lost or error
        self._lost_count += not isinstance(error, NotConnectedError)
        self._record = await self._settler.mark_response_lost(self._record, self._since_sent)
        await self._clock.sleep(self._timing.first_look)
        with suppress(KallyAIError):
            if await self._settler.look(self._record):
                return True
        if self._may_be_sent_again():
            return False
        await self._settler.search(self._record, self._lost, self._timing.search)
        return True

    async def _send(self) -> Call | KallyAIError:
        """Send the request once; returns the response as a call, or the error."""
        record = self._record
        if self._lost is None:
            self._since_sent = None
        try:
            with self._service.api() as api:
                return await api.create_call(
                    record.submission,
                    timezone=record.timezone,
                    session_id=record.session_id,
                    idempotency_key=record.idempotency_key,
                    before_send=self._check,
                    before_write=self._before_write,
                )
        except KallyAIError as error:
            return error

    async def _check(self) -> None:
        """Check that the request may leave, and write down that it does. It has its token already.

        Raises:
            KallyAIError: It must not leave.
        """
        if self._lost is None and self._is_late():
            # The API client calls this a second time after a 401, with a new token.
            raise ResponseLostError("KallyAI refused the token so late that it may have acted on the request.")
        self._record = await self._ledger.mark_sent(self._record, service_time=self._service.service_time)
        await self._service.check_account(self._record.account)
        self._check_time()
        if self._lost is None:
            self._since_sent = Stopwatch(self._clock)

    def _before_write(self) -> None:
        """Check the time once more when there is a connection; raises `KallyAIError` when it is too late."""
        self._check_time()
        self._may_have_left = self.was_written = True

    def _check_time(self) -> None:
        """Check that the request is not too late to leave.

        Called after each step that may take long, or in which the machine may be suspended: the write into the ledger,
        and the connection.

        Raises:
            KallyAIError: It is too late (code `too_late`).
        """
        if self._since_reserved.longest() > self._seconds_to_send():
            raise KallyAIError("The request could not leave in time, so it was not sent.", code="too_late")
        is_known = self._since_look is None or self._since_look.longest() < _LISTED_BEFORE
        if not is_known or (self._lost is not None and not self._may_be_sent_again()):
            raise KallyAIError("The same request may not be sent so much later.", code="too_late")

    def _seconds_to_send(self) -> float:
        """How many seconds after its reservation the request may leave."""
        place_by, within = self._record.schedule.place_by, self._timing.send_within
        left = (place_by - self._record.placed_at).total_seconds() if place_by is not None else within
        return min(left, within)

    def _is_late(self) -> bool:
        """Whether the request left so long ago that a refusal does not prove that no call was placed."""
        since_sent = self._since_sent if self._may_have_left else None
        return since_sent is not None and since_sent.longest() > self._timing.refuse_within

    def _may_be_sent_again(self) -> bool:
        is_soon = self._since_sent is not None and self._since_sent.longest() < self._timing.resend_within
        return is_soon and self._lost_count <= 1
