"""What the call card shows of what it knows, without a browser."""

from typing import Any

import pytest

from tests.agent import BISTRO
from tests.cards.scripts import value_in_sandbox, value_of
from tests.cards.test_call_state import CALL, CONSENT, DECISION, PROGRESS, SCHEDULED

SURE = {"isHedged": False}
WRONG_NUMBER = {"argument": "respondent_phone", "problem": "…", "kind": "no_country"}
RESULT = "card = afterResult(card, result(data), 0)"
INPUT = "card = afterInput(card, input)"


def view(data: dict[str, Any], *, allowed: str = "can", error: bool = False) -> dict[str, Any]:
    """What is shown of a result of make_call."""
    step = RESULT.replace("data)", "data, true)") if error else RESULT
    shown: dict[str, Any] = value_of(
        f"shown(card, {allowed})", INPUT, step, data=data, input=BISTRO
    )
    return shown


def labels(shown: dict[str, Any]) -> list[str]:
    return [choice["label"] for choice in shown["choices"]]


def test_a_call_in_progress_shows_task_and_time() -> None:
    shown = view(PROGRESS)

    assert shown["about"] == BISTRO["task_description"]
    assert shown["facts"] == [{"elapsed": 3, "since": 0}]
    assert shown["tone"] == "live"
    assert shown["choices"] == []


def test_a_call_being_placed_has_a_timer() -> None:
    step = "card = afterInput(card, input, 250)"

    assert value_of("shown(card, can).facts", step, input=BISTRO) == [{"elapsed": 0, "since": 250}]
    assert value_of("shown(card, can).facts", "card = afterInput(card, {call_id: 'c'}, 250)") == []


def test_without_the_hosts_tools_nothing_is_offered() -> None:
    assert len(view(CALL)["choices"]) == 2
    assert view(CALL, allowed="{}")["choices"] == []


def test_a_question_hides_the_choice_to_call_again() -> None:
    busy = {"status": "busy", "outcome": "not_reached", "retryable": True}
    ask = "card = afterAskedAgain(card)"
    choices = [
        value_of("shown(card, can).choices.map((one) => one.name)", *steps, data=busy, input=BISTRO)
        for steps in ([INPUT, RESULT], [INPUT, RESULT, ask])
    ]

    assert choices == [["again"], []]


def test_the_server_asks_with_its_reasons() -> None:
    question = view(CONSENT)["question"]

    assert question["title"] == "Call Italian Bistro?"
    assert question["what"][-2:] == ["for Sample Guest", "no other time"]
    assert question["reason"] == "You are asked because: it is an urgent call."
    assert question["numbers"] == [["+1 415-555-1234", "United States / Canada"]]
    assert question["canAnswer"] is True


@pytest.mark.parametrize(
    ("quote", "told"),
    [
        ("Stop calling.", "on Sun, Jan 25, they asked not to be called again: “Stop calling.”"),
        (None, "on Sun, Jan 25, KallyAI had this number on its do-not-call list"),
    ],
)
def test_an_opt_out_has_its_words_and_day(quote: str | None, told: str) -> None:
    said = {"reasons": ["opted_out"], "evidence": {"quote": quote, "at": "2026-01-25"}}

    assert view(CONSENT | said)["question"]["reason"] == f"You are asked because: {told}."


def test_a_simulated_call_is_not_called_real() -> None:
    step = "card = afterResult(card, result(data), 0)"
    text = "shown(card, can).question.text"
    given = {"data": CONSENT, "input": BISTRO}

    assert value_in_sandbox(text, INPUT, step, **given) == (
        "This call is simulated: nobody is called."
    )
    assert "real phone" in value_of(text, INPUT, step, **given)


def test_a_list_shows_a_row_for_each_candidate() -> None:
    shown = view(DECISION)

    assert [row["tone"] for row in shown["rows"]] == ["warn", "quiet", "quiet"]
    assert [row["name"] for row in shown["rows"]] == [
        "+1 202-555-0103",
        "+1 202-555-0102",
        "+1 202-555-0100",
    ]
    assert shown["report"] == {"summary": "", "steps": ""}


def test_an_error_hides_rows_and_details_its_code() -> None:
    shown = view({"code": "suppression_violation", "placed": "no"}, error=True)

    assert shown["rows"] is None
    assert shown["said"] == "This number is on the do-not-call list. Reach them another way."
    assert ["error_code", "suppression_violation"] in shown["details"]


def test_each_question_is_shown_with_its_answer() -> None:
    answers = [
        {"question": "Is there parking?", "quote": "Yes, behind it.", "at": "0:25"},
        {"question": "Are dogs allowed?", "quote": None, "at": None},
    ]
    call = {"status": "success", "outcome": "answered", "highlights": "They said: yes."}
    shown = view(call | {"call_id": "c-1", "answers": answers})

    assert shown["answers"] == [
        {"question": "Is there parking?", "reply": "“Yes, behind it.”", "at": "0:25"} | SURE,
        {"question": "Are dogs allowed?", "reply": "", "at": ""} | SURE,
    ]
    assert shown["report"]["summary"] == ""
    assert ["summary", "“They said: yes.”"] in shown["details"]


def test_a_booking_in_the_calendar_needs_no_report() -> None:
    event = {"start": "2026-01-28T19:00:00-05:00"}
    confirmed = CALL | {"appointment": event, "highlights": "Reserved."}
    unconfirmed = confirmed | {"appointment": event | {"unconfirmed": ["user_name"]}}

    assert view(confirmed)["report"]["summary"] == ""
    assert {"text": "Under Sample Guest"} in view(confirmed)["facts"]
    assert view(unconfirmed)["report"]["summary"] == "“Reserved.”"
    assert {"text": "Under Sample Guest"} not in view(unconfirmed)["facts"]


def test_a_scheduled_call_says_when_it_calls() -> None:
    shown = view(SCHEDULED)

    assert shown["headline"].startswith("Calls Mon, Jan 26 · 10:00")
    assert shown["said"] == "Keep this app open at that time."
    assert labels(shown) == ["Cancel call", "Call now"]
    without_arguments = value_of("shown(card, can).choices", RESULT, data=SCHEDULED)
    assert [choice["name"] for choice in without_arguments] == ["cancel"]


def test_a_number_without_country_is_corrected() -> None:
    wrong = WRONG_NUMBER | {"suggestions": ["+14155551234"]}
    shown = view({"code": "invalid_arguments", "placed": "no", "arguments": [wrong]}, error=True)

    assert shown["said"] == "The number has no country code. Did you mean +1 415-555-1234?"
    assert labels(shown) == ["Use +1 415-555-1234"]
    assert "respondent_phone" not in str(shown["details"])


def test_of_several_numbers_none_is_chosen() -> None:
    wrong = WRONG_NUMBER | {"suggestions": ["+14155551234", "+34911234567"]}
    shown = view({"code": "invalid_arguments", "placed": "no", "arguments": [wrong]}, error=True)

    assert shown["said"].endswith("Did you mean +1 415-555-1234 or +34 911 234 567?")
    assert shown["choices"] == []


def test_a_decision_is_one_question() -> None:
    assert view(DECISION)["said"] == "+1 202-555-0102 seems to have no table. Call +1 202-555-0100?"


def test_a_booked_list_has_its_appointment_as_headline() -> None:
    call = CALL | {"appointment": {"start": "2026-01-28T19:00:00-05:00"}}
    booked = DECISION | {"status": "booked", "calls": [call], "not_called": []}

    assert view(booked)["headline"].startswith("Wed, Jan 28 · 7:00")


def test_a_moved_booking_is_no_longer_good_news() -> None:
    shown = view(CALL | {"moved_by": "c-2"})

    assert (shown["status"], shown["tone"]) == ("Was booked", "quiet")


def test_a_lost_answer_stops_a_second_call() -> None:
    lost = {"code": "answer_lost", "status": "unknown", "placed": "maybe"}

    assert view(lost, error=True)["said"].endswith("Check before anyone calls again.")
    assert view(lost | {"code": "odd"}, error=True)["said"].startswith("It is not known whether")


def test_an_answer_says_that_it_is_not_certain() -> None:
    answers = [{"question": "Is there parking?", "quote": "I think so.", "hedged": True}]
    [answer] = view(CALL | {"outcome": "answered", "answers": answers})["answers"]

    assert answer["isHedged"] is True


def test_credits_are_shown_where_there_are_some() -> None:
    asked = view(CONSENT | {"credits_remaining": 120})["question"]
    used = view(CALL | {"duration_seconds": 65, "credits_used": 3})["details"]

    assert ["credits_left", "120"] in asked["facts"]
    assert ["lasted", "1 min 5 s, 3 credits"] in used
