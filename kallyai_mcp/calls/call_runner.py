"""Carrying one call from its record to its end, whatever happens on the way.

The rules, in the order in which they apply:

1. Nothing leaves before the record says so (`Ledger.send`), and every request for a call has the same Idempotency-Key.
2. A refusal before anything was lost means that nothing was dialled.
3. Nothing sent, or sent back unread (no connection, 429): try again after a pause.
4. An answer lost (a broken connection, a body that can't be read, a 5xx): the call may have been placed. Look for it in
   the service's list; else send the same key again, but only while the call can't have ended yet, or when it must have
   ended long ago and still is not in the list. In between a service that has forgotten the key would ring twice.
5. What can't be settled is `UNKNOWN`.
"""

import logging
import math
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime, timedelta
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING

import anyio

from kallyai_mcp.api.errors import (
    KallyAIError,
    NotConnectedError,
    NotFoundError,
    RateLimitedError,
    ResponseLostError,
    UnavailableError,
    UnreadableResponseError,
)
from kallyai_mcp.api.models import Call
from kallyai_mcp.calls.ledger.base import Ledger, LedgerUnavailableError
from kallyai_mcp.calls.records import CallRecord, CallState, normal
from kallyai_mcp.calls.timing import Timing
from kallyai_mcp.telemetry import call_ended, call_refused

if TYPE_CHECKING:
    from kallyai_mcp.api.client import KallyAI

_log = logging.getLogger(__name__)

_LOOK_BACK = timedelta(minutes=2)
"""How far the service's clock may be behind ours."""

_PAGE = 200
"""How many of the newest calls are looked through: the most that the service gives at once."""

_NOT_ACTED_ON = (NotConnectedError, RateLimitedError)
_MAY_HAVE_RUNG = (ResponseLostError, UnreadableResponseError, UnavailableError)


class _Search(Enum):
    ABSENT = auto()  # looked, and it is not there
    OVER = auto()  # the record has come to its end


class CallRunner:
    """Brings records to their end, for one process.

    Args:
        connect: Gives the API client.
        ledger: Where the records are.
        owner: This process, in the ledger.
        rules: Times and counts.
        now: The clock.
    """

    def __init__(
        self,
        connect: "Callable[[], KallyAI]",
        ledger: Ledger,
        owner: str,
        rules: Timing,
        now: Callable[[], datetime],
    ) -> None:
        self._connect = connect
        self._ledger = ledger
        self._owner = owner
        self._rules = rules
        self._now = now

    async def dial(self, record: CallRecord) -> None:
        """Place the call of a new record, and bring it to its end."""
        lost: KallyAIError | None = None
        sent: list[float] = []
        unsent = 0
        pauses, looks = self._pauses(self._rules.pause), self._pauses(self._rules.first_look)
        while len(sent) < self._rules.sends:
            leaving = anyio.current_time()
            answer = await self._send(record)
            if answer is None:
                return
            if isinstance(answer, Call):
                await self._ended(record, answer)
                return
            if lost is None and isinstance(answer, _NOT_ACTED_ON):
                unsent += 1
                pause = answer.retry_after if answer.retry_after is not None else next(pauses)
                if unsent < self._rules.unsent_tries and pause <= self._rules.longest_pause:
                    await anyio.sleep(pause)
                    continue
            if lost is None and not isinstance(answer, _MAY_HAVE_RUNG):
                await self._end(record, CallState.REFUSED, error=answer)
                return
            # Once an answer was lost, a refusal of a later request says nothing of the one before it: its call may be
            # what used up the quota. Nor is there time for a pause: the call may end and its key be forgotten.
            sent.append(leaving)
            lost = lost or answer
            await self._persist(partial(self._ledger.lose, record.tracking_id, self._now()))
            if await self._search(record, sent, looks) is not _Search.ABSENT:
                return
        await self._end(record, CallState.UNKNOWN, error=lost)

    async def _send(self, record: CallRecord) -> Call | KallyAIError | None:
        """Send the request once; None when the record is no longer this process's to carry out."""
        try:
            if not await self._ledger.send(record.tracking_id, self._owner, self._now()):
                return None
            return await self._connect().create_call(
                record.submission, timezone=record.timezone, idempotency_key=record.key
            )
        except KallyAIError as error:
            return error

    async def settle(self, record: CallRecord) -> None:
        """Find out what became of a record whose owner is gone; nothing is dialled for it any more."""
        if record.state is CallState.PREPARED:
            words = "The server was stopped before the request left."
            await self._end(record, CallState.REFUSED, error=KallyAIError(words, code="not_sent"))
            return
        await self._persist(partial(self._ledger.lose, record.tracking_id, self._now()))
        if record.call_id is not None:
            await self._follow(record, record.call_id)
            return
        age = (self._now() - (record.sent_at or record.placed_at)).total_seconds()
        sent = [anyio.current_time() - max(age, self._rules.surely_ringing)]
        if await self._search(record, sent, self._pauses(self._rules.first_look)) is _Search.ABSENT:
            error = ResponseLostError("The server was stopped before the answer came.")
            await self._end(record, CallState.UNKNOWN, error=error)

    async def look_once(self, record: CallRecord) -> None:
        """Look once more for the call of a record that is `UNKNOWN`.

        Raises:
            KallyAIError: The service can't be asked.
        """
        call = await self._look(record)
        if call is not None and call.is_final:
            await self._end(record, CallState.ENDED, call=call)

    async def _search(self, record: CallRecord, sent: Sequence[float], pauses: Iterator[float]) -> _Search:
        """Look for the call until it is found, or its key may be sent again, or it can't be told.

        Args:
            record: Whose call.
            sent: When each request left that may have placed it, on the event loop's clock.
            pauses: How long to wait before each look.
        """
        give_up = anyio.current_time() + 2 * self._rules.settle
        while True:
            left = sent[-1] + self._rules.settle - anyio.current_time()
            await anyio.sleep(min(next(pauses), max(self._rules.first_look, left)))
            try:
                call = await self._look(record)
            except KallyAIError as error:
                _log.info("looking for a lost call: %s", error.code)
                if anyio.current_time() > give_up:
                    await self._end(record, CallState.UNKNOWN, error=error)
                    return _Search.OVER
                continue
            if call is not None:
                await self._ended(record, call)
                return _Search.OVER
            # A call of one of them, had there been one, either still rings, and its key is known; or it ended long ago,
            # and would have been in the list. In between, it may have ended unseen, and its key be forgotten.
            ages = [anyio.current_time() - leaving for leaving in sent]
            if all(age < self._rules.surely_ringing or age >= self._rules.settle for age in ages):
                return _Search.ABSENT

    async def _look(self, record: CallRecord) -> Call | None:
        """The service's call for `record`, if it shows one, claimed for it."""
        page = await self._connect().list_calls(limit=_PAGE)
        earliest = (record.sent_at or record.placed_at) - _LOOK_BACK
        for listed in reversed(page.calls):  # the oldest first: the first record gets the first call
            if listed.submission.respondent_phone != record.submission.respondent_phone:
                continue
            if listed.created_at is not None and listed.created_at < earliest:
                continue
            try:
                call = await self._connect().get_call(listed.call_id)
            except NotFoundError:
                continue
            if _is_for(record, call) and await self._ledger.claim(record.tracking_id, call.call_id, sure=False):
                return call
        return None

    async def _ended(self, record: CallRecord, call: Call) -> None:
        """Write down the outcome `call`, once it is one."""
        await self._persist(partial(self._ledger.claim, record.tracking_id, call.call_id, sure=True))
        if call.is_final:
            await self._end(record, CallState.ENDED, call=call)
        else:
            await self._follow(record, call.call_id)

    async def _follow(self, record: CallRecord, call_id: str) -> None:
        """Ask for a call that was placed until it has ended, and write its outcome down."""
        pauses = self._pauses(self._rules.pause, longest=5)
        last: KallyAIError = ResponseLostError("The call was placed, and KallyAI has not said yet how it ended.")
        with anyio.move_on_after(self._rules.follow):
            while True:
                try:
                    call = await self._connect().get_call(call_id)
                except KallyAIError as error:
                    _log.info("following a call: %s", error.code)
                    last = error
                else:
                    if call.is_final:
                        await self._end(record, CallState.ENDED, call=call)
                        return
                await anyio.sleep(next(pauses))
        await self._end(record, CallState.UNKNOWN, error=last)

    async def _end(
        self, record: CallRecord, state: CallState, *, call: Call | None = None, error: KallyAIError | None = None
    ) -> None:
        ending = partial(self._ledger.end, record.tracking_id, state, self._now(), call=call, error=error)
        await self._persist(ending)
        if record.is_under_way:  # one whose outcome was unknown has been counted
            if state is CallState.REFUSED:
                call_refused(error.code if error else "unknown")
            else:
                call_ended(call.status if call else "unknown", record.elapsed(self._now()))

    async def _persist(self, write: Callable[[], Awaitable[object]]) -> None:
        """Write into the ledger, however long that takes: what is known now can't be found out again for sure."""
        pauses = self._pauses(self._rules.pause)
        while True:
            try:
                await write()
            except LedgerUnavailableError as error:
                _log.error("%s", error)
                await anyio.sleep(next(pauses))
            else:
                return

    def _pauses(self, first: float, longest: float = math.inf) -> Iterator[float]:
        pause = first
        while True:
            yield min(pause, longest, self._rules.longest_pause)
            pause *= 2


def _is_for(record: CallRecord, call: Call) -> bool:
    """Whether what `call` repeats of its submission is what `record` asked for; what it leaves out decides nothing."""
    echo = call.submission.model_dump(exclude_none=True)
    asked = record.submission.as_json()
    return all(normal(asked.get(name)) == normal(value) for name, value in echo.items() if name in asked)
