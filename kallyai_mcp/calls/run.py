"""One call on its way: its request is sent, its outcome is found out, and both are written into the
ledger.

What follows each request and each look, `sending.next_step` says. Two exceptions of rule 4 of
placing a call (`kallyai_mcp.calls`): (a) a request that found no connection does not count as sent;
(b) after 429 the key is sent again at once after the list has shown that no such call has ended,
because the service knows the keys of the calls that are in progress.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial

import anyio
from anyio import CancelScope, move_on_after

from kallyai_mcp.api.errors import KallyAIError, ResponseLostError, UnreadableResponseError
from kallyai_mcp.api.models import Call
from kallyai_mcp.calls.call_search import UncertainError, find
from kallyai_mcp.calls.context import CallContext
from kallyai_mcp.calls.errors import LedgerUnavailableError
from kallyai_mcp.calls.events import Delayed, Found, Leave, Lost, Over, Refuse
from kallyai_mcp.calls.findings import read_findings
from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.calls.sending import Ages, check_ages, is_late, next_step, taken_over, to_place
from kallyai_mcp.calls.steps import (
    Bound,
    Ended,
    Failed,
    LookFirst,
    Refused,
    Result,
    Running,
    SearchUntil,
    Send,
    Sending,
    Step,
    Uncertain,
    Unknown,
    Unlisted,
    Unread,
    Wait,
    Waited,
)
from kallyai_mcp.calls.watches import Moment, Watches
from kallyai_mcp.clock import Stopwatch

_log = logging.getLogger(__name__)

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
        reported: The call while it goes on, as KallyAI reported it last; None if it did not.
    """

    def __init__(self, record: CallRecord, context: CallContext) -> None:
        self.record = record
        self.has_ended = asyncio.Event()
        self.end: CallRecord | None = None
        self.reported: Call | None = None
        self._context = context
        self._ledger = context.ledger
        self._timing = context.timing
        self._clock = context.clock
        self._watches = Watches(context.clock)

    async def place(self, since_reserved: Stopwatch) -> None:
        """Place the call, and run it to its end. `since_reserved` runs since before the
        reservation.
        """
        self._watches.add(Moment.RESERVED, since_reserved)
        await self._follow(next_step(to_place(self.record, self._timing), Waited()))

    async def settle(self) -> None:
        """Run a call to its end whose worker has died."""
        if self.record.state is CallState.RESERVED:
            words = "The server was stopped before the request left."
            await self._refuse(KallyAIError(words, code="not_sent"))
        elif self.record.call is not None:
            await self._finish(CallState.ENDED, call=self.record.call)
        else:
            await self._mark_response_lost()
            await self._follow(taken_over(self.record, self._timing, self._clock.now()))

    async def _follow(self, step: Step) -> None:
        """Do what a step says, and what follows it, until the call has ended."""
        while True:
            match step:
                case Send():
                    step = next_step(step.state, await self._send(step.state))
                case Wait():
                    step = next_step(step.state, await self._wait(step))
                case LookFirst():
                    step = next_step(step.state, await self._look_first(step))
                case SearchUntil():
                    step = await self._search(step)
                case Bound():
                    return await self._end(step)
                case Refused():
                    return await self._refuse(step.error)
                case Unknown():
                    return await self._finish(CallState.UNKNOWN, step.error)

    async def _wait(self, wait: Wait) -> Waited:
        if wait.may_be_placed:
            await self._mark_response_lost()
        if wait.is_put_off:
            with suppress(LedgerUnavailableError):  # users learn only later why it waits
                delayed = Delayed(self.record, wait.state.error)
                self.record = await self._ledger.handle(self.record.account, delayed)
        await self._clock.sleep(wait.seconds)
        return Waited()

    async def _look_first(self, step: LookFirst) -> Result:
        if step.may_be_placed:
            await self._mark_response_lost()
        return await self._look()

    async def _search(self, search: SearchUntil) -> Step:
        """Look for the call until its phase is another one; returns what follows."""
        began = self._clock.monotonic()
        step: Step = search
        while isinstance(step, SearchUntil) and step.state.phase is search.state.phase:
            await self._clock.sleep(step.seconds)
            searched = self._clock.monotonic() - began
            step = next_step(step.state, await self._look(searched))
        return step

    async def _send(self, state: Sending) -> Result:
        """Send the request once, and bind the call that the service answers with."""
        self._watches.begin_request()
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
                    last_check=partial(self._last_check, state),
                )
        except KallyAIError as error:
            return Failed(error, self._watches.longest_since(Moment.LEFT))
        async with self._written_at_least(call):
            return await self._bind(call)

    @asynccontextmanager
    async def _written_at_least(self, call: Call) -> AsyncIterator[None]:
        """A context that writes what the service has answered; if the server ends meanwhile, at
        least the call.
        """
        try:
            yield
        except anyio.get_cancelled_exc_class():
            with (
                CancelScope(shield=True),
                move_on_after(_LAST_WRITE),
                suppress(LedgerUnavailableError),
            ):
                found = Found(self.record, call, proven=True)
                await self._ledger.handle(self.record.account, found)
            raise

    async def _bind(self, call: Call) -> Result:
        """Write the call that the service has answered with."""
        record = self.record
        if call.is_final:
            with self._clock.move_on_after(_FINDINGS_FIRST):
                record = record.ended_with(
                    call, await read_findings(self._context, record.account, call, record)
                )
        found = Found(record, call, proven=True, service_time=self._context.time)
        bound = await self._context.until_written(record.account, found)
        if bound is None:  # it is not known whether a new one was placed
            error = UnreadableResponseError("KallyAI answered with an earlier call.")
            return Failed(error, self._watches.longest_since(Moment.LEFT))
        if record.state is CallState.ENDED:
            self.end = bound
            return Ended(call, is_written=True)
        return self._found(call)

    async def _last_check(self, state: Sending) -> None:
        """Write down that the request leaves; raises `KallyAIError` when it must not.

        It has a token and a connection. The time is looked at once more at the end: the write may
        have taken long, or the machine was suspended.
        """
        since_connected = Stopwatch(self._clock)
        if is_late(self._watches.longest_since(Moment.LEFT), self._timing):
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
        check_ages(state, self.record, self._ages())
        if since_connected.longest() > _FROM_CONNECTION:
            raise KallyAIError(
                "The last check of the request took too long, so it was not sent.", code="not_sent"
            )
        self._watches.mark_left()

    def _ages(self) -> Ages:
        since = self._watches.longest_since
        return Ages(since(Moment.RESERVED), since(Moment.LOOKED), since(Moment.LEFT_BEFORE))

    async def _mark_response_lost(self) -> None:
        """Note that a response was lost (`decisions.mark_lost`)."""
        lost = Lost(self.record, self._context.time, self._watches.since_first_left)
        self.record = await self._context.until_written(self.record.account, lost)

    async def _look(self, searched: float = 0.0) -> Result:
        """Look once for the call, which was `searched` for so many seconds before.

        How far the clocks differed when the request left is written down before: they may be set
        later.
        """
        self._watches.begin(Moment.LOOKED)
        try:
            if self.record.clock_offset is None and self._watches.has_sent:
                await self._context.learn_time(self.record.account)
                await self._mark_response_lost()
            call = await find(self.record, self._context)
        except KallyAIError as error:
            _log.info("looking for a call: %s", error.code)
            left = self._watches.longest_since(Moment.LEFT)
            if isinstance(error, UncertainError):
                return Uncertain(left=left, searched=searched)
            return Unread(left=left, searched=searched, error=error)
        if call is None:
            left = self._watches.longest_since(Moment.LEFT)
            return Unlisted(left=left, searched=searched)
        return self._found(call, searched)

    def _found(self, call: Call, searched: float = 0.0) -> Ended | Running:
        """A call that is bound to the record, whose id is known from then on."""
        if call.is_final:
            return Ended(call)
        self.reported = call
        if self.record.call_id is None:
            self.record = replace(self.record, call_id=call.call_id)
        return Running(searched)

    async def _end(self, bound: Bound) -> None:
        if not bound.is_written:
            await self._finish(CallState.ENDED, call=bound.call)

    async def _refuse(self, error: KallyAIError) -> None:
        """Write down that no call was placed; one that is due may wait (`decisions.refuse`)."""
        refused = Refuse(self.record, error)
        self.end = await self._context.until_written(self.record.account, refused)

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
