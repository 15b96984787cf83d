"""What the call card shows of what it knows, without a browser."""

from typing import Any

from tests.agent import BISTRO
from tests.cards.scripts import value_of
from tests.cards.test_call_state import CALL, CONSENT, DECISION, PROGRESS

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


def test_a_call_in_progress_shows_its_task_and_its_time() -> None:
    shown = view(PROGRESS)

    assert shown["about"] == BISTRO["task_description"]
    assert shown["facts"] == [{"elapsed": 3}]
    assert shown["tone"] == "live"
    assert shown["choices"] == []


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
    assert question["reason"] == "You are asked because: it is an urgent call."
    assert ["number", "+1 415-555-1234"] in question["facts"]
    assert question["canAnswer"] is True


def test_a_list_shows_a_row_for_each_candidate() -> None:
    shown = view(DECISION)

    assert [row["tone"] for row in shown["rows"]] == ["warn", "quiet", "quiet"]
    assert [row["name"] for row in shown["rows"]] == [
        "+1 202-555-0103",
        "+1 202-555-0102",
        "+1 202-555-0100",
    ]
    assert shown["report"] == {"summary": "", "steps": ""}


def test_an_error_hides_the_rows_and_has_its_code_in_details() -> None:
    shown = view({"code": "suppression_violation", "placed": "no"}, error=True)

    assert shown["rows"] is None
    assert shown["said"] == "This number is on the do-not-call list. Reach them another way."
    assert ["error_code", "suppression_violation"] in shown["details"]
