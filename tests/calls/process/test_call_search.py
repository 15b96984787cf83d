"""Finding a call whose response was lost in the service's list; what is found must be certain."""

from datetime import date, timedelta

import pytest

from kallyai_mcp.calls.records import CallState
from kallyai_mcp.calls.timing import Timing
from kallyai_mcp.settings import Settings
from tests.calls.ledgers import NOW
from tests.calls.manual_time import ManualClock
from tests.calls.world import LOST, TABLE, Json, Service, World, shown, world

OTHERS = [
    shown(f"o-{n}", at=NOW - timedelta(days=n + 1), respondent_phone="+12025550100")
    for n in range(60)
]

pytestmark = pytest.mark.parametrize("place", ["sqlite"], indirect=True)
"""One driver is enough: the tests of the ledger run each statement on both."""


@pytest.mark.parametrize(
    "other",
    [
        shown(task_description="Cancel the table"),
        shown(party_size=2),
        shown(at=NOW - timedelta(hours=1)),
        shown() | {"created_at": None},
        shown() | {"created_at": "yesterday"},
        shown(at=NOW + timedelta(hours=2)),
        shown(appointment_date="2026-01-28"),  # this and what follows was not asked for
        shown(additional_instructions=["By the window"]),
    ],
)
async def test_a_call_that_differs_is_not_the_lost(here: World, other: Json) -> None:
    here.answering([LOST], [other])
    record = await here.call()

    assert record.state is CallState.UNKNOWN
    assert record.call_id is None


@pytest.mark.parametrize(
    ("asked", "echo"),
    [
        ({"appointment_time": "19:00"}, {"appointment_time": "19:00:00"}),
        ({"appointment_time": "19:00"}, {"appointment_time": "7:00 PM"}),
        ({"appointment_time": "00:30"}, {"appointment_time": "12:30 am"}),
        ({"appointment_date": date(2026, 1, 28)}, {"appointment_date": "2026-01-28T00:00:00Z"}),
        ({}, {"respondent_phone": "+1 (415) 555-1234"}),
        ({}, {"task_description": "  BOOK a  table "}),
        (
            {"additional_instructions": ("Outside", "Quiet")},
            {"additional_instructions": ["outside", "quiet"]},
        ),
        ({"party_size": 4}, {"party_size": "4"}),
    ],
)
async def test_what_the_service_repeats_is_compared_by_meaning(
    here: World, asked: Json, echo: Json
) -> None:
    here.answering([LOST], [shown(**echo)])
    record = await here.call(TABLE.model_copy(update=asked))

    assert record.call_id == "c-1"


@pytest.mark.parametrize("newest_first", [True, False])
async def test_every_page_is_read_in_any_order(here: World, *, newest_first: bool) -> None:
    others = [
        shown(f"o-{n}", at=NOW + timedelta(seconds=n), respondent_phone="+12025550100")
        for n in range(450)
    ]
    listed = [shown(), *others]
    here.answering([LOST], listed[::-1] if newest_first else listed)
    record = await here.call()

    assert record.call_id == "c-1"


@pytest.mark.parametrize(("pages", "ignores_offset"), [(52, False), (2, True)])
async def test_an_unfinished_list_gives_no_call(
    place: str, clock: ManualClock, pages: int, *, ignores_offset: bool
) -> None:
    """The end of the list may have another call that fits as well."""
    others = [shown(f"other-{n}", respondent_phone="+14155550000") for n in range(2 * pages)]
    service = Service(clock, [LOST], [shown(), *others], page=2, ignores_offset=ignores_offset)
    async with world(service, place, timing=Timing(Settings(settle_seconds=1))) as here:
        record = await here.call()
        again = await here.place()

    assert record.state is CallState.UNKNOWN
    assert record.call_id is None
    assert not again.is_new


@pytest.mark.parametrize("with_total", [True, False])
async def test_a_list_that_changes_meanwhile_leaves_doubt(here: World, *, with_total: bool) -> None:
    """The call moves to the first page after that page was read, and another call fits."""
    listed = [*OTHERS[:9], shown("c-2"), *OTHERS[9:50], shown(), *OTHERS[50:]]
    moved = [shown(), *(call for call in listed if call["call_id"] != "c-1")]
    service = here.answering([LOST], listed, page=40, with_total=with_total)
    service.on_look = lambda looks: setattr(service, "calls", moved if looks % 2 == 0 else listed)
    record = await here.call()

    assert record.state is CallState.UNKNOWN
