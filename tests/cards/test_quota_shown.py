"""What the quota card shows of what it knows, without a browser."""

from typing import Any

import pytest

from tests.cards.scripts import value_of_quota
from tests.cards.states import ALLOWANCE, NOW

ALL = {"tools": True, "links": True}
USED_UP = ALLOWANCE | {"calls_remaining": 0}
CREDITS = {"credits_allocated": 500, "credits_remaining": 120}
NO_CREDITS = {"credits_allocated": 500, "credits_remaining": 0, "period_end": None}
WITHOUT_RENEWAL = ALLOWANCE["subscription"] | {"auto_renew": False}


def view(data: dict[str, Any], *, error: bool = False, can: dict[str, bool] = ALL) -> Any:
    """What is shown of a result of check_quota."""
    return value_of_quota(
        "shown(afterResult(START, { structuredContent: data, isError: error }), allowed, now)",
        data=data,
        error=error,
        allowed=can,
        now=NOW.timestamp() * 1000,
    )


def test_what_is_left_has_one_day() -> None:
    shown = view(ALLOWANCE)

    assert (shown["title"], shown["back"]) == ("Personal plan", "back Feb 1")
    assert shown["facts"] == ["Monthly"]
    assert shown["status"] == {"text": "Active", "tone": "good"}
    assert shown["button"] == {"does": "billing", "label": "Billing", "isPrimary": False}


def test_an_error_without_a_remedy_is_marked() -> None:
    shown = view({"status": "error", "code": "internal_error"}, error=True)

    assert shown["status"] == {"text": "Not available", "tone": "bad"}


def test_nothing_left_is_the_headline() -> None:
    shown = view(USED_UP)

    assert (shown["title"], shown["back"]) == ("No calls left until Feb 1", "")
    assert shown["facts"] == ["Personal plan", "monthly"]
    assert shown["status"] == {"text": "Used up", "tone": "bad"}
    assert shown["button"] == {"does": "more", "label": "Get more calls", "isPrimary": True}


@pytest.mark.parametrize(
    ("figures", "title"),
    [
        ({"minutes_remaining": 0}, "No minutes left until Feb 1"),
        ({"calls_remaining": 0, "period_end": None}, "No calls left"),
        ({"calls_remaining": 0, **CREDITS}, "Personal plan"),
        ({"minutes_remaining": None, "calls_remaining": None, **NO_CREDITS}, "No credits left"),
        (NO_CREDITS, "Personal plan"),
    ],
)
def test_the_headline_is_what_stops_calls(figures: dict[str, Any], title: str) -> None:
    assert view(ALLOWANCE | figures)["title"] == title


def test_credits_are_shown_like_minutes_and_calls() -> None:
    kinds = {one["kind"]: one["left"] for one in view(ALLOWANCE | CREDITS)["gauges"]}

    assert kinds == {"minutes": 152.4, "calls": 18, "credits": 120}


def test_credits_that_pay_for_calls_come_first() -> None:
    gauges = view(ALLOWANCE | {"calls_remaining": 0} | CREDITS)["gauges"]

    assert [one["kind"] for one in gauges] == ["credits", "calls", "minutes"]


@pytest.mark.parametrize(
    ("day", "fact"),
    [("2026-02-22T00:00:00Z", "Ends Feb 22, 2026"), ("2026-01-22T00:00:00Z", "Ended Jan 22, 2026")],
)
def test_a_plan_that_does_not_renew_ends(day: str, fact: str) -> None:
    shown = view(ALLOWANCE | {"subscription": WITHOUT_RENEWAL | {"expires_at": day}})

    assert shown["facts"] == [fact, "monthly"]
    assert shown["back"] == ("back Feb 1" if fact.startswith("Ends") else "")


@pytest.mark.parametrize(
    ("code", "does"),
    [*((code, "sign_in") for code in ("not_signed_in", "unauthorized", "forbidden")), ("x", "")],
)
def test_the_sign_in_is_offered_where_it_helps(code: str, does: str) -> None:
    button = view({"status": "error", "code": code}, error=True)["button"]

    assert (button["does"] if button else "") == does


def test_without_links_there_is_no_button() -> None:
    assert not view(USED_UP, can={"tools": True, "links": False})["button"]


def test_calls_that_cannot_be_read_are_said() -> None:
    step = "shown(afterPeriod(afterResult(START, { structuredContent: data }), 'unread'), can, 0)"
    period = value_of_quota(f"{step}.period", data=ALLOWANCE)

    assert period == {"text": "The calls could not be read.", "days": None}
