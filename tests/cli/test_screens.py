"""What a person reads at the terminal: the layout for a width, and no word for a model."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from rich.cells import cell_len

from kallyai_mcp.api.errors import (
    KallyAIError,
    NotSignedInError,
    PolicyError,
    QuotaExceededError,
    ResponseLostError,
)
from kallyai_mcp.api.models import Call, Statistics
from kallyai_mcp.calls.numbers import NumberProblem
from kallyai_mcp.calls.outcome import Findings
from kallyai_mcp.calls.quota import NothingLeftError
from kallyai_mcp.calls.records import CallRecord
from kallyai_mcp.cli.account_screen import account_screen
from kallyai_mcp.cli.call_screens import call_screen
from kallyai_mcp.cli.error_screens import refusal_screen
from kallyai_mcp.cli.screen import Fact, Screen, Terminal, Tone, Turn, rendered
from kallyai_mcp.cli.service import Service
from kallyai_mcp.cli.tables import Column, rendered_table
from kallyai_mcp.cli.wrapping import day_and_time
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools.argument_types import RefusedNumberError
from kallyai_mcp.tools.facets.call import CallView
from kallyai_mcp.tools.facets.speech import Quote, Speech
from kallyai_mcp.tools.text.errors import allowed_again, refusal_text
from kallyai_mcp.tools.text.plain import Reader
from tests.calls.ledgers import NOW, asked, ended_as, outcome, submission
from tests.tools import test_facets

ZONE = ZoneInfo("America/New_York")

BOOKED = Screen(
    Tone.GOOD,
    "Booked",
    ("Fri Dec 4", "7:00 PM there", "4 people"),
    (
        Fact("Italian Bistro", "+1 415-555-1234"),
        Fact(
            "They said", '"A table for four at seven on Friday, under Ada, call +1 415-555-1234."'
        ),
    ),
    ("Take nothing as agreed.",),
    (Turn("They", "We have a table for you at 7:00 PM on Friday.", "0:01", is_kallyai=False),),
    (Fact("Calendar file", "kallyai-mcp calendar 3f0c1d2e --sandbox"),),
    is_simulated=True,
)


@pytest.mark.parametrize("columns", [40, 80, 100])
def test_a_screen_fits_its_width(columns: int) -> None:
    lines = rendered(BOOKED, Terminal(columns)).splitlines()
    command = BOOKED.steps[0].text

    assert all(cell_len(line) <= columns for line in lines if command not in line)
    assert any(line.endswith(command) for line in lines)


@pytest.mark.parametrize("whole", ["+1 415-555-1234", "7:00 PM", "4 people", "Dec 4"])
@pytest.mark.parametrize("columns", range(24, 60))
def test_no_number_is_split(whole: str, columns: int) -> None:
    text = rendered(BOOKED, Terminal(columns))

    assert text.count(whole) == rendered(BOOKED, Terminal(1000)).count(whole)


@pytest.mark.parametrize(
    ("when", "parts"),
    [
        ("Fri Dec 4, 7:00 PM there", ["Fri Dec 4", "7:00 PM there"]),
        ("Fri Mar 5, 2027, 7:00 PM there", ["Fri Mar 5, 2027", "7:00 PM there"]),
        ("Fri Mar 5, 2027", ["Fri Mar 5, 2027"]),
        ("", [""]),
    ],
)
def test_a_year_stays_with_its_day(when: str, parts: list[str]) -> None:
    assert day_and_time(when) == parts


def test_without_colors_there_are_no_codes() -> None:
    assert "\x1b" not in rendered(BOOKED, Terminal(80))
    assert "\x1b[1;32m✓ Booked\x1b[0m" in rendered(BOOKED, Terminal(80, has_colors=True))


def test_without_unicode_the_mark_is_ascii() -> None:
    text = rendered(BOOKED, Terminal(80, has_unicode=False))

    assert text.startswith("+ Booked   SANDBOX ")
    assert text.isascii()


def test_the_sides_of_a_conversation_differ() -> None:
    turns = [Turn(name, "Hello", "0:01", name == "KallyAI") for name in ("KallyAI", "They")]
    text = rendered(Screen(Tone.TALKED, "Conversation", turns=turns), Terminal(80, has_colors=True))
    colors = re.findall(r"\x1b\[(\d+)m  0:01", text)

    assert len(set(colors)) == 2


@pytest.mark.parametrize(
    ("settings", "simulated", "command"),
    [
        (Settings(sandbox=True), True, "kallyai-mcp calls --sandbox"),
        (Settings(api_url="http://127.0.0.1:8787"), True, "kallyai-mcp calls"),
        (Settings(), False, "kallyai-mcp calls"),
    ],
    ids=["embedded", "over HTTP", "real"],
)
def test_commands_ask_the_same_service(settings: Settings, simulated: bool, command: str) -> None:
    service = Service.of(settings)

    assert service.is_simulated is simulated
    assert service.command("calls") == command


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (NotSignedInError("Sign in with the sign_in tool"), "kallyai-mcp login"),
        (ResponseLostError("lost"), "they may have been called"),
        (KallyAIError("no", code="toll_number"), "premium-rate number"),
        (RefusedNumberError("+81 3", NumberProblem("unsupported_country")), "outside the United"),
        (KallyAIError("no", code="not_agreed"), "Not called"),
        (
            QuotaExceededError(
                "no", status=402, plan_type="trial", minutes_allocated=30, minutes_used=31
            ),
            "All 30 minutes of the trial plan are used.",
        ),
        (QuotaExceededError("no", status=402), "The quota is used up."),
        (
            NothingLeftError(
                "no", unit="calls", allocated=5, renews=datetime(2026, 2, 1, tzinfo=UTC)
            ),
            "All 5 calls of the plan are used. They come back Feb 1.",
        ),
    ],
)
def test_an_error_has_a_persons_words(error: KallyAIError, said: str) -> None:
    text = rendered(refusal_screen(error, Service()), Terminal(100))

    assert said in text
    assert not re.search(r"[a-z]_[a-z]|tool|the user", text)


@pytest.mark.parametrize(
    ("hours", "again"), [(1, "at 11:01 AM"), (24, "on Tue Jan 27, 10:01 AM"), (-1, "now")]
)
def test_a_limit_says_when_it_allows_one_more(hours: int, again: str) -> None:
    reader = Reader("America/New_York", datetime(2026, 1, 26, 10, 0, 30, tzinfo=ZONE))
    limit = PolicyError("2 calls a day", setting="CALLS_PER_DAY", retry_after=3600 * hours)

    assert allowed_again(limit, None, reader) == again
    assert refusal_text(limit, None, reader) == (
        f"Not called: 2 calls a day. It may be tried again {again}."
    )


@pytest.mark.parametrize("columns", [40, 60, 80, 100])
def test_a_table_fits_its_width_and_keeps_ids(columns: int) -> None:
    headers = (Column("When"), Column("What was answered", shrinks=True), Column("Id"))
    rows = [("Dec 2 2:22 PM", "Yes, " * 8, "t-9f1e3ae0"), ("Dec 4 7:00 PM", "東京", "3f0c1d2e")]
    text = rendered_table(headers, rows, Terminal(columns))

    assert all(cell_len(line) <= max(columns, 42) for line in text.splitlines())
    assert "t-9f1e3ae0" in text
    assert "3f0c1d2e" in text


def test_the_terminal_says_so_of_another_programs_call() -> None:
    now = test_facets.NOW
    sent = now - timedelta(minutes=1)
    placed = Call(call_id="c-1", status="busy", created_at=now - timedelta(minutes=20))
    record = CallRecord.new(test_facets.asked(), test_facets.ACCOUNT, sent, "America/New_York")
    ended = replace(record, sent_at=sent, clock_offset=0.0).ended_with(
        placed, Findings(None, reached=False)
    )
    reader = Reader("America/New_York", now)
    screen = call_screen(CallView.of_record(ended), reader, Service(), is_duplicate=True)

    assert screen.notes[0] == (
        "Another program of yours placed this call at 9:40 AM, so none was placed now."
    )


@pytest.mark.parametrize(
    ("hedged", "label"), [(None, "They said"), (True, "They said, not certain")]
)
def test_an_answer_says_that_it_is_not_certain(hedged: bool | None, label: str) -> None:
    quote = Quote("Is there parking?", "I think so.", "0:09", hedged)
    record = ended_as(asked(), outcome())
    view = replace(CallView.of_record(record), speech=Speech(answers=(quote,)))
    screen = call_screen(view, Reader("America/New_York", NOW), Service())

    assert Fact(label, '"I think so." to: Is there parking?', "0:09") in screen.facts


def steps_of(speech: Speech, **asked_for: Any) -> dict[str, str]:
    """The commands after a call that was answered, and has made no calendar event."""
    wanted = submission(respondent_phone="+12125550100", **asked_for)
    view = CallView.of_record(ended_as(asked(submission=wanted), outcome()))
    view = replace(view, speech=speech, booking=replace(view.booking, is_read=True))
    screen = call_screen(view, Reader("America/New_York", NOW), Service())
    return {step.label: step.text for step in screen.steps}


def test_a_closed_callee_is_called_when_it_says() -> None:
    closed = Speech(closed=Quote(None, "Please call tomorrow between 9 and 11.", "0:04"))
    command = steps_of(closed)["Call when they say"]

    assert command.startswith("kallyai-mcp call +12125550100 ")
    assert re.search(r" --redial --not-before 2026-\d\d-\d\dT09:00-0[45]:00$", command)


def test_a_booking_without_event_is_to_be_confirmed() -> None:
    table = {"party_size": 4, "appointment_date": date(2027, 3, 5)}
    steps = steps_of(Speech(may_be_agreed=True), **table)

    assert re.fullmatch(
        r'kallyai-mcp call \+12125550100 "Ask .* confirm it" --booking \S+ --change ask',
        steps["To confirm it"].replace("'", '"'),
    )
    assert "To confirm it" not in steps_of(Speech(), **table)


def test_a_narrow_tables_row_splits_no_word() -> None:
    said = '"We close at ten on Fridays, and at eleven on Saturdays."'
    lines = rendered_table([Column("Who"), Column("Answer")], [["Bistro", said]], Terminal(40))

    assert all(cell_len(line) <= 40 for line in lines.splitlines())
    assert " ".join(lines.split()) == f"Bistro {said}"


@pytest.mark.parametrize(("credits_left", "tone"), [(120, Tone.GOOD), (0, Tone.UNSURE)])
def test_the_account_names_its_credits(credits_left: int, tone: Tone) -> None:
    usage = Statistics(calls_remaining=0, calls_allocated=35, credits_remaining=credits_left)
    screen = account_screen("", usage, NOW, Service())

    assert screen.tone is tone
    assert Fact("Left", f"0 of 35 calls, {credits_left} credits") in screen.facts
