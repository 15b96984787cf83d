"""Notes which outcomes were delivered: a client was told how the call ended.

A request for the same call gets an outcome that was not delivered, and places no new call. So an
outcome counts as delivered only when its answer goes to a client that still waits for it; over
stdio, only when the client has read it.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from itertools import chain
from typing import Any

import anyio
import anyio.lowlevel

from kallyai_mcp.calls.context import CallContext
from kallyai_mcp.calls.errors import LedgerUnavailableError
from kallyai_mcp.calls.events import LastDelivered, Late
from kallyai_mcp.calls.ledger.rows import mark_delivered
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState
from kallyai_mcp.clock import Stopwatch

_REMEMBERED = 1000
"""How many answered requests are remembered, and how many delivered calls, for
`Delivery.last_delivered`.
"""

_delivers: ContextVar[list[CallRecord] | None] = ContextVar("kallyai_mcp_delivers", default=None)
"""The calls whose outcomes the result of the current request delivers; None outside of a
request.
"""


class Delivery:
    """Notes what this process delivers.

    With `delivers_when_read`, an answer delivers when the client has read it, not before.
    """

    def __init__(self, context: CallContext) -> None:
        self._context = context
        self.delivers_when_read = False
        self._in_requests: list[list[CallRecord]] = []
        """The calls that the results of the requests in progress deliver."""
        self._undelivered: dict[tuple[object, object], list[CallRecord]] = {}
        """The calls that the answer to a request delivers once it is read, by connection and
        request id.
        """
        self._delivered: OrderedDict[tuple[object, object], list[CallRecord]] = OrderedDict()
        """The calls that the answer to a request has delivered; the client may cancel while that is
        being sent.
        """
        self._last_delivered: OrderedDict[tuple[AccountKey, str], LastDelivered] = OrderedDict()
        """The call that was delivered last, by account and fingerprint."""

    @asynccontextmanager
    async def request(self, connection: object, request_id: object) -> AsyncIterator[None]:
        """A context for one request, whose result delivers what `deliver` is called with.

        If the request fails or is canceled, its result delivers nothing. `connection` is the same
        object for all requests of a connection.
        """
        delivered: list[CallRecord] = []
        with self._delivering(delivered):
            token = _delivers.set(delivered)
            try:
                yield
            finally:
                _delivers.reset(token)
            await self._answered((connection, request_id), delivered)

    @contextmanager
    def _delivering(self, records: list[CallRecord]) -> Iterator[None]:
        """A context in which a result is made that delivers these calls."""
        self._in_requests.append(records)
        try:
            yield
        finally:
            self._in_requests = [one for one in self._in_requests if one is not records]

    async def _answered(self, key: tuple[object, object], delivered: list[CallRecord]) -> None:
        """The result of a request is ready, which delivers these calls."""
        if delivered and self.delivers_when_read:
            self._undelivered[key] = delivered
        elif delivered:
            try:
                await self._mark_delivered(delivered)
                await anyio.lowlevel.checkpoint_if_cancelled()
            except anyio.get_cancelled_exc_class():
                with anyio.CancelScope(shield=True):
                    await self._mark_undelivered(delivered)
                raise
            _remember(self._delivered, key, delivered)

    async def deliver(self, record: CallRecord, *, certain: bool = True) -> None:
        """Let the result of the current request deliver the outcome of `record`.

        Unless it is `certain` that the client waits for the result, nothing counts as delivered.
        """
        if record.is_open or record.delivered_at is not None or not certain:
            return
        delivers = _delivers.get()
        if delivers is None:
            await self._mark_delivered([record])
        else:
            delivers.append(record)

    @property
    def being_delivered(self) -> frozenset[str]:
        """The tracking ids of the calls that results deliver which are made or read now."""
        pending = chain(self._in_requests, self._undelivered.values())
        return frozenset(record.tracking_id for record in chain.from_iterable(pending))

    async def answer_canceled(self, connection: object, request_id: object) -> None:
        """The client has canceled a request that was answered: the answer delivered nothing."""
        self._undelivered.pop((connection, request_id), None)
        if delivered := self._delivered.pop((connection, request_id), None):
            await self._mark_undelivered(delivered)

    @property
    def has_undelivered(self) -> bool:
        """Whether there is an answer that delivers an outcome once the client has read it."""
        return bool(self._undelivered)

    async def answer_read(self, request_id: object) -> None:
        """The only client has read the answer to a request."""
        for key in [key for key in self._undelivered if key[1] == request_id]:
            delivered = self._undelivered.pop(key)
            with anyio.CancelScope(shield=True):
                await self._mark_delivered(delivered)
            _remember(self._delivered, key, delivered)

    def last_delivered(self, requested: CallRecord) -> LastDelivered | None:
        """The last of the same calls that this process delivered."""
        return self._last_delivered.get((requested.account, requested.fingerprint))

    async def _mark_delivered(self, records: list[CallRecord]) -> None:
        # If this is not written, or lost, the outcome is delivered once more, which does no harm.
        with suppress(LedgerUnavailableError):
            since = Stopwatch(self._context.clock)
            await self._write_expired(records)
            await self._context.ledger.note(mark_delivered, records, delivered=True)
            for record in records:
                call = record.account, record.fingerprint
                _remember(self._last_delivered, call, LastDelivered(record.tracking_id, since))

    async def _mark_undelivered(self, records: list[CallRecord]) -> None:
        with suppress(LedgerUnavailableError):
            await self._context.ledger.write(None, mark_delivered, records, delivered=False)

    async def _write_expired(self, records: list[CallRecord]) -> None:
        """Write down which of the calls have expired, as far as nothing has done that yet."""
        for record in records:
            if record.state is CallState.EXPIRED:
                ledger = self._context.ledger
                account = record.account
                await ledger.handle(account, Late([record.tracking_id]))


def _remember(known: OrderedDict[Any, Any], key: object, value: object) -> None:
    """Add a value to those that are `known`, or set it anew; the oldest of more than `_REMEMBERED`
    is forgotten.
    """
    known[key] = value
    known.move_to_end(key)
    if len(known) > _REMEMBERED:
        known.popitem(last=False)
