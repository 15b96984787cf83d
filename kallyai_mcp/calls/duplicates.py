"""Which record answers a request for the same call, and which is looked at before another call.

This is rule 6 of placing a call (`kallyai_mcp.calls`), as questions about values: nothing is read
or written here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from kallyai_mcp.calls.records import NEVER_PLACED, CallRecord, CallState
from kallyai_mcp.calls.timing import Timing


@dataclass(frozen=True)
class DeliveredHere:
    """The call whose outcome this process delivered last, and how long before a request.

    The time is by a clock that nobody sets.
    """

    tracking_id: str
    before: timedelta


@dataclass(frozen=True)
class Asked:
    """A request for a call, as far as its duplicates depend on it.

    Times are aware, by the ledger's clock.

    Attributes:
        now: The time of the decision.
        arrived: When the request arrived, or earlier.
        not_before: When the call is due; None for at once.
        redial: Whether the call is to be placed although the same one was just made.
        delivered_here: The last of the same calls that this process delivered; None without one.
    """

    now: datetime
    arrived: datetime
    not_before: datetime | None = None
    redial: bool = False
    delivered_here: DeliveredHere | None = None


def find_answer(records: Iterable[CallRecord], asked: Asked, timing: Timing) -> CallRecord | None:
    """The record of the same call that answers a request; None if a call is to be placed.

    One that goes on comes before those that are over, such as its own earlier attempts.
    """
    found = [record for record in records if answers(record, asked, timing)]
    return max(found, key=lambda record: (record.is_open, record.asked_at), default=None)


def answers(record: CallRecord, asked: Asked, timing: Timing) -> bool:
    """Whether a record of the same call is the answer to a request, so that no call is placed."""
    if record.state in NEVER_PLACED:
        return False
    if record.is_open or not was_delivered(record, asked):
        return True
    if asked.redial:
        return False
    if record.state is CallState.UNKNOWN:
        return True
    if was_just_delivered(record, asked, timing):
        return not is_another_try(record, asked)
    return has_just_reached_somebody(record, asked, timing)


def was_delivered(record: CallRecord, asked: Asked) -> bool:
    """Whether the outcome of a call had been delivered when the request was sent.

    What was delivered while the request was on its way does not count: who sent it did not know. A
    time that is still to come does count: the clock was set back since.
    """
    if record.delivered_at is None:
        return False
    was_delivered_meanwhile = _arrived_after(record, asked) < record.delivered_at <= asked.now
    return not was_delivered_meanwhile


def was_just_delivered(record: CallRecord, asked: Asked, timing: Timing) -> bool:
    """Whether the request may be the one that was just answered, sent once more."""
    delivered_at = record.delivered_at or record.asked_at
    return _passed(delivered_at, record, asked) < timing.repeat_after_delivery


def is_another_try(record: CallRecord, asked: Asked) -> bool:
    """Whether the request is for another time, after a call that reached nobody.

    More `retries` alone are not: a client that sends its request once more sends them, too.
    """
    if record.reached is not False or asked.not_before is None:
        return False
    return asked.not_before != record.schedule.not_before


def has_just_reached_somebody(record: CallRecord, asked: Asked, timing: Timing) -> bool:
    """Whether the call may have reached somebody, and ended so recently that it is meant."""
    if record.reached is False:
        return False
    return _passed(record.ended_at or record.asked_at, record, asked) < timing.repeat_after


def to_look_at(records: Iterable[CallRecord], asked: Asked, timing: Timing) -> CallRecord | None:
    """The call that KallyAI is asked about before the same one is placed again; None without one.

    It is the newest one that reached nobody, as far as is known, if it was placed in the time for
    which KallyAI may still say more.
    """
    since = asked.now - timedelta(seconds=timing.look_back)
    recent = (record for record in records if record.asked_at > since)
    candidates = filter(may_have_reached_nobody, recent)
    return max(candidates, key=lambda record: record.asked_at, default=None)


def may_have_reached_nobody(record: CallRecord) -> bool:
    """Whether a call has ended, and nothing is known yet that shows that it reached somebody."""
    return record.state is CallState.ENDED and not record.reached


def _passed(moment: datetime, record: CallRecord, asked: Asked) -> float:
    """Seconds from a moment in a record to the request.

    If it lies before the call was placed, the clock was set back between, and the later time
    counts.
    """
    return (_arrived_after(record, asked) - max(moment, record.asked_at)).total_seconds()


def _arrived_after(record: CallRecord, asked: Asked) -> datetime:
    """When the request arrived, to be compared with the times of `record`.

    What this process delivered last is as old as its own clock says, also if the ledger's clock was
    set forward since.
    """
    last = asked.delivered_here
    delivered_at = record.delivered_at
    if last is None or last.tracking_id != record.tracking_id or delivered_at is None:
        return asked.arrived
    return min(asked.arrived, delivered_at + last.before)
