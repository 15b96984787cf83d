"""When a plan is certainly used up for a call."""

from datetime import UTC, datetime
from typing import Any

import pytest

from kallyai_mcp.api.models import Statistics
from kallyai_mcp.calls.quota import refusal_by_quota

NOW = datetime(2026, 1, 26, 15, tzinfo=UTC)
ENDS = datetime(2026, 2, 1, tzinfo=UTC)


def usage(**left: Any) -> Statistics:
    return Statistics(period_end=left.pop("ends", ENDS), **left)


@pytest.mark.parametrize(
    ("statistics", "due", "unit"),
    [
        (usage(minutes_remaining=0, calls_remaining=3), None, "minutes"),
        (usage(minutes_remaining=9, calls_remaining=0), None, "calls"),
        (usage(credits_remaining=0), None, "credits"),
        (usage(minutes_remaining=0, credits_remaining=0), None, "minutes"),
        (usage(calls_remaining=0), datetime(2026, 1, 31, tzinfo=UTC), "calls"),
    ],
)
def test_nothing_is_left(statistics: Statistics, due: datetime | None, unit: str) -> None:
    refusal = refusal_by_quota(statistics, NOW, due)

    assert refusal is not None
    assert refusal.unit == unit
    assert refusal.renews == ENDS


@pytest.mark.parametrize(
    ("statistics", "due"),
    [
        (None, None),
        (usage(), None),
        (usage(minutes_remaining=0.1, calls_remaining=1), None),
        (usage(minutes_remaining=0, credits_remaining=2), None),
        (usage(minutes_remaining=9, credits_remaining=0), None),
        (usage(minutes_remaining=0, ends=None), None),
        (usage(minutes_remaining=0, ends=NOW), None),
        (usage(minutes_remaining=0), ENDS),
    ],
)
def test_kallyai_decides_what_is_not_certain(
    statistics: Statistics | None, due: datetime | None
) -> None:
    assert refusal_by_quota(statistics, NOW, due) is None
