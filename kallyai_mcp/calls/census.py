"""How many calls of all accounts are in a state that an operator watches."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from kallyai_mcp.calls.records import CallState


class WatchedState(StrEnum):
    """What an operator watches."""

    IN_PROGRESS = "in_progress"  # a worker must run it to its end
    DUE = "due"  # it is scheduled, and its time has come
    LATE = "late"  # it is scheduled, its time is over, and no worker has written that it expired
    UNKNOWN = "unknown"  # a call may have been placed, and its outcome could not be found


@dataclass(frozen=True)
class Group:
    """Some calls as the ledger has them.

    Attributes:
        is_due: Whether they are scheduled for a time that has come.
        is_late: Whether they are scheduled for a time that is over.
    """

    state: CallState
    is_due: bool
    is_late: bool
    number: int


def census(groups: Iterable[Group]) -> Mapping[WatchedState, int]:
    """The number of calls in each state that is watched."""
    found = dict.fromkeys(WatchedState, 0)
    for group in groups:
        watched = watched_state(group)
        if watched is not None:
            found[watched] += group.number
    return found


def watched_state(group: Group) -> WatchedState | None:
    """The state as an operator watches it; None for calls that nobody has to watch."""
    if group.state.is_active:
        return WatchedState.IN_PROGRESS
    if group.state is CallState.UNKNOWN:
        return WatchedState.UNKNOWN
    if group.is_late:
        return WatchedState.LATE
    return WatchedState.DUE if group.is_due else None
