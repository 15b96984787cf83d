"""Before a call is placed again, KallyAI is asked about the earlier one; no other call waits."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.records import CallRecord, CallRequest, CallState
from kallyai_mcp.calls.timing import Timing
from kallyai_mcp.clock import Stopwatch
from tests.calls.ledgers import NOW
from tests.calls.manual_time import ManualClock
from tests.calls.process.test_placing import never
from tests.calls.world import TABLE, Json, Service, World, shown, world

AGAIN = NOW + timedelta(minutes=15)
"""When a call that ended at `NOW` is placed again."""


class BusyService(Service):
    """A service whose calls are busy, and found by their ids c-1, c-2, and so on."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.replies = [self._busy]

    async def _busy(self) -> tuple[int, Json]:
        call_id = f"c-{len(self.keys)}"
        self.calls.append(shown(call_id, "busy", self.clock.now()) | {"submission": {}})
        return 201, {"call_id": call_id, "status": "busy"}


def to_number(last: int) -> Submission:
    """A call to a number that ends so."""
    return TABLE.model_copy(update={"respondent_phone": f"+1202555{last:04}"})


async def ask(here: World, last: int, *, retries: int = 0, at_again: bool = False) -> CallRecord:
    """Ask for a call to the number that ends so, now or at `AGAIN`."""
    schedule = here.calls.schedule_for(AGAIN if at_again else None, retries)
    request = CallRequest(to_number(last), "UTC", Stopwatch(here.clock), schedule)
    return await here.run(here.calls.place(request))


async def retried(here: World, count: int) -> list[CallRecord]:
    """Let so many calls end. Each is placed again at `AGAIN`."""
    placed = [await ask(here, number, retries=1) for number in range(count)]
    return [await here.run(here.calls.wait(record, 60)) for record in placed]


def hang(service: Service, numbers: range) -> None:
    """Let nothing come when the calendar files of these calls are asked for."""
    for number in numbers:
        service.calendars[f"c-{number}"] = hanging(service.clock)


def hanging(clock: ManualClock) -> Callable[[], Awaitable[None]]:
    async def hang_on() -> None:
        await clock.sleep(600)

    return hang_on


@pytest.fixture
def service(clock: ManualClock) -> BusyService:
    return BusyService(clock)


async def until_again(here: World, seconds: float) -> None:
    """Let time pass until so many seconds after the calls are due again."""
    here.clock.advance((AGAIN - here.clock.now()).total_seconds() - 12)
    await here.run(here.clock.sleep(12 + seconds))


async def test_a_plain_call_waits_for_no_look_up(place: str, service: BusyService) -> None:
    async with world(service, place, timing=Timing()) as here:
        retries = await retried(here, 6)
        hang(service, range(1, 7))
        plain = await ask(here, 100, at_again=True)
        await until_again(here, 2)
        found = await here.find(plain.tracking_id)

    assert {record.state for record in retries} == {CallState.SCHEDULED}
    assert found.state is CallState.ENDED
    assert len(service.keys) == 6 + 1


async def test_a_call_that_becomes_due_meanwhile_is_placed(
    place: str, service: BusyService
) -> None:
    async with world(service, place, timing=Timing()) as here:
        await retried(here, 1)
        hang(service, range(1, 2))
        await until_again(here, 1)
        plain = await ask(here, 100)
        due = here.calls.schedule_for(here.clock.now() + timedelta(seconds=2), 0)
        request = CallRequest(to_number(101), "UTC", Stopwatch(here.clock), due)
        later = await here.run(here.calls.place(request))
        await here.run(here.clock.sleep(3))
        found = await here.find(later.tracking_id)

    assert plain.is_new
    assert found.state is CallState.ENDED


async def test_a_retry_waits_for_its_own_look_up(place: str, service: BusyService) -> None:
    async with world(service, place, timing=Timing()) as here:
        *_, last = await retried(here, 7)
        hang(service, range(1, 7))
        await until_again(here, 2)
        found = await here.find(last.tracking_id)

    assert found.state is CallState.ENDED
    assert len(service.keys) == 7 + 1


async def test_calls_are_taken_over_during_look_ups(
    place: str,
    clock: ManualClock,
    service: BusyService,
) -> None:
    async with world(service, place, timing=Timing()) as here:
        await retried(here, 6)
        hang(service, range(1, 7))
        await until_again(here, 1)
        async with world(Service(clock, [never]), place, timing=Timing()) as dying:
            left = await dying.place(to_number(200))
            service.calls.append(shown("c-200", at=clock.now(), respondent_phone="+12025550200"))
            await here.run(clock.sleep(11))
        await here.run(clock.sleep(1.5))
        found = await here.find(left.tracking_id)

    assert found.call_id == "c-200"


async def test_only_some_look_ups_run_at_once(place: str, service: BusyService) -> None:
    asked: list[Json] = []

    async def count() -> None:
        asked.append({})
        await service.clock.sleep(600)

    async with world(service, place, timing=Timing()) as here:
        await retried(here, 30)
        service.calendars = {f"c-{number}": count for number in range(1, 31)}
        await until_again(here, 2)
        at_once = len(asked)
        await here.run(here.clock.sleep(20))

    assert at_once == 10
    assert len(asked) > at_once


async def test_kallyai_is_not_asked_again_at_once(place: str, service: BusyService) -> None:
    """It has answered that it does not know yet, and other calls are due meanwhile."""
    looks: list[float] = []

    async def fail() -> None:
        looks.append(service.clock.monotonic())
        service.transcript_status = 503

    async with world(service, place, timing=Timing()) as here:
        [retry] = await retried(here, 1)
        service.calendars["c-1"] = fail
        service.transcripts["c-1"] = "…"
        service.transcript_status = 503
        await until_again(here, 0)
        for number in range(100, 110):
            await ask(here, number)
            await here.run(here.clock.sleep(1))
        found = await here.find(retry.tracking_id)

    assert found.state is CallState.SCHEDULED
    assert 1 <= len(looks) <= 2
