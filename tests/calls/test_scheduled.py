"""Calls that are due later, and calls that are placed again, on both drivers of the ledger."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from kallyai_mcp.api.errors import KallyAIError, PolicyError
from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.calls import Placed
from kallyai_mcp.calls.ledger.base import LedgerUnavailableError
from kallyai_mcp.calls.ledger.ledger import Ledger
from kallyai_mcp.calls.outcome import Outcome
from kallyai_mcp.calls.policy import CallPolicy
from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.calls.schedule import next_attempt
from kallyai_mcp.calls.timing import Timing
from tests.calls.ledgers import InterruptedDatabase, database_at
from tests.calls.manual_time import ManualClock
from tests.calls.test_service import never
from tests.calls.world import NOW, PLACED, TABLE, Json, Reply, Service, World, world
from tests.many_records import add_records

DUE = NOW + timedelta(hours=14)
WASHINGTON = "+12025550123"
IN_WASHINGTON = TABLE.model_copy(update={"respondent_phone": WASHINGTON})


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)  # 10:30 in Washington


def reply(status: str, call_id: str) -> Reply:
    return 201, {"call_id": call_id, "status": status}


async def schedule(
    here: World, due: datetime | None = DUE, *, retries: int = 0, submission: Submission = IN_WASHINGTON
) -> Placed:
    when = here.calls.scheduled(due, retries)
    return await here.run(here.calls.place(submission, timezone="America/New_York", schedule=when))


async def at(here: World, moment: datetime) -> None:
    """Let time pass until then, and a little longer, so that the worker has looked at the ledger."""
    here.clock.advance(max(0.0, (moment - here.clock.now()).total_seconds()))
    await here.run(here.clock.sleep(25))


async def attempt(here: World, placed: Placed) -> CallRecord:
    """Wait for the end of the attempt that is in progress."""
    return await here.run(here.calls.wait(placed.record, 100))


async def now(here: World, record: CallRecord) -> CallRecord:
    found = await here.run(here.calls.find(record.tracking_id))
    assert found is not None
    return found


async def test_a_scheduled_call_is_placed_when_it_is_due_and_not_before(place: str, clock: ManualClock) -> None:
    service = Service(clock)
    async with world(service, place) as here:
        placed = await schedule(here)
        await at(here, DUE - timedelta(seconds=40))
        before = len(service.keys)
        await at(here, DUE)
        record = await now(here, placed.record)

    assert placed.record.state is CallState.SCHEDULED
    assert before == 0
    assert record.state is CallState.ENDED
    assert service.keys == [record.idempotency_key]
    assert record.placed_at >= DUE
    assert record.day == "2026-01-26"


async def test_the_process_that_runs_when_a_call_is_due_places_it(place: str, clock: ManualClock) -> None:
    service = Service(clock)
    async with world(service, place) as first:
        placed = await schedule(first)
    async with world(service, place) as second, world(service, place) as third:
        await at(second, DUE)
        record = await now(third, placed.record)

    assert record.state is CallState.ENDED
    assert len(service.keys) == 1


async def test_a_call_that_was_not_placed_when_it_was_due_expires_and_is_never_late(
    place: str, clock: ManualClock
) -> None:
    service = Service(clock)
    async with world(service, place) as here:
        placed = await schedule(here)
    clock.advance((DUE - NOW).total_seconds() + 1801)
    async with world(service, place) as here:
        at_once = await now(here, placed.record)
        listed = await here.run(here.calls.list_unsettled())
        await at(here, clock.now())
        later = await now(here, placed.record)

    assert service.keys == []
    assert at_once.state is later.state is CallState.EXPIRED
    assert at_once.error is not None
    assert at_once.error.code == "expired"
    assert [record.tracking_id for record in listed] == [placed.record.tracking_id]


@pytest.mark.parametrize(
    ("due", "is_at"),
    [
        ("2026-03-08 01:45", "2026-03-08 06:45"),
        ("2026-03-08 02:30", "2026-03-08 07:30"),  # this time does not exist; the clocks show 3:30
        ("2026-11-01 00:45", "2026-11-01 04:45"),
        ("2026-11-01 01:45", "2026-11-01 05:45"),  # this time occurs twice; the first one counts
    ],
)
async def test_a_call_is_placed_within_half_an_hour_also_when_the_callees_clocks_change(
    place: str, clock: ManualClock, due: str, is_at: str
) -> None:
    moment = datetime.fromisoformat(is_at).replace(tzinfo=UTC)
    clock.advance((moment - timedelta(hours=1) - NOW).total_seconds())
    service = Service(clock)
    async with world(service, place) as here:
        local = datetime.fromisoformat(due).replace(tzinfo=ZoneInfo("America/New_York"))
        placed = await schedule(here, local)
        await at(here, moment - timedelta(seconds=40))
        before = len(service.keys)
        await at(here, moment)
        record = await now(here, placed.record)

    assert before == 0
    assert record.state is CallState.ENDED
    assert placed.record.schedule.place_by == moment + timedelta(minutes=30)


@pytest.mark.parametrize("hours", [-3, 3], ids=["fast", "slow"])
async def test_a_machine_whose_clock_is_wrong_by_hours_does_not_call_at_the_wrong_time(
    place: str, clock: ManualClock, hours: int
) -> None:
    service = Service(clock, clock_offset=3600 * hours)
    async with world(service, place) as here:
        placed = await schedule(here)
        await at(here, DUE)
        await at(here, DUE + timedelta(minutes=31))
        record = await now(here, placed.record)

    assert service.keys == []
    assert record.state is CallState.EXPIRED
    assert record.error is not None
    assert record.error.code == "clock_wrong_when_due"


async def test_a_machine_whose_clock_is_fast_by_minutes_calls_when_it_is_due_by_the_clock_of_the_service(
    place: str, clock: ManualClock
) -> None:
    service = Service(clock, clock_offset=-600)
    async with world(service, place) as here:
        await schedule(here)
        await at(here, DUE)
        early = len(service.keys)
        await at(here, DUE + timedelta(minutes=10))

    assert (early, len(service.keys)) == (0, 1)


async def test_a_call_that_is_too_late_to_be_placed_stands_for_no_new_one(place: str, clock: ManualClock) -> None:
    service = Service(clock)
    async with world(service, place) as here:
        late = await schedule(here)
    clock.advance((DUE - NOW).total_seconds() + 1801)
    async with world(service, place) as here:  # asked before the worker has looked at the ledger
        placed = await here.place(IN_WASHINGTON)
        record = await now(here, late.record)

    assert placed.is_new
    assert placed.record.tracking_id != late.record.tracking_id
    assert record.state is CallState.EXPIRED
    assert len(service.keys) == 1


async def test_a_scheduled_call_that_was_canceled_is_never_placed(place: str, clock: ManualClock) -> None:
    service = Service(clock)
    async with world(service, place) as here:
        placed = await schedule(here)
        canceled = await here.run(here.calls.cancel(placed.record.tracking_id))
        await at(here, DUE + timedelta(hours=1))
        record = await now(here, placed.record)

    assert canceled
    assert record.state is CallState.CANCELED
    assert service.keys == []


async def test_the_same_call_is_the_scheduled_one_however_it_is_asked_for(place: str, clock: ManualClock) -> None:
    service = Service(clock)
    async with world(service, place) as here:
        first = await schedule(here)
        at_once = await here.place(IN_WASHINGTON)
        again = await here.place(IN_WASHINGTON, redial=True)
        other_time = await schedule(here, DUE + timedelta(hours=1))
        await at(here, DUE)

    assert [placed.is_new for placed in (first, at_once, again, other_time)] == [True, False, False, False]
    assert len({placed.record.tracking_id for placed in (first, at_once, again, other_time)}) == 1
    assert len(service.keys) == 1


async def test_a_number_that_was_denied_meanwhile_is_not_called(place: str, clock: ManualClock) -> None:
    service = Service(clock)
    async with world(service, place) as here:
        placed = await schedule(here)
    async with world(service, place, policy=CallPolicy(denied=("+1202",))) as here:
        await at(here, DUE)
        record = await now(here, placed.record)
        audit = await here.run(here.ledger.audit(record.account, 10))

    assert service.keys == []
    assert record.state is CallState.REFUSED
    assert isinstance(record.error, PolicyError)
    assert [entry.outcome for entry in audit] == ["refused:KALLYAI_DENY_NUMBERS", "scheduled"]


async def test_a_limit_counts_a_scheduled_call_when_it_is_placed(place: str, clock: ManualClock) -> None:
    service = Service(clock, [reply("success", "c-1"), reply("success", "c-2"), PLACED])
    async with world(service, place, policy=CallPolicy(calls_per_hour=1)) as here:
        scheduled = await schedule(here)
        await here.call()  # a scheduled call is no call yet
        await at(here, DUE - timedelta(minutes=10))
        await here.call(TABLE.model_copy(update={"task_description": "Another"}))
        await at(here, DUE)
        record = await now(here, scheduled.record)

    assert len(service.keys) == 2
    assert record.state is CallState.REFUSED
    assert isinstance(record.error, PolicyError)
    assert record.error.setting == "KALLYAI_CALLS_PER_HOUR"


async def test_a_call_of_somebody_who_is_signed_out_when_it_is_due_expires_with_that_reason(
    place: str, clock: ManualClock
) -> None:
    service = Service(clock)
    async with world(service, place) as here:
        placed = await schedule(here)
        here.session.name = None
        await at(here, DUE + timedelta(minutes=31))
        here.session.name = "account-1"
        record = await now(here, placed.record)

    assert service.keys == []
    assert record.state is CallState.EXPIRED
    assert record.error is not None
    assert record.error.code == "signed_out_when_due"


async def test_a_call_of_another_account_waits_for_that_account_and_is_placed_on_no_other(
    place: str, clock: ManualClock
) -> None:
    service = Service(clock)
    async with world(service, place) as here:
        placed = await schedule(here)
        here.session.name = "account-2"
        await at(here, DUE)
        before = list(service.accounts)
        here.session.name = "account-1"
        await at(here, DUE + timedelta(minutes=5))
        record = await now(here, placed.record)

    assert before == []
    assert service.accounts == ["account-1"]
    assert record.state is CallState.ENDED


async def test_a_call_that_was_taken_by_a_process_that_died_before_it_was_sent_is_placed_by_another(
    place: str, clock: ManualClock
) -> None:
    service = Service(clock)
    async with world(service, place) as here:
        placed = await schedule(here)
    clock.advance((DUE - NOW).total_seconds())
    dying = Ledger(database_at(place, clock.now), policy=CallPolicy(), timing=Timing(), clock=clock)
    [taken] = await dying.take_due(placed.record.account, await dying.take_lease(), most=1, service_time=lambda: None)
    await dying.aclose()
    async with world(service, place) as other:
        await at(other, DUE + timedelta(minutes=2))
        record = await now(other, placed.record)

    assert taken.state is CallState.RESERVED
    assert record.state is CallState.ENDED
    assert len(service.keys) == 1


@pytest.mark.parametrize("status", ["busy", "no_answer"])
async def test_a_call_that_reached_nobody_is_placed_again_under_a_key_of_its_own(
    place: str, clock: ManualClock, status: str
) -> None:
    service = Service(clock, [reply(status, "c-1"), reply(status, "c-2"), reply("success", "c-3")])
    async with world(service, place) as here:
        placed = await schedule(here, None, retries=2)
        first = await attempt(here, placed)
        joined = await here.place(IN_WASHINGTON)
        await at(here, NOW + timedelta(minutes=14))
        after_14_minutes = len(service.keys)
        await at(here, NOW + timedelta(minutes=16))
        await at(here, NOW + timedelta(minutes=33))
        record = await now(here, placed.record)
        earlier = await here.run(here.calls.find("c-1"))

    assert first.state is CallState.SCHEDULED
    assert first.schedule.attempt == 2
    assert joined.record.tracking_id == placed.record.tracking_id
    assert not joined.is_new
    assert after_14_minutes == 1
    assert len(set(service.keys)) == 3
    assert record.state is CallState.ENDED
    assert record.call_id == "c-3"
    assert [(attempt.status, attempt.call_id) for attempt in record.schedule.earlier] == [
        (status, "c-1"),
        (status, "c-2"),
    ]
    assert earlier is not None
    assert earlier.call is not None
    assert earlier.call.status == status


@pytest.mark.parametrize("status", ["success", "voicemail", "failed", "cancelled"])
async def test_a_call_that_ended_otherwise_is_not_placed_again(place: str, clock: ManualClock, status: str) -> None:
    service = Service(clock, [reply(status, "c-1"), PLACED])
    async with world(service, place) as here:
        placed = await schedule(here, None, retries=3)
        record = await attempt(here, placed)
        await at(here, NOW + timedelta(hours=20))

    assert record.state is CallState.ENDED
    assert len(service.keys) == 1


async def test_the_last_attempt_is_the_end(place: str, clock: ManualClock) -> None:
    service = Service(clock, [reply("busy", "c-1"), reply("busy", "c-2"), PLACED])
    async with world(service, place) as here:
        placed = await schedule(here, None, retries=1)
        await attempt(here, placed)
        await at(here, NOW + timedelta(minutes=20))
        await at(here, NOW + timedelta(hours=20))
        record = await now(here, placed.record)

    assert len(service.keys) == 2
    assert record.state is CallState.ENDED
    assert record.call is not None
    assert record.call.status == "busy"


async def test_canceling_a_call_in_progress_lets_it_end_and_cancels_its_retries(place: str, clock: ManualClock) -> None:
    async def busy_later() -> tuple[int, dict[str, str]]:
        await clock.sleep(60)
        return 201, {"call_id": "c-1", "status": "busy"}

    service = Service(clock, [busy_later, PLACED])
    async with world(service, place) as here:
        placed = await schedule(here, None, retries=3)
        await here.run(clock.sleep(5))
        canceled = await here.run(here.calls.cancel(placed.record.tracking_id))
        record = await attempt(here, placed)
        await at(here, NOW + timedelta(hours=1))

    assert not canceled
    assert record.state is CallState.ENDED
    assert len(service.keys) == 1


async def test_a_retry_that_was_canceled_is_not_placed(place: str, clock: ManualClock) -> None:
    service = Service(clock, [reply("busy", "c-1"), PLACED])
    async with world(service, place) as here:
        placed = await schedule(here, None, retries=3)
        await attempt(here, placed)
        assert await here.run(here.calls.cancel(placed.record.tracking_id))
        await at(here, NOW + timedelta(hours=1))

    assert len(service.keys) == 1


async def test_limits_count_every_attempt(place: str, clock: ManualClock) -> None:
    service = Service(clock, [reply("busy", "c-1"), reply("busy", "c-2"), PLACED])
    async with world(service, place, policy=CallPolicy(calls_per_number=2)) as here:
        placed = await schedule(here, None, retries=3)
        await attempt(here, placed)
        await at(here, NOW + timedelta(minutes=20))
        await at(here, NOW + timedelta(minutes=40))
        record = await now(here, placed.record)

    assert len(service.keys) == 2
    assert record.state is CallState.REFUSED
    assert record.schedule.attempt == 3


async def test_a_call_is_not_placed_again_after_the_appointment_that_it_asks_for(
    place: str, clock: ManualClock
) -> None:
    service = Service(clock, [reply("busy", "c-1"), PLACED])
    tonight = IN_WASHINGTON.model_copy(update={"appointment_date": NOW.date(), "appointment_time": "10:40"})
    async with world(service, place) as here:
        placed = await schedule(here, None, retries=1, submission=tonight)
        record = await attempt(here, placed)

    assert record.state is CallState.ENDED


async def test_news_of_an_earlier_attempt_does_not_touch_the_next_one(place: str, clock: ManualClock) -> None:
    service = Service(clock, [reply("busy", "c-1"), reply("success", "c-2")])
    async with world(service, place) as here:
        placed = await schedule(here, None, retries=1)
        first = replace(await attempt(here, placed), idempotency_key=placed.record.idempotency_key)
        earlier = await here.run(here.calls.find("c-1"))
        assert earlier is not None
        assert earlier.call is not None
        await here.run(here.ledger.finish(first, CallState.ENDED, call=earlier.call))
        assert not await here.run(here.ledger.bind_call(first, earlier.call, proven=True))
        await at(here, NOW + timedelta(minutes=20))
        record = await now(here, placed.record)

    assert record.call_id == "c-2"


@pytest.mark.parametrize("asks", [True, False], ids=["a client asks", "nobody asks"])
async def test_a_later_sign_that_somebody_talked_stops_a_retry(place: str, clock: ManualClock, *, asks: bool) -> None:
    first: Json = {"call_id": "c-1", "status": "no_answer"}
    service = Service(clock, [(201, first), PLACED], [first])
    async with world(service, place) as here:
        placed = await schedule(here, None, retries=1)
        planned = await attempt(here, placed)
        service.transcripts["c-1"] = "Yes, I booked it"
        if asks:
            await here.run(here.calls.find("c-1"))
        await at(here, NOW + timedelta(minutes=20))
        record = await now(here, placed.record)
        talked = await here.run(here.calls.find("c-1"))
        again = await schedule(here, None, retries=1)

    assert planned.state is CallState.SCHEDULED
    assert len(service.keys) == 1
    assert (record.state, record.error and record.error.code) == (CallState.REFUSED, "reached_before")
    assert talked is not None
    assert talked.outcome is Outcome.UNKNOWN
    assert (again.is_new, again.record.call_id) == (False, "c-1")


async def test_no_retry_is_placed_while_a_sign_that_somebody_talked_can_not_be_written_down(
    place: str, clock: ManualClock
) -> None:
    first: Json = {"call_id": "c-1", "status": "no_answer"}
    service = Service(clock, [(201, first), PLACED], [first])
    database = InterruptedDatabase(database_at(place, clock.now))

    async def fail_once_after_the_transcript() -> None:
        if service.transcript_reads == 2:
            service.transcript_reads = 0
            raise LedgerUnavailableError("the database is down")

    async with world(service, place, database=database) as here:
        placed = await schedule(here, None, retries=1)
        await attempt(here, placed)
        service.transcripts["c-1"] = "Yes, I booked it"
        database.before = fail_once_after_the_transcript
        await at(here, NOW + timedelta(minutes=20))
        record = await now(here, placed.record)

    assert service.transcript_reads == 1  # it was read once more
    assert len(service.keys) == 1
    assert record.state is CallState.REFUSED


async def test_a_later_sign_that_somebody_talked_stops_the_retries_after_one_in_progress(
    place: str, clock: ManualClock
) -> None:
    first: Json = {"call_id": "c-1", "status": "no_answer"}

    async def talks_later() -> tuple[int, Json]:
        service.transcripts["c-1"] = "Yes, I booked it"
        await here.calls.find("c-1")
        return 201, {"call_id": "c-2", "status": "busy"}

    service = Service(clock, [(201, first), talks_later, PLACED], [first])
    async with world(service, place) as here:
        placed = await schedule(here, None, retries=2)
        await attempt(here, placed)
        await at(here, NOW + timedelta(minutes=20))
        await at(here, NOW + timedelta(minutes=40))
        record = await now(here, placed.record)

    assert len(service.keys) == 2
    assert (record.state, record.call_id) == (CallState.ENDED, "c-2")


async def test_a_later_sign_that_somebody_talked_stops_a_retry_that_is_about_to_be_sent(
    place: str, clock: ManualClock
) -> None:
    async with world(Service(clock, [reply("no_answer", "c-1"), PLACED]), place) as here:
        placed = await schedule(here, None, retries=1)
        await attempt(here, placed)
        talked = await here.run(here.ledger.find(placed.record.account, "c-1"))
    assert talked is not None
    clock.advance(1000)
    ledger = Ledger(database_at(place, clock.now), policy=CallPolicy(), timing=Timing(), clock=clock)
    [taken] = await ledger.take_due(talked.account, await ledger.take_lease(), most=1, service_time=lambda: None)
    await ledger.finish(talked, CallState.ENDED, call=talked.call, reached=True)
    with pytest.raises(KallyAIError) as raised:
        await ledger.mark_sent(taken, service_time=lambda: None)
    await ledger.aclose()

    assert raised.value.code == "not_sent"


@pytest.mark.parametrize(
    ("number", "ended", "due"),
    [
        (WASHINGTON, "2026-01-25 10:30", "2026-01-25 10:45"),
        (WASHINGTON, "2026-01-25 20:44", "2026-01-25 20:59"),
        (WASHINGTON, "2026-01-25 20:45", "2026-01-26 08:00"),
        (WASHINGTON, "2026-01-25 06:00", "2026-01-25 08:00"),
        (WASHINGTON, "2026-03-07 22:00", "2026-03-08 08:00"),  # the clocks go forward in that night
        (WASHINGTON, "2026-10-31 22:00", "2026-11-01 08:00"),  # and back in this one
        ("+18005551234", "2026-01-25 23:00", "2026-01-26 08:00"),  # a toll-free number says nothing of a place
    ],
)
def test_the_next_attempt_is_15_minutes_later_and_in_the_callees_day(number: str, ended: str, due: str) -> None:
    zone = ZoneInfo("America/New_York")
    moment = datetime.fromisoformat(ended).replace(tzinfo=zone).astimezone(UTC)

    found = next_attempt(moment, number, "America/New_York")

    assert f"{found.astimezone(zone):%Y-%m-%d %H:%M}" == due


def test_a_number_of_several_zones_is_called_in_the_day_of_all_of_them() -> None:
    spanish_mobile = "+34612345678"  # Madrid or the Canary Islands, an hour behind
    eight_in_madrid = datetime(2026, 1, 26, 6, 45, tzinfo=UTC)

    assert next_attempt(eight_in_madrid, spanish_mobile, "UTC") == datetime(2026, 1, 26, 8, tzinfo=UTC)


# Many calls at one time


async def many_due(here: World, count: int) -> None:
    """Schedule so many calls for `DUE`."""
    placed = await schedule(here)
    row = replace(placed.record, tracking_id="t-many", fingerprint="many", idempotency_key="many")
    await add_records(here.database, row, count - 1, interval=0)


async def test_of_many_calls_that_are_due_at_once_a_bounded_number_is_in_progress(
    place: str, clock: ManualClock
) -> None:
    in_progress, most, ended = 0, 0, 0

    async def talks() -> tuple[int, Json]:
        nonlocal in_progress, most, ended
        in_progress += 1
        most = max(most, in_progress)
        await clock.sleep(60)
        in_progress -= 1
        ended += 1
        return 201, {"call_id": f"c-{ended}", "status": "success"}

    service = Service(clock, [talks])
    async with world(service, place, timing=Timing(watch=5, poll=60, due_at_once=10)) as here:
        await many_due(here, 35)
        await at(here, DUE)
        meanwhile = await here.call()
        await here.run(clock.sleep(400))
        left = await here.run(here.calls.list_unsettled())

    assert most == 11  # with the one that was asked for meanwhile
    assert meanwhile.state is CallState.ENDED
    assert len(service.keys) == len(set(service.keys)) == 36
    assert left == []


async def test_calls_that_were_too_many_expire_and_say_why(place: str, clock: ManualClock) -> None:
    service = Service(clock, [never])
    async with world(service, place, timing=Timing(watch=20, poll=60, due_at_once=3)) as here:
        await many_due(here, 10)
        await at(here, DUE)
        await here.run(clock.sleep(1900))
        left = await here.run(here.calls.list_unsettled())

    expired = [record for record in left if record.state is CallState.EXPIRED]
    assert len(service.keys) == 3
    assert [record.error.code for record in expired if record.error is not None] == ["too_many_when_due"] * 7


async def test_hundreds_of_calls_that_are_due_at_once_are_all_placed_while_others_are(
    place: str, clock: ManualClock
) -> None:
    """They end at once, so the number in progress does not matter."""
    count = 0

    async def says_no() -> tuple[int, Json]:
        nonlocal count
        count += 1
        return 201, {"call_id": f"c-{count}", "status": "busy"}

    service = Service(clock, [says_no])
    async with world(service, place, timing=Timing(watch=1, poll=60)) as here:
        await many_due(here, 450)
        await at(here, DUE)
        between = await here.call()

    assert between.state is CallState.ENDED
    assert len(service.keys) == len(set(service.keys)) == 451
