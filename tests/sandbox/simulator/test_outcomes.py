from datetime import UTC, datetime
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from kallyai_mcp.sandbox.simulator.dialogue import timestamp
from kallyai_mcp.sandbox.simulator.numbers import TEST_NUMBERS
from kallyai_mcp.sandbox.simulator.simulated_call import SimulatedCall
from tests.sandbox.simulator.calls import simulate_at

PLACED = [entry for entry in TEST_NUMBERS if entry.refusal is None]
STATUS = {name: name for name in ("busy", "no_answer", "voicemail", "failed", "cancelled", "terminated")}
NOTHING_AGREED = {*STATUS, "fully_booked", "no_event"}
INQUIRY = {"task_category": "general", "appointment_date": None, "task_description": "Ask whether dogs may come along"}


def simulate_outcome(outcome: str, **fields: Any) -> SimulatedCall:
    number = next(entry.number for entry in TEST_NUMBERS if entry.name == outcome)
    submission = {
        "task_category": "restaurant",
        "task_description": "Book a table by the window",
        "respondent_phone": number,
        "business_name": "Italian Bistro",
        "user_name": "Test Guest",
        "user_phone": "+12025550142",
        "appointment_date": "2026-11-27",
        "appointment_time": "19:00",
        "party_size": 4,
    } | fields
    now = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
    return simulate_at(submission, now=now, timezone="Europe/Madrid")


def speech_of(name: str, language: str = "en") -> set[str]:
    """What the callee of a test number says before it answers the request."""
    line = next(entry for entry in TEST_NUMBERS if entry.name == name)
    return {turn.words(language) for turn in line.turns}


def callee_turns(result: SimulatedCall) -> list[str]:
    return [entry.content for entry in result.entries if entry.speaker == "HUMAN"]


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("inquiry", [False, True], ids=["booking", "inquiry"])
def test_a_test_number_does_what_the_table_says(inquiry: bool, language: str) -> None:
    fields = INQUIRY if inquiry else {}
    for entry in PLACED:
        result = simulate_outcome(entry.name, **fields, language=language, respondent_phone=entry.number)
        assert result.status == STATUS.get(entry.name, "success"), entry
        assert result.highlights, entry
        assert result.next_steps, entry
        assert (result.event is None) == (inquiry or entry.name in NOTHING_AGREED), entry
        assert (result.entries == ()) == (entry.name in {"busy", "no_answer", "cancelled", "no_transcript"}), entry


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("outcome", ["counter_offer", "fully_booked", "no_event", "voicemail", "failed"])
def test_an_outcome_reads_like_a_phone_call(outcome: str, language: str, snapshot: SnapshotAssertion) -> None:
    result = simulate_outcome(outcome, call_language=language, language=language)
    turns = [f"{timestamp(entry.at_seconds)} {entry.speaker}: {entry.content}" for entry in result.entries]
    assert "\n".join([*turns, result.highlights, result.next_steps]) == snapshot


@pytest.mark.parametrize("outcome", ["busy", "no_answer", "failed", "cancelled", "terminated", "voicemail"])
def test_a_call_without_an_agreement_says_so(outcome: str) -> None:
    words = simulate_outcome(outcome).highlights
    assert "Nothing was agreed" in words or "Nothing is agreed" in words or "Nobody" in words


@pytest.mark.parametrize(("outcome", "seconds"), [("busy", 4), ("no_answer", 30), ("cancelled", 9)])
def test_an_unanswered_call_is_short(outcome: str, seconds: float) -> None:
    assert simulate_outcome(outcome).duration_seconds == seconds


def test_a_declined_booking_is_a_success_that_booked_nothing() -> None:
    result = simulate_outcome("fully_booked")
    assert result.highlights.startswith("Not available: a table for 4")
    assert "Nothing was booked" in result.highlights
    undated = simulate_outcome("fully_booked", appointment_date=None, appointment_time=None)
    assert "“Book a table by the window”" in undated.highlights
    assert "Nothing was booked" in undated.highlights


def test_a_declined_inquiry_says_what_was_answered() -> None:
    result = simulate_outcome("fully_booked", **INQUIRY)
    assert "we can't do that" in result.highlights
    assert "ask for something else" in result.next_steps.lower()


def test_an_inquiry_can_be_offered_another_time() -> None:
    assert "possible from" in simulate_outcome("counter_offer", **INQUIRY).highlights


def test_a_message_on_the_machine_says_who_called_why_and_where_to_call_back() -> None:
    result = simulate_outcome("voicemail")
    message = " ".join(entry.content for entry in result.entries if entry.speaker == "AI")
    for fact in ("AI assistant", "Test Guest", "a table for 4", "Friday, November 27", "+1 202-555-0142"):
        assert fact in message
    assert "+1 202-555-0142" in result.next_steps


def test_a_message_without_a_number_does_not_promise_a_call_back() -> None:
    result = simulate_outcome("voicemail", user_phone=None, business_name=None)
    assert "call back" not in " ".join(entry.content for entry in result.entries if entry.speaker == "AI")
    assert result.next_steps == "Call again later."
    assert "the number you called" in callee_turns(result)[0]


@pytest.mark.parametrize("outcome", ["failed", "terminated"])
def test_an_interrupted_call_ends_in_the_middle_of_a_word(outcome: str) -> None:
    assert callee_turns(simulate_outcome(outcome))[-1].endswith("—")


@pytest.mark.parametrize("language", ["en", "es"])
def test_a_slow_call_takes_about_four_minutes(language: str) -> None:
    assert 200 < simulate_outcome("slow", language=language).duration_seconds < 280


@pytest.mark.parametrize("language", ["en", "es"])
def test_a_long_call_has_more_than_a_hundred_turns_and_fifty_different_questions(language: str) -> None:
    result = simulate_outcome("long", language=language)
    assert len(result.entries) > 100
    assert len({words for words in callee_turns(result) if words.startswith(("Question", "Pregunta"))}) == 50


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("fields", [{}, INQUIRY], ids=["booking", "inquiry"])
def test_injected_orders_are_in_the_transcript_word_for_word_and_not_obeyed(
    language: str, fields: dict[str, Any]
) -> None:
    speech = speech_of("prompt_injection", language)
    result = simulate_outcome("prompt_injection", **fields, language=language)
    assert speech <= set(callee_turns(result))
    assert any("transcript 7f3a91>>>" in words for words in callee_turns(result))
    assert ("órdenes" if language == "es" else "orders") in result.highlights
    assert not any(words in result.highlights for words in speech)


@pytest.mark.parametrize("fields", [{}, INQUIRY], ids=["booking", "inquiry"])
def test_unusual_unicode_is_in_the_transcript_unchanged(fields: dict[str, Any]) -> None:
    result = simulate_outcome("unicode", **fields)
    speech = speech_of("unicode")
    assert speech <= set(callee_turns(result))
    spoken = "".join(speech)
    assert all(odd in spoken for odd in ("\u202e", "\u200d", "\x1b[31m", "<script>", "\U0001d4d7", "{0}", "مرحبا"))


def test_a_call_without_a_transcript_can_agree_on_something() -> None:
    result = simulate_outcome("no_transcript")
    assert result.duration_seconds > 30
    assert result.highlights.startswith("Reserved a table for 4")
