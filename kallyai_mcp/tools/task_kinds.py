"""The two kinds of tasks: a call, and a list of candidates."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from mcp.types import CallToolResult

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.call_lists import CallList, StopReason
from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.tools.call_results import to_result
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.list_results import cancel_list, list_result
from kallyai_mcp.tools.text import call_lists as list_texts
from kallyai_mcp.tools.text.calls import task_status
from kallyai_mcp.tools.text.scheduled import scheduled_task
from kallyai_mcp.tools.text.times import Reader
from kallyai_mcp.tools.tool_errors import tool_error

Status = Literal["working", "completed", "cancelled"]


@dataclass(frozen=True)
class CallTask:
    """A call as a task."""

    record: CallRecord

    @property
    def id(self) -> str:
        """The id of the task."""
        return self.record.tracking_id

    @property
    def created_at(self) -> datetime:
        """When the task began."""
        return self.record.placed_at

    @property
    def status(self) -> Status:
        """How far the task is."""
        if self.record.is_open:
            return "working"
        return "cancelled" if self.record.state is CallState.CANCELED else "completed"

    @property
    def ended_at(self) -> datetime | None:
        """When the task ended, if that is known."""
        return self.record.ended_at

    def text(self, reader: Reader, *, is_duplicate: bool = False) -> str:
        """How far the task is, in words; with `is_duplicate`, the same call was asked for before."""
        if self.record.state is CallState.SCHEDULED:
            return scheduled_task(self.record, reader, is_duplicate=is_duplicate)
        return task_status(self.record, reader, is_duplicate=is_duplicate)

    async def result(self, app_context: AppContext, *, with_links: bool) -> CallToolResult:
        """The result that make_call would have returned, had it waited for the end."""
        try:
            return await to_result(app_context, self.record, placed_now=True, with_links=with_links)
        except KallyAIError as error:
            return await tool_error(error, app_context, tool="make_call", places_calls=True)

    async def cancel(self, app_context: AppContext) -> None:
        """Do what cancel_call does."""
        await app_context.calls.cancel(self.record.tracking_id)


@dataclass(frozen=True)
class ListTask:
    """A list as a task: the time from a request that starts it, or makes it go on, until it stops.

    A completed task must stay completed (SEP-2663, "Task Status Lifecycle"). So a list that goes on after a decision is
    a new task. Its id contains the time of the request, so that nothing has to be stored.

    Attributes:
        found: The list.
        began: When the request came, in milliseconds since the epoch.
    """

    found: CallList
    began: int

    @classmethod
    def newest(cls, found: CallList) -> "ListTask":
        """The task of the newest request for a list."""
        return cls(found, _milliseconds(found.asked_at))

    @property
    def id(self) -> str:
        """The id of the task."""
        return f"{self.found.list_id}.{self.began}"

    @property
    def created_at(self) -> datetime:
        """When the task began."""
        return datetime.fromtimestamp(self.began / 1000, UTC)

    @property
    def is_past(self) -> bool:
        """Whether the list went on after this task: what the list does now belongs to a newer task."""
        return self.began != _milliseconds(self.found.asked_at)

    @property
    def status(self) -> Status:
        """How far the task is.

        A list that was canceled after a call may have reached somebody is `completed`, so that the client gets the
        result.
        """
        if self.is_past or not self.found.is_open:
            is_canceled = self.found.stop_reason is StopReason.CANCELED and not self.found.may_have_reached
            return "cancelled" if is_canceled and not self.is_past else "completed"
        return "working"

    @property
    def ended_at(self) -> datetime:
        """When the task ended. If the list was canceled during a call, this is when the call ended."""
        if self.is_past:
            return self.found.asked_at
        ends = (self.found.ended_at, *(record.ended_at for record in self.found.records[-1:]))
        return max((end for end in ends if end is not None), default=self.found.asked_at)

    def text(self, reader: Reader, *, is_duplicate: bool = False) -> str:
        """How far the task is, in words; with `is_duplicate`, the same list was asked for before."""
        del reader
        return list_texts.task_status(self.found, is_duplicate=is_duplicate)

    async def result(self, app_context: AppContext, *, with_links: bool) -> CallToolResult:
        """The result that call_around would have returned, had it waited for the end."""
        del with_links  # a list has none
        return await list_result(app_context, self.found, placed_now=True)

    async def cancel(self, app_context: AppContext) -> None:
        """Do what cancel_call does, unless the list has stopped."""
        if self.status == "working":
            await cancel_list(app_context, self.found)


async def find_task(app_context: AppContext, id_: str) -> CallTask | ListTask | None:
    """The task with this id, if the account has it; else None."""
    list_id, _, began = id_.rpartition(".")
    if began.isascii() and began.isdecimal() and len(began) <= _DIGITS:
        found = await app_context.calls.find_list(list_id)
        if found is not None and int(began) <= _milliseconds(found.asked_at):
            return ListTask(found, int(began))
    record = await app_context.calls.find(id_)
    # `find` also finds a call by its call_id, which is not the id of a task.
    return CallTask(record) if record is not None and record.tracking_id == id_ else None


_DIGITS = 14
"""The most digits of milliseconds since the epoch; enough until the year 5138."""


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
