"""Clocks that differ and clocks that jump, while a call is looked for whose response was lost."""

from datetime import timedelta

import pytest

from kallyai_mcp.calls.events import Checked, Leave, Requested
from kallyai_mcp.calls.records import CallState
from tests.calls.ledgers import NOW, asked, database_at, opened
from tests.calls.manual_time import ManualClock
from tests.calls.world import (
    LOST,
    PLACED,
    REFUSED,
    TABLE,
    Service,
    World,
    after,
    reply,
    shown,
    world,
)

OTHER = TABLE.model_copy(update={"task_description": "Ask for the hours"})


@pytest.mark.parametrize("ahead", [-3600, -300, 300, 3600])
@pytest.mark.parametrize("dated", [True, False])
async def test_a_databases_wrong_clock_does_not_hide_calls(
    place: str, clock: ManualClock, ahead: float, *, dated: bool
) -> None:
    """PostgreSQL dates the records by its own clock."""
    service = Service(clock, [LOST], clock_offset=0 if dated else None)
    service.on_look = lambda looks: (
        service.calls.append(shown()) if looks == 2 else setattr(service, "clock_offset", 0)
    )
    database = database_at(place, lambda: clock.now() + timedelta(seconds=ahead))
    async with world(service, place, database=database) as here:
        record = await here.call()

    assert record.call_id == "c-1"


@pytest.mark.parametrize(("is_suspended", "ahead"), [(True, -86400), (False, 0)])
async def test_a_date_read_late_does_not_hide_calls(
    here: World, ahead: float, *, is_suspended: bool
) -> None:
    """The machine was suspended, or the process stopped, while the response was on its way."""
    service = here.answering(clock_offset=ahead)
    began = service.service_time()

    def see(_: int) -> None:
        if not service.keys:
            raise ConnectionResetError  # its time is not known before

    service.on_look = see
    pause = here.clock.suspend if is_suspended else here.clock.advance
    service.replies = [after(lambda: pause(1000), (502, {}))]
    service.calls = [shown(at=began)]
    record = await here.call()

    assert record.call_id == "c-1"


@pytest.mark.parametrize("status", [500, 429])
async def test_an_early_clock_change_does_not_hide_calls(here: World, status: int) -> None:
    """Its time is known from the last look into its list."""
    set_clock = after(lambda: here.clock.set_wall_clock(7200), (status, {}))
    service = here.answering([set_clock], [shown()], clock_offset=None, list_status=503)

    def see(_: int) -> None:
        if here.clock.now() - NOW > timedelta(seconds=7200 + 295):
            service.list_status = 503 if service.clock_offset is None else 200
            service.clock_offset = -7200

    service.on_look = see
    record = await here.call()

    assert record.call_id == "c-1"


async def test_another_records_possible_call_is_not_taken(
    here: World,
) -> None:
    two = [
        TABLE.model_copy(update={"additional_instructions": (f"Ask for table {table}",)})
        for table in (0, 1)
    ]
    service = here.answering([after(lambda: here.clock.sleep(600), LOST), LOST])
    waiting = await here.place(two[0])

    def see(looks: int) -> None:
        here.clock.set_wall_clock(-300 if looks == 2 else 0)
        service.calls = [shown(at=NOW)] if looks > 3 else []

    service.on_look = see
    lost, waited = await here.call(two[1]), await here.outcome(waiting)

    assert (lost.state, waited.state) == (CallState.UNKNOWN,) * 2


@pytest.mark.parametrize(
    "headers", [{"Age": "1800"}, {}], ids=["and it says so", "and it does not say so"]
)
async def test_a_cached_response_does_not_tell_the_time(
    here: World, headers: dict[str, str]
) -> None:
    """A call of another program, placed half an hour ago, is not taken for one that was not
    placed.
    """
    service = here.answering([PLACED])
    if not headers:
        await here.call(OTHER)  # its response has the true time
    service.headers, service.clock_offset = headers, -1800
    service.replies = [LOST]
    service.calls = [shown("c-2", at=here.clock.now() - timedelta(seconds=1799))]
    record = await here.call()

    assert record.state is CallState.UNKNOWN


@pytest.mark.parametrize(("status", "seconds"), [("success", 3590), ("busy", 55)])
async def test_time_since_delivery_ignores_a_set_clock(
    place: str, clock: ManualClock, status: str, seconds: float
) -> None:
    ahead = timedelta(0)
    database = database_at(place, lambda: clock.now() + ahead)
    async with world(Service(clock, [reply(status), PLACED]), place, database=database) as here:
        await here.tell(await here.call())
        ahead = timedelta(days=1)
        found = await here.precheck()
        clock.advance(seconds)
        before = await here.place()
        clock.advance(20)
        later = await here.place()

    assert not found.is_new
    assert (before.is_new, later.is_new) == (False, True)


async def test_a_clock_change_hides_no_newer_call(
    here: World,
) -> None:
    here.answering([REFUSED, *(reply("success", f"c-{number}") for number in (1, 2, 3))])
    await here.tell(await here.call())
    here.clock.set_wall_clock(2)
    first = await here.call()
    await here.tell(first)
    here.clock.set_wall_clock(2)
    await here.call(redial=True)
    newer, joined = await here.call(), await here.call(redial=True)
    await here.tell(newer)
    here.clock.set_wall_clock(86_400)
    again, redialed = await here.call(), await here.call(redial=True)

    assert [first.call_id, newer.call_id, joined.call_id] == ["c-1", "c-2", "c-2"]
    assert [again.call_id, redialed.call_id] == ["c-2", "c-3"]


@pytest.mark.parametrize(
    "date", ["Sun, 25 Jan 2026 15:30:00 +99999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"]
)
async def test_an_impossible_date_does_not_hide_an_outcome(here: World, date: str) -> None:
    """The second date is valid, but adding time to it is an overflow."""
    replies = [
        (201, shown() | {"call_id": f"c-{number}", "created_at": date}) for number in range(3)
    ]
    here.answering([*replies], clock_offset=None, headers={"Date": date})
    record = await here.call()
    lost = await here.call(OTHER)
    again = await here.call(OTHER)

    assert (record.state, lost.state, again.state) == (CallState.ENDED,) * 3


async def test_the_learned_time_counts_after_a_death(place: str, clock: ManualClock) -> None:
    async with opened(place, clock.now) as dead:
        new = asked(worker=await dead.database.take_lease())
        record = await dead.handle(new.account, Requested(Checked(new, redial=False)))
        # The request waits for its token, and another one learns KallyAI's time meanwhile.
        clock.advance(5)
        await dead.handle(new.account, Leave(record, clock.now))
    service = Service(
        clock, calls=[shown(at=clock.now(), task_category="restaurant")], clock_offset=-3600
    )
    clock.set_wall_clock(3600)
    async with world(service, place) as here:
        await here.run(clock.sleep(700))
        found = await here.find(record.tracking_id)

    assert found.call_id == "c-1"
