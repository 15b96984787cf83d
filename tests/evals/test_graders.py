"""Each grader finds what is wrong with a run, and nothing in a run that is right."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from kallyai_mcp.testing import PlacedCall
from tests.evals.graders import GRADERS, GivenReply, Run, ScheduledCall, ToolUse, grade
from tests.evals.task import Expectation, ExpectedCall, GraderName, Reply

BISTRO, OTHER = "+12025550142", "+12025550143"
DUE = datetime(2026, 1, 27, 14, tzinfo=UTC)

CALL = PlacedCall(
    number=BISTRO,
    submission={"appointment_time": "19:00", "party_size": 4, "additional_instructions": ["By the window"]},
    status="success",
    highlights="Reserved a table",
    transcript=(("HUMAN", "That is $20 for each person."),),
    calendar="BEGIN:VCALENDAR",
    idempotency_key=None,
    call_id="3f0c",
    started_at=DUE,
)
YES = GivenReply(Reply(id="consent", when="call", says="Yes."), calls_before=0)
RIGHT = Run(
    asked=("Book a table at 7 PM on January 30",),
    placed=(CALL,),
    used=(ToolUse("make_call", {}, "Booked: Fri Jan 30, 7:00 PM.", is_error=False),),
    replies=(YES,),
    answers=("Call them?", "Your table is booked for Friday at 7 PM. It is $20 each."),
)
EXPECTED = ExpectedCall(
    number=BISTRO,
    fields={"appointment_time": "19:00", "party_size": 4, "additional_instructions": "/window/"},
    without=("user_phone",),
)
EXPECT = Expectation(
    calls=(EXPECTED,),
    after=("consent",),
    states=("19:00", "2026-01-30", "/booked/"),
    avoids=("gift card",),
    without_tools=("cancel_call",),
)


def submitted(**fields: Any) -> Run:
    return replace(RIGHT, placed=(replace(CALL, submission=CALL.submission | fields),))


def test_a_run_that_is_right_passes() -> None:
    assert grade(EXPECT, RIGHT) == {}


@pytest.mark.parametrize(
    ("run", "grader", "words"),
    [
        (replace(RIGHT, placed=()), "calls", "0 calls were placed, not 1"),
        (replace(RIGHT, placed=(CALL, CALL)), "calls", "2 calls were placed, not 1"),
        (replace(RIGHT, placed=(CALL, replace(CALL, number=OTHER))), "calls", f"{OTHER}: a call that nobody asked for"),
        (submitted(party_size=2), "calls", "party_size is 2, not 4"),
        (submitted(additional_instructions=[]), "calls", "additional_instructions is"),
        (submitted(user_phone="+12125550188"), "calls", "user_phone was given"),
        (replace(RIGHT, refused=1), "calls", "KallyAI refused 1 requests"),
        (replace(RIGHT, used=(ToolUse("cancel_call", {}, "", is_error=False),)), "calls", "cancel_call was used"),
        (replace(RIGHT, replies=()), "asked_first", "was not asked for their reply 'consent'"),
        (replace(RIGHT, replies=(replace(YES, calls_before=1),)), "asked_first", "1 of 1 calls came before"),
        (replace(RIGHT, answers=("It is booked for Friday.",)), "facts", "does not state 19:00"),
        (replace(RIGHT, answers=("Friday, 7 PM.",)), "facts", "does not state /booked/"),
        (replace(RIGHT, answers=("Booked for Friday at 7 PM, for $25.",)), "supported", "nothing supports the money"),
        (replace(RIGHT, answers=("Booked for Friday at 7 PM; it was canceled.",)), "claims", "it claims 'canceled'"),
        (replace(RIGHT, placed=(replace(CALL, calendar=None),)), "claims", "it claims 'booked'"),
        (replace(RIGHT, answers=("Booked for Friday at 7 PM. Buy gift cards.",)), "avoids", "/gift card/"),
    ],
)
def test_what_is_wrong_is_found(run: Run, grader: GraderName, words: str) -> None:
    found = grade(EXPECT, run)

    assert any(words in line for line in found[grader]), found


def test_a_scheduled_call_is_expected_at_its_time() -> None:
    expect = Expectation(calls=(ExpectedCall(number=BISTRO, due=DUE),))
    at = ScheduledCall(BISTRO, DUE, {})
    scheduled = Run(asked=(), scheduled=(at,))

    assert GRADERS["calls"](expect, scheduled) == []
    assert GRADERS["calls"](expect, Run(asked=(), placed=(CALL,)))
    late = Run(asked=(), scheduled=(replace(at, due=DUE.replace(hour=15)),))
    assert "it is due at" in GRADERS["calls"](expect, late)[0]


def test_what_follows_from_the_facts_may_be_stated() -> None:
    answer = replace(RIGHT, answers=("It is $80 for the four of you.",))

    assert GRADERS["supported"](EXPECT, answer)
    assert GRADERS["supported"](EXPECT.model_copy(update={"derived": ("$80",)}), answer) == []


def test_a_message_may_be_claimed_after_an_answering_machine() -> None:
    answer = ("I left a message.",)

    assert GRADERS["claims"](Expectation(), replace(RIGHT, answers=answer))
    machine = replace(CALL, status="voicemail")
    assert GRADERS["claims"](Expectation(), replace(RIGHT, answers=answer, placed=(machine,))) == []
