"""One call on its way: its request is sent, its outcome is found out, and both are written into the
ledger.

It keeps rules 1 to 4 of placing a call (`kallyai_mcp.calls`). Two exceptions of rule 4: (a) a
request that found no connection does not count as sent; (b) after 429 the key is sent again at once
after the list has shown that no such call has ended, because the service knows the keys of the
calls that are in progress.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import anyio
from anyio import CancelScope, move_on_after

from kallyai_mcp.api.errors import (
    KallyAIError,
    NotConnectedError,
    RateLimitedError,
    ResponseLostError,
    UnreadableResponseError,
    needs_sign_in,
)
from kallyai_mcp.api.models import Call
from kallyai_mcp.calls.call_search import UncertainError, find
from kallyai_mcp.calls.context import CallContext
from kallyai_mcp.calls.errors import LedgerUnavailableError
from kallyai_mcp.calls.events import Delayed, Found, Leave, Lost, Over, Refuse
from kallyai_mcp.calls.findings import read_findings
from kallyai_mcp.calls.outcome import proves_no_call
from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.clock import Stopwatch, pauses
from kallyai_mcp.logs import count

_log = logging.getLogger(__name__)

_LISTED_BEFORE = 3.0
"""The most seconds from the look into the service's list to the request that relies on it."""

_FROM_CONNECTION = 5.0
"""The most seconds from the connection to the first byte, for the last check."""

_DATE_WITHIN = 1.0
"""The most seconds for which the request for a call waits for the service's time."""

_FINDINGS_FIRST = 0.5
"""The most seconds for which an outcome waits for its calendar file, to be written with it. After
that, the outcome is written alone, and the file is asked for once more."""

_LAST_WRITE = 2.0
"""The most seconds for which the end of the server waits for the ledger."""


class Run:
    """One call on its way.

    Attributes:
        record: The record as it was read or written last; not its end.
        has_ended: Set when the run is over.
        end: What the ledger returned: the record at its end, or its next attempt; None before.
    """

    def __init__(
        self, record: CallRecord, context: CallContext, since_reserved: Stopwatch | None = None
    ) -> None:
        self.record = record
        self.has_ended = asyncio.Event()
        self.end: CallRecord | None = None
        self._context = context
        self._ledger = context.ledger
        self._timing = context.timing
        self._clock = context.clock
        # Since before the reservation, for a call that is to be sent.
        self._since_reserved = since_reserved
        # Since the newest request left; None if that placed no call.
        self._since_sent: Stopwatch | None = None
        self._since_first_sent: Stopwatch | None = None  # since the first one left
        # How long the key may be sent again, and since when.
        self._resend_window: tuple[Stopwatch, float] | None = None
        self._unwritten: Call | None = None  # the answer, until it is in the ledger

    async def place(self) -> None:
        """Place the call, and run it to its end."""
        try:
            await self._place()
        except anyio.get_cancelled_exc_class():
            with (
                CancelScope(shield=True),
                move_on_after(_LAST_WRITE),
                suppress(LedgerUnavailableError),
            ):
                if self._unwritten is not None:  # the server ends
                    found = Found(self.record, self._unwritten, proven=True)
                    await self._ledger.handle(self.record.account, found)
            raise

    async def settle(self) -> None:
        """Run a call to its end whose worker has died."""
        record = self.record
        if record.state is CallState.RESERVED:
            words = "The server was stopped before the request left."
            await self._finish(CallState.REFUSED, KallyAIError(words, code="not_sent"))
            return
        if record.call is not None:
            await self._finish(CallState.ENDED, call=record.call)
            return
        await self._mark_response_lost()
        if self.record.call_id is not None:
            await self._poll_until_ended()
            return
        age = (self._clock.now() - (self.record.sent_at or self.record.asked_at)).total_seconds()
        lost = ResponseLostError("The server was stopped before the answer came.")
        await self._search(lost, self._timing.search - max(age, 0.0))

    async def _place(self) -> None:
        """Send the request, and again while it is certain that no call was placed; then run the
        call to its end.
        """
        tries, waits = 0, pauses(self._timing.pause, self._timing.longest_pause)
        is_due = self.record.schedule.not_before is not None
        most = self._timing.connect_tries_when_due if is_due else self._timing.connect_tries
        # After an earlier request of the key.
        error: KallyAIError = RateLimitedError("KallyAI got too many requests.")
        is_last = False
        while True:
            if self.record.response_lost_at is not None and await self._settle_limited(error):
                return
            if is_last:
                await self._refuse(error)
                return
            if (answer := await self._send()) is None:
                return
            error = answer
            if not proves_no_call(error) or self._is_late():
                await self._settle_lost(error)
                return
            if isinstance(error, RateLimitedError):
                await self._mark_response_lost()
            self._since_sent = None
            tries += 1
            pause = error.retry_after if error.retry_after is not None else next(waits)
            may_pass = isinstance(error, NotConnectedError | RateLimitedError)
            is_last = not may_pass or tries >= most or pause > self._timing.longest_pause
            if is_last:
                continue
            with suppress(LedgerUnavailableError):  # users learn only later why it waits
                delayed = Delayed(self.record, error)
                self.record = await self._ledger.handle(self.record.account, delayed)
            await self._clock.sleep(pause)

    async def _settle_limited(self, error: KallyAIError) -> bool:
        """After 429, look for the call; returns False when it is certain that the service does not
        list it.

        Then the key may be sent again. After any other `error` it may not, and the call may be in
        progress. A due call that was put off, or is signed out now, waits instead: nothing was sent
        since the list was looked through, and it is looked through again before the next request.
        """
        if self._may_wait and needs_sign_in(error):
            return False
        since_look = Stopwatch(self._clock)
        if isinstance(error, RateLimitedError):
            with suppress(KallyAIError):
                is_found = await self._look()
                self._resend_window = since_look, _LISTED_BEFORE
                return is_found
            if self._may_wait and self._since_first_sent is None:
                await self._refuse(error)
                return True
        # A listed call is unlikely, and many requests may be why the service refuses.
        waits = pauses(self._timing.longest_pause, self._timing.longest_pause)
        await self._search(error, self._timing.search, waits=waits, otherwise=CallState.REFUSED)
        return True

    async def _settle_lost(self, error: KallyAIError) -> None:
        """After a lost response, look for the call, send its request again if that is soon, and
        search for the call.
        """
        is_first = self._resend_window is None
        if is_first and self._since_sent is not None:
            self._resend_window = self._since_sent, self._timing.resend_within
        await self._mark_response_lost()
        await self._clock.sleep(self._timing.first_look)
        with suppress(KallyAIError):
            if await self._look():
                return
        # A refusal of the second request says nothing about the first one.
        if is_first and self._may_be_sent_again() and await self._send() is None:
            return
        await self._search(error, self._timing.search)

    async def _send(self) -> KallyAIError | None:
        """Send the request once; run the call to its end that the service answers with, or return
        the error.
        """
        record = self.record
        # Else nothing would tell when it left by the service's clock, if this process ended and the
        # clock was set.
        with suppress(KallyAIError), self._clock.move_on_after(_DATE_WITHIN):
            await self._context.learn_time(record.account)
        try:
            await self._context.check_account(record.account)
            with self._context.api() as api:
                call = await api.create_call(
                    record.submission,
                    timezone=record.timezone,
                    session_id=record.session_id,
                    idempotency_key=record.idempotency_key,
                    last_check=self._last_check,
                )
        except KallyAIError as error:
            return error
        self._unwritten, record = call, self.record
        if call.is_final:
            with self._clock.move_on_after(_FINDINGS_FIRST):
                record = record.ended_with(
                    call, await read_findings(self._context, record.account, call, record)
                )
        found = Found(record, call, proven=True, service_time=self._context.time)
        bound = await self._context.until_written(record.account, found)
        self._unwritten = None
        if bound is None:  # it is not known whether a new one was placed
            return UnreadableResponseError("KallyAI answered with an earlier call.")
        if record.state is CallState.ENDED:
            self.end = bound
            count("kallyai.calls.ended", outcome=call.status)
        else:
            await self._run_on(call)
        return None

    async def _last_check(self) -> None:
        """Write down that the request leaves; raises `KallyAIError` when it must not.

        It has a token and a connection. The time is looked at once more at the end: the write may
        have taken long, or the machine was suspended.
        """
        since_connected = Stopwatch(self._clock)
        if self._is_late():
            # The API client calls this a second time after a 401, with a new token.
            raise ResponseLostError(
                "KallyAI refused the token so late that it may have acted on the request."
            )
        leaves = Leave(self.record, self._context.time)
        try:
            self.record = await self._ledger.handle(self.record.account, leaves)
        except LedgerUnavailableError as error:
            raise KallyAIError(f"Nothing was sent: {error.message}", code="not_sent") from error
        await self._context.check_account(self.record.account)
        self._check_time()
        if since_connected.longest() > _FROM_CONNECTION:
            raise KallyAIError(
                "The last check of the request took too long, so it was not sent.", code="not_sent"
            )
        self._since_sent = Stopwatch(self._clock)
        self._since_first_sent = self._since_first_sent or self._since_sent

    def _check_time(self) -> None:
        """Raise `KallyAIError` (code `too_late`) when it is too late for the request."""
        place_by, within = self.record.schedule.place_by, self._timing.send_within
        if place_by is not None:
            within = min(within, (place_by - self.record.asked_at).total_seconds())
        if self._since_reserved is None or self._since_reserved.longest() > within:
            raise KallyAIError(
                "The request could not leave in time, so it was not sent.", code="too_late"
            )
        if not self._may_be_sent_again():
            raise KallyAIError("The same request may not be sent so much later.", code="too_late")

    def _is_late(self) -> bool:
        """Whether the request left so long ago that a refusal does not prove that no call was
        placed.
        """
        return (
            self._since_sent is not None and self._since_sent.longest() > self._timing.refuse_within
        )

    def _may_be_sent_again(self) -> bool:
        """Whether the service still knows the key of an earlier request that may have placed the
        call, or none did.
        """
        return (
            self._resend_window is None or self._resend_window[0].longest() < self._resend_window[1]
        )

    async def _mark_response_lost(self) -> None:
        """Note that a response was lost (`decisions.mark_lost`)."""
        since_sent = self._since_first_sent.passed if self._since_first_sent is not None else None
        lost = Lost(self.record, self._context.time, since_sent)
        self.record = await self._context.until_written(self.record.account, lost)

    async def _look(self) -> bool:
        """Look once for the call; if it is found, run it to its end. Errors are those of `find`.

        How far the clocks differed when the request left is written down before: they may be set
        later.
        """
        if self.record.clock_offset is None and self._since_first_sent is not None:
            await self._context.learn_time(self.record.account)
            await self._mark_response_lost()
        call = await find(self.record, self._context)
        return call is not None and await self._run_on(call)

    async def _search(
        self,
        error: KallyAIError,
        seconds: float,
        *,
        waits: Iterator[float] | None = None,
        otherwise: CallState = CallState.UNKNOWN,
    ) -> None:
        """Look for the call until it has ended or `seconds` have passed, and run it to its end.

        The record ends as `otherwise` and with `error` if it is certain at the end that the service
        does not list the call. While that is not certain, the search goes on for at least
        `Timing.search`; then the call is unknown.
        """
        waits = waits or pauses(self._timing.first_look, self._timing.longest_pause)
        began = self._clock.monotonic()
        while True:
            await self._clock.sleep(next(waits))
            elapsed = self._clock.monotonic() - began
            state, why, most = otherwise, error, seconds
            try:
                if await self._look():
                    return
            except KallyAIError as problem:
                _log.info("looking for a call: %s", problem.code)
                state, most = CallState.UNKNOWN, max(seconds, self._timing.search)
                why = error if isinstance(problem, UncertainError) else problem
            if elapsed >= most and state is CallState.REFUSED:
                await self._refuse(why)
                return
            if elapsed >= most:
                await self._finish(state, why)
                return

    async def _run_on(self, call: Call) -> bool:
        """Run a call to its end; returns False if it is in progress, and was so before."""
        if call.is_final:
            await self._finish(CallState.ENDED, call=call)
        elif self.record.call_id is None:
            self.record = replace(self.record, call_id=call.call_id)
            await self._poll_until_ended()
        else:
            return False
        return True

    async def _poll_until_ended(self) -> None:
        """Ask for a call that was placed, and whose id is known, until it ends, at most
        `Timing.poll_at_most`.
        """
        error = ResponseLostError("The call was placed, and KallyAI has not said yet how it ended.")
        await self._search(
            error, self._timing.poll_at_most, waits=pauses(self._timing.pause, longest=5)
        )

    @property
    def _may_wait(self) -> bool:
        """Whether it is placed in a window of time, and not by a list."""
        return self.record.schedule.not_before is not None and not self.record.is_of_list

    async def _refuse(self, error: KallyAIError) -> None:
        """Write down that no call was placed; one that is due may wait (`decisions.refuse`)."""
        refused = Refuse(self.record, error)
        self.end = await self._context.until_written(self.record.account, refused)
        if self.end.state is CallState.REFUSED:
            count("kallyai.calls.refused", code=error.code)

    async def _finish(
        self, state: CallState, error: KallyAIError | None = None, call: Call | None = None
    ) -> None:
        """Write down how the call ended, its outcome and its calendar file in one step; or the
        `error`.
        """
        ended = replace(self.record, state=state, call=None, error=error)
        if call is not None:
            ended = ended.ended_with(
                call, await read_findings(self._context, ended.account, call, self.record)
            )
        self.end = await self._context.until_written(ended.account, Over(ended))
        if error is not None and state is CallState.REFUSED:
            count("kallyai.calls.refused", code=error.code)
        else:
            count("kallyai.calls.ended", outcome=call.status if call is not None else "unknown")
