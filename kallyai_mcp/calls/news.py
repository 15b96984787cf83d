"""What is news about planned calls: how those ended that nobody was told of."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from kallyai_mcp.calls.records import CallRecord, CallState

MOST_TOLD = 3
"""The most planned calls that one result tells of."""


@dataclass(frozen=True)
class News:
    """Planned calls that are told with the next result, and how many are left for the one after."""

    calls: tuple[CallRecord, ...] = ()
    left: int = 0


NO_NEWS = News()


def news_of(planned: Sequence[CallRecord], told_already: Collection[str]) -> News:
    """What is told of planned calls, the oldest ends first.

    `told_already` are the tracking ids of calls that this result tells of anyway, or that another
    one tells of at the moment.
    """
    untold = [one for one in planned if _is_untold(one) and one.tracking_id not in told_already]
    return News(tuple(untold[:MOST_TOLD]), len(untold[MOST_TOLD:]))


def _is_untold(record: CallRecord) -> bool:
    """Whether a planned call is over, and nobody knows how it ended.

    A user knows of a call that they have canceled, and a list tells of its calls itself.
    """
    is_planned = record.schedule.not_before is not None and record.plan_id is None
    is_over = not record.is_open and record.state is not CallState.CANCELED
    return is_planned and is_over and record.delivered_at is None
