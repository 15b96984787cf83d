"""A scheduled call expires only when its time is certainly past: a clock that is wrong for seconds
ends none.
"""

from datetime import timedelta

import pytest

from kallyai_mcp.calls.records import CallState
from tests.calls.ledgers import NOW, database_at
from tests.calls.manual_time import ManualClock
from tests.calls.test_scheduled import at, schedule
from tests.calls.world import Service, world

DUE = NOW + timedelta(hours=1)
WRONG = timedelta(hours=8)


@pytest.mark.parametrize(
    "offset", [0.0, None], ids=["KallyAI tells the time", "KallyAI tells no time"]
)
async def test_a_database_whose_clock_is_wrong_for_seconds_ends_no_call(
    place: str, clock: ManualClock, offset: float | None
) -> None:
    """PostgreSQL dates the records by its own clock."""
    ahead = timedelta(0)
    database = database_at(place, lambda: clock.now() + ahead)
    async with world(Service(clock, clock_offset=offset), place, database=database) as here:
        placed = await schedule(here, DUE)
        await here.run(clock.sleep(60))
        ahead = WRONG
        await here.run(clock.sleep(50))
        meanwhile = await here.find(placed.tracking_id)
        ahead = timedelta(0)
        await at(here, DUE)
        record = await here.outcome(placed)

    assert meanwhile.state is CallState.SCHEDULED
    assert record.state is CallState.ENDED
