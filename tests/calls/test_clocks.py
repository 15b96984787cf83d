"""Clocks that differ and clocks that jump, while a call is looked for whose response was lost."""

from datetime import datetime, timedelta

import pytest

from kallyai_mcp.calls.records import CallState
from tests.calls.ledgers import InterruptedDatabase, database_at
from tests.calls.manual_time import ManualClock
from tests.calls.world import LOST, NOW, PLACED, TABLE, Service, shown, world

OTHER = TABLE.model_copy(update={"task_description": "Ask for the hours"})


class DifferentClock:
    """A clock that is so many seconds ahead of another one."""

    def __init__(self, clock: ManualClock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds

    def now(self) -> datetime:
        return self._clock.now() + timedelta(seconds=self._seconds)


@pytest.mark.parametrize("ahead", [-3600, -300, 300, 3600])
@pytest.mark.parametrize("dated", [True, False])
async def test_a_database_whose_clock_is_wrong_does_not_hide_the_call(
    place: str, clock: ManualClock, ahead: float, *, dated: bool
) -> None:
    """PostgreSQL dates the records by its own clock."""
    service = Service(clock, [LOST], clock_offset=0 if dated else None)
    service.on_look = lambda looks: service.calls.append(shown()) if looks == 2 else setattr(service, "clock_offset", 0)
    database = database_at(place, DifferentClock(clock, ahead).now)
    async with world(service, place, database=database) as here:
        record = await here.call()

    assert record.call_id == "c-1"


@pytest.mark.parametrize("jump", [-7200, -60, 60, 7200])
@pytest.mark.parametrize("at_look", [1, 3])
async def test_a_clock_that_is_set_while_a_call_is_looked_for_does_not_hide_it(
    place: str, clock: ManualClock, jump: float, at_look: int
) -> None:
    service = Service(clock, [LOST])

    def look(looks: int) -> None:
        if looks == at_look:
            clock.set_wall_clock(jump)
            service.clock_offset = -jump
        if looks == at_look + 9:
            service.calls.append(shown())

    service.on_look = look
    async with world(service, place) as here:
        record = await here.call()

    assert record.call_id == "c-1"


@pytest.mark.parametrize("jump", [-1500, 1500])
async def test_a_clock_that_was_set_between_two_calls_does_not_hide_the_second(
    place: str, clock: ManualClock, jump: float
) -> None:
    service = Service(clock)
    async with world(service, place) as here:
        await here.call(OTHER)
        clock.set_wall_clock(jump)
        service.clock_offset = None  # neither the lost response nor the list has a `Date`
        service.replies = [LOST]
        service.calls = [shown("c-2", at=clock.now())]
        record = await here.call()

    assert record.call_id == "c-2"


async def test_the_time_of_the_service_is_known_after_a_suspension(place: str, clock: ManualClock) -> None:
    async def talk() -> tuple[int, dict[str, object]]:
        await clock.sleep(60)
        return 201, {"call_id": "c-2", "status": "success"}

    service = Service(clock, [PLACED, talk], clock_offset=3600)
    async with world(service, place) as here:
        await here.call(OTHER)
        clock.suspend(1000)
        placed = await here.place()
        await here.run(clock.sleep(1))
        sent = await here.run(here.calls.find(placed.record.tracking_id))

    assert sent is not None
    assert sent.state is CallState.SENT
    assert sent.clock_offset == pytest.approx(3600)


async def test_a_response_of_long_ago_does_not_tell_the_time(place: str, clock: ManualClock) -> None:
    service = Service(clock, [PLACED])
    async with world(service, place) as here:
        await here.call(OTHER)
        clock.advance(1500)
        service.clock_offset = None
        service.replies = [LOST]
        service.calls = [shown("c-2", at=clock.now())]
        record = await here.call()

    assert record.call_id == "c-2"


@pytest.mark.parametrize(("is_suspended", "ahead"), [(True, -86400), (False, 0)])
async def test_a_date_that_is_read_long_after_it_was_written_does_not_hide_the_call(
    place: str, clock: ManualClock, ahead: float, *, is_suspended: bool
) -> None:
    """The machine was suspended, or the process stopped, while the response was on its way."""
    service = Service(clock, clock_offset=ahead)
    began = service.service_time()

    async def lose() -> tuple[int, dict[str, object]]:
        (clock.suspend if is_suspended else clock.advance)(1000)
        return 502, {}

    service.replies = [lose]
    service.calls = [shown(at=began)]
    async with world(service, place) as here:
        record = await here.call()

    assert record.call_id == "c-1"


async def test_a_date_that_may_be_old_does_not_replace_one_that_is_certain(place: str, clock: ManualClock) -> None:
    """A call of another program, placed a minute before the request, is not taken for one that was not placed."""
    service = Service(clock, [PLACED])

    async def talk() -> tuple[int, dict[str, object]]:
        clock.advance(100)
        return 201, {"call_id": "c-2", "status": "success"}

    async with world(service, place) as here:
        await here.call(OTHER)
        service.replies = [talk]
        await here.call(TABLE.model_copy(update={"task_description": "Ask for the menu"}))
        service.calls = [shown("c-3", at=clock.now())]
        clock.advance(60)
        service.replies = [LOST]
        record = await here.call()

    assert record.state is CallState.UNKNOWN


@pytest.mark.parametrize("headers", [{"Age": "1800"}, {}], ids=["and it says so", "and it does not say so"])
async def test_a_response_from_a_cache_does_not_tell_the_time(
    place: str, clock: ManualClock, headers: dict[str, str]
) -> None:
    """A call of another program, placed half an hour ago, is not taken for one that was not placed."""
    service = Service(clock, [PLACED])
    async with world(service, place) as here:
        if not headers:
            await here.call(OTHER)  # its response has the true time
        service.headers, service.clock_offset = headers, -1800
        service.replies = [LOST]
        service.calls = [shown("c-2", at=clock.now() - timedelta(seconds=1799))]
        record = await here.call()

    assert record.state is CallState.UNKNOWN


async def test_a_ledger_that_fails_for_long_after_the_response_was_lost_does_not_hide_the_call(
    place: str, clock: ManualClock
) -> None:
    service = Service(clock)
    database = InterruptedDatabase(database_at(place, clock.now))

    async def lose() -> tuple[int, dict[str, object]]:
        database.fail_until(clock, clock.now() + timedelta(seconds=1500))
        return 502, {}

    service.replies = [lose]
    service.calls = [shown(at=clock.now())]
    async with world(service, place, database=database) as here:
        record = await here.call()

    assert record.call_id == "c-1"


async def test_an_older_call_is_not_taken_for_ours_before_the_clock_of_the_service_is_known(
    place: str, clock: ManualClock
) -> None:
    """The service is five minutes ahead, and its first response is lost as a whole."""
    service = Service(clock, clock_offset=300)

    async def cut() -> tuple[int, dict[str, object]]:
        raise ConnectionResetError

    service.replies = [cut, LOST]
    service.calls = [shown("c-2", at=service.service_time() - timedelta(seconds=150))]
    async with world(service, place) as here:
        record = await here.call()

    assert record.call_id is None


@pytest.mark.parametrize("seconds", [-300, 3600])
async def test_a_clock_that_is_set_before_the_response_is_lost_does_not_hide_the_call(
    place: str, clock: ManualClock, seconds: float
) -> None:
    service = Service(clock)
    began = service.service_time()

    async def lose() -> tuple[int, dict[str, object]]:
        clock.advance(20)
        clock.set_wall_clock(seconds)
        service.clock_offset = -seconds
        return 502, {}

    service.replies = [lose]
    service.calls = [shown(at=began)]
    async with world(service, place) as here:
        record = await here.call()

    assert record.call_id == "c-1"


@pytest.mark.parametrize("wrong_by", [-1500, 300])
async def test_a_clock_that_is_corrected_after_the_response_was_lost_does_not_hide_the_call(
    place: str, clock: ManualClock, wrong_by: float
) -> None:
    service = Service(clock, [LOST])
    service.clock_offset = None  # no response has a `Date` until the list was read for the first time
    service.calls = [shown(at=clock.now() - timedelta(seconds=wrong_by))]

    def look(looks: int) -> None:
        if looks == 1:
            clock.set_wall_clock(-wrong_by)
            service.clock_offset = 0

    service.on_look = look
    async with world(service, place) as here:
        record = await here.call()

    assert record.call_id == "c-1"


async def test_a_clock_that_is_corrected_while_a_call_is_unknown_does_not_hide_the_call_from_later_searches(
    place: str, clock: ManualClock
) -> None:
    """The process that sent the request knows how long ago that was, whatever the clock says."""
    service = Service(clock, [LOST], clock_offset=None)
    async with world(service, place) as here:
        record = await here.call()
        assert record.state is CallState.UNKNOWN
        clock.set_wall_clock(-1500)
        service.clock_offset = 0
        service.calls = [shown(at=NOW - timedelta(seconds=1500))]
        found = await here.run(here.calls.find(record.tracking_id))

    assert found is not None
    assert found.call_id == "c-1"


@pytest.mark.parametrize("jump", [-300, 3600])
async def test_a_clock_that_is_set_after_a_rate_limit_does_not_hide_the_call(
    place: str, clock: ManualClock, jump: float
) -> None:
    service = Service(clock, headers={"Retry-After": "29"}, clock_offset=7200)

    async def place_and_refuse() -> tuple[int, dict[str, object]]:
        service.calls = [shown(at=service.service_time())]
        return 429, {"error": {"code": "rate_limited"}}

    service.replies = [place_and_refuse, PLACED]
    async with world(service, place) as here:
        placed = await here.place()
        await here.run(clock.sleep(10))
        clock.set_wall_clock(jump)
        service.clock_offset = 7200 - jump
        record = await here.outcome(placed)

    assert (record.state, record.call_id) == (CallState.ENDED, "c-1")
    assert len(service.keys) == 1


@pytest.mark.parametrize(("status", "seconds"), [("success", 3590), ("busy", 55)])
async def test_a_clock_that_is_set_forward_after_the_outcome_was_told_makes_the_same_request_no_new_call(
    place: str, clock: ManualClock, status: str, seconds: float
) -> None:
    service = Service(clock, [(201, {"call_id": "c-1", "status": status}), PLACED])
    async with world(service, place) as here:
        record = await here.call()
        await here.tell(record)
        clock.set_wall_clock(7200)
        found = await here.run(here.calls.precheck(TABLE, timezone="UTC"))
        at_once = await here.place()
        clock.advance(seconds)
        a_little_later = await here.place()
        redialed = await here.place(redial=True)
        await here.tell(await here.outcome(redialed))
        clock.advance(3660)
        long_after = await here.place()

    assert found.duplicate is not None
    assert at_once.record.tracking_id == a_little_later.record.tracking_id == record.tracking_id
    assert [placed.is_new for placed in (at_once, a_little_later, redialed, long_after)] == [False, False, True, True]


@pytest.mark.parametrize("date", ["Sun, 25 Jan 2026 15:30:00 +99999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
async def test_a_date_that_is_out_of_range_does_not_hide_how_a_call_ended(
    place: str, clock: ManualClock, date: str
) -> None:
    """The second date is valid, but adding time to it is an overflow."""
    service = Service(clock, [(201, shown() | {"created_at": date})], clock_offset=None, headers={"Date": date})
    async with world(service, place) as here:
        record = await here.call()
        lost = await here.call(OTHER)
        again = await here.call(OTHER)

    assert (record.state, lost.state, again.state) == (CallState.ENDED,) * 3
