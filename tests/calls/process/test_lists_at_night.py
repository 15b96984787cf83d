"""Lists whose candidates live in several zones: nobody is called at night, or when it is too late.

The first call begins at 20:58 in the east, where the night begins before it ends.
"""

from datetime import timedelta

import pytest

from kallyai_mcp.calls.call_lists import StopReason
from tests.calls.ledgers import NOW
from tests.calls.lists import (
    NOBODY,
    THREE,
    calls_of,
    ended,
    left_after_one_call,
    not_called,
    said_of,
    stopped,
    wanted,
    went_on,
)
from tests.calls.manual_time import ManualClock
from tests.calls.world import TABLE, Service, World, after, reply, world

EAST, LATE_EAST, WEST = "+12025550101", "+12025550102", "+14155550103"
COAST_TO_COAST = [
    TABLE.model_copy(update={"respondent_phone": number}) for number in (EAST, LATE_EAST, WEST)
]
EVENING = timedelta(hours=10, minutes=28)
"""From `NOW` to 20:58 in the east."""


def busy(service: Service, *call_ids: str, minutes: int = 3) -> None:
    """Let nobody be reached, and the first call last so long."""
    first, *others = (reply("busy", call_id) for call_id in call_ids)
    service.replies = [after(lambda: service.clock.sleep(60 * minutes), first), *others]


@pytest.fixture
def evening(clock: ManualClock) -> None:
    """It is 20:58 in the east."""
    clock.advance(EVENING.total_seconds())


@pytest.mark.usefixtures("evening")
async def test_a_candidate_at_night_is_skipped(here: World) -> None:
    busy(here.service, "c-east", "c-west")
    found = await stopped(here, COAST_TO_COAST)

    assert found.stop_reason is StopReason.REFUSED
    assert calls_of(found) == ["c-east", "c-west"]
    assert not_called(found) == [LATE_EAST]
    assert len(here.service.keys) == 2


@pytest.mark.usefixtures("evening")
async def test_who_was_skipped_may_be_called_still(here: World) -> None:
    busy(here.service, "c-east", "c-west", "c-late")
    last = await went_on(here, await stopped(here, COAST_TO_COAST))

    assert calls_of(last) == ["c-east", "c-west", "c-late"]


@pytest.mark.usefixtures("evening")
async def test_a_list_stopped_by_night_says_so(here: World) -> None:
    busy(here.service, "c-east", "c-late")
    found = await stopped(here, COAST_TO_COAST[:2])
    first, *_, left_out, advice = said_of(here, found)

    assert first.startswith("Stopped: it is past 21:00")
    assert left_out.startswith("Not called: +1 202-555-0102")
    assert 'continue_after "c-east"' in advice


async def test_a_night_that_was_agreed_to_skips_nobody(here: World) -> None:
    busy(here.service, "c-1", "c-2", "c-3")
    here.clock.advance(EVENING.total_seconds() + 3600)
    found = await stopped(here, COAST_TO_COAST)

    assert found.stop_reason is StopReason.DONE
    assert calls_of(found) == ["c-1", "c-2", "c-3"]


@pytest.mark.usefixtures("evening")
async def test_a_planned_call_expires_at_night(place: str, clock: ManualClock) -> None:
    service = Service(clock, [reply("busy", "c-west")], [NOBODY])
    async with world(service, place) as here:
        left = await left_after_one_call(here, await wanted(here, COAST_TO_COAST))
    clock.advance(180)
    async with world(service, place) as here:
        found = await ended(here, left)

    assert calls_of(found) == ["c-1", "c-west"]
    assert found.stop_reason is StopReason.REFUSED
    assert not_called(found) == [LATE_EAST]


async def test_no_candidate_is_called_after_the_appointment(here: World) -> None:
    busy(here.service, "c-1", "c-2", minutes=12)
    in_ten_minutes = {"appointment_date": NOW.date(), "appointment_time": "15:40"}  # in UTC
    found = await stopped(here, [one.model_copy(update=in_ten_minutes) for one in THREE])

    assert found.stop_reason is StopReason.REFUSED
    assert calls_of(found) == ["c-1"]
    assert len(found.not_called) == 2
