"""Finding a call whose response was lost in the service's list; what is found must be certain."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from kallyai_mcp.calls.records import CallState
from kallyai_mcp.calls.timing import Timing
from tests.calls.manual_time import ManualClock
from tests.calls.world import LOST, NOW, TABLE, Json, Service, shown, world

OTHERS = [shown(f"o-{n}", at=NOW - timedelta(days=n + 1), respondent_phone="+12025550100") for n in range(60)]


@pytest.fixture
def place(tmp_path: Path) -> str:
    """One driver is enough: the ledger is not asked which call fits."""
    return str(tmp_path / "ledger.db")


OLD = NOW - timedelta(hours=1)


@pytest.mark.parametrize(
    "other",
    [
        shown(task_description="Cancel the table"),
        shown(party_size=2),
        shown(at=OLD),
        shown() | {"created_at": None},
        shown() | {"created_at": "yesterday"},
        shown(at=NOW + timedelta(hours=2)),
    ],
    ids=["another task", "another party", "an hour old", "no date", "no readable date", "two hours later"],
)
async def test_a_call_that_does_not_agree_is_not_taken_for_the_lost_one(
    place: str, clock: ManualClock, other: Json
) -> None:
    async with world(Service(clock, [LOST], [other]), place) as here:
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
            {"additional_instructions": ("By the window", "Quiet")},
            {"additional_instructions": ["by the window", "quiet"]},
        ),
        ({"party_size": 4}, {"party_size": "4"}),
    ],
)
async def test_what_the_service_repeats_is_compared_by_meaning(
    place: str, clock: ManualClock, asked: Json, echo: Json
) -> None:
    async with world(Service(clock, [LOST], [shown(**echo)]), place) as here:
        record = await here.call(TABLE.model_copy(update=asked))

    assert record.call_id == "c-1"


@pytest.mark.parametrize(
    "written",
    [NOW.timestamp(), int(NOW.timestamp() * 1000), str(int(NOW.timestamp())), "Sun, 25 Jan 2026 15:30:00 GMT"],
)
async def test_a_date_counts_in_any_format(place: str, clock: ManualClock, written: Any) -> None:
    async with world(Service(clock, [LOST], [shown() | {"created_at": written}]), place) as here:
        record = await here.call()

    assert record.call_id == "c-1"


@pytest.mark.parametrize("newest_first", [True, False])
async def test_every_page_of_the_list_is_read_whatever_its_order(
    place: str, clock: ManualClock, *, newest_first: bool
) -> None:
    others = [shown(f"o-{n}", at=NOW + timedelta(seconds=n), respondent_phone="+12025550100") for n in range(450)]
    listed = [shown(), *others]
    service = Service(clock, [LOST], listed[::-1] if newest_first else listed)
    async with world(service, place) as here:
        record = await here.call()

    assert record.call_id == "c-1"


@pytest.mark.parametrize(
    "extra",
    [
        {"party_size": 2},
        {"appointment_date": "2026-01-28"},
        {"appointment_time": "19:00"},
        {"time_preference_text": "after 7pm"},
        {"additional_instructions": ["By the window"]},
    ],
)
async def test_a_call_with_more_than_was_asked_for_is_another_one(place: str, clock: ManualClock, extra: Json) -> None:
    plain = TABLE.model_copy(update={"party_size": None})
    async with world(Service(clock, [LOST], [shown(**extra)]), place) as here:
        record = await here.call(plain)

    assert record.state is CallState.UNKNOWN


async def test_what_the_service_adds_to_every_call_makes_no_difference(place: str, clock: ManualClock) -> None:
    added: Json = {"language": "en", "call_language": "en", "is_urgent": False, "business_name": "Italian Bistro"}
    empty: Json = {"additional_instructions": [], "time_preference_text": ""}
    async with world(Service(clock, [LOST], [shown(**added, **empty)]), place) as here:
        record = await here.call()

    assert record.call_id == "c-1"


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("page", [1, 7, 60])
@pytest.mark.parametrize("with_total", [True, False])
async def test_pages_that_are_shorter_than_asked_for_are_all_read(
    place: str, clock: ManualClock, page: int, *, newest_first: bool, with_total: bool
) -> None:
    listed = [shown(), *OTHERS[: 48 if page == 1 else 60]]
    service = Service(clock, [LOST], listed if newest_first else listed[::-1], page=page, with_total=with_total)
    async with world(service, place) as here:
        record = await here.call()

    assert record.call_id == "c-1"


async def test_the_call_of_another_record_is_known_whatever_the_case_of_its_id(place: str, clock: ManualClock) -> None:
    listed = shown("0b54e02f-453e-4d5a-86e6-b735f111f93e", at=NOW)
    listed["submission"] = {"respondent_phone": TABLE.respondent_phone}
    service = Service(clock, [(201, listed | {"call_id": str(listed["call_id"]).upper()}), LOST], [listed])
    async with world(service, place) as here:
        await here.call()
        record = await here.call(TABLE.model_copy(update={"task_description": "Ask for the menu"}))

    assert record.state is CallState.UNKNOWN


async def test_a_list_that_ignores_the_offset_is_not_read_for_ever(place: str, clock: ManualClock) -> None:
    service = Service(clock, [LOST], OTHERS[::-1], with_total=False, ignores_offset=True)
    async with world(service, place) as here:
        record = await here.call()
        pages = service.looks
        await here.run(here.calls.find(record.tracking_id))

    assert record.state is CallState.UNKNOWN
    assert service.looks - pages == 2


@pytest.mark.parametrize(("pages", "ignores_offset"), [(52, False), (2, True)])
async def test_no_call_is_taken_from_a_list_that_is_not_read_to_its_end(
    place: str, clock: ManualClock, pages: int, *, ignores_offset: bool
) -> None:
    """The end of the list may have another call that fits as well."""
    others = [shown(f"other-{n}", respondent_phone="+14155550000") for n in range(200 * pages)]
    service = Service(clock, [LOST], [shown(), *others], ignores_offset=ignores_offset)
    async with world(service, place, timing=Timing(search=1)) as here:
        record = await here.call()
        again = await here.place()

    assert record.state is CallState.UNKNOWN
    assert record.call_id is None
    assert not again.is_new


@pytest.mark.parametrize("wrong", [1, 10_000])
async def test_a_total_that_is_wrong_does_not_hide_the_call(place: str, clock: ManualClock, wrong: int) -> None:
    service = Service(clock, [LOST], [shown(), *OTHERS][::-1], page=200, total=wrong)
    async with world(service, place) as here:
        record = await here.call()

    assert record.call_id == "c-1"


@pytest.mark.parametrize("seconds", [300, 40])
async def test_the_search_ends_in_time_while_the_service_answers_with_errors(
    place: str, clock: ManualClock, seconds: float
) -> None:
    service = Service(clock, [LOST])

    def fail(_: int) -> None:
        service.list_status = 500

    service.on_look = fail
    async with world(service, place, timing=Timing(search=seconds)) as here:
        record = await here.call()

    assert record.state is CallState.UNKNOWN
    assert seconds <= clock.monotonic() <= seconds + 35


@pytest.mark.parametrize("look", [1, 2])
async def test_a_call_that_was_found_while_someone_else_signed_in_is_not_taken(
    place: str, clock: ManualClock, look: int
) -> None:
    """Their own call may be the same one."""
    service = Service(clock, [LOST])

    def sign_in_as_another(looks: int) -> None:
        if looks == look:
            here.session.name = "account-2"
            service.calls = [shown()]

    service.on_look = sign_in_as_another
    async with world(service, place) as here:
        record = await here.outcome(await here.place())

    assert record.state is CallState.UNKNOWN
    assert record.call_id is None


async def test_a_listed_call_whose_details_are_not_there_yet_leaves_doubt(place: str, clock: ManualClock) -> None:
    service = Service(clock, [LOST], [shown(), shown("c-2")], without_details={"c-1"})
    async with world(service, place) as here:
        record = await here.call()
        service.calls, service.without_details = [shown(), shown("c-2", party_size=2)], set()
        found = await here.run(here.calls.find(record.tracking_id))

    assert record.state is CallState.UNKNOWN
    assert found is not None
    assert found.call_id == "c-1"


@pytest.mark.parametrize("with_total", [True, False])
async def test_a_list_that_changes_while_it_is_read_leaves_doubt(
    place: str, clock: ManualClock, *, with_total: bool
) -> None:
    """The call moves to the first page after that page was read, and another call fits."""
    listed = [*OTHERS[:9], shown("c-2"), *OTHERS[9:50], shown(), *OTHERS[50:]]
    moved = [shown(), *(call for call in listed if call["call_id"] != "c-1")]
    service = Service(clock, [LOST], listed, page=40, with_total=with_total)
    service.on_look = lambda looks: setattr(service, "calls", moved if looks % 2 == 0 else listed)
    async with world(service, place) as here:
        record = await here.call()

    assert record.state is CallState.UNKNOWN


async def test_a_list_that_loses_an_entry_while_it_is_read_leaves_doubt(place: str, clock: ManualClock) -> None:
    listed = [*OTHERS[:9], shown("c-2"), *OTHERS[9:39], shown(), *OTHERS[39:]]
    service = Service(clock, [LOST], listed, page=40)
    service.on_look = lambda looks: setattr(service, "calls", listed[1:] if looks % 2 == 0 else listed)
    async with world(service, place) as here:
        record = await here.call()

    assert record.state is CallState.UNKNOWN


async def test_the_list_may_repeat_what_the_details_do_not(place: str, clock: ManualClock) -> None:
    service = Service(clock, [LOST], [shown()])
    service.details = {"call_id": "c-1", "status": "success", "highlights": "Booked"}
    async with world(service, place) as here:
        record = await here.call()

    assert record.call_id == "c-1"
