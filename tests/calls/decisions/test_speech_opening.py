"""When a callee that is closed may be called again."""

from datetime import UTC, datetime

import pytest

from kallyai_mcp.calls.speech.opening import named_opening

FRIDAY_NOON = datetime(2026, 11, 27, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("words", "then"),
    [
        ("We are closed. Please call again tomorrow between 9 and 11.", "2026-11-28T09:00"),
        ("Please call back after 5 pm.", "2026-11-27T17:00"),
        ("We open at five thirty.", "2026-11-27T17:30"),
        ("Call again at ten.", "2026-11-28T10:00"),
        ("Try again on Monday at 10:30, please.", "2026-11-30T10:30"),
        ("Call us on Friday.", "2026-12-04T09:00"),
        ("Estamos cerrados, llame mañana a las nueve.", "2026-11-28T09:00"),
        ("We are closed now.", "2026-11-28T09:00"),
    ],
)
def test_a_closed_callee_is_called_when_it_says(words: str, then: str) -> None:
    assert f"{named_opening(words, FRIDAY_NOON):%Y-%m-%dT%H:%M}" == then
