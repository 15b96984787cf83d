"""A list of candidates as a task: its id, and how far it is."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from kallyai_mcp.calls.call_lists import CallList, Why
from kallyai_mcp.tools.context import AppContext


@dataclass(frozen=True)
class ListTask:
    """A list, from when it was asked for, or asked to go on, until it stops.

    A task that is completed must stay so (SEP-2663, "Task Status Lifecycle"). So a list that goes on after a decision
    is a new task, and nothing has to be stored for it: the moment is part of its id.

    Attributes:
        found: The list.
        began: When it was asked for, or asked to go on, in milliseconds since the epoch.
    """

    found: CallList
    began: int

    @classmethod
    def newest(cls, found: CallList) -> "ListTask":
        """The task of a list as it is now."""
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
        """Whether the list went on since: what it does now is another task."""
        return self.began != _milliseconds(self.found.asked_at)

    @property
    def status(self) -> Literal["working", "completed", "cancelled"]:
        """A list that was canceled after it reached somebody is completed: its result has to be told."""
        if self.is_past or not self.found.is_open:
            is_canceled = self.found.why is Why.CANCELED and not self.found.may_have_reached
            return "cancelled" if is_canceled and not self.is_past else "completed"
        return "working"

    @property
    def ended_at(self) -> datetime:
        """When the task ended; the last call of a canceled list may end later than the list."""
        if self.is_past:
            return self.found.asked_at
        ends = (self.found.ended_at, *(record.ended_at for record in self.found.records[-1:]))
        return max((end for end in ends if end is not None), default=self.found.asked_at)


async def find_list_task(app_context: AppContext, id_: str) -> ListTask | None:
    """The task with this id, if it is one of a list of this account.

    Raises:
        KallyAIError: As `CallService.find_list`.
    """
    list_id, _, began = id_.rpartition(".")
    if not (began.isascii() and began.isdecimal() and len(began) <= _DIGITS):
        return None
    found = await app_context.calls.find_list(list_id)
    is_known = found is not None and int(began) <= _milliseconds(found.asked_at)
    return ListTask(found, int(began)) if found is not None and is_known else None


_DIGITS = 14
"""Of milliseconds since the epoch, until the year 5138."""


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
