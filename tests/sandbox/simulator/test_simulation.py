import itertools
import re
import string
from datetime import UTC, datetime
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from kallyai_mcp.sandbox.simulator.dialogue import timestamp
from kallyai_mcp.sandbox.simulator.phrasebook import phrases
from kallyai_mcp.sandbox.simulator.simulated_call import SimulatedCall
from tests.sandbox.simulator.calls import BOOKINGS, COUNTER_OFFER, NUMBER, call, said


def script(result: SimulatedCall) -> str:
    turns = [f"{timestamp(entry.at_seconds)} {entry.speaker}: {entry.content}" for entry in result.entries]
    facts = [result.status, str(result.duration_seconds), result.highlights, result.next_steps, repr(result.event)]
    return "\n".join(turns + facts)


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("category", list(BOOKINGS))
def test_a_call_reads_like_a_phone_call(category: str, language: str, snapshot: SnapshotAssertion) -> None:
    assert script(call(category=category, call_language=language, language=language)) == snapshot


def test_the_same_submission_always_makes_the_same_call() -> None:
    assert call() == call()


def test_the_assistants_wordings_vary_with_the_submission_and_the_callees_with_its_number() -> None:
    calls = [call(user_name=f"Guest {index}") for index in range(20)]
    assert {result.entries[0].content for result in calls} == {calls[0].entries[0].content}
    assert len({result.entries[-1].content for result in calls}) == 2
    others = [call(respondent_phone=f"+1202555{index:04}") for index in range(130, 150)]
    assert len({result.entries[0].content for result in others}) == 2


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("category", ["restaurant", "clinic", "hotel"])
def test_the_callee_and_the_highlights_repeat_what_was_agreed(category: str, language: str) -> None:
    given = itertools.product(
        (None, 2),
        (None, "2026-11-27"),
        (None, "10:30"),
        (None, "Test Guest"),
        (None, "+12025550142"),
        (NUMBER, COUNTER_OFFER),
    )
    for details in given:
        assert_agreement_is_repeated(category, language, *details)


def assert_agreement_is_repeated(
    category: str,
    language: str,
    party: int | None,
    day: str | None,
    at: str | None,
    name: str | None,
    phone: str | None,
    number: str,
) -> None:
    result = call(
        category=category, party_size=party, appointment_date=day, appointment_time=at, user_name=name,
        user_phone=phone, respondent_phone=number, call_language=language, language=language,
    )  # fmt: skip
    read_back = result.entries[-4]
    assert result.status == "success"
    assert read_back.speaker == "HUMAN"
    for text in (read_back.content, result.highlights):
        assert (name or (phone and "+1 202-555-0142") or {"en": "this phone", "es": "este número"}[language]) in text
        assert party is None or {"en": " for 2", "es": " para 2"}[language] in text
        assert result.event is not None
        assert str(result.event.start.day) in text
    if day and at and number == NUMBER:
        assert {"en": "10:30 AM", "es": "las diez y media de la mañana"}[language] in read_back.content
    was_read_aloud = said(result, "AI").count(BOOKINGS[category]["task_description"].rstrip("."))
    assert was_read_aloud == {"en": 0, "es": 1}[language]  # a task in another language is not translated


def test_the_assistant_says_first_that_it_is_an_ai_and_for_which_user_it_calls() -> None:
    opening = next(entry for entry in call().entries if entry.speaker == "AI")
    assert "AI assistant" in opening.content
    assert "Test Guest" in opening.content
    assert "customer" in said(call(user_name=None), "AI")


def test_turns_alternate_and_their_times_increase() -> None:
    result = call()
    pairs = list(zip(result.entries, result.entries[1:], strict=False))
    assert all(first.speaker != second.speaker for first, second in pairs)
    assert all(first.at_seconds < second.at_seconds for first, second in pairs)
    assert result.entries[-1].at_seconds < result.duration_seconds


def test_a_call_lasts_as_long_as_its_words_take_to_speak() -> None:
    result = call()
    spoken = len(said(result).split()) * 60 / 150
    assert spoken < result.duration_seconds < spoken + 2 * len(result.entries)


def test_the_call_and_the_summary_can_have_different_languages() -> None:
    result = call(call_language="es", language="en")
    assert "una mesa para 4 personas para el viernes 27 de noviembre a las siete de la tarde" in said(result)
    assert "on Friday, November 27 at 7:00 PM" in result.highlights


def test_the_call_is_in_the_app_language_when_none_is_given_for_it() -> None:
    assert "una mesa" in said(call(language="es"))
    assert "a table" in said(call())


def test_one_o_clock_is_singular_in_spanish() -> None:
    assert "a la una de la madrugada" in said(call(language="es", appointment_time="01:00"))


def test_a_date_in_another_year_is_said_with_its_year() -> None:
    assert "Friday, January 8, 2027 at 7:00 PM" in call(appointment_date="2027-01-08").highlights
    assert "viernes 8 de enero de 2027" in call(appointment_date="2027-01-08", language="es").highlights


@pytest.mark.parametrize(
    ("phone", "at", "spoken", "written"),
    [
        ("+14155551234", "19:00", "las siete de la tarde", "las 7:00 p. m."),
        ("+34912345678", "21:00", "las nueve de la noche", "las 21:00"),
        ("+34912345678", "13:15", "la una y cuarto de la tarde", "las 13:15"),
        ("+525512345678", "01:05", "la una y cinco de la madrugada", "la 1:05 a. m."),
        ("+14155551234", "12:45", "las doce y cuarenta y cinco del mediodía", "las 12:45 p. m."),
    ],
)
def test_a_time_in_spanish_is_spoken_in_words_and_written_as_in_the_country_called(
    phone: str, at: str, spoken: str, written: str
) -> None:
    result = call(language="es", respondent_phone=phone, appointment_time=at, party_size=1)

    assert f"una mesa para 1 persona para el viernes 27 de noviembre a {spoken}" in said(result)
    assert f"para el viernes 27 de noviembre a {written}" in result.highlights
    assert " m.." not in result.highlights


@pytest.mark.parametrize(("phone", "words"), [("+525512345678", "pesos"), ("+34912345678", "euros")])
def test_a_price_in_spanish_is_spoken_in_words(phone: str, words: str) -> None:
    result = call(category="general", language="es", respondent_phone=phone, task_description="Pregunta el precio")

    assert re.search(rf"Serían \d+ {words}, impuestos incluidos", said(result))


def test_today_is_the_callers_day_not_utcs() -> None:
    new_year_in_utc = datetime(2027, 1, 1, 2, 0, tzinfo=UTC)
    assert "2026" not in call(now=new_year_in_utc, appointment_date="2026-12-31", appointment_time="23:00").highlights


def test_instructions_preference_and_urgency_are_spoken() -> None:
    words = said(call(time_preference_text="after 5pm", is_urgent=True), "AI")
    assert "As to the time, after 5pm would be best." in words
    assert "It's urgent." in words
    assert "Please note: high chair, please." in words


def test_instructions_are_in_the_highlights_unless_they_are_empty() -> None:
    assert "Passed on: “High chair, please”." in call().highlights
    assert "Passed on" not in call(additional_instructions=[" "]).highlights


def test_braces_and_line_breaks_in_a_submission_are_spoken_on_one_line() -> None:
    result = call(task_description="Table {by}\nthe {0} window", user_name="{name}")
    assert "I'd like table {by} the {0} window." in said(result)
    assert "under the name {name}" in result.highlights


def test_a_description_of_control_characters_only_is_accepted() -> None:
    assert call(task_description="\x1c", party_size=2).status == "success"


def test_an_invalid_callback_number_is_read_out_unchanged() -> None:
    assert "ask at the counter" in said(call(user_phone="ask at the counter"), "AI")


def test_the_outcome_claims_only_what_was_said() -> None:
    result = call(appointment_time=None, party_size=None, appointment_date=None, user_name=None, user_phone=None)
    assert "Wednesday, November 25 at 8:00 PM" in said(result, "HUMAN")
    assert "Wednesday, November 25 at 8:00 PM under this phone number." in result.highlights
    assert "The request left the day or the time open." in result.highlights
    assert "Check that Wednesday, November 25 at 8:00 PM suits" in result.next_steps


@pytest.mark.parametrize(
    "fields",
    [
        {"respondent_phone": None},
        {"appointment_time": "7pm"},
        {"appointment_time": "25:00"},
        {"timezone": "../passwd"},
    ],
)
def test_an_invalid_submission_raises(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        call(**fields)


def test_timestamps_are_hours_minutes_and_seconds() -> None:
    assert [timestamp(seconds) for seconds in (0, 1.9, 65, 3661.2)] == ["00:00:00", "00:00:01", "00:01:05", "01:01:01"]


def facts(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def test_both_languages_have_the_same_phrases() -> None:
    assert {key for key, wordings in phrases().items() if set(wordings) != {"en", "es"}} == set()


def test_a_phrase_says_the_same_facts_in_every_wording() -> None:
    for key, by_language in phrases().items():
        wordings = by_language["en"] + by_language["es"]
        assert all(facts(wording) == facts(wordings[0]) for wording in wordings), key
