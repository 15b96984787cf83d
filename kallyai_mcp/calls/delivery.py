"""Which client was told how which call ended: the one module that knows.

The next request for the same call is told an outcome that was not delivered, and places nothing. So an outcome counts
as delivered only when its answer goes to a client that is still there.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from kallyai_mcp.calls.ledger.base import LedgerUnavailableError
from kallyai_mcp.calls.records import CallRecord

_REMEMBERED = 1000
"""How many answers are remembered; a client that gives up as its answer leaves says so within moments."""

Mark = Callable[[list[str], bool], Awaitable[None]]

_records: ContextVar[list[CallRecord] | None] = ContextVar("kallyai_mcp_records", default=None)


class Delivery:
    """Notes deliveries in the ledger, and takes them back.

    Args:
        mark: Notes in the ledger that these records were delivered, or were not after all.
    """

    def __init__(self, mark: Mark) -> None:
        self._mark = mark
        self._waiting: dict[str, object] = {}
        self._told: OrderedDict[tuple[object, object], list[str]] = OrderedDict()

    @contextmanager
    def request(self, connection: object, request_id: object) -> Iterator[list[CallRecord]]:
        """For the middleware, around one request: yields the list of the records that its answer tells of.

        Args:
            connection: Something that is the same for all requests of one connection.
            request_id: The client's id of this request.
        """
        records: list[CallRecord] = []
        token = _records.set(records)
        try:
            yield records
        finally:
            _records.reset(token)
            if records:
                self._told[connection, request_id] = [record.tracking_id for record in records]
                if len(self._told) > _REMEMBERED:
                    self._told.popitem(last=False)

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

    async def note(self, record: CallRecord, *, certain: bool = True) -> None:
        """Note that the answer of the present request tells of `record`.

        Args:
            record: As it is told.
            certain: False when the client may be gone unnoticed; an outcome then doesn't count as delivered.
        """
        if (records := _records.get()) is not None:
            records.append(record)
        if record.is_active or record.is_delivered or not certain or record.tracking_id in self._waiting:
            return
        await self._marked([record.tracking_id], delivered=True)

    async def canceled(self, connection: object, request_id: object) -> None:
        """The client gave up a request that was answered: what the answer told does not count as delivered."""
        if ids := self._told.pop((connection, request_id), None):
            await self._marked(ids, delivered=False)

    async def _marked(self, ids: list[str], *, delivered: bool) -> None:
        try:
            await self._mark(ids, delivered)
        except LedgerUnavailableError:
            return  # then the outcome is told once more, which does no harm
