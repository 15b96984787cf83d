"""Which client was told how which call ended: the one module that knows.

The next request for the same call is told an outcome that was not delivered, and places nothing. So an outcome counts
as delivered only when its answer goes to a client that is still there.
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
"""How many answers are remembered; a client that gives up as its answer leaves says so within moments."""

Mark = Callable[[list[CallRecord], bool], Awaitable[None]]


@dataclass(frozen=True)
class Report:
    """A call that the result of a request reports.

    Attributes:
        record: The call, as it is reported.
        placed_now: True if the request placed the call, False if it found it as a duplicate; None if it only asked.
        delivers: It is the first that tells how the call ended.
    """

    record: CallRecord
    placed_now: bool | None
    delivers: bool


def _delivered(reports: list[Report]) -> list[CallRecord]:
    return [report.record for report in reports if report.delivers]


_reports: ContextVar[list[Report] | None] = ContextVar("kallyai_mcp_reports", default=None)


class Delivery:
    """Notes deliveries in the ledger (`mark`), and takes them back."""

    def __init__(self, mark: Mark) -> None:
        self._mark = mark
        self._waiting: dict[str, object] = {}
        self._open: list[list[Report]] = []
        self._reported: OrderedDict[tuple[object, object], list[CallRecord]] = OrderedDict()

    @asynccontextmanager
    async def request(self, connection: object, request_id: object) -> AsyncIterator[list[Report]]:
        """For the middleware, around one request: yields the list of what its result reports.

        What a request that is canceled would have told does not count as delivered. `connection` is the same for all
        requests of one connection.
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
        """Around the wait for the end of `record`: the newest request that waits is the one that gets the outcome.

        A client that asks for a call a second time has not read the answer of the first request.
        """
        request = self._waiting[record.tracking_id] = object()
        try:
            yield
        finally:
            if self._waiting.get(record.tracking_id) is request:
                del self._waiting[record.tracking_id]

    def being_told(self) -> list[CallRecord]:
        """The calls whose outcome is about to leave: a request that arrives now was sent before its client read it."""
        records = (record for reports in self._open for record in _delivered(reports))
        return [record for record in records if record.state in (CallState.ENDED, CallState.UNKNOWN)]

    def reports(self) -> tuple[Report, ...]:
        """What the result of the present request reports so far; nothing outside of `request`."""
        return tuple(_reports.get() or ())

    async def note(self, record: CallRecord, *, placed_now: bool | None = None, certain: bool = True) -> None:
        """Note that the answer of the present request tells of `record`; see `Report` for `placed_now`.

        Without `certain`, the client may be gone unnoticed, so an outcome doesn't count as delivered.
        """
        has_news = not record.is_open and not record.is_delivered
        delivers = has_news and certain and record.tracking_id not in self._waiting
        if (reports := _reports.get()) is not None:
            reports.append(Report(record, placed_now, delivers))
        if delivers:
            await self._marked([record], delivered=True)

    async def canceled(self, connection: object, request_id: object) -> None:
        """The client gave up a request that was answered: what the answer told does not count as delivered."""
        if delivered := self._reported.pop((connection, request_id), None):
            await self._marked(delivered, delivered=False)

    async def not_written(self, request_id: object) -> None:
        """The answer of a request could not be written, since the only client has left; see `canceled`."""
        for connection, answered in tuple(self._reported):
            if answered == request_id:
                with anyio.CancelScope(shield=True):
                    await self.canceled(connection, answered)

    async def _marked(self, records: list[CallRecord], *, delivered: bool) -> None:
        try:
            await self._mark(records, delivered)
        except LedgerUnavailableError:
            return  # then the outcome is told once more, which does no harm
