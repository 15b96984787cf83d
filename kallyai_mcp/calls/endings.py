"""How calls have ended, for an operator: one line of the log for each, and the counters."""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from kallyai_mcp.calls.changes import Changes
from kallyai_mcp.calls.records import NEVER_PLACED, CallRecord, CallState
from kallyai_mcp.telemetry import count

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ending:
    """How a call, or one attempt of it, has ended.

    Attributes:
        state: The state of its record then; `ENDED` for an attempt.
        outcome: KallyAI's status of a call that was placed; else the name of the state.
        seconds: The time since its request left, or since it was asked for if none did.
        code: The error code of a call that was not placed, or whose outcome is not known.
        correlation_id: KallyAI's id of the request that failed.
    """

    tracking_id: str
    state: CallState
    outcome: str
    seconds: float
    call_id: str | None = None
    code: str | None = None
    correlation_id: str | None = None


def endings_in(
    known: Mapping[str, CallRecord], changes: Changes[object], now: datetime
) -> Iterator[Ending]:
    """How calls end with these changes of the `known` records, by tracking id."""
    for record in changes.save:
        before = known[record.tracking_id]
        if has_ended(before, record):
            yield _ending_of(record, now)
        elif has_another_attempt(before, record):
            yield _ending_of_attempt(before, record, now)
    for record in changes.insert:
        # The call of a list may be refused at once. An ended attempt is copied: see above.
        if record.state in NEVER_PLACED:
            yield _ending_of(record, now)


def has_ended(before: CallRecord, record: CallRecord) -> bool:
    """Whether a change of its record ends a call."""
    return before.is_open and not record.is_open


def has_another_attempt(before: CallRecord, record: CallRecord) -> bool:
    """Whether a change of its record ends an attempt, after which the call is placed again."""
    return record.is_open and record.schedule.attempt > before.schedule.attempt


def _ending_of(record: CallRecord, now: datetime) -> Ending:
    outcome = record.call.plain_status if record.call is not None else record.state.value
    seconds = _seconds_until(now, record)
    ending = Ending(record.tracking_id, record.state, outcome, seconds, record.call_id)
    if record.error is None:
        return ending
    error = record.error
    return replace(ending, code=error.code, correlation_id=error.correlation_id)


def _ending_of_attempt(before: CallRecord, record: CallRecord, now: datetime) -> Ending:
    attempt = record.schedule.earlier[-1]
    seconds = _seconds_until(now, before)
    return Ending(record.tracking_id, CallState.ENDED, attempt.status, seconds, attempt.call_id)


def _seconds_until(now: datetime, record: CallRecord) -> float:
    return (now - record.sent_or_asked_at).total_seconds()


def note(ending: Ending) -> None:
    """Log and count how a call has ended. Nobody knows more of an unknown outcome, so it is a
    warning.
    """
    level = logging.WARNING if ending.state is CallState.UNKNOWN else logging.INFO
    facts = {
        "tracking_id": ending.tracking_id,
        "call_id": ending.call_id,
        "outcome": ending.outcome,
        "seconds": round(ending.seconds, 3),
        "code": ending.code,
        "api_correlation_id": ending.correlation_id,
    }
    said = ending.outcome if ending.code is None else f"{ending.outcome}, {ending.code}"
    _log.log(level, "call ended after %.0f s: %s", ending.seconds, said, extra=facts)
    counter = _COUNTED.get(ending.state)
    if counter is not None:
        counter(ending)


def _count_end(ending: Ending) -> None:
    count("kallyai.calls.ended", {"kallyai.call.outcome": ending.outcome})


def _count_refusal(ending: Ending) -> None:
    count("kallyai.calls.refused", {"error.type": ending.code or ending.outcome})


def _count_expiry(_: Ending) -> None:
    count("kallyai.calls.expired", {})


_COUNTED: dict[CallState, Callable[[Ending], None]] = {
    CallState.ENDED: _count_end,
    CallState.UNKNOWN: _count_end,
    CallState.REFUSED: _count_refusal,
    CallState.EXPIRED: _count_expiry,
}
"""What is counted, by the state in which a call ends. A user who cancels a call is no event."""
