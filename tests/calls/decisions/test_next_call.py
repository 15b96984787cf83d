"""What the next call of a list is, or why the list stops."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.call_lists import CallList, StopReason
from kallyai_mcp.calls.lists import Joined, Placed, Refused, Stopped, TooLate, next_call
from kallyai_mcp.calls.policy import CallPolicy
from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.settings import Settings
from tests.calls.dict_view import DictView
from tests.calls.ledgers import ACCOUNT, HERE, NOW, THERE, asked, outcome, submission

TWO = tuple(submission(respondent_phone=number) for number in (HERE, THERE))
LIST = CallList(ACCOUNT, TWO, "booked", False, ("UTC", "UTC"), NOW, list_id="t-list")


def called(state: CallState, **changes: Any) -> CallRecord:
    """The call of the first candidate."""
    return asked(state=state, plan_id="t-list", session_id="t-list", **changes)


def ended(status: str, *, reached: bool | None) -> CallRecord:
    return called(CallState.ENDED, call=outcome(status), call_id="c-1", reached=reached)


def step(*records: CallRecord, others: tuple[CallRecord, ...] = (), **more: Any) -> Any:
    view = DictView.of(more.pop("now", NOW), *records, *others, **more)
    return next_call(view, replace(LIST, records=records))


STOPS = {
    "somebody talked": (ended("success", reached=True), StopReason.NEEDS_DECISION),
    "its outcome is unknown": (called(CallState.UNKNOWN), StopReason.UNKNOWN),
    "the user canceled it": (called(CallState.CANCELED), StopReason.CANCELED),
    "it was refused": (
        called(CallState.REFUSED, error=KallyAIError("No.", code="no")),
        StopReason.REFUSED,
    ),
}


@pytest.mark.parametrize(("record", "reason"), STOPS.values(), ids=STOPS)
def test_a_list_stops_after_a_call(record: CallRecord, reason: StopReason) -> None:
    assert step(record) == Stopped(reason)


def test_after_the_last_candidate_a_list_is_done() -> None:
    nobody = ended("busy", reached=False)
    second = replace(nobody, tracking_id="t-2", submission=TWO[1])

    assert step(nobody, second) == Stopped(StopReason.DONE)


def test_after_nobody_answers_the_next_is_called() -> None:
    placed = step(ended("busy", reached=False))

    assert isinstance(placed, Placed)
    assert placed.record.answer.submission == TWO[1]
    assert placed.record.answer.plan_id == "t-list"


def test_a_call_asked_for_alone_joins_the_list() -> None:
    alone = asked(state=CallState.RESERVED)

    assert step(others=(alone,)) == Joined(alone)


def test_a_call_of_another_list_is_refused() -> None:
    theirs = asked(state=CallState.RESERVED, plan_id="t-other", session_id="t-other")
    refused = step(others=(theirs,))

    assert isinstance(refused, Refused)
    assert refused.record.answer.error is not None
    assert (refused.record.answer.error.code, refused.setting) == ("in_another_list", None)


def test_a_call_that_a_setting_forbids_is_refused() -> None:
    refused = step(policy=CallPolicy(Settings(deny_numbers=("+1",))))

    assert isinstance(refused, Refused)
    assert refused.record.answer.state is CallState.REFUSED
    assert refused.setting == "KALLYAI_DENY_NUMBERS"


def test_a_candidate_whose_night_has_begun_comes_last() -> None:
    # It is 21:30 in Madrid, and afternoon in San Francisco.
    first_there = replace(LIST, submissions=TWO[::-1])
    now = NOW + timedelta(hours=5)

    assert next_call(DictView.of(now), first_there) == TooLate()


def test_a_list_stops_at_night_for_all() -> None:
    assert step(now=NOW + timedelta(hours=20)) == Stopped(StopReason.REFUSED)
