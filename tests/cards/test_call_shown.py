"""What the call card shows of what it knows, without a browser."""

from typing import Any

import pytest

from tests.agent import BISTRO
from tests.cards.scripts import value_in_sandbox, value_of
from tests.cards.test_call_state import CALL, CONSENT, DECISION, FULL, PROGRESS, SCHEDULED

SURE = {"isHedged": False, "isHeadline": False}
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


def test_each_number_that_is_meant_has_a_button() -> None:
    wrong = WRONG_NUMBER | {"suggestions": ["+14155551234", "+34911234567"]}
    shown = view({"code": "invalid_arguments", "placed": "no", "arguments": [wrong]}, error=True)

    assert shown["said"].endswith("Did you mean +1 415-555-1234 or +34 911 234 567?")
    assert labels(shown) == ["Use +1 415-555-1234", "Use +34 911 234 567"]
    assert [choice["isPrimary"] for choice in shown["choices"]] == [False, False]


def test_a_decision_is_one_question() -> None:
    shown = view(DECISION)

    assert shown["headline"] == "Call +1 202-555-0100?"
    assert shown["said"] == "+1 202-555-0102 seems to have no table."


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


ANSWER = {"question": "When do you close?", "quote": "At 10 PM.", "at": "0:14"}
QUESTION = {"task_category": "general", "task_description": "Ask when they close"}
TALKED = {"status": "success", "outcome": "answered", "call_id": "c-1"}


@pytest.mark.parametrize(
    ("more", "asked", "headline"),
    [
        ({"answers": [ANSWER]}, QUESTION, "“At 10 PM.”"),
        ({"answers": [ANSWER, ANSWER | {"quote": None}]}, QUESTION, "1 of 2 questions answered"),
        ({"answers": [ANSWER]}, {"task_category": "restaurant"}, "No booking found"),
        ({"calendar_checked": False}, {"task_category": "hotel"}, "Not known if booked"),
        ({"highlights": "They said ten."}, QUESTION, "Italian Bistro"),
    ],
)
def test_the_headline_is_what_came_of_it(
    more: dict[str, Any], asked: dict[str, Any], headline: str
) -> None:
    call = TALKED | more | {"business_name": "Italian Bistro"}
    steps = ("card = afterInput(card, {respondent_phone: '+1', ...asked})", RESULT)
    asked = {"task_description": "Book", **asked}

    assert value_of("shown(card, can).headline", *steps, data=call, asked=asked) == headline


@pytest.mark.parametrize(
    ("later", "label"),
    [
        ({}, "Add to calendar"),
        ({"moved_by": "c-2"}, "Add the new time"),
        ({"canceled_by": "c-2"}, "Remove from calendar"),
    ],
)
def test_the_calendar_button_says_what_the_file_does(later: dict[str, Any], label: str) -> None:
    assert label in labels(view(CALL | later))


def test_a_partly_confirmed_booking_names_what_is_missing() -> None:
    event = {"start": "2026-01-28T19:00:00-05:00", "unconfirmed": ["party_size", "by the window"]}
    shown = view(CALL | {"appointment": event})

    assert (shown["status"], shown["tone"]) == ("Booked, not all confirmed", "warn")
    assert shown["headline"].endswith("4\u00a0people (not confirmed)")
    assert shown["said"] == "Not confirmed: “by the window”."
    assert shown["report"]["steps"] == ""  # "Nothing more to do" would contradict it


def test_a_list_names_the_other_time() -> None:
    event = {"start": "2026-01-28T20:30:00-05:00"}
    other = {
        "outcome": "booked_other_time",
        "highlights": "Reserved at 7 PM.",
        "appointment": event,
    }
    shown = view(DECISION | {"calls": [FULL | other]})

    assert shown["headline"] == "Does Wed, Jan 28, 8:30 PM work for you?"
    assert shown["rows"][0]["reported"] == []


def test_a_row_says_whose_report_it_quotes() -> None:
    shown = view(DECISION | {"calls": [FULL | {"highlights": "No table is free."}]})

    assert shown["rows"][0]["reported"] == ["KallyAI reports: “No table is free.”"]
    assert {"text": "2 of 3"} not in shown["facts"]


@pytest.mark.parametrize(("later", "is_past"), [({}, False), ({"moved_by": "c-2"}, True)])
def test_a_moved_booking_is_struck_through(later: dict[str, Any], is_past: bool) -> None:
    assert view(CALL | later)["isPast"] is is_past


def test_a_report_against_the_calendar_is_a_detail() -> None:
    event = {"start": "2026-01-28T20:30:00-05:00"}
    other = {"outcome": "booked_other_time", "highlights": "Reserved at 7 PM."}
    shown = view(CALL | other | {"appointment": event})

    assert shown["report"]["summary"] == ""
    assert ["summary", "“Reserved at 7 PM.”"] in shown["details"]


def test_an_emergency_number_is_dialed_by_the_person() -> None:
    shown = view({"code": "emergency_number", "placed": "no", "dial": "911"}, error=True)

    assert shown["headline"] == "Dial 911 yourself, now"
    assert shown["facts"] == [{"text": "Italian Bistro"}]


def test_who_is_signed_out_can_sign_in() -> None:
    signed_out = {"code": "token_expired", "placed": "no"}
    stopped = DECISION | {"status": "needs_sign_in"}

    assert labels(view(signed_out, error=True)) == ["Sign in"]
    assert labels(view(stopped))[0] == "Sign in"
    assert view(signed_out, error=True)["tone"] == "live"


def test_a_list_says_once_why_it_was_refused() -> None:
    refused = FULL | {"outcome": None, "status": "refused", "code": "suppression_violation"}
    shown = view(DECISION | {"status": "refused", "calls": [refused]})

    assert "This number is on the do-not-call list." in shown["rows"][0]["said"]
    assert shown["said"].startswith("The next call can't be placed now.")


def test_after_a_lost_answer_the_chat_can_check() -> None:
    lost = {"code": "answer_lost", "status": "unknown", "placed": "maybe"}

    assert labels(view(lost, error=True)) == ["Ask the chat to check"]


@pytest.mark.parametrize(
    ("call", "label"),
    [
        ({"status": "success", "outcome": "not_reached", "code": "machine"}, "Call again"),
        (SCHEDULED | {"status": "expired"}, "Call now"),
    ],
)
def test_who_was_not_reached_can_be_called_again(call: dict[str, Any], label: str) -> None:
    assert label in labels(view(call))


def test_no_button_repeats_a_dropped_call() -> None:
    """Something may have been agreed before the line dropped."""
    assert "Call again" not in labels(view({"status": "failed", "outcome": "failed"}))


def test_a_quotation_within_a_quotation_has_other_marks() -> None:
    call = TALKED | {"highlights": "They said: “At ten.”"}

    assert view(call)["report"]["summary"] == "“They said: \u2018At ten.\u2019”"
