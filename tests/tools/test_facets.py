"""What is known of a call, by the record, the transcript, and the calendar file."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kallyai_mcp.api.models import Call, Submission, Transcript
from kallyai_mcp.calls import about_booking
from kallyai_mcp.calls.appointment import Appointment, Calendar
from kallyai_mcp.calls.outcome import Findings, Outcome
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState
from kallyai_mcp.calls.schedule import Attempt, Schedule
from kallyai_mcp.calls.speech.disclosure import Disclosure
from kallyai_mcp.calls.speech.machine import SpokeWith
from kallyai_mcp.tools.facets.booking import booking_of
from kallyai_mcp.tools.facets.booking_history import history_of
from kallyai_mcp.tools.facets.call import CallView
from kallyai_mcp.tools.facets.next_step import next_step
from kallyai_mcp.tools.facets.relations import may_have_relations, relations_of
from kallyai_mcp.tools.facets.speech import Quote, speech_of

NOW = datetime(2026, 1, 26, 15, 0, tzinfo=UTC)
AT_SEVEN = datetime(2026, 1, 28, 19, 0)  # noqa: DTZ001 - by the clock of the callee
ACCOUNT = AccountKey("https://api.example", "ada")
ZONE = "America/New_York"


def asked(*instructions: str, **fields: Any) -> Submission:
    return Submission(
        task_category="restaurant",
        task_description="Book a table",
        respondent_phone="+12025550100",
        additional_instructions=instructions or None,
        **fields,
    )


def called(
    call_id: str, status: str = "success", *instructions: str, start: Any = None
) -> CallView:
    """A call that has ended, with an event if it has a `start`."""
    submission = asked(*instructions)
    calendar = Calendar(Appointment(start=start) if start is not None else None)
    record = CallRecord.new(submission, ACCOUNT, NOW, ZONE).ended_with(
        Call(call_id=call_id, status=status),
        Findings(calendar, reached=status == "success"),
    )
    return CallView.of_record(record)


def about(call_id: str) -> str:
    return f"{about_booking.BEGINNINGS['en']}{call_id}: a table"


@pytest.mark.parametrize(
    ("title", "start", "unconfirmed"),
    [
        ("Table for 4", AT_SEVEN, ()),
        ("Table", AT_SEVEN, ("party_size",)),
        ("Dinner at 4 pm", AT_SEVEN, ("party_size",)),
        ("Table for 4", AT_SEVEN.date(), ("appointment_time",)),
    ],
)
def test_a_booking_names_what_its_event_lacks(title: str, start: Any, unconfirmed: Any) -> None:
    submission = asked(appointment_time="19:00", party_size=4)
    booking = booking_of(submission, None, Calendar(Appointment(title, start)), ZONE)

    assert booking.unconfirmed == unconfirmed


def test_a_booking_is_unread_without_a_usable_file() -> None:
    assert not booking_of(asked(), None, None, ZONE).is_read
    assert not booking_of(asked(), None, Calendar(is_known=False), ZONE).is_read
    assert booking_of(asked(), None, Calendar(), ZONE).is_read


def spoken(*turns: tuple[str, str]) -> Transcript:
    entries = [{"speaker": who, "content": words, "timestamp": "00:05"} for who, words in turns]
    return Transcript.model_validate({"entries": entries})


def test_an_answer_is_what_follows_the_question() -> None:
    transcript = spoken(
        ("HUMAN", "Hello?"),
        ("AI", "Is there parking at your place?"),
        ("HUMAN", "Yes."),
        ("HUMAN", "Behind the house."),
        ("AI", "Thank you."),
        ("HUMAN", "Bye."),
    )
    questions = asked("Is there parking?", "Are dogs allowed?")
    speech = speech_of(questions, Call(call_id="c"), transcript, Outcome.ANSWERED)

    assert [one.quote for one in speech.answers] == ["Yes. Behind the house.", None]
    assert speech.evidence is None


def test_the_evidence_is_the_turn_like_the_report() -> None:
    transcript = spoken(
        ("HUMAN", "Italian Bistro, we have no table."),
        ("AI", "A table for four?"),
        ("HUMAN", "We have no table on Friday."),
        ("HUMAN", "Goodbye."),
    )
    call = Call(call_id="c", highlights="They have no table on Friday.")
    evidence = speech_of(asked(), call, transcript, Outcome.ANSWERED).evidence

    assert evidence is not None
    assert (evidence.quote, evidence.at) == ("We have no table on Friday.", "0:05")


def test_a_hedged_answer_says_so() -> None:
    transcript = spoken(
        ("AI", "Is there parking at your place?"),
        ("HUMAN", "I think so."),
        ("AI", "Are dogs allowed inside?"),
        ("HUMAN", "Yes, they are."),
    )
    questions = asked("Is there parking?", "Are dogs allowed?")
    answers = speech_of(questions, Call(call_id="c"), transcript, Outcome.BOOKED).answers

    assert answers == (
        Quote("Is there parking?", "I think so.", "0:05", hedged=True),
        Quote("Are dogs allowed?", "Yes, they are.", "0:05"),
    )


@pytest.mark.parametrize("outcome", [Outcome.BOOKED, Outcome.NOT_REACHED, Outcome.UNKNOWN])
def test_who_spoke_is_told_after_every_outcome(outcome: Outcome) -> None:
    person = spoken(("AI", "Hello, I am an AI assistant."), ("HUMAN", "Hi, how can I help you?"))
    menu = spoken(("HUMAN", "For reservations, press 1."), ("AI", "A table, please."))
    said = speech_of(asked(), Call(call_id="c"), person, outcome)
    unsaid = speech_of(asked(), Call(call_id="c"), menu, outcome)

    assert said.disclosure == Disclosure(True, "Hello, I am an AI assistant.", "0:05")
    assert (said.spoke_with, unsaid.spoke_with) == (SpokeWith.PERSON, SpokeWith.MACHINE)
    assert unsaid.disclosure == Disclosure(said=False)


def test_without_a_transcript_nothing_is_said_of_disclosure() -> None:
    speech = speech_of(asked(), Call(call_id="c"), Transcript(entries=()), Outcome.ANSWERED)

    assert (speech.disclosure, speech.spoke_with) == (None, None)


def test_the_last_booked_change_moves_a_booking() -> None:
    first = called("c-1", start=AT_SEVEN)
    change = called("c-2", "success", about("c-1"), start=AT_SEVEN + timedelta(hours=1))
    related = relations_of(first, [change, first], None, now=NOW, is_new=False)

    assert related.later is change
    assert related.is_moved


@pytest.mark.parametrize(
    ("known", "asked_id", "first", "newest", "sequence"),
    [
        (("c-1",), "c-1", "c-1", "c-1", 0),
        (("c-1", "c-2 about c-1"), "c-1", "c-1", "c-2", 1),
        (("c-1", "c-2 about c-1"), "c-2", "c-1", "c-2", 1),
        (("c-1", "c-2 about c-1", "c-3 about c-2"), "c-1", "c-1", "c-3", 2),
        (("c-1", "c-2 about c-1", "c-3 about c-1"), "c-2", "c-1", "c-3", 2),
        (("c-2 about c-1",), "c-2", "c-1", "c-2", 1),  # the first one was deleted
        (("c-1", "c-2 asks about c-1"), "c-1", "c-1", "c-1", 0),
        (("c-1", "c-2 asks about c-1", "c-3 about c-2"), "c-1", "c-1", "c-3", 1),
        (("c-1", "c-2"), "c-1", "c-1", "c-1", 0),
        (("c-1 about c-2", "c-2 about c-1"), "c-1", "c-2", "c-2", 2),  # what only KallyAI could say
    ],
)
def test_a_booking_has_one_history(
    known: tuple[str, ...], asked_id: str, first: str, newest: str, sequence: int
) -> None:
    calls = [_written(words) for words in known]
    (view,) = (one for one in calls if one.id == asked_id)
    history = history_of(view, calls[::-1])

    assert (history.first_id, history.newest.id, history.sequence) == (first, newest, sequence)


def test_a_call_of_another_program_begins_a_history() -> None:
    moved = called("c-2", "success", about("c-1"), start=AT_SEVEN)
    history = history_of(called("c-1", start=AT_SEVEN), [moved])

    assert (history.newest, history.sequence) == (moved, 1)


def test_a_change_by_another_program_is_the_newest() -> None:
    moved = called("c-2", "success", about("c-1"), start=AT_SEVEN)
    history = history_of(moved, [called("c-1", start=AT_SEVEN)])

    assert (history.first_id, history.newest, history.sequence) == ("c-1", moved, 1)


def _written(words: str) -> CallView:
    """A call such as "c-2 about c-1", with an event; without one if it only asks."""
    id_, *rest = words.split()
    start = None if "asks" in rest else AT_SEVEN
    return called(id_, "success", *(about(one) for one in rest[-1:]), start=start)


def test_a_new_call_sees_only_bookings_ahead() -> None:
    new, past = called("c-3", "busy"), called("c-1", start=AT_SEVEN - timedelta(days=9))
    ahead = called("c-2", start=AT_SEVEN)

    def seen(*others: CallView, is_new: bool = True) -> str | None:
        found = relations_of(new, others, None, now=NOW, is_new=is_new).ahead
        return found.call_id if found is not None else None

    assert seen(past) is None
    assert seen(ahead, past) == "c-2"
    assert seen(ahead, past, is_new=False) is None
    assert seen(called("c-4", "success", about("c-2"), start=AT_SEVEN), ahead) == "c-4"


def test_a_planned_attempt_belongs_to_its_earlier_call() -> None:
    busy = called("c-1", "busy")
    schedule = Schedule(NOW, NOW, 2, (Attempt(NOW, "busy", "c-1"),))
    retry = CallView.of_record(CallRecord.new(asked(), ACCOUNT, NOW, ZONE, schedule=schedule))

    def planned(view: CallView) -> CallView | None:
        return relations_of(view, [retry], None, now=NOW, is_new=False).planned

    assert retry.status == CallState.SCHEDULED
    assert planned(busy) is retry
    assert planned(called("c-2", "busy")) is None


def test_an_answered_call_needs_no_other_calls() -> None:
    assert not may_have_relations(called("c-1"), is_new=False)
    assert may_have_relations(called("c-1"), is_new=True)
    assert may_have_relations(called("c-1", "busy"), is_new=False)
    assert may_have_relations(called("c-1", "success", about("c-0")), is_new=False)


@pytest.mark.parametrize(
    ("status", "start", "schedules", "has_retry", "has_time", "tools"),
    [
        ("busy", None, True, True, True, ()),
        ("busy", None, False, True, False, ()),
        ("voicemail", None, True, True, True, ("get_transcript",)),
        ("success", None, True, False, False, ("get_transcript",)),
        ("success", AT_SEVEN, True, False, False, ("get_calendar_event", "get_transcript")),
        ("failed", None, True, False, False, ("get_transcript",)),
    ],
)
def test_what_may_follow_a_call(
    status: str,
    start: datetime | None,
    schedules: bool,
    has_retry: bool,
    has_time: bool,
    tools: tuple[str, ...],
) -> None:
    view = called("c-1", status, start=start)
    assert view.call is not None
    step = next_step(view, view.call, NOW, schedules=schedules)

    assert (step.retry is not None) is has_retry
    assert (step.retry is not None and step.retry.not_before is not None) is has_time
    assert step.tools == tools
    assert step.may_change_booking is (start is not None)
