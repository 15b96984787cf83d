from datetime import UTC, date, datetime
from typing import Any

import pytest

from kallyai_mcp.sandbox.simulator.times_in_text import preferred_time
from tests.sandbox.simulator.calls import COUNTER_OFFER, call


@pytest.mark.parametrize(
    ("preference", "expected"),
    [
        ("in the morning", (10, 0)),
        ("por la mañana", (10, 0)),
        ("around lunch", (13, 30)),
        ("por la tarde", (16, 30)),
        ("evening", (20, 0)),
        ("after 5pm", (17, 0)),
        ("after 5", (17, 0)),
        ("from 9:15 am", (9, 15)),
        ("a partir de las 17", (17, 0)),
        ("sobre las 8 de la tarde", (20, 0)),
        ("a las 9.30 de la mañana", (9, 30)),
        ("before 7pm", (18, 0)),
        ("at 12 pm", (12, 0)),
    ],
)
def test_a_time_preference_is_understood(preference: str, expected: tuple[int, int]) -> None:
    event = call(appointment_time=None, time_preference_text=preference).event
    assert event is not None
    assert isinstance(event.start, datetime)
    assert (event.start.hour, event.start.minute) == expected


@pytest.mark.parametrize("preference", [None, "whenever they can", "after 77", "at 10:99", "before 0"])
def test_without_a_time_in_the_preference_the_callee_proposes_one(preference: str | None) -> None:
    assert preferred_time(preference) is None
    result = call(appointment_time=None, time_preference_text=preference)
    assert "The request left the day or the time open." in result.highlights
    assert "8:00 PM" in result.highlights
    assert "8:00 PM" in result.next_steps


@pytest.mark.parametrize(
    ("hour", "minute", "start"),
    [(10, 0, (24, 20, 0)), (19, 0, (24, 20, 0)), (19, 10, (24, 20, 30)), (22, 10, (24, 23, 30)), (22, 40, (25, 20, 0))],
)
def test_a_time_proposed_for_today_is_never_past(hour: int, minute: int, start: tuple[int, int, int]) -> None:
    now = datetime(2026, 11, 24, hour, minute, tzinfo=UTC)
    result = call(now=now, timezone=None, appointment_date="2026-11-24", appointment_time=None)
    assert result.event is not None
    assert result.event.start == datetime(2026, 11, *start, tzinfo=UTC)


@pytest.mark.parametrize(
    ("asked", "agreed"),
    [
        ({"appointment_time": "19:00"}, datetime(2026, 11, 27, 20, 30, tzinfo=UTC)),
        ({"appointment_time": "23:00"}, datetime(2026, 11, 28, 23, 0, tzinfo=UTC)),
        ({"appointment_time": None}, datetime(2026, 11, 28, 20, 0, tzinfo=UTC)),
        ({"appointment_date": None, "appointment_time": None}, datetime(2026, 11, 25, 20, 0, tzinfo=UTC)),
        ({"category": "hotel"}, date(2026, 11, 28)),
    ],
)
def test_a_counter_offer_is_another_time_and_is_repeated(asked: dict[str, Any], agreed: date) -> None:
    result = call(timezone=None, respondent_phone=COUNTER_OFFER, **asked)
    assert result.event is not None
    assert result.event.start == agreed
    assert str(agreed.day) in result.entries[-4].content
    assert "suits" in result.next_steps


def test_a_counter_offer_says_what_was_taken() -> None:
    assert "(7:00 PM) was taken" in call(respondent_phone=COUNTER_OFFER).highlights
