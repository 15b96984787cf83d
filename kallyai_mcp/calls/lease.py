"""The lease of the worker of this process."""

import logging

import anyio

from kallyai_mcp.calls.context import CallContext
from kallyai_mcp.telemetry import count

_log = logging.getLogger(__name__)


class Lease:
    """The lease of a worker, which is taken when it is first needed.

    Attributes:
        name: The name of the worker that holds it; None before.
    """

    def __init__(self, context: CallContext) -> None:
        self.name: str | None = None
        self._context = context
        self._taking = anyio.Lock()

    async def held_name(self) -> str:
        """The name of the worker, which holds its lease; a new one at first, and after the lease
        was lost, as when the database was restarted.
        """
        async with self._taking:
            database = self._context.ledger.database
            if self.name is not None and not database.has_lease():
                _note_loss(self.name)
                self.name = None
            if self.name is None:
                self.name = await database.take_lease()
            return self.name


def _note_loss(name: str) -> None:
    _log.warning("The worker %s lost its lease: others may take over its calls", name)
    count("kallyai.leases.lost", {})
