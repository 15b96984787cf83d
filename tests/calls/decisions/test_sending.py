"""What follows each result in each phase of a call on its way: rules 2 to 4, line by line.

The call is to be placed at once, and nothing was refused before. What comes with other calls,
tries, and times is below.
"""

from dataclasses import replace
from typing import Any, get_args

import pytest

from kallyai_mcp.api.errors import (
    BadRequestError,
    KallyAIError,
    NotConnectedError,
    NotSignedInError,
    RateLimitedError,
    ResponseLostError,
    UnavailableError,
)
from kallyai_mcp.calls.records import CallState
from kallyai_mcp.calls.schedule import AT_ONCE, Schedule
from kallyai_mcp.calls.sending import (
    AWAITED,
    Ages,
    check_ages,
    next_step,
    taken_over,
    to_place,
)
from kallyai_mcp.calls.steps import (
    Bound,
    Ended,
    Failed,
    LookFirst,
    Phase,
    Refused,
    Result,
    Running,
    SearchUntil,
    Send,
    Sending,
    Step,
    Uncertain,
    Unknown,
    Unlisted,
    Unread,
    Wait,
    Waited,
)
from kallyai_mcp.calls.timing import Timing
from kallyai_mcp.settings import Settings
from tests.calls.ledgers import NOW, ago, asked, outcome

TIMING = Timing(Settings(settle_seconds=900))
WINDOW = Schedule(ago(minutes=1), ago(seconds=-60))

LINES = """
UNSENT               | a pause is over   | send, UNSENT
UNSENT               | it has ended      | bound
UNSENT               | in progress       | search after 0.5 s, IN_PROGRESS
UNSENT               | in progress, late | search after 0.5 s, IN_PROGRESS
UNSENT               | refused           | refused: bad_request
UNSENT               | refused late      | note it, wait 0.1 s, LOST
UNSENT               | signed out        | refused: not_signed_in
UNSENT               | no connection     | tell why, wait 0.5 s, UNSENT
UNSENT               | 429               | note it, tell why, wait 0.5 s, LIMITED
UNSENT               | 429, in 30 s      | note it, tell why, wait 30 s, LIMITED
UNSENT               | 429, in 31 s      | note it, look, LIMITED_AT_LAST
UNSENT               | 503               | note it, wait 0.1 s, LOST
UNSENT               | no answer         | note it, wait 0.1 s, LOST
UNSENT               | not listed        | impossible
UNSENT               | not listed, late  | impossible
UNSENT               | not certain       | impossible
UNSENT               | not certain, late | impossible
UNSENT               | not asked         | impossible
UNSENT               | not asked, late   | impossible
PUT_OFF              | a pause is over   | look, PUT_OFF
PUT_OFF              | it has ended      | bound
PUT_OFF              | in progress       | search after 0.5 s, IN_PROGRESS
PUT_OFF              | in progress, late | search after 0.5 s, IN_PROGRESS
PUT_OFF              | refused           | impossible
PUT_OFF              | refused late      | impossible
PUT_OFF              | signed out        | impossible
PUT_OFF              | no connection     | impossible
PUT_OFF              | 429               | impossible
PUT_OFF              | 429, in 30 s      | impossible
PUT_OFF              | 429, in 31 s      | impossible
PUT_OFF              | 503               | impossible
PUT_OFF              | no answer         | impossible
PUT_OFF              | not listed        | send, UNLISTED
PUT_OFF              | not listed, late  | send, UNLISTED
PUT_OFF              | not certain       | search after 30 s, SEARCHED_AFTER_429
PUT_OFF              | not certain, late | search after 30 s, SEARCHED_AFTER_429
PUT_OFF              | not asked         | search after 30 s, SEARCHED_AFTER_429
PUT_OFF              | not asked, late   | search after 30 s, SEARCHED_AFTER_429
LIMITED              | a pause is over   | look, LIMITED
LIMITED              | it has ended      | bound
LIMITED              | in progress       | search after 0.5 s, IN_PROGRESS
LIMITED              | in progress, late | search after 0.5 s, IN_PROGRESS
LIMITED              | refused           | impossible
LIMITED              | refused late      | impossible
LIMITED              | signed out        | impossible
LIMITED              | no connection     | impossible
LIMITED              | 429               | impossible
LIMITED              | 429, in 30 s      | impossible
LIMITED              | 429, in 31 s      | impossible
LIMITED              | 503               | impossible
LIMITED              | no answer         | impossible
LIMITED              | not listed        | send, UNLISTED
LIMITED              | not listed, late  | send, UNLISTED
LIMITED              | not certain       | search after 30 s, SEARCHED_AFTER_429
LIMITED              | not certain, late | search after 30 s, SEARCHED_AFTER_429
LIMITED              | not asked         | search after 30 s, SEARCHED_AFTER_429
LIMITED              | not asked, late   | search after 30 s, SEARCHED_AFTER_429
LIMITED_AT_LAST      | a pause is over   | impossible
LIMITED_AT_LAST      | it has ended      | bound
LIMITED_AT_LAST      | in progress       | search after 0.5 s, IN_PROGRESS
LIMITED_AT_LAST      | in progress, late | search after 0.5 s, IN_PROGRESS
LIMITED_AT_LAST      | refused           | impossible
LIMITED_AT_LAST      | refused late      | impossible
LIMITED_AT_LAST      | signed out        | impossible
LIMITED_AT_LAST      | no connection     | impossible
LIMITED_AT_LAST      | 429               | impossible
LIMITED_AT_LAST      | 429, in 30 s      | impossible
LIMITED_AT_LAST      | 429, in 31 s      | impossible
LIMITED_AT_LAST      | 503               | impossible
LIMITED_AT_LAST      | no answer         | impossible
LIMITED_AT_LAST      | not listed        | refused: answer_lost
LIMITED_AT_LAST      | not listed, late  | refused: answer_lost
LIMITED_AT_LAST      | not certain       | search after 30 s, SEARCHED_AFTER_429
LIMITED_AT_LAST      | not certain, late | search after 30 s, SEARCHED_AFTER_429
LIMITED_AT_LAST      | not asked         | search after 30 s, SEARCHED_AFTER_429
LIMITED_AT_LAST      | not asked, late   | search after 30 s, SEARCHED_AFTER_429
UNLISTED             | a pause is over   | impossible
UNLISTED             | it has ended      | bound
UNLISTED             | in progress       | search after 0.5 s, IN_PROGRESS
UNLISTED             | in progress, late | search after 0.5 s, IN_PROGRESS
UNLISTED             | refused           | search after 30 s, SEARCHED_AFTER_429
UNLISTED             | refused late      | note it, wait 0.1 s, LOST_AFTER_429
UNLISTED             | signed out        | search after 30 s, SEARCHED_AFTER_429
UNLISTED             | no connection     | tell why, wait 0.5 s, UNREACHED
UNLISTED             | 429               | note it, tell why, wait 0.5 s, LIMITED
UNLISTED             | 429, in 30 s      | note it, tell why, wait 30 s, LIMITED
UNLISTED             | 429, in 31 s      | note it, look, LIMITED_AT_LAST
UNLISTED             | 503               | note it, wait 0.1 s, LOST_AFTER_429
UNLISTED             | no answer         | note it, wait 0.1 s, LOST_AFTER_429
UNLISTED             | not listed        | impossible
UNLISTED             | not listed, late  | impossible
UNLISTED             | not certain       | impossible
UNLISTED             | not certain, late | impossible
UNLISTED             | not asked         | impossible
UNLISTED             | not asked, late   | impossible
UNREACHED            | a pause is over   | search after 30 s, SEARCHED_AFTER_429
UNREACHED            | it has ended      | impossible
UNREACHED            | in progress       | impossible
UNREACHED            | in progress, late | impossible
UNREACHED            | refused           | impossible
UNREACHED            | refused late      | impossible
UNREACHED            | signed out        | impossible
UNREACHED            | no connection     | impossible
UNREACHED            | 429               | impossible
UNREACHED            | 429, in 30 s      | impossible
UNREACHED            | 429, in 31 s      | impossible
UNREACHED            | 503               | impossible
UNREACHED            | no answer         | impossible
UNREACHED            | not listed        | impossible
UNREACHED            | not listed, late  | impossible
UNREACHED            | not certain       | impossible
UNREACHED            | not certain, late | impossible
UNREACHED            | not asked         | impossible
UNREACHED            | not asked, late   | impossible
LOST                 | a pause is over   | look, LOST
LOST                 | it has ended      | bound
LOST                 | in progress       | search after 0.5 s, IN_PROGRESS
LOST                 | in progress, late | search after 0.5 s, IN_PROGRESS
LOST                 | refused           | impossible
LOST                 | refused late      | impossible
LOST                 | signed out        | impossible
LOST                 | no connection     | impossible
LOST                 | 429               | impossible
LOST                 | 429, in 30 s      | impossible
LOST                 | 429, in 31 s      | impossible
LOST                 | 503               | impossible
LOST                 | no answer         | impossible
LOST                 | not listed        | send, SENT_AGAIN
LOST                 | not listed, late  | search after 0.1 s, SEARCHED
LOST                 | not certain       | send, SENT_AGAIN
LOST                 | not certain, late | search after 0.1 s, SEARCHED
LOST                 | not asked         | send, SENT_AGAIN
LOST                 | not asked, late   | search after 0.1 s, SEARCHED
LOST_AFTER_429       | a pause is over   | look, LOST_AFTER_429
LOST_AFTER_429       | it has ended      | bound
LOST_AFTER_429       | in progress       | search after 0.5 s, IN_PROGRESS
LOST_AFTER_429       | in progress, late | search after 0.5 s, IN_PROGRESS
LOST_AFTER_429       | refused           | impossible
LOST_AFTER_429       | refused late      | impossible
LOST_AFTER_429       | signed out        | impossible
LOST_AFTER_429       | no connection     | impossible
LOST_AFTER_429       | 429               | impossible
LOST_AFTER_429       | 429, in 30 s      | impossible
LOST_AFTER_429       | 429, in 31 s      | impossible
LOST_AFTER_429       | 503               | impossible
LOST_AFTER_429       | no answer         | impossible
LOST_AFTER_429       | not listed        | search after 0.1 s, SEARCHED
LOST_AFTER_429       | not listed, late  | search after 0.1 s, SEARCHED
LOST_AFTER_429       | not certain       | search after 0.1 s, SEARCHED
LOST_AFTER_429       | not certain, late | search after 0.1 s, SEARCHED
LOST_AFTER_429       | not asked         | search after 0.1 s, SEARCHED
LOST_AFTER_429       | not asked, late   | search after 0.1 s, SEARCHED
SENT_AGAIN           | a pause is over   | impossible
SENT_AGAIN           | it has ended      | bound
SENT_AGAIN           | in progress       | search after 0.5 s, IN_PROGRESS
SENT_AGAIN           | in progress, late | search after 0.5 s, IN_PROGRESS
SENT_AGAIN           | refused           | search after 0.1 s, SEARCHED
SENT_AGAIN           | refused late      | search after 0.1 s, SEARCHED
SENT_AGAIN           | signed out        | search after 0.1 s, SEARCHED
SENT_AGAIN           | no connection     | search after 0.1 s, SEARCHED
SENT_AGAIN           | 429               | search after 0.1 s, SEARCHED
SENT_AGAIN           | 429, in 30 s      | search after 0.1 s, SEARCHED
SENT_AGAIN           | 429, in 31 s      | search after 0.1 s, SEARCHED
SENT_AGAIN           | 503               | search after 0.1 s, SEARCHED
SENT_AGAIN           | no answer         | search after 0.1 s, SEARCHED
SENT_AGAIN           | not listed        | impossible
SENT_AGAIN           | not listed, late  | impossible
SENT_AGAIN           | not certain       | impossible
SENT_AGAIN           | not certain, late | impossible
SENT_AGAIN           | not asked         | impossible
SENT_AGAIN           | not asked, late   | impossible
SEARCHED             | a pause is over   | impossible
SEARCHED             | it has ended      | bound
SEARCHED             | in progress       | search after 0.5 s, IN_PROGRESS
SEARCHED             | in progress, late | search after 0.5 s, IN_PROGRESS
SEARCHED             | refused           | impossible
SEARCHED             | refused late      | impossible
SEARCHED             | signed out        | impossible
SEARCHED             | no connection     | impossible
SEARCHED             | 429               | impossible
SEARCHED             | 429, in 30 s      | impossible
SEARCHED             | 429, in 31 s      | impossible
SEARCHED             | 503               | impossible
SEARCHED             | no answer         | impossible
SEARCHED             | not listed        | search after 0.5 s, SEARCHED
SEARCHED             | not listed, late  | unknown: answer_lost
SEARCHED             | not certain       | search after 0.5 s, SEARCHED
SEARCHED             | not certain, late | unknown: answer_lost
SEARCHED             | not asked         | search after 0.5 s, SEARCHED
SEARCHED             | not asked, late   | unknown: unavailable
SEARCHED_AFTER_429   | a pause is over   | impossible
SEARCHED_AFTER_429   | it has ended      | bound
SEARCHED_AFTER_429   | in progress       | search after 0.5 s, IN_PROGRESS
SEARCHED_AFTER_429   | in progress, late | search after 0.5 s, IN_PROGRESS
SEARCHED_AFTER_429   | refused           | impossible
SEARCHED_AFTER_429   | refused late      | impossible
SEARCHED_AFTER_429   | signed out        | impossible
SEARCHED_AFTER_429   | no connection     | impossible
SEARCHED_AFTER_429   | 429               | impossible
SEARCHED_AFTER_429   | 429, in 30 s      | impossible
SEARCHED_AFTER_429   | 429, in 31 s      | impossible
SEARCHED_AFTER_429   | 503               | impossible
SEARCHED_AFTER_429   | no answer         | impossible
SEARCHED_AFTER_429   | not listed        | search after 0.5 s, SEARCHED_AFTER_429
SEARCHED_AFTER_429   | not listed, late  | refused: answer_lost
SEARCHED_AFTER_429   | not certain       | search after 0.5 s, SEARCHED_AFTER_429
SEARCHED_AFTER_429   | not certain, late | unknown: answer_lost
SEARCHED_AFTER_429   | not asked         | search after 0.5 s, SEARCHED_AFTER_429
SEARCHED_AFTER_429   | not asked, late   | unknown: unavailable
IN_PROGRESS          | a pause is over   | impossible
IN_PROGRESS          | it has ended      | bound
IN_PROGRESS          | in progress       | search after 0.5 s, IN_PROGRESS
IN_PROGRESS          | in progress, late | unknown: answer_lost
IN_PROGRESS          | refused           | impossible
IN_PROGRESS          | refused late      | impossible
IN_PROGRESS          | signed out        | impossible
IN_PROGRESS          | no connection     | impossible
IN_PROGRESS          | 429               | impossible
IN_PROGRESS          | 429, in 30 s      | impossible
IN_PROGRESS          | 429, in 31 s      | impossible
IN_PROGRESS          | 503               | impossible
IN_PROGRESS          | no answer         | impossible
IN_PROGRESS          | not listed        | search after 0.5 s, IN_PROGRESS
IN_PROGRESS          | not listed, late  | unknown: answer_lost
IN_PROGRESS          | not certain       | search after 0.5 s, IN_PROGRESS
IN_PROGRESS          | not certain, late | unknown: answer_lost
IN_PROGRESS          | not asked         | search after 0.5 s, IN_PROGRESS
IN_PROGRESS          | not asked, late   | unknown: unavailable
"""
"""A phase, a result, and what follows."""

OTHERS = """
due                  | UNSENT      | signed out        | refused: not_signed_in
due                  | UNLISTED    | signed out        | refused: not_signed_in
due                  | UNLISTED    | refused           | search after 30 s, SEARCHED_AFTER_429
due                  | UNLISTED    | no connection     | tell why, wait 0.5 s, UNREACHED
due                  | PUT_OFF     | not listed        | send, UNLISTED
due                  | PUT_OFF     | not certain       | refused: answer_lost
due                  | PUT_OFF     | not asked         | refused: answer_lost
due                  | LIMITED     | not certain       | search after 30 s, SEARCHED_AFTER_429
due in a list        | UNLISTED    | signed out        | search after 30 s, SEARCHED_AFTER_429
due in a list        | PUT_OFF     | not certain       | search after 30 s, SEARCHED_AFTER_429
refused 3 times      | UNSENT      | no connection     | refused: connection_failed
refused 3 times      | UNSENT      | 429               | note it, look, LIMITED_AT_LAST
refused 3 times      | UNLISTED    | no connection     | search after 30 s, SEARCHED_AFTER_429
refused 3 times      | UNLISTED    | 429               | note it, look, LIMITED_AT_LAST
due, refused 3 times | UNSENT      | no connection     | tell why, wait 0.5 s, UNSENT
due, refused 3 times | UNLISTED    | 429               | note it, tell why, wait 0.5 s, LIMITED
due, refused 7 times | UNSENT      | no connection     | refused: connection_failed
due, refused 7 times | UNLISTED    | 429               | note it, look, LIMITED_AT_LAST
looked for 3600 s    | IN_PROGRESS | in progress, late | search after 0.5 s, IN_PROGRESS
looked for 3600 s    | IN_PROGRESS | not asked, late   | search after 0.5 s, IN_PROGRESS
looked for 1 s       | SEARCHED    | not listed        | unknown: answer_lost
looked for 1 s       | SEARCHED    | not certain       | search after 0.5 s, SEARCHED
looked for 1 s       | SEARCHED    | not asked         | search after 0.5 s, SEARCHED
"""
"""A call and its tries, a phase, a result, and what follows."""

RESULTS: dict[str, Result] = {
    "a pause is over": Waited(),
    "it has ended": Ended(outcome()),
    "in progress": Running(searched=1),
    "in progress, late": Running(searched=900),
    "refused": Failed(BadRequestError("No.", status=422), left=45),
    "refused late": Failed(BadRequestError("No.", status=422), left=46),
    "signed out": Failed(NotSignedInError("No."), left=1),
    "no connection": Failed(NotConnectedError("No."), left=0),
    "429": Failed(RateLimitedError("No.", status=429), left=1),
    "429, in 30 s": Failed(RateLimitedError("No.", status=429, retry_after=30), left=1),
    "429, in 31 s": Failed(RateLimitedError("No.", status=429, retry_after=31), left=1),
    "503": Failed(UnavailableError("No.", status=503), left=1),
    "no answer": Failed(ResponseLostError("No."), left=1),
    "not listed": Unlisted(left=0.9, searched=1),
    "not listed, late": Unlisted(left=1, searched=900),
    "not certain": Uncertain(left=0.9, searched=1),
    "not certain, late": Uncertain(left=1, searched=900),
    "not asked": Unread(left=0.9, searched=1, error=UnavailableError("Down.")),
    "not asked, late": Unread(left=1, searched=900, error=UnavailableError("Down.")),
}
CALLS: dict[str, dict[str, Any]] = {
    "due": {"is_due": True, "may_wait": True},
    "due in a list": {"is_due": True},
    "refused 3 times": {"tries": 3},
    "due, refused 3 times": {"is_due": True, "may_wait": True, "tries": 3},
    "due, refused 7 times": {"is_due": True, "may_wait": True, "tries": 7},
    "looked for 3600 s": {"search": 3600},
    "looked for 1 s": {"search": 1},
}


def in_phase(phase: Phase, **changes: Any) -> Sending:
    lost = ResponseLostError("No answer.")
    values = {"is_due": False, "may_wait": False, "pause": 0.5, "search": 900.0}
    return Sending(phase, TIMING, lost, **(values | changes))


def said(step: Step) -> str:
    """A step in a few words."""
    match step:
        case Bound():
            return "bound"
        case Refused() | Unknown():
            return f"{type(step).__name__.lower()}: {step.error.code}"
        case Send():
            return f"send, {step.state.phase.name}"
        case LookFirst():
            note = "note it, " if step.may_be_placed else ""
            return f"{note}look, {step.state.phase.name}"
        case SearchUntil():
            return f"search after {step.seconds:g} s, {step.state.phase.name}"
        case Wait():
            note = "note it, " if step.may_be_placed else ""
            told = "tell why, " if step.is_put_off else ""
            return f"{note}{told}wait {step.seconds:g} s, {step.state.phase.name}"


def follows(state: Sending, result: Result) -> str:
    try:
        return said(next_step(state, result))
    except ValueError:
        return "impossible"


@pytest.mark.parametrize("line", LINES.strip().splitlines())
def test_a_result_leads_on_by_its_phase(line: str) -> None:
    phase, result, expected = (part.strip() for part in line.split("|"))

    assert follows(in_phase(Phase[phase]), RESULTS[result]) == expected


@pytest.mark.parametrize("line", OTHERS.strip().splitlines())
def test_other_calls_and_later_tries_lead_elsewhere(line: str) -> None:
    call, phase, result, expected = (part.strip() for part in line.split("|"))

    assert follows(in_phase(Phase[phase], **CALLS[call]), RESULTS[result]) == expected


def test_every_phase_has_a_line_for_each_result() -> None:
    lines = [line.split("|") for line in LINES.strip().splitlines()]
    pairs = {(phase.strip(), result.strip()) for phase, result, _ in lines}

    assert pairs == {(phase.name, result) for phase in AWAITED for result in RESULTS}
    assert {type(result) for result in RESULTS.values()} == set(get_args(Result))
    assert AWAITED.keys() == set(Phase)


def test_our_own_pauses_double_to_the_longest() -> None:
    state, seconds = in_phase(Phase.UNSENT, is_due=True), []
    for _ in range(7):
        step = next_step(state, RESULTS["no connection"])
        assert isinstance(step, Wait)
        seconds.append(step.seconds)
        state = step.state

    assert seconds == [0.5, 1, 2, 4, 8, 16, 30]


def test_a_pause_of_the_service_leaves_ours() -> None:
    step = next_step(in_phase(Phase.UNSENT), RESULTS["429, in 30 s"])

    assert isinstance(step, Wait)
    assert step.state.pause == 0.5


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        (Phase.SENT_AGAIN, [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30]),
        (Phase.UNREACHED, [30] * 10),
        (Phase.UNSENT, [0.5, 1, 2, 4, 5, 5, 5, 5, 5, 5]),
    ],
    ids=["lost", "after 429", "in progress"],
)
def test_each_search_has_its_own_pauses(phase: Phase, expected: list[float]) -> None:
    first: dict[Phase, Result] = {
        Phase.SENT_AGAIN: RESULTS["no answer"],
        Phase.UNREACHED: Waited(),
        Phase.UNSENT: Running(),
    }
    step, seconds = next_step(in_phase(phase), first[phase]), []
    for _ in range(10):
        assert isinstance(step, SearchUntil)
        seconds.append(step.seconds)
        step = next_step(step.state, RESULTS["not certain"])

    assert seconds == expected


def test_a_lost_response_is_told_after_second_refusal() -> None:
    first = RESULTS["no answer"]
    assert isinstance(first, Failed)
    lost = next_step(in_phase(Phase.UNSENT), first)
    assert isinstance(lost, Wait)
    again = next_step(lost.state, Unlisted(left=0.5))
    assert isinstance(again, Send)
    search = next_step(again.state, RESULTS["refused"])

    assert isinstance(search, SearchUntil)
    assert search.state.error is first.error


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (Phase.UNSENT, False, False)),
        ({"schedule": WINDOW}, (Phase.UNSENT, True, True)),
        ({"schedule": WINDOW, "response_lost_at": NOW}, (Phase.PUT_OFF, True, True)),
        (
            {"schedule": WINDOW, "plan_id": "list", "session_id": "list"},
            (Phase.UNSENT, True, False),
        ),
    ],
    ids=["at once", "due", "put off after 429", "due in a list"],
)
def test_a_call_begins_with_what_its_record_says(
    changes: dict[str, Any], expected: tuple[Phase, bool, bool]
) -> None:
    state = to_place(asked(**changes), TIMING)

    assert (state.phase, state.is_due, state.may_wait) == expected


@pytest.mark.parametrize(
    ("changes", "phase", "search"),
    [
        ({"sent_at": ago(seconds=20)}, Phase.SEARCHED, 880),
        ({"sent_at": ago(seconds=-20)}, Phase.SEARCHED, 900),
        ({"asked_at": ago(seconds=1000)}, Phase.SEARCHED, -100),
        ({"sent_at": ago(seconds=20), "call_id": "c-1"}, Phase.IN_PROGRESS, 3600),
    ],
    ids=["lost", "the clock was set", "sending is not known", "in progress"],
)
def test_a_dead_workers_call_is_looked_for(
    changes: dict[str, Any], phase: Phase, search: float
) -> None:
    record = replace(asked(state=CallState.SENT), **changes)
    step = taken_over(record, TIMING, NOW)

    assert isinstance(step, SearchUntil)
    assert (step.state.phase, step.state.search) == (phase, search)


AGES = """
UNSENT     | at once | asked 120        | leaves
UNSENT     | at once | asked 121        | too late
UNSENT     | due     | asked 60         | leaves
UNSENT     | due     | asked 61         | too late
UNSENT     | at once | looked 9         | leaves
UNSENT     | at once | sent_before 9    | leaves
UNLISTED   | at once | looked 2.9       | leaves
UNLISTED   | at once | looked 3         | too late
UNLISTED   | at once | sent_before 9    | leaves
SENT_AGAIN | at once | sent_before 0.9  | leaves
SENT_AGAIN | at once | sent_before 1    | too late
SENT_AGAIN | at once | looked 9         | leaves
"""
"""A phase, a call that was asked for now, the seconds since a moment, and what comes of it."""


@pytest.mark.parametrize("line", AGES.strip().splitlines())
def test_a_request_leaves_only_in_its_time(line: str) -> None:
    phase, call, age, expected = (part.strip() for part in line.split("|"))
    moment, seconds = age.split()
    ages = replace(Ages(asked=0, looked=0, sent_before=0), **{moment: float(seconds)})
    record = asked(asked_at=NOW, schedule=WINDOW if call == "due" else AT_ONCE)
    found = "leaves"
    try:
        check_ages(in_phase(Phase[phase]), record, ages)
    except KallyAIError as error:
        found = error.code.replace("_", " ")

    assert found == expected
