"""What the terminal says about calls: in the words of the cards."""

import re
from datetime import UTC, datetime

import click
import pytest

from kallyai_mcp.api.models import SubmissionEcho
from kallyai_mcp.calls.outcome import Outcome
from kallyai_mcp.cli.call_view import TerminalReader, call_rows, outcome_lines
from kallyai_mcp.cli.list_view import list_lines
from kallyai_mcp.cli.words import Words
from kallyai_mcp.languages import texts
from kallyai_mcp.tools.results import AppointmentAnswer, CallAnswer, ListState, OneCallAnswer

NOW = datetime(2026, 1, 25, 15, 30, tzinfo=UTC)
ASKED = SubmissionEcho(task_category="restaurant", appointment_date="2026-01-28", appointment_time="19:00")
LATER = AppointmentAnswer(start="2026-01-28T20:30:00-05:00")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (CallAnswer(outcome=Outcome.BOOKED, appointment=LATER), "booked_text_dated"),
        (CallAnswer(outcome=Outcome.BOOKED), "booked_text"),
        (CallAnswer(outcome=Outcome.BOOKED_OTHER_TIME, appointment=LATER, submission=ASKED),
         "booked_other_time_text_dated"),
        (CallAnswer(outcome=Outcome.BOOKED_OTHER_TIME, appointment=LATER,
                    submission=SubmissionEcho(appointment_time="19:00")), "booked_other_time_text_dated"),
        (CallAnswer(outcome=Outcome.BOOKED_OTHER_TIME), "booked_other_time_text"),
        (CallAnswer(outcome=Outcome.ANSWERED, submission=ASKED, highlights="Full."), "not_booked_text"),
        (CallAnswer(outcome=Outcome.ANSWERED), "answered_text"),
        (CallAnswer(outcome=Outcome.NOT_REACHED, status="voicemail"), "voicemail_text"),
        (CallAnswer(outcome=Outcome.NOT_REACHED, status="odd"), "not_reached_text"),
        (CallAnswer(outcome=Outcome.FAILED, status="terminated"), "terminated_text"),
        (CallAnswer(outcome=Outcome.FAILED, status="failed"), "failed_text"),
        (CallAnswer(outcome=Outcome.CANCELED, status="cancelled"), "canceled_text"),
        (CallAnswer(outcome=Outcome.UNKNOWN, status="odd"), "unclear_text"),
        (CallAnswer(outcome=Outcome.UNKNOWN, status="unknown", placed="maybe"), "unknown_text"),
        (CallAnswer(status="in_progress"), "in_progress_text"),
        (CallAnswer(status="blocked"), "unclear_text"),
    ],
)  # fmt: skip
def test_an_outcome_has_the_word_and_the_sentence_of_the_card(
    monkeypatch: pytest.MonkeyPatch, answer: CallAnswer, sentence: str
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    of_card = texts("en", "errors", "call")
    first, second, *_ = outcome_lines(answer, TerminalReader(Words(), "UTC", NOW))

    assert of_card[answer.outcome or ("unknown" if answer.status == "blocked" else "in_progress")] in first
    assert re.fullmatch(re.sub(r"\\\{\w+\\\}", ".+", re.escape(of_card[sentence])), second.strip())


def test_an_answer_that_says_it_all_gets_no_sentence_and_times_are_of_the_place() -> None:
    answered = CallAnswer(outcome=Outcome.ANSWERED, highlights="Open until 9.")
    booked = CallAnswer(
        outcome=Outcome.BOOKED, appointment=LATER, respondent_phone="+34911234567", timezone="Europe/Madrid"
    )
    nearby = booked.model_copy(update={"timezone": "UTC"})

    assert outcome_lines(answered, TerminalReader(Words(), "UTC", NOW))[1] == '  KallyAI reports: "Open until 9."'
    spain, here = (outcome_lines(one, TerminalReader(Words(), "UTC", NOW))[1] for one in (booked, nearby))
    assert spain == "  Wed Jan 28, 8:30 PM, Madrid time."
    assert here == "  Wed Jan 28, 8:30 PM."


def test_what_the_calendar_event_does_not_show_is_named() -> None:
    made = AppointmentAnswer(start="2026-01-28", unconfirmed=["appointment_time", "party_size"])
    asked = ASKED.model_copy(update={"party_size": 4, "respondent_phone": "+34911234567"})
    booked = CallAnswer(outcome=Outcome.BOOKED, appointment=made, submission=asked)

    says = "The calendar event does not confirm this: 7:00 PM, 4 people."
    assert says in " ".join(" ".join(outcome_lines(booked, TerminalReader(Words(), "UTC", NOW))).split())


def test_no_command_is_named_that_would_ask_about_an_id_that_can_not_be_sent() -> None:
    answered = CallAnswer(outcome=Outcome.ANSWERED, status="success", call_id="calls/7", calendar_checked=False)

    assert "kallyai-mcp" not in "".join(outcome_lines(answered, TerminalReader(Words(), "UTC", NOW)))


def test_another_time_is_said_also_where_what_was_asked_for_is_not_known() -> None:
    other = CallAnswer(outcome=Outcome.BOOKED_OTHER_TIME, appointment=LATER)
    _, *lines = outcome_lines(other, TerminalReader(Words(), "America/New_York", NOW))

    text = " ".join(" ".join(lines).split())
    assert text.startswith("Wed Jan 28, 8:30 PM. It is not the day or time you asked for. Check whether it works")


def plain(lines: list[str]) -> list[str]:
    return [click.unstyle(line) for line in lines]


def test_a_list_that_booked_another_time_says_so_and_what_kallyai_suggests() -> None:
    call = OneCallAnswer(
        outcome=Outcome.BOOKED_OTHER_TIME,
        status="success",
        business_name="Second",
        appointment=LATER,
        highlights="Free at 8:30",
        next_steps="Pay a $50 deposit",
    )
    unread = OneCallAnswer(outcome=Outcome.ANSWERED, status="success", business_name="First", calendar_checked=False)
    found = ListState(status="booked", tracking_id="t-1", until="booked", calls=[unread, call], not_called=[])
    gone_on = found.model_copy(update={"status": "done", "calls": [call, unread]})

    first, sentence, *rows = plain(list_lines(found, TerminalReader(Words(), "America/New_York", NOW)))
    assert first == "Booked for another time  2 of 2"
    assert " ".join(sentence.split()) == (
        "It is not the day or time you asked for. Check whether it works for you. Nobody else is called."
    )
    assert rows[0] == "  1. First  Answered*"
    assert rows[1:4] == [
        "  2. Second  Booked for another time, Wed Jan 28, 8:30 PM",
        '     KallyAI reports: "Free at 8:30"',
        '     KallyAI suggests: "Pay a $50 deposit"',
    ]
    assert rows[4] == "  * Whether it booked something: `kallyai-mcp show ID` looks it up."
    after = " ".join(plain(list_lines(gone_on, TerminalReader(Words(), "UTC", NOW)))[1].split())
    assert after == "Nobody is left to call."


def test_a_row_says_when_the_appointment_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    other = CallAnswer(outcome=Outcome.BOOKED_OTHER_TIME, appointment=LATER, highlights="Ask for Marco", call_id="c-1")

    (row,) = plain(call_rows([other], TerminalReader(Words(), "America/New_York", NOW)))
    monkeypatch.setenv("COLUMNS", "60")
    _, below = plain(call_rows([other], TerminalReader(Words(), "America/New_York", NOW)))

    assert row.endswith("  c-1  Wed Jan 28, 8:30 PM. Ask for Marco")
    assert below == "  c-1  Wed Jan 28, 8:30 PM. Ask for Marco"
