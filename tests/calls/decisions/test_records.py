"""What a record says of its call."""

from datetime import timedelta

import pytest

from kallyai_mcp.api.models import Call
from kallyai_mcp.calls.records import CallState, PlacedFor
from tests.calls.ledgers import NOW, asked


@pytest.mark.parametrize(
    ("created", "offset", "placed_for"),
    [
        (0, 0, PlacedFor.THIS_REQUEST),
        (-1.9, 0, PlacedFor.THIS_REQUEST),  # a time in whole seconds
        (-2.1, 0, PlacedFor.EARLIER_REQUEST),
        (298.1, 300, PlacedFor.THIS_REQUEST),
        (297.9, 300, PlacedFor.EARLIER_REQUEST),
        (-301.9, -300, PlacedFor.THIS_REQUEST),
        (-60, None, PlacedFor.UNKNOWN),
    ],
)
def test_a_call_older_than_its_request_is_earlier(
    created: float, offset: float | None, placed_for: PlacedFor
) -> None:
    created_at = NOW + timedelta(seconds=created)
    call = Call.model_validate({"call_id": "c-1", "status": "busy", "created_at": created_at})
    record = asked(state=CallState.ENDED, sent_at=NOW, clock_offset=offset, call=call)

    assert record.placed_for is placed_for
