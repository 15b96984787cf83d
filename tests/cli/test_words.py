"""What the terminal says about calls: in the words of the cards, and in the language of its reader."""

import re
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import anyio.to_thread
import click
import pytest

from kallyai_mcp.api.models import SubmissionEcho, TokenGrant
from kallyai_mcp.auth.file_store import FileStore
from kallyai_mcp.auth.tokens import Tokens
from kallyai_mcp.calls.outcome import Outcome
from kallyai_mcp.cards.texts import texts
from kallyai_mcp.cli.call_view import TerminalReader, call_rows, outcome_lines
from kallyai_mcp.cli.list_view import list_lines
from kallyai_mcp.cli.words import _OWN, Words
from kallyai_mcp.languages import Language, reader_language
from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.sandbox.serve import running
from kallyai_mcp.tools.results import AppointmentAnswer, CallAnswer, CandidateAnswer, ListState
from tests.cli.machine import invoke
from tests.processes import environment
from tests.sandbox.sandbox_app import sandbox_app

NOW = datetime(2026, 1, 25, 15, 30, tzinfo=UTC)
ASKED = SubmissionEcho(task_category="restaurant", appointment_date="2026-01-28", appointment_time="19:00")
LATER = AppointmentAnswer(start="2026-01-28T20:30:00-05:00")


@pytest.mark.parametrize(
    ("platform", "environ", "of_windows", "language"),
    [
        ("linux", {"LANG": "es_MX.UTF-8"}, "", "es"),
        ("linux", {"LANG": "es_ES.UTF-8", "LC_MESSAGES": "en_US.UTF-8"}, "", "en"),
        ("linux", {"LANG": "es_ES.UTF-8", "LC_ALL": "C"}, "", "en"),
        ("linux", {"LANG": "et_EE.UTF-8"}, "", "en"),
        ("darwin", {"LC_ALL": "", "LANG": "es"}, "", "es"),
        ("linux", {}, "es_ES", "en"),
        ("win32", {}, "es_419", "es"),
        ("win32", {}, "en_US", "en"),
        ("win32", {"LANG": "en_US"}, "es_ES", "en"),
    ],
)
def test_the_language_is_the_one_of_the_terminal(
    platform: str, environ: dict[str, str], of_windows: str, language: Language
) -> None:
    assert reader_language(platform, environ, lambda: of_windows) == language


@pytest.mark.parametrize("language", ["en", "es"])
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
    monkeypatch: pytest.MonkeyPatch, language: Language, answer: CallAnswer, sentence: str
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    of_card = texts("errors", "call")[language]
    first, second, *_ = outcome_lines(answer, TerminalReader(Words(language), "UTC", NOW))

    assert of_card[answer.outcome or ("unknown" if answer.status == "blocked" else "in_progress")] in first
    assert re.fullmatch(re.sub(r"\\\{\w+\\\}", ".+", re.escape(of_card[sentence])), second.strip())


def test_an_answer_that_says_it_all_gets_no_sentence_and_times_are_of_the_place() -> None:
    answered = CallAnswer(outcome=Outcome.ANSWERED, highlights="Open until 9.")
    booked = CallAnswer(
        outcome=Outcome.BOOKED, appointment=LATER, respondent_phone="+34911234567", timezone="Europe/Madrid"
    )
    in_america = booked.model_copy(update={"respondent_phone": "+14155551234", "timezone": "America/Los_Angeles"})
    nearby = booked.model_copy(update={"timezone": "UTC"})

    assert outcome_lines(answered, TerminalReader(Words("en"), "UTC", NOW))[1] == '  KallyAI reports: "Open until 9."'
    spain, america, here = (
        outcome_lines(one, TerminalReader(Words("es"), "UTC", NOW))[1] for one in (booked, in_america, nearby)
    )
    assert spain == "  El miércoles 28 de enero a las 20:30 (hora de Madrid)."
    assert america == "  El miércoles 28 de enero a las 8:30 p. m. (hora de Los Ángeles)."
    assert here == "  El miércoles 28 de enero a las 20:30."


@pytest.mark.parametrize(
    ("language", "says"),
    [
        ("en", "The calendar event does not confirm this: 7:00 PM, 4 people."),
        ("es", "El evento de calendario no confirma esto: 19:00, 4 personas."),
    ],
)
def test_what_the_calendar_event_does_not_show_is_named(language: Language, says: str) -> None:
    made = AppointmentAnswer(start="2026-01-28", unconfirmed=["appointment_time", "party_size"])
    asked = ASKED.model_copy(update={"party_size": 4, "respondent_phone": "+34911234567"})
    booked = CallAnswer(outcome=Outcome.BOOKED, appointment=made, submission=asked)

    assert says in " ".join(" ".join(outcome_lines(booked, TerminalReader(Words(language), "UTC", NOW))).split())


def test_no_command_is_named_that_would_ask_about_an_id_that_can_not_be_sent() -> None:
    answered = CallAnswer(outcome=Outcome.ANSWERED, status="success", call_id="calls/7", calendar_checked=False)

    assert "kallyai-mcp" not in "".join(outcome_lines(answered, TerminalReader(Words("en"), "UTC", NOW)))


def test_another_time_is_said_also_where_what_was_asked_for_is_not_known() -> None:
    other = CallAnswer(outcome=Outcome.BOOKED_OTHER_TIME, appointment=LATER)
    _, *lines = outcome_lines(other, TerminalReader(Words("en"), "America/New_York", NOW))

    text = " ".join(" ".join(lines).split())
    assert text.startswith("Wed Jan 28, 8:30 PM. It is not the day or time you asked for. Check whether it works")


def test_an_abbreviation_at_the_end_has_one_period() -> None:
    other_time = CallAnswer(
        outcome=Outcome.BOOKED_OTHER_TIME, appointment=LATER, submission=ASKED, respondent_phone="+14155551234"
    )
    text = " ".join(" ".join(outcome_lines(other_time, TerminalReader(Words("es"), "UTC", NOW))).split())

    assert "Pediste: el miércoles 28 de enero a las 7:00 p. m. Comprueba si te va bien." in text


def test_both_languages_have_the_same_values() -> None:
    for english, spanish in _OWN.values():
        assert re.findall(r"\{\w+\}", english) == re.findall(r"\{\w+\}", spanish)


@pytest.fixture
def app() -> Iterator[SandboxApp]:
    with sandbox_app(speed=600) as app:
        yield app


async def test_a_spanish_terminal_speaks_spanish(
    tmp_path: Path, app: SandboxApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def commands() -> tuple[str, ...]:
        day = (date.today() + timedelta(days=7)).isoformat()  # noqa: DTZ011 - any day that is not past
        asked = ("Reserva una mesa", "--party", "4", "--date", day, "--time", "19:00", "--name", "Ada", "--lang", "es")
        placed = invoke("call", "+12025550100", *asked, "--yes")
        again = invoke("call", "+12025550100", *asked, "--yes")
        refused = invoke("call", "+12025550121", "Pregunta el horario", "--yes")
        others = [
            invoke(*words) for words in (("calls",), ("status",), ("calls", "--offset", "9"), ("status", "--audit"))
        ]
        return placed.stdout, placed.stderr, again.stdout, refused.output, *(each.output for each in others)

    async with running(app) as url:
        grant = TokenGrant.model_validate(app.state.sandbox.issue_tokens())
        FileStore(tmp_path, url).save(Tokens.from_grant(grant, time.time()))
        for name, value in environment(tmp_path, API_URL=url).items():
            if name.startswith("KALLYAI_"):
                monkeypatch.setenv(name, value)
        monkeypatch.setenv("LC_ALL", "es_MX.UTF-8")
        monkeypatch.setenv("COLUMNS", "200")
        placed, preview, again, refused, listed, status, none, audit = await anyio.to_thread.run_sync(commands)

    assert preview.startswith("Llamada a ")
    assert "Llamando a +1 202-555-0100" in preview
    assert placed.startswith("Reservado  +1 202-555-0100\n  El ")
    assert " a las 7:00 p. m." in placed
    assert 'KallyAI informa: "' in placed
    assert again.startswith("Esta llamada ya se hizo antes. No se hizo otra.")
    assert "No se llamó. " in refused
    assert re.search(r"\d+ [a-z]{3} \d+:\d\d [ap]\. m\.  Reservado", listed)
    assert "Sesión iniciada como personal@sandbox.test; se guarda en " in status
    assert re.search(r"Disponibles: [\d,.]+ de \d+ \w+ \(y .*\)\. Plan personal, mensual, activo, se", status)
    assert "En curso: ninguna\nÚltimas llamadas:" in status
    (figures,) = re.findall(r"y ([\d,]+) de 210 minutos", status)
    assert f"Disponibles: {figures}\n" in status
    assert re.search(r"\+12025550100 +hecha  pedida por kallyai-mcp call  permiso: no se pregunta a nadie", audit)
    assert not re.search("placed|never_asks|not_needed", audit)
    assert none.strip() == "No hay más llamadas."


def plain(lines: list[str]) -> list[str]:
    return [click.unstyle(line) for line in lines]


def test_a_list_that_booked_another_time_says_so_and_what_kallyai_suggests() -> None:
    call = CandidateAnswer(
        outcome=Outcome.BOOKED_OTHER_TIME,
        status="success",
        business_name="Second",
        appointment=LATER,
        highlights="Free at 8:30",
        next_steps="Pay a $50 deposit",
    )
    unread = CandidateAnswer(outcome=Outcome.ANSWERED, status="success", business_name="First", calendar_checked=False)
    found = ListState(status="booked", tracking_id="t-1", until="booked", calls=[unread, call], not_called=[])
    gone_on = found.model_copy(update={"status": "done", "calls": [call, unread]})

    first, sentence, *rows = plain(list_lines(found, TerminalReader(Words("en"), "America/New_York", NOW)))
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
    spanish = plain(list_lines(found, TerminalReader(Words("es"), "America/New_York", NOW)))
    assert "  2. Second  Reservado para otro momento, el miércoles 28 de enero a las 20:30" in spanish
    after = " ".join(plain(list_lines(gone_on, TerminalReader(Words("en"), "UTC", NOW)))[1].split())
    assert after == "Nobody is left to call."


def test_a_row_says_when_the_appointment_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    other = CallAnswer(outcome=Outcome.BOOKED_OTHER_TIME, appointment=LATER, highlights="Ask for Marco", call_id="c-1")

    (row,) = plain(call_rows([other], TerminalReader(Words("en"), "America/New_York", NOW)))
    monkeypatch.setenv("COLUMNS", "60")
    _, below = plain(call_rows([other], TerminalReader(Words("en"), "America/New_York", NOW)))

    assert row.endswith("  c-1  Wed Jan 28, 8:30 PM. Ask for Marco")
    assert below == "  c-1  Wed Jan 28, 8:30 PM. Ask for Marco"
