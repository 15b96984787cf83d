"""Sending the request of a call.

"The rules of placing a call" of the design, in the order in which they apply to one call:

1. A request leaves only after the record says `sent`, and only while this worker holds its lease, the account signed in
   is the record's account, and the record is young (`_check`).
2. A call counts as refused only when the answer proves it (`outcome.proves_no_call`), and comes soon.
3. A lost response may have placed the call: it is looked for (`settler`).
4. The same key is sent again only within a second of the first send. After that, the worker only looks.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

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
from kallyai_mcp.calls.ledger.sql import Ledger
from kallyai_mcp.calls.outcome import proves_no_call
from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.calls.retries import Retries
from kallyai_mcp.calls.service_access import ServiceAccess
from kallyai_mcp.calls.settler import CallSettler
from kallyai_mcp.calls.timing import Timing

_LAST_WRITE = 2.0
"""How many seconds the end of the server waits for the ledger."""


class CallSender:
    """Sends requests for calls, and hands each call over to the settler when it was answered or lost."""

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

    async def place(self, record: CallRecord, *, since_reserved: Stopwatch) -> None:
        """Place the call of a new record, and bring it to its end; `since_reserved` began before it was reserved."""
        request = _Request(record, since_reserved)
        try:
            await self._place(request)
        except anyio.get_cancelled_exc_class():
            # The server ends. The next one would have to look for a call that can't be there.
            if not request.may_have_left:
                with anyio.CancelScope(shield=True), anyio.move_on_after(_LAST_WRITE), suppress(LedgerUnavailableError):
                    await self._ledger().mark_not_sent(request.record)
            raise

    async def _place(self, request: "_Request") -> None:
        record = request.record
        pauses = self._retries.pauses(self._timing.pause)
        is_due = record.schedule.not_before is not None
        most = self._timing.connect_tries_when_due if is_due else self._timing.connect_tries
        tries = 0
        while True:
            answer = await self._send(request)
            if isinstance(answer, Call):
                if await self._settler.take_answer(request.record, answer):
                    return
                answer = UnreadableResponseError("KallyAI answered with an earlier call.")
            if request.lost is None and proves_no_call(answer) and not self._may_be_placed(request):
                request.may_have_left = False
                tries += 1
                pause = answer.retry_after if answer.retry_after is not None else next(pauses)
                again = isinstance(answer, NotConnectedError | RateLimitedError) and tries < most
                if not again or pause > self._timing.longest_pause:
                    await self._settler.finish(request.record, CallState.REFUSED, error=answer)
                    return
                await self._clock.sleep(pause)
                continue
            # Once a response was lost, a refusal of a later request says nothing about the first one.
            request.lost = request.lost or answer
            request.record = await self._settler.mark_response_lost(request.record, request.since_sent)
            await self._clock.sleep(self._timing.first_look)
            with suppress(KallyAIError):
                if await self._settler.look(request.record):
                    return
            if not self._may_be_sent_again(request):
                await self._settler.search(request.record, request.lost, self._timing.search)
                return

    async def _send(self, request: "_Request") -> Call | KallyAIError:
        """Send the request once."""
        record = request.record
        try:
            async with self._service.api() as api:
                return await api.create_call(
                    record.submission,
                    timezone=record.timezone,
                    session_id=record.session_id,
                    idempotency_key=record.idempotency_key,
                    before_send=partial(self._check, request),
                    connecting=partial(self._connect, request),
                    before_write=partial(self._before_write, request),
                )
        except KallyAIError as error:
            return error

    async def _check(self, request: "_Request") -> None:
        """Write down that the request leaves; it has its token by now.

        Raises:
            KallyAIError: It must not leave.
        """
        if request.lost is None and self._may_be_placed(request):
            # It is signed anew after a 401.
            raise ResponseLostError("KallyAI refused the token so late that it may have acted on the request.")
        request.record = await self._ledger().mark_sent(request.record, service_time=self._service.service_time)
        await self._service.check_account(request.record.account)
        self._check_time(request)
        request.may_have_left = True
        if request.lost is None:
            request.since_sent = Stopwatch(self._clock)

    def _connect(self, request: "_Request") -> None:
        """Note that the request is not written before `_before_write` is called."""
        request.may_have_left = request.lost is not None

    def _before_write(self, request: "_Request") -> None:
        """Look at the time once more when there is a connection; raises `KallyAIError` when it is too late."""
        self._check_time(request)
        request.may_have_left = True

    def _check_time(self, request: "_Request") -> None:
        """Look whether there is still time for the request to leave.

        After everything that may have taken long or during which the machine may have been suspended: the look into the
        ledger, and then the connection.

        Raises:
            KallyAIError: It is too late.
        """
        if request.since_reserved.elapsed() > self._seconds_to_send(request.record):
            raise KallyAIError("The request could not leave in time, so it was not sent.", code="too_late")
        if request.lost is not None and not self._may_be_sent_again(request):
            raise KallyAIError("The same request may not be sent so much later.", code="too_late")

    def _seconds_to_send(self, record: CallRecord) -> float:
        """How long after it was reserved the request of a call may leave."""
        place_by = record.schedule.place_by
        left = (place_by - record.placed_at).total_seconds() if place_by is not None else self._timing.send_within
        return min(left, self._timing.send_within)

    def _may_be_placed(self, request: "_Request") -> bool:
        """Whether a refusal says too late that no call was placed."""
        since_sent = request.since_sent if request.may_have_left else None
        return since_sent is not None and since_sent.elapsed() > self._timing.refuse_within

    def _may_be_sent_again(self, request: "_Request") -> bool:
        return request.since_sent is not None and request.since_sent.elapsed() < self._timing.resend_within


@dataclass
class _Request:
    """The request for one call, which may be sent more than once.

    Attributes:
        record: The call.
        since_reserved: Began just before the call was reserved.
        since_sent: Began when the request left; the first time, once a response was lost.
        lost: How the first response was lost.
        may_have_left: The request may have left. Not before it was written down that it leaves, nor while the client
            connects, nor after an answer that proves that no call was placed.
    """

    record: CallRecord
    since_reserved: Stopwatch
    since_sent: Stopwatch | None = None
    lost: KallyAIError | None = None
    may_have_left: bool = False
