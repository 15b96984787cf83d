"""Finds out which of the resources that a client subscribed to have changed.

The ledger is read every second, separately for each client. So a client also gets updates about calls that another
process runs, and none about calls of another account. Nothing is read while no client subscribes.
"""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

import anyio
from mcp import MCPError
from mcp.types import INVALID_PARAMS

from kallyai_mcp.api.errors import KallyAIError, NotFoundError
from kallyai_mcp.calls.records import CallState
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.resource_links import CALLS, call_id_in
from kallyai_mcp.tools.tool_errors import protocol_errors

LEDGER_INTERVAL = 1.0
"""Seconds between two reads of the ledger, for each subscribed client."""

SERVICE_INTERVAL = 5.0
"""Seconds between two requests to KallyAI about a call that the ledger does not have."""

MAX_URIS = 100
"""How many URIs one client may subscribe to at once."""

_State = tuple[bool, bool, int]
"""The state of a call or a list; if it differs between two reads, the resource has changed.

For a call without an outcome: whether it is scheduled, whether it is in progress, and the number of the attempt.
For a list that is not over: whether it has stopped, whether a call of it is in progress, and how many calls it has.
"""

_REFUSED = "You can subscribe only to your own calls."
"""The same text for a call of another account and for an unknown call, so that it does not reveal which calls exist."""

Notify = Callable[[str], Awaitable[None]]
"""Called with the URI of a resource that has changed."""


def too_many_uris() -> MCPError:
    """The error for a client that subscribes to more than `MAX_URIS` (-32602)."""
    return MCPError(INVALID_PARAMS, f"You can subscribe to at most {MAX_URIS} resources at once.")


class ResourceWatch:
    """The resources that one client subscribed to, and their state at the last read. Made by `start`."""

    def __init__(self, app_context: AppContext) -> None:
        self._app_context = app_context
        self._watches_list = False
        self._recorded: dict[str, set[str]] = {}
        self._unrecorded: dict[str, set[str]] = {}
        self._unsettled: dict[str, _State] = {}
        self._service_asked_at = anyio.current_time()

    @classmethod
    async def start(cls, app_context: AppContext, uris: Iterable[str]) -> "ResourceWatch":
        """Make a watch of `uris`, and read their state now; every later change is notified.

        Raises:
            MCPError: -32602: a resource is not the client's, or there are too many; -32603: the state can't be read.
        """
        watch = cls(app_context)
        wanted = set(uris)
        if len(wanted) > MAX_URIS:
            raise too_many_uris()
        with protocol_errors():
            try:
                for uri in sorted(wanted):
                    await watch._add(uri)
                watch._unsettled = await watch._read_unsettled()
            except NotFoundError:
                raise MCPError(INVALID_PARAMS, _REFUSED) from None
        return watch

    async def run(self, notify: Notify) -> None:
        """Notify of each change, until nothing can change any more."""
        while self._watches_list or self._recorded or self._unrecorded:
            await anyio.sleep(LEDGER_INTERVAL)
            changed: list[str] = []
            with suppress(KallyAIError):  # the next read may succeed
                changed += await self._changed_in_ledger()
            if anyio.current_time() - self._service_asked_at >= SERVICE_INTERVAL:
                with suppress(KallyAIError):
                    changed += await self._changed_at_service()
                self._service_asked_at = anyio.current_time()
            for uri in changed:
                await notify(uri)

    async def _add(self, uri: str) -> None:
        if uri == CALLS:
            self._watches_list = True
            return
        id_ = call_id_in(uri)
        if id_ is None:
            raise MCPError(INVALID_PARAMS, _REFUSED)
        record = await self._app_context.calls.find(id_)
        if record is None and (found := await self._app_context.calls.lists.find(id_)):
            if found.is_open or found.waits_for_user:
                self._recorded.setdefault(id_, set()).add(uri)
        elif record is None:
            if not (await self._app_context.api().get_call(id_)).is_final:
                self._unrecorded.setdefault(id_, set()).add(uri)
        elif record.is_open or record.state is CallState.UNKNOWN:
            self._recorded.setdefault(record.tracking_id, set()).add(uri)

    async def _read_unsettled(self) -> dict[str, _State]:
        """The state of each call without an outcome and of each list that is not over, by its tracking id."""
        if not self._watches_list and not self._recorded:
            return {}
        calls = {
            record.tracking_id: (record.state is CallState.SCHEDULED, record.is_active, record.schedule.attempt)
            for record in await self._app_context.calls.list_unsettled()
        }
        return calls | {
            found.list_id: (found.stop_reason is not None, found.is_calling, len(found.records))
            for found in await self._app_context.calls.lists.list_unfinished()
        }

    async def _changed_in_ledger(self) -> list[str]:
        before, self._unsettled = self._unsettled, await self._read_unsettled()
        changed = [CALLS] if self._watches_list and before != self._unsettled else []
        for id_ in [id_ for id_ in self._recorded if before.get(id_) != self._unsettled.get(id_)]:
            changed += sorted(self._recorded[id_])
        self._recorded = {id_: uris for id_, uris in self._recorded.items() if id_ in self._unsettled}
        return changed

    async def _changed_at_service(self) -> list[str]:
        changed: list[str] = []
        for id_ in list(self._unrecorded):
            if (await self._app_context.api().get_call(id_)).is_final:
                changed += sorted(self._unrecorded.pop(id_))
        return changed
