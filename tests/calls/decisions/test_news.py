"""What the next result tells of planned calls."""

from dataclasses import replace

import pytest

from kallyai_mcp.calls.news import MOST_TOLD, news_of
from kallyai_mcp.calls.records import EXPIRED, CallRecord, CallState
from kallyai_mcp.calls.schedule import Schedule
from tests.calls.ledgers import NOW, another, outcome

PLANNED = Schedule(NOW, NOW)
OVER = another(1, state=CallState.ENDED, call=outcome(), schedule=PLANNED)


@pytest.mark.parametrize(
    ("record", "is_told"),
    [
        (OVER, True),
        (replace(OVER, state=CallState.UNKNOWN, call=None), True),
        (replace(OVER, state=CallState.EXPIRED, error=EXPIRED), True),
        (replace(OVER, state=CallState.REFUSED, error=EXPIRED), True),
        (replace(OVER, delivered_at=NOW), False),
        (replace(OVER, state=CallState.CANCELED), False),
        (replace(OVER, state=CallState.SCHEDULED), False),
        (replace(OVER, state=CallState.SENT), False),
        (replace(OVER, schedule=Schedule()), False),
        (replace(OVER, plan_id="t-list"), False),
    ],
)
def test_untold_ends_of_planned_calls_are_news(record: CallRecord, is_told: bool) -> None:
    assert bool(news_of([record], ()).calls) is is_told
    assert not news_of([record], {record.tracking_id}).calls


def test_one_result_tells_of_few() -> None:
    planned = [replace(OVER, tracking_id=f"t-{number}") for number in range(MOST_TOLD + 2)]
    news = news_of(planned, ())

    assert news.calls == tuple(planned[:MOST_TOLD])
    assert news.left == 2
