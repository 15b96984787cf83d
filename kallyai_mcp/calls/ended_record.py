"""What the end of a call changes in its record, and when it changes nothing.

`own` is the ledger's record of the call, and `end` what a worker has found out about it.
"""

from dataclasses import replace
from datetime import datetime

from kallyai_mcp.calls.appointment import Calendar
from kallyai_mcp.calls.records import CallRecord, CallState


def may_end(own: CallRecord, end: CallRecord) -> bool:
    """Whether an end changes the ledger's record of the call: it is new, and may count."""
    return _is_news(own, end) and _is_proven(own, end)


def with_end(own: CallRecord, end: CallRecord, now: datetime) -> CallRecord:
    """The ledger's record with an end that it may have; `now` is the ledger's time."""
    return replace(
        own,
        state=end.state,
        ended_at=_first_end(own, now),
        delivered_at=own.delivered_at if _is_delivered_already(own, end) else None,
        call_id=end.call_id or own.call_id,
        clock_offset=_first_offset(own, end),
        call=end.call,
        calendar=_known_calendar(own, end),
        reached=end.reached,
        spoken=end.spoken or own.spoken,
        error=end.error,
    )


def _is_news(own: CallRecord, end: CallRecord) -> bool:
    """Whether the ledger does not know the end yet."""
    return own.state is not CallState.ENDED or end.tells_more_than(own)


def _is_proven(own: CallRecord, end: CallRecord) -> bool:
    """Whether an end may count: a worker that has lost a call to another one sent nothing, but the
    other one may have.
    """
    return end.state is not CallState.REFUSED or own.worker == end.worker


def _is_delivered_already(own: CallRecord, end: CallRecord) -> bool:
    """Whether who was told the end need not be told the news: nobody was reached, as before.

    Else a request to place the call again would be answered with an end that its client knows.
    """
    return own.state is CallState.ENDED and not own.reached and not end.reached


def _first_end(own: CallRecord, now: datetime) -> datetime | None:
    """When a call ended: now, unless its end was known before this one, which only tells more."""
    if own.state is CallState.ENDED:
        return own.ended_at
    return now


def _first_offset(own: CallRecord, end: CallRecord) -> float | None:
    """How far KallyAI's clock was off when the request left, as far as that is known."""
    if own.clock_offset is None:
        return end.clock_offset
    return own.clock_offset


def _known_calendar(own: CallRecord, end: CallRecord) -> Calendar | None:
    """The calendar of an end; the one before if it was not read now: a booking must not be lost."""
    if end.is_calendar_unread:
        return own.calendar or end.calendar
    return end.calendar
