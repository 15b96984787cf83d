"""Calls that are due later, and calls that are placed again, on both drivers of the ledger."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from kallyai_mcp.api.errors import PolicyError
from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.changes import BATCH
from kallyai_mcp.calls.events import Due, Over
from kallyai_mcp.calls.ledger import rows
from kallyai_mcp.calls.ledger.base import Ledger
from kallyai_mcp.calls.outcome import Outcome
from kallyai_mcp.calls.policy import CallPolicy
from kallyai_mcp.calls.records import CallRecord, CallRequest, CallState
from kallyai_mcp.calls.schedule import next_attempt
from kallyai_mcp.calls.timing import Timing
from kallyai_mcp.clock import Stopwatch
from kallyai_mcp.settings import Settings
from tests.calls.ledgers import ACCOUNT, NOW, database_at
from tests.calls.manual_time import ManualClock
from tests.calls.world import PLACED, TABLE, Json, Service, World, after, end_of, reply, world
from tests.many_records import add_records

DUE = NOW + timedelta(hours=14)
WASHINGTON = "+12025550123"
IN_WASHINGTON = TABLE.model_copy(update={"respondent_phone": WASHINGTON})


async def schedule(
    here: World,
    due: datetime | None = DUE,
    *,
    retries: int = 0,
    asked: Submission = IN_WASHINGTON,
) -> CallRecord:
    when, arrived = here.calls.schedule_for(due, retries), Stopwatch(here.clock)
    return await here.run(here.calls.place(CallRequest(asked, "America/New_York", arrived, when)))


def in_washington(local: str) -> datetime:
    """A time of the day on which all tests begin."""
    return datetime.fromisoformat(f"2026-01-25 {local}").replace(
        tzinfo=ZoneInfo("America/New_York")
    )


async def at(here: World, moment: datetime) -> None:
    """Let time pass until then, and a little longer, so that the worker has looked at the
    ledger.
    """
    here.clock.advance(max(0.0, (moment - here.clock.now()).total_seconds()))
    await here.run(here.clock.sleep(25))


async def attempt(here: World, placed: CallRecord) -> CallRecord:
    """Wait for the end of the attempt that is in progress."""
    return await here.run(here.calls.wait(placed, 100))


async def scheduled_by_another_process(place: str, service: Service) -> CallRecord:
    """A call for `DUE`, whose process has ended."""
    async with world(service, place) as here:
        return await schedule(here)


async def test_a_scheduled_call_waits_until_it_is_due(place: str, clock: ManualClock) -> None:
    service = Service(clock)
    placed = await scheduled_by_another_process(place, service)
    async with world(service, place) as here:
        await at(here, DUE - timedelta(seconds=40))

    assert placed.state is CallState.SCHEDULED
    assert service.keys == []


async def test_one_of_two_processes_places_a_due_call(place: str, clock: ManualClock) -> None:
    service = Service(clock)
    placed = await scheduled_by_another_process(place, service)
    async with world(service, place) as first, world(service, place) as second:
        await at(first, DUE)
        record = await second.find(placed.tracking_id)

    assert record.state is CallState.ENDED
    assert service.keys == [record.idempotency_key]
    assert record.asked_at >= DUE
    assert record.day == "2026-01-26"


async def test_a_missed_call_expires_and_blocks_none(place: str, clock: ManualClock) -> None:
    service = Service(clock)
    async with world(service, place) as here:
        late = await schedule(here)
    clock.advance((DUE - NOW).total_seconds() + 1801)
    async with world(service, place) as here:  # asked before the worker has looked at the ledger
        placed = await here.place(IN_WASHINGTON)
        at_once = await here.find(late.tracking_id)
        listed = await here.run(here.ledger.read(rows.list_unsettled, ACCOUNT))
        await at(here, clock.now())
        later = await here.find(late.tracking_id)

    assert placed.is_new
    assert late.tracking_id in [record.tracking_id for record in listed]
    assert at_once.state is CallState.EXPIRED
    assert end_of(later) == (CallState.EXPIRED, "expired")
    assert service.keys == [placed.idempotency_key]


@pytest.mark.parametrize(
    ("due", "is_at"),
    [
        ("2026-03-08 02:30", "2026-03-08 07:30"),  # this time does not exist; the clocks show 3:30
        ("2026-11-01 01:45", "2026-11-01 05:45"),  # this time occurs twice; the first one counts
    ],
)
async def test_a_changed_clock_moves_no_scheduled_call(here: World, due: str, is_at: str) -> None:
    moment = datetime.fromisoformat(is_at).replace(tzinfo=UTC)
    here.clock.advance((moment - timedelta(hours=1) - NOW).total_seconds())
    service = here.service
    local = datetime.fromisoformat(due).replace(tzinfo=ZoneInfo("America/New_York"))
    placed = await schedule(here, local)
    await at(here, moment - timedelta(seconds=40))
    before = len(service.keys)
    await at(here, moment)
    record = await here.find(placed.tracking_id)

    assert before == 0
    assert record.state is CallState.ENDED
    assert placed.schedule.place_by == moment + timedelta(minutes=30)


FOR_SEVEN = IN_WASHINGTON.model_copy(
    update={"appointment_date": NOW.date(), "appointment_time": "19:00"}
)


@pytest.mark.parametrize(
    ("asked", "due", "runs_at", "state"),
    [
        (IN_WASHINGTON, "20:55", "20:59", CallState.ENDED),
        (IN_WASHINGTON, "20:55", "21:01", CallState.EXPIRED),
        (IN_WASHINGTON, "22:00", "22:20", CallState.ENDED),  # the user has agreed to the night
        (FOR_SEVEN, "18:50", "18:59", CallState.ENDED),
        (FOR_SEVEN, "18:50", "19:01", CallState.EXPIRED),
    ],
)
async def test_no_call_follows_its_day_or_appointment(
    place: str, clock: ManualClock, asked: Submission, due: str, runs_at: str, state: CallState
) -> None:
    service = Service(clock)
    async with world(service, place) as here:
        placed = await schedule(here, in_washington(due), asked=asked)
    clock.advance((in_washington(runs_at) - NOW).total_seconds())
    async with world(service, place) as here:
        await at(here, clock.now())
        record = await here.find(placed.tracking_id)

    assert record.state is state
    assert len(service.keys) == (1 if state is CallState.ENDED else 0)


async def test_a_retry_is_not_placed_after_its_day(place: str, clock: ManualClock) -> None:
    service = Service(clock, [reply("busy"), PLACED])
    clock.advance((in_washington("20:39") - NOW).total_seconds())
    async with world(service, place) as here:
        planned = await attempt(here, await schedule(here, None, retries=1))
    clock.advance((in_washington("21:05") - clock.now()).total_seconds())
    async with world(service, place) as here:
        await at(here, clock.now())
        record = await here.find(planned.tracking_id)

    assert planned.state is CallState.SCHEDULED
    assert end_of(record) == (CallState.EXPIRED, "expired")
    assert len(service.keys) == 1


async def test_the_night_counts_when_a_call_is_placed(place: str, clock: ManualClock) -> None:
    """An older version has planned it for longer."""
    service = Service(clock)
    async with world(service, place) as here:
        placed = await schedule(here, in_washington("20:55"))
        longer = "UPDATE calls SET place_by = place_by + 1500"
        await here.run(here.ledger.write(ACCOUNT, lambda tx: tx.run(longer)))
    clock.advance((in_washington("21:05") - NOW).total_seconds())
    async with world(service, place) as here:
        await at(here, clock.now())
        record = await here.find(placed.tracking_id)

    assert end_of(record) == (CallState.EXPIRED, "expired")
    assert service.keys == []


@pytest.mark.parametrize("hours", [-3, 3], ids=["fast", "slow"])
async def test_a_wrong_machine_clock_places_no_call(here: World, hours: int) -> None:
    service = here.answering(clock_offset=3600 * hours)
    placed = await schedule(here)
    await at(here, DUE)
    await at(here, DUE + timedelta(hours=4))  # by both clocks, it is too late
    record = await here.find(placed.tracking_id)

    assert service.keys == []
    assert end_of(record) == (CallState.EXPIRED, "expired")


async def test_a_due_call_is_checked_against_limits_again(place: str, clock: ManualClock) -> None:
    service = Service(clock, [reply("success", "c-1"), reply("success", "c-2"), PLACED])
    async with world(service, place, policy=CallPolicy(Settings(calls_per_hour=1))) as here:
        scheduled = await schedule(here)
        await here.call()  # a scheduled call is no call yet
        await at(here, DUE - timedelta(minutes=10))
        await here.call(TABLE.model_copy(update={"task_description": "Another"}))
        await at(here, DUE)
        record = await here.find(scheduled.tracking_id)
        newest = (await here.run(here.ledger.read(rows.audit, record.account, 10)))[0]

    assert len(service.keys) == 2
    assert record.state is CallState.REFUSED
    assert isinstance(record.error, PolicyError)
    assert record.error.setting == "KALLYAI_CALLS_PER_HOUR"
    assert newest["outcome"] == "refused:KALLYAI_CALLS_PER_HOUR"


async def test_a_signed_out_users_due_call_expires(here: World) -> None:
    placed = await schedule(here)
    here.session.name = None
    await at(here, DUE + timedelta(minutes=31))
    here.session.name = "account-1"
    record = await here.find(placed.tracking_id)

    assert here.service.keys == []
    assert end_of(record) == (CallState.EXPIRED, "expired")


async def test_another_process_places_what_a_lost_lease_left(
    place: str, clock: ManualClock
) -> None:
    service = Service(clock)
    async with world(service, place) as here:
        placed = await schedule(here)
    clock.advance((DUE - NOW).total_seconds())
    dying = Ledger(database_at(place, clock.now), policy=CallPolicy(), timing=Timing())
    worker = await dying.database.take_lease()
    [taken] = await dying.handle(placed.account, Due(worker, [placed.tracking_id]))
    await dying.database.take_lease()  # as after a restart of the server

    async def refuse() -> None:
        await dying.handle(taken.account, Over(replace(taken, state=CallState.REFUSED)))

    service.replies = [after(refuse, PLACED)]
    async with world(service, place) as other:
        await at(other, DUE + timedelta(minutes=2))
        record = await other.outcome(placed)
    await dying.database.aclose()

    assert taken.state is CallState.RESERVED
    assert record.state is CallState.ENDED
    assert len(service.keys) == 1


async def test_a_retry_waits_for_a_quarter_hour(here: World) -> None:
    here.answering([reply("busy", "c-1")])
    first = await attempt(here, await schedule(here, None, retries=2))
    await at(here, NOW + timedelta(minutes=14))

    assert first.state is CallState.SCHEDULED
    assert first.schedule.attempt == 2
    assert len(here.service.keys) == 1


async def test_a_call_that_waits_is_joined(here: World) -> None:
    here.answering([reply("busy", "c-1")])
    placed = await schedule(here, None, retries=2)
    await attempt(here, placed)
    joined = await here.place(IN_WASHINGTON)

    assert joined.tracking_id == placed.tracking_id
    assert not joined.is_new
    assert len(here.service.keys) == 1


@pytest.mark.parametrize("status", ["busy", "no_answer"])
async def test_each_attempt_has_its_own_key(here: World, status: str) -> None:
    here.answering([reply(status, "c-1"), reply(status, "c-2"), reply("success", "c-3")])
    placed = await schedule(here, None, retries=2)
    await attempt(here, placed)
    await at(here, NOW + timedelta(minutes=16))
    await at(here, NOW + timedelta(minutes=33))
    record = await here.find(placed.tracking_id)

    assert len(set(here.service.keys)) == 3
    assert record.state is CallState.ENDED
    assert record.call_id == "c-3"
    assert [each.call_id for each in record.schedule.earlier] == ["c-1", "c-2"]
    assert {each.status for each in record.schedule.earlier} == {status}


async def test_an_earlier_attempt_is_found(here: World) -> None:
    here.answering([reply("busy", "c-1")])
    await attempt(here, await schedule(here, None, retries=2))
    earlier = await here.find("c-1")

    assert earlier.call is not None
    assert earlier.call.status == "busy"


@pytest.mark.parametrize("status", ["success", "voicemail", "failed", "cancelled"])
async def test_only_a_busy_or_unanswered_call_is_retried(here: World, status: str) -> None:
    service = here.answering([reply(status, "c-1"), PLACED])
    placed = await schedule(here, None, retries=3)
    record = await attempt(here, placed)
    await at(here, NOW + timedelta(hours=20))

    assert record.state is CallState.ENDED
    assert len(service.keys) == 1


@pytest.mark.parametrize(
    ("asks", "status"),
    [(True, 200), (False, 200), (False, 503)],
    ids=["a client asks", "nobody asks", "unread at first"],
)
async def test_a_late_sign_of_talk_stops_retries(here: World, status: int, *, asks: bool) -> None:
    first: Json = {"call_id": "c-1", "status": "no_answer"}
    service = here.answering([(201, first), PLACED], [first])
    placed = await schedule(here, None, retries=1)
    planned = await attempt(here, placed)
    service.transcripts["c-1"] = "Yes, I booked it"
    if asks:
        await here.run(here.calls.find("c-1"))
    service.transcript_status = status
    await at(here, NOW + timedelta(minutes=20))
    service.transcript_status = 200
    await at(here, NOW + timedelta(minutes=21))
    record = await here.find(placed.tracking_id)
    talked = await here.find("c-1")
    again = await schedule(here, None, retries=1)

    assert planned.state is CallState.SCHEDULED
    assert len(service.keys) == 1
    assert (record.state, record.error and record.error.code) == (
        CallState.REFUSED,
        "reached_before",
    )
    assert talked.outcome is Outcome.UNKNOWN
    assert (again.is_new, again.call_id) == (False, "c-1")


@pytest.mark.parametrize(
    ("number", "ended", "due"),
    [
        (WASHINGTON, "2026-01-25 10:30", "2026-01-25 10:45"),
        (WASHINGTON, "2026-01-25 20:44", "2026-01-25 20:59"),
        (WASHINGTON, "2026-01-25 20:45", "2026-01-26 08:00"),
        (WASHINGTON, "2026-01-25 06:00", "2026-01-25 08:00"),
        (WASHINGTON, "2026-03-07 22:00", "2026-03-08 08:00"),  # the clocks go forward in that night
        (WASHINGTON, "2026-10-31 22:00", "2026-11-01 08:00"),  # and back in this one
        # A toll-free number says nothing of a place.
        ("+18005551234", "2026-01-25 23:00", "2026-01-26 08:00"),
        # Madrid, or the Canary Islands an hour later.
        ("+34612345678", "2026-01-26 01:45", "2026-01-26 03:00"),
    ],
)
def test_the_next_attempt_is_15_minutes_later(number: str, ended: str, due: str) -> None:
    zone = ZoneInfo("America/New_York")
    moment = datetime.fromisoformat(ended).replace(tzinfo=zone).astimezone(UTC)

    found = next_attempt(moment, number, "America/New_York")

    assert f"{found.astimezone(zone):%Y-%m-%d %H:%M}" == due


async def test_of_many_due_calls_each_is_placed_once(here: World) -> None:
    """They are more than one transaction takes."""

    async def busy() -> tuple[int, Json]:
        return 201, {"call_id": f"c-{len(service.keys)}", "status": "busy"}

    service = here.answering([busy])
    placed = await schedule(here)
    other = replace(placed, tracking_id="t-many", fingerprint="many", idempotency_key="many")
    await add_records(here.database, other, BATCH, interval=0)
    await at(here, DUE)
    ordinary = await here.call()
    await at(here, DUE + timedelta(minutes=1))

    assert ordinary.state is CallState.ENDED
    assert len(service.keys) == len(set(service.keys)) == BATCH + 2


async def test_a_short_clock_error_ends_no_call(here: World) -> None:
    placed = await schedule(here)
    await at(here, DUE - timedelta(hours=1))
    here.clock.set_wall_clock(8 * 3600)
    here.service.clock_offset = -8 * 3600  # KallyAI's own clock is right
    await here.run(here.clock.sleep(12))
    meanwhile = await here.find(placed.tracking_id)
    here.clock.set_wall_clock(-8 * 3600)
    here.service.clock_offset = 0
    await at(here, DUE + timedelta(minutes=5))
    record = await here.find(placed.tracking_id)

    assert meanwhile.state is CallState.SCHEDULED
    assert record.state is CallState.ENDED
    assert here.service.keys == [record.idempotency_key]
