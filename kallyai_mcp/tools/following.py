"""Which call or list the tool of a request waits for, so that messages of progress can say it."""

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass

import anyio

from kallyai_mcp.calls.call_lists import CallList
from kallyai_mcp.calls.records import CallRecord
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.facets.live import Live, live_of
from kallyai_mcp.tools.text.progress import progress_message

_READ_SECONDS = 1.0
"""How long to wait for the ledger: a message that comes late may come after a client's time-out."""


@dataclass
class Followed:
    """What a tool waits for; None before it waits for something in the ledger."""

    found: CallRecord | CallList | None = None

    async def message(self, app_context: AppContext) -> str | None:
        """How far it is now; None if nothing is known."""
        if self.found is None:
            return None
        lives: dict[str, Live] = {}
        with anyio.move_on_after(_READ_SECONDS):
            self.found = await app_context.calls.as_it_is_now(self.found)
            for record in _calls_in(self.found):
                lives[record.tracking_id] = live_of(await app_context.calls.reported(record))
        return progress_message(self.found, app_context.now(), lives) or None


def _calls_in(found: CallRecord | CallList) -> Sequence[CallRecord]:
    """The calls of a list that go on, or the one call."""
    if isinstance(found, CallRecord):
        return (found,)
    return [record for record in found.records if record.is_active]


FOLLOWED: ContextVar[Followed | None] = ContextVar("FOLLOWED", default=None)
"""Of the present request, if its client asked for messages of progress."""


def follow(found: CallRecord | CallList) -> None:
    """Have the messages of progress of this request tell of a call or a list."""
    followed = FOLLOWED.get()
    if followed is not None:
        followed.found = found
