"""Rule 6 of placing a call: which record answers a request for the same call, and which one is
looked at first."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from kallyai_mcp.calls.duplicates import Asked, DeliveredHere, answers, find_answer, to_look_at
from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.calls.schedule import Schedule
from kallyai_mcp.calls.timing import Timing
from tests.calls.ledgers import NOW, ago, asked, outcome

LATER = NOW + timedelta(hours=2)
REQUEST = Asked(NOW, NOW)
REDIAL = Asked(NOW, NOW, redial=True)
AT_ANOTHER_TIME = Asked(NOW, NOW, not_before=LATER)


def over(
    told: datetime | None, *, reached: bool | None, ended: float = 300, **more: Any
) -> CallRecord:
    """A call that ended so many seconds ago."""
    times: dict[str, Any] = {
        "asked_at": ago(seconds=ended + 60),
        "ended_at": ago(seconds=ended),
        "delivered_at": told,
    }
    return asked(**times, state=CallState.ENDED, call=outcome(), reached=reached, **more)


IN_STATE = {
    CallState.SCHEDULED: (True, True),
    CallState.RESERVED: (True, True),
    CallState.SENT: (True, True),
    CallState.UNKNOWN: (True, False),
    CallState.ENDED: (True, False),
    CallState.REFUSED: (False, False),
    CallState.CANCELED: (False, False),
    CallState.EXPIRED: (False, False),
}
"""Whether a record in a state answers a request, and a redial; the client was told two minutes
ago."""


@pytest.mark.parametrize("state", CallState)
def test_a_record_answers_by_its_state(state: CallState) -> None:
    record = asked(state=state, asked_at=ago(minutes=5), delivered_at=ago(minutes=2), reached=True)
    found = answers(record, REQUEST, Timing()), answers(record, REDIAL, Timing())

    assert found == IN_STATE[state]


@pytest.mark.parametrize(
    ("told", "reached", "ended", "request_", "is_answer"),
    [
        # untold: always the answer
        (None, False, 90_000, REQUEST, True),
        (None, False, 90_000, REDIAL, True),
        (None, False, 90_000, AT_ANOTHER_TIME, True),
        # told within the minute
        (59, True, 90_000, REQUEST, True),
        (59, False, 90_000, REQUEST, True),
        (59, False, 90_000, AT_ANOTHER_TIME, False),
        (59, None, 90_000, AT_ANOTHER_TIME, True),
        (59, True, 90_000, AT_ANOTHER_TIME, True),
        (59, False, 90_000, REDIAL, False),
        # told before
        (61, True, 3599, REQUEST, True),
        (61, None, 3599, REQUEST, True),
        (61, True, 3599, AT_ANOTHER_TIME, True),
        (61, True, 3599, REDIAL, False),
        (61, True, 3601, REQUEST, False),
        (61, False, 61, REQUEST, False),
    ],
)
def test_an_outcome_answers_a_minute_or_an_hour(
    told: float | None, reached: bool | None, ended: float, request_: Asked, is_answer: bool
) -> None:
    delivered_at = ago(seconds=told) if told is not None else None

    assert (
        answers(over(delivered_at, reached=reached, ended=ended), request_, Timing()) is is_answer
    )


def test_an_outcome_told_after_the_request_answers_it() -> None:
    record = over(ago(seconds=5), reached=False)
    before = Asked(NOW, ago(seconds=6), redial=True)
    after = Asked(NOW, ago(seconds=4), redial=True)

    assert answers(record, before, Timing())
    assert not answers(record, after, Timing())


def test_an_outcome_with_a_future_time_was_told() -> None:
    """The clock was set back since."""
    record = over(NOW + timedelta(hours=1), reached=True)

    assert not answers(record, REDIAL, Timing())


def test_this_processs_clock_dates_what_it_told() -> None:
    """The ledger's clock was set forward by two hours since."""
    record = over(ago(hours=2, seconds=30), reached=True, ended=7500)
    delivered_here = DeliveredHere(record.tracking_id, timedelta(seconds=30))

    assert answers(record, Asked(NOW, NOW, delivered_here=delivered_here), Timing())
    assert not answers(record, REQUEST, Timing())


def test_the_calls_own_time_is_no_other_time() -> None:
    record = over(ago(seconds=5), reached=False, schedule=Schedule(LATER, LATER))

    assert answers(record, AT_ANOTHER_TIME, Timing())


def test_a_call_that_goes_on_precedes_earlier_attempts() -> None:
    goes_on = asked(1, state=CallState.SCHEDULED, asked_at=ago(hours=1))
    attempt = over(ago(seconds=5), reached=False, tracking_id="t-2")

    assert find_answer([attempt, goes_on], REQUEST, Timing()) is goes_on


@pytest.mark.parametrize(
    ("ended", "reached", "is_looked_at"),
    [
        (60, False, True),
        (60, None, True),
        (60, True, False),
        (86_300, False, True),
        (86_400, False, False),
    ],
)
def test_a_days_call_that_missed_is_looked_at(
    ended: float, reached: bool | None, is_looked_at: bool
) -> None:
    record = over(ago(seconds=5), reached=reached, ended=ended)

    assert (to_look_at([record], REQUEST, Timing()) is record) is is_looked_at


def test_the_newest_of_them_is_looked_at() -> None:
    calls = [over(ago(seconds=5), reached=False, ended=ended) for ended in (500, 100, 300)]
    newest_of_all = over(ago(seconds=5), reached=True, ended=50)

    assert to_look_at([*calls, newest_of_all], REQUEST, Timing()) is calls[1]
