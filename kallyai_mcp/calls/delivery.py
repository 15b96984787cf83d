"""Notes which outcomes were delivered: a client was told how the call ended.

A request for the same call gets an outcome that was not delivered, and places no new call. So an outcome counts as
delivered only when its answer goes to a client that still waits for it.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import anyio

from kallyai_mcp.calls.ledger.base import LedgerUnavailableError
from kallyai_mcp.calls.records import CallRecord, CallState

_REMEMBERED = 1000
"""How many answered requests are remembered, for a client that cancels a request while its answer is being sent."""

MarkDelivered = Callable[[list[CallRecord], bool], Awaitable[None]]
"""Writes into the ledger whether the outcomes of these calls were delivered."""


@dataclass(frozen=True)
class Report:
    """A call in the result of a request.

    Attributes:
        record: The call, as the result reports it.
        placed_now: True if the request placed the call, False if the call is a duplicate, None if the request only
            asked about it.
        delivers: Whether this report delivers the outcome of the call.
    """

    record: CallRecord
    placed_now: bool | None
    delivers: bool


def _delivered(reports: list[Report]) -> list[CallRecord]:
    return [report.record for report in reports if report.delivers]


_reports: ContextVar[list[Report] | None] = ContextVar("kallyai_mcp_reports", default=None)
"""The calls in the result of the current request; None outside of a request."""


class Delivery:
    """Notes in the ledger which outcomes were delivered, and notes when one was not delivered after all.

    Args:
        mark: Writes that into the ledger.
    """

    def __init__(self, mark: MarkDelivered) -> None:
        self._mark = mark
        self._waiting: dict[str, object] = {}
        """The newest request that waits for the end of a call, by the call's tracking id."""
        self._open: list[list[Report]] = []
        """The reports of each request in progress."""
        self._reported: OrderedDict[tuple[object, object], list[CallRecord]] = OrderedDict()
        """The calls that each answered request delivered, by connection and request id."""

    @asynccontextmanager
    async def request(self, connection: object, request_id: object) -> AsyncIterator[list[Report]]:
        """A context for one request. If the request is canceled, its result delivers nothing.

        Args:
            connection: Identifies the connection: the same object for all its requests.
            request_id: The id of the request, which is unique in its connection.

        Yields:
            The calls that the result of the request reports; `note` adds to this list.
        """
        reports: list[Report] = []
        token = _reports.set(reports)
        self._open.append(reports)
        try:
            yield reports
        except anyio.get_cancelled_exc_class():
            if delivered := _delivered(reports):
                with anyio.CancelScope(shield=True):
                    await self._marked(delivered, delivered=False)
            raise
        finally:
            _reports.reset(token)
            self._open = [other for other in self._open if other is not reports]
        if delivered := _delivered(reports):
            self._reported[connection, request_id] = delivered
            if len(self._reported) > _REMEMBERED:
                self._reported.popitem(last=False)

    @contextmanager
    def waiting(self, record: CallRecord) -> Iterator[None]:
        """A context for the wait of a request for the end of `record`.

        Of several requests that wait for it, only the newest delivers the outcome: a client that asks a second time has
        given up the first request.
        """
        request = self._waiting[record.tracking_id] = object()
        try:
            yield
        finally:
            if self._waiting.get(record.tracking_id) is request:
                del self._waiting[record.tracking_id]

    def being_delivered(self) -> list[CallRecord]:
        """The calls whose outcome is in an answer that has not been sent yet.

        The client of a request that arrives now can't have read that answer.
        """
        records = (record for reports in self._open for record in _delivered(reports))
        return [record for record in records if record.state in (CallState.ENDED, CallState.UNKNOWN)]

    def reports(self) -> tuple[Report, ...]:
        """The calls that the result of the current request reports so far; empty outside of a request."""
        return tuple(_reports.get() or ())

    async def note(self, record: CallRecord, *, placed_now: bool | None = None, certain: bool = True) -> None:
        """Note that the result of the current request reports `record`.

        Args:
            record: The call, as the result reports it.
            placed_now: See `Report`.
            certain: Whether the client is known to wait for the result; if not, nothing counts as delivered.
        """
        has_news = not record.is_open and not record.is_delivered
        delivers = has_news and certain and record.tracking_id not in self._waiting
        if (reports := _reports.get()) is not None:
            reports.append(Report(record, placed_now, delivers))
        if delivers:
            await self._marked([record], delivered=True)

    async def canceled(self, connection: object, request_id: object) -> None:
        """The client has canceled a request that was answered: the answer delivered nothing."""
        if delivered := self._reported.pop((connection, request_id), None):
            await self._marked(delivered, delivered=False)

    async def not_written(self, request_id: object) -> None:
        """The answer to a request could not be written, because the only client has disconnected; as `canceled`."""
        for connection, answered in tuple(self._reported):
            if answered == request_id:
                with anyio.CancelScope(shield=True):
                    await self.canceled(connection, answered)

    async def _marked(self, records: list[CallRecord], *, delivered: bool) -> None:
        try:
            await self._mark(records, delivered)
        except LedgerUnavailableError:
            return  # the outcome is delivered once more, which does no harm
