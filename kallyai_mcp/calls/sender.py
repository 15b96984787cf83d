"""Sending the request of a call.

"The rules of placing a call" of the design, in the order in which they apply to one call:

1. A request leaves only after the record says `sent`, and only while this worker holds its lease, the account signed in
   is the record's account, and the record is young (`_check`).
2. A call counts as refused only when the answer proves it (`outcome.proves_no_call`), and comes soon.
3. A lost response may have placed the call: it is looked for (`settler`).
4. The same key is sent again once, and only within a second of the first send: a service may ignore it. After that, the
   worker only looks. A request for which there was no connection does not count.
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

_LAST_WRITE = 2.0
"""How many seconds the end of the server waits for the ledger."""


class CallSender:
    """Sends the request for one call, and hands the call over to the settler when it was answered or lost.

    Args:
        record: The call.
        since_reserved: Began just before it was reserved.
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
        """Began when the request left; the first time, once a response was lost."""
        self._lost: KallyAIError | None = None
        """How the first response was lost."""
        self._lost_count = 0
        """How many requests may have arrived and got no answer that counts."""
        self._may_have_left = False
        """The request was written, and no answer has proven yet that no call was placed."""

    async def place(self) -> None:
        """Place the call, and bring it to its end."""
        try:
            await self._place()
        except anyio.get_cancelled_exc_class():
            # The server ends. The next one would have to look for a call that can't be there.
            if not self._may_have_left:
                with anyio.CancelScope(shield=True), anyio.move_on_after(_LAST_WRITE), suppress(LedgerUnavailableError):
                    await self._ledger.mark_not_sent(self._record)
            raise

    async def _place(self) -> None:
        pauses = Retries(self._clock, self._timing).pauses(self._timing.pause)
        is_due = self._record.schedule.not_before is not None
        most = self._timing.connect_tries_when_due if is_due else self._timing.connect_tries
        tries = 0
        while True:
            answer = await self._send()
            if isinstance(answer, Call):
                if await self._settler.take_answer(self._record, answer):
                    return
                answer = UnreadableResponseError("KallyAI answered with an earlier call.")
            if self._lost is None and proves_no_call(answer) and not self._may_be_placed():
                self._may_have_left = False
                tries += 1
                pause = answer.retry_after if answer.retry_after is not None else next(pauses)
                again = isinstance(answer, NotConnectedError | RateLimitedError) and tries < most
                if not again or pause > self._timing.longest_pause:
                    await self._settler.finish(self._record, CallState.REFUSED, error=answer)
                    return
                await self._clock.sleep(pause)
                continue
            # Once a response was lost, a refusal of a later request says nothing about the first one.
            self._lost = self._lost or answer
            self._lost_count += not isinstance(answer, NotConnectedError)
            self._record = await self._settler.mark_response_lost(self._record, self._since_sent)
            await self._clock.sleep(self._timing.first_look)
            with suppress(KallyAIError):
                if await self._settler.look(self._record):
                    return
            if not self._may_be_sent_again():
                await self._settler.search(self._record, self._lost, self._timing.search)
                return

    async def _send(self) -> Call | KallyAIError:
        """Send the request once."""
        record = self._record
        try:
            async with self._service.api() as api:
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
        """Write down that the request leaves; it has its token by now.

        Raises:
            KallyAIError: It must not leave.
        """
        if self._lost is None and self._may_be_placed():
            # It is signed anew after a 401.
            raise ResponseLostError("KallyAI refused the token so late that it may have acted on the request.")
        self._record = await self._ledger.mark_sent(self._record, service_time=self._service.service_time)
        await self._service.check_account(self._record.account)
        self._check_time()
        if self._lost is None:
            self._since_sent = Stopwatch(self._clock)

    def _before_write(self) -> None:
        """Look at the time once more when there is a connection; raises `KallyAIError` when it is too late."""
        self._check_time()
        self._may_have_left = True

    def _check_time(self) -> None:
        """Look whether there is still time for the request to leave.

        After everything that may have taken long or during which the machine may have been suspended: the look into the
        ledger, and then the connection.

        Raises:
            KallyAIError: It is too late.
        """
        if self._since_reserved.longest() > self._seconds_to_send():
            raise KallyAIError("The request could not leave in time, so it was not sent.", code="too_late")
        if self._lost is not None and not self._may_be_sent_again():
            raise KallyAIError("The same request may not be sent so much later.", code="too_late")

    def _seconds_to_send(self) -> float:
        """How long after it was reserved the request may leave."""
        place_by, within = self._record.schedule.place_by, self._timing.send_within
        left = (place_by - self._record.placed_at).total_seconds() if place_by is not None else within
        return min(left, within)

    def _may_be_placed(self) -> bool:
        """Whether a refusal comes so late that the call may have been placed."""
        since_sent = self._since_sent if self._may_have_left else None
        return since_sent is not None and since_sent.longest() > self._timing.refuse_within

    def _may_be_sent_again(self) -> bool:
        is_soon = self._since_sent is not None and self._since_sent.longest() < self._timing.resend_within
        return is_soon and self._lost_count <= 1
