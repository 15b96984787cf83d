"""What each event does to a call in each state: the rules of the program, line by line.

The record is this worker's, in the attempt that the event is about. What comes with other workers,
attempts, times, and lists is below.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from kallyai_mcp.api.errors import KallyAIError, NotSignedInError
from kallyai_mcp.calls.appointment import Calendar
from kallyai_mcp.calls.changes import Changes
from kallyai_mcp.calls.decisions import FROM, decide
from kallyai_mcp.calls.events import (
    Adopt,
    Cancel,
    Delayed,
    Due,
    Event,
    Found,
    Late,
    Leave,
    Lost,
    Over,
    Refuse,
    Release,
)
from kallyai_mcp.calls.outcome import Findings
from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.calls.schedule import AT_ONCE, Schedule
from tests.calls.dict_view import DictView
from tests.calls.ledgers import NOW, ago, asked, outcome

ERROR = KallyAIError("It was not sent.", code="not_sent")
WINDOW = Schedule(ago(minutes=1), NOW + timedelta(minutes=29))
PAST = Schedule(ago(minutes=31), ago(minutes=1))
TWICE = Schedule(attempts=2)

LINES = """
leaves                    | scheduled | error not_sent
leaves                    | reserved  | saves sent; answers sent
leaves                    | sent      | saves sent; answers sent
leaves                    | ended     | error not_sent
leaves                    | refused   | error not_sent
leaves                    | unknown   | error not_sent
leaves                    | canceled  | error not_sent
leaves                    | expired   | error not_sent
is delayed                | scheduled | nothing; answers scheduled
is delayed                | reserved  | saves reserved; answers reserved
is delayed                | sent      | saves sent; answers sent
is delayed                | ended     | nothing; answers ended
is delayed                | refused   | nothing; answers refused
is delayed                | unknown   | nothing; answers unknown
is delayed                | canceled  | nothing; answers canceled
is delayed                | expired   | nothing; answers expired
is lost                   | scheduled | saves scheduled; answers scheduled
is lost                   | reserved  | saves reserved; answers reserved
is lost                   | sent      | saves sent; answers sent
is lost                   | ended     | saves ended; answers ended
is lost                   | refused   | saves refused; answers refused
is lost                   | unknown   | saves unknown; answers unknown
is lost                   | canceled  | saves canceled; answers canceled
is lost                   | expired   | saves expired; answers expired
is refused                | scheduled | nothing; answers scheduled
is refused                | reserved  | saves refused; answers refused
is refused                | sent      | saves refused; answers refused
is refused                | ended     | nothing; answers ended
is refused                | refused   | nothing; answers refused
is refused                | unknown   | saves refused; answers refused
is refused                | canceled  | nothing; answers canceled
is refused                | expired   | nothing; answers expired
waits                     | scheduled | nothing; answers scheduled
waits                     | reserved  | saves scheduled; answers scheduled
waits                     | sent      | saves scheduled; answers scheduled
waits                     | ended     | nothing; answers ended
waits                     | refused   | nothing; answers refused
waits                     | unknown   | nothing; answers unknown
waits                     | canceled  | nothing; answers canceled
waits                     | expired   | nothing; answers expired
is found                  | scheduled | saves scheduled; answers scheduled
is found                  | reserved  | saves reserved; answers reserved
is found                  | sent      | saves sent; answers sent
is found                  | ended     | nothing; answers ended
is found                  | refused   | saves refused; answers refused
is found                  | unknown   | saves unknown; answers unknown
is found                  | canceled  | saves canceled; answers canceled
is found                  | expired   | saves expired; answers expired
is answered               | scheduled | saves scheduled; answers scheduled
is answered               | reserved  | saves reserved; answers reserved
is answered               | sent      | saves sent; answers sent
is answered               | ended     | nothing; answers ended
is answered               | refused   | saves refused; answers refused
is answered               | unknown   | saves unknown; answers unknown
is answered               | canceled  | saves canceled; answers canceled
is answered               | expired   | saves expired; answers expired
has succeeded             | scheduled | nothing; answers scheduled
has succeeded             | reserved  | saves ended; answers ended
has succeeded             | sent      | saves ended; answers ended
has succeeded             | ended     | saves ended; answers ended
has succeeded             | refused   | nothing; answers refused
has succeeded             | unknown   | saves ended; answers ended
has succeeded             | canceled  | nothing; answers canceled
has succeeded             | expired   | nothing; answers expired
was busy                  | scheduled | nothing; answers scheduled
was busy                  | reserved  | saves ended; answers ended
was busy                  | sent      | saves ended; answers ended
was busy                  | ended     | nothing; answers ended
was busy                  | refused   | nothing; answers refused
was busy                  | unknown   | saves ended; answers ended
was busy                  | canceled  | nothing; answers canceled
was busy                  | expired   | nothing; answers expired
was busy, and has retries | scheduled | nothing; answers scheduled
was busy, and has retries | reserved  | saves scheduled, inserts ended; answers scheduled
was busy, and has retries | sent      | saves scheduled, inserts ended; answers scheduled
was busy, and has retries | ended     | nothing; answers ended
was busy, and has retries | refused   | nothing; answers refused
was busy, and has retries | unknown   | saves ended; answers ended
was busy, and has retries | canceled  | nothing; answers canceled
was busy, and has retries | expired   | nothing; answers expired
is unknown                | scheduled | nothing; answers scheduled
is unknown                | reserved  | saves unknown; answers unknown
is unknown                | sent      | saves unknown; answers unknown
is unknown                | ended     | nothing; answers ended
is unknown                | refused   | nothing; answers refused
is unknown                | unknown   | saves unknown; answers unknown
is unknown                | canceled  | nothing; answers canceled
is unknown                | expired   | nothing; answers expired
was not placed            | scheduled | nothing; answers scheduled
was not placed            | reserved  | saves refused; answers refused
was not placed            | sent      | saves refused; answers refused
was not placed            | ended     | nothing; answers ended
was not placed            | refused   | nothing; answers refused
was not placed            | unknown   | saves refused; answers refused
was not placed            | canceled  | nothing; answers canceled
was not placed            | expired   | nothing; answers expired
is canceled               | scheduled | saves canceled; answers True
is canceled               | reserved  | saves canceled; answers True
is canceled               | sent      | saves sent; answers False
is canceled               | ended     | nothing; answers False
is canceled               | refused   | nothing; answers False
is canceled               | unknown   | nothing; answers False
is canceled               | canceled  | nothing; answers False
is canceled               | expired   | nothing; answers False
is released               | scheduled | saves refused; answers None
is released               | reserved  | saves refused; answers None
is released               | sent      | saves refused; answers None
is released               | ended     | nothing; answers None
is released               | refused   | nothing; answers None
is released               | unknown   | nothing; answers None
is released               | canceled  | nothing; answers None
is released               | expired   | nothing; answers None
is due                    | scheduled | saves reserved, audits placed; answers reserved
is due                    | reserved  | nothing; answers none
is due                    | sent      | nothing; answers none
is due                    | ended     | nothing; answers none
is due                    | refused   | nothing; answers none
is due                    | unknown   | nothing; answers none
is due                    | canceled  | nothing; answers none
is due                    | expired   | nothing; answers none
is adopted                | scheduled | nothing; answers none
is adopted                | reserved  | saves reserved; answers reserved
is adopted                | sent      | saves sent; answers sent
is adopted                | ended     | nothing; answers none
is adopted                | refused   | nothing; answers none
is adopted                | unknown   | nothing; answers none
is adopted                | canceled  | nothing; answers none
is adopted                | expired   | nothing; answers none
is late                   | scheduled | saves expired; answers None
is late                   | reserved  | nothing; answers None
is late                   | sent      | nothing; answers None
is late                   | ended     | nothing; answers None
is late                   | refused   | nothing; answers None
is late                   | unknown   | nothing; answers None
is late                   | canceled  | nothing; answers None
is late                   | expired   | nothing; answers None
"""
"""An event, the state of the call, and what comes of it."""


def in_state(state: CallState, **changes: Any) -> CallRecord:
    """A call in this state, as the ledger has it."""
    times: dict[str, Any] = {}
    if state in (CallState.SENT, CallState.ENDED, CallState.UNKNOWN):
        times["sent_at"] = ago(seconds=20)
    if state is CallState.ENDED:
        ended = outcome("no_answer")
        times |= {"ended_at": NOW, "call": ended, "call_id": ended.call_id, "reached": False}
    if state is CallState.SCHEDULED:
        times["schedule"] = WINDOW
    return asked(state=state, idempotency_key="key", asked_at=ago(seconds=30), **(times | changes))


def ended(record: CallRecord, status: str, *, reached: bool) -> Over:
    return Over(record.ended_with(outcome(status), Findings(Calendar(), reached)))


def without_call(record: CallRecord, state: CallState) -> Over:
    return Over(replace(record, state=state, call=None, error=ERROR))


EVENTS: dict[str, Any] = {
    "leaves": Leave,
    "is delayed": lambda one: Delayed(one, ERROR),
    "is lost": Lost,
    "is refused": lambda one: Refuse(one, ERROR),
    "waits": lambda one: Refuse(replace(one, schedule=WINDOW), NotSignedInError("No.")),
    "is found": lambda one: Found(one, outcome("in_progress"), proven=False),
    "is answered": lambda one: Found(one, outcome(), proven=True),
    "has succeeded": lambda one: ended(one, "success", reached=True),
    "was busy": lambda one: ended(one, "busy", reached=False),
    "was busy, and has retries": lambda one: ended(one, "busy", reached=False),
    "is unknown": lambda one: without_call(one, CallState.UNKNOWN),
    "was not placed": lambda one: without_call(one, CallState.REFUSED),
    "is canceled": lambda one: Cancel(one.tracking_id),
    "is released": lambda one: Release(one.tracking_id),
    "is due": lambda one: Due("another", [one.tracking_id]),
    "is adopted": lambda _: Adopt("another", []),
    "is late": lambda one: Late([one.tracking_id]),
}
SCHEDULES = {"waits": WINDOW, "was busy, and has retries": TWICE, "is late": PAST, "is due": WINDOW}


def said(changes: Changes[Any]) -> str:
    """What a decision changes and answers, in a few words."""
    words = [f"saves {one.state}" for one in changes.save]
    words += [f"inserts {one.state}" for one in changes.insert]
    words += [f"audits {one.refused_by or 'placed'}" for one in changes.audit]
    answer = changes.answer
    if isinstance(answer, tuple):
        answer = ", ".join(one.state for one in answer) or "none"
    shown = answer.state if isinstance(answer, CallRecord) else answer
    return f"{', '.join(words) or 'nothing'}; answers {shown}"


def happens(name: str, state: CallState) -> str:
    """What the event of this name does to a call in this state."""
    schedule = SCHEDULES.get(name, WINDOW if state is CallState.SCHEDULED else AT_ONCE)
    record = in_state(state, schedule=schedule)
    living = set() if name == "is adopted" else {record.worker}
    view = DictView.of(NOW, record, living=living)
    return _said(view, EVENTS[name](record))


@pytest.mark.parametrize("line", LINES.strip().splitlines())
def test_an_event_changes_a_call_by_its_state(line: str) -> None:
    name, state, expected = (part.strip() for part in line.split("|"))

    assert happens(name, CallState(state)) == expected


@pytest.mark.parametrize("event", FROM)
def test_each_event_from_a_state_is_known(event: type[Event[Any]]) -> None:
    made = {type(make(in_state(CallState.SENT))) for make in EVENTS.values()}

    assert event in made


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_changes_nothing_from_any_other_state(name: str) -> None:
    may_lead_from = FROM[type(EVENTS[name](in_state(CallState.SENT)))]
    others = [state for state in CallState if state not in may_lead_from]
    words = {happens(name, state).split(";")[0] for state in others}

    assert words <= {"nothing", "error not_sent"}


LEAVES: dict[str, tuple[dict[str, Any], str]] = {
    "it is young": ({}, "saves sent; answers sent"),
    "it is two minutes old": ({"asked_at": ago(minutes=2)}, "saves sent; answers sent"),
    "it is older": ({"asked_at": ago(seconds=121)}, "error too_late"),
    "the clock was corrected": ({"asked_at": ago(seconds=-0.5)}, "saves sent; answers sent"),
    "the clock was set back": ({"asked_at": ago(seconds=-2)}, "error too_late"),
    "it is due": ({"schedule": WINDOW}, "saves sent; answers sent"),
    "it is not due yet": ({"schedule": Schedule(ago(hours=-1), ago(hours=-2))}, "error too_late"),
    "it is late": ({"schedule": PAST}, "error too_late"),
    "another worker has it": ({"worker": "another"}, "error not_sent"),
    "it is another attempt": ({"idempotency_key": "another"}, "error not_sent"),
}


@pytest.mark.parametrize(("changes", "expected"), LEAVES.values(), ids=LEAVES)
def test_a_request_leaves_in_time_from_its_worker(changes: dict[str, Any], expected: str) -> None:
    record = in_state(CallState.RESERVED)
    view = DictView.of(NOW, replace(record, **changes), living={record.worker, "another"})

    assert _said(view, Leave(record)) == expected


def test_a_request_does_not_leave_without_the_lease() -> None:
    record = in_state(CallState.RESERVED)

    assert _said(DictView.of(NOW, record), Leave(record)) == "error not_sent"


BOUND: dict[str, tuple[dict[str, Any], bool, str]] = {
    "found, and another has it": ({}, False, "nothing; answers None"),
    "proven, and another has proven it": ({}, True, "nothing; answers None"),
    "found, and another has found it": ({"response_lost_at": NOW}, False, "nothing; answers None"),
    "proven, and another has found it": (
        {"response_lost_at": NOW},
        True,
        "saves unknown, saves sent; answers sent",
    ),
}


@pytest.mark.parametrize(("other", "proven", "expected"), BOUND.values(), ids=BOUND)
def test_a_call_belongs_to_one_record(other: dict[str, Any], proven: bool, expected: str) -> None:
    record = in_state(CallState.SENT)
    finder = in_state(CallState.ENDED, tracking_id="t-2", **other)
    view = DictView.of(NOW, record, finder)

    assert _said(view, Found(record, outcome("in_progress"), proven)) == expected


def test_words_that_come_late_stop_the_next_attempt() -> None:
    first = in_state(CallState.RESERVED, schedule=TWICE, worker="w")
    view = DictView.of(NOW, first, living={"w"})
    view.handle(ended(first, "busy", reached=False))
    [over] = [one for one in view.records.values() if one.state is CallState.ENDED]

    assert _said(view, ended(over, "busy", reached=True)) == (
        "saves ended, saves refused; answers ended"
    )


def _said(view: DictView, event: Event[Any]) -> str:
    try:
        return said(decide(view, event))
    except KallyAIError as error:
        return f"error {error.code}"
