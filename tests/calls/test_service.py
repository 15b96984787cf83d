"""What happens after a call was requested: it is placed, refused, joined to another one, or followed to its end."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from kallyai_mcp.api.client import KallyAI
from kallyai_mcp.calls.calls import Calls
from kallyai_mcp.calls.ledger.base import ConsentOutdatedError, LedgerUnavailableError
from kallyai_mcp.calls.policy import Consent
from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.calls.worker import Worker
from tests.calls.manual_time import ManualClock
from tests.calls.world import (
    LOST,
    NOW,
    PLACED,
    REFUSED,
    TABLE,
    Json,
    Reply,
    Service,
    Session,
    World,
    shown,
    world,
)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def place(tmp_path: Path) -> str:
    """One driver is enough: the tests of the ledger and the state machine run each statement on both."""
    return str(tmp_path / "home" / "ledger.db")


async def never() -> tuple[int, Json]:
    await anyio.sleep_forever()
    raise AssertionError


async def test_a_call_is_placed_with_a_key_and_its_outcome_kept(place: str, clock: ManualClock) -> None:
    service = Service(clock)
    async with world(service, place) as here:
        record = await here.call()
        found = await here.run(here.calls.find("c-1"))

    assert record.state is CallState.ENDED
    assert record.call is not None
    assert record.call.highlights == "Booked"
    assert service.keys == [record.idempotency_key]
    assert str(uuid.UUID(record.idempotency_key)) == record.idempotency_key
    assert found == record


async def test_a_refusal_of_the_service_proves_that_no_call_was_placed(place: str, clock: ManualClock) -> None:
    async with world(Service(clock, [REFUSED]), place) as here:
        record = await here.call()

    assert record.state is CallState.REFUSED
    assert record.error is not None
    assert record.error.code == "suppression_violation"


@pytest.mark.parametrize("status", [408, 409, 425, 499, 302, 307, 500, 502, 503, 504])
async def test_an_answer_that_proves_nothing_is_not_taken_for_a_refusal(
    place: str, clock: ManualClock, status: int
) -> None:
    service = Service(clock, [(status, {})], [shown()], headers={"Location": "/elsewhere"})
    async with world(service, place) as here:
        record = await here.call()

    assert record.state is CallState.ENDED
    assert record.call_id == "c-1"


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 413, 415, 422])
async def test_an_answer_that_proves_a_refusal_ends_the_call_and_it_may_be_asked_for_again(
    place: str, clock: ManualClock, status: int
) -> None:
    async with world(Service(clock, [(status, {}), PLACED]), place) as here:
        record = await here.call()
        again = await here.place()

    assert record.state is CallState.REFUSED
    assert again.is_new


@pytest.mark.parametrize("status", [401, 402, 422])
@pytest.mark.parametrize("is_listed", [True, False])
async def test_a_refusal_as_late_as_the_end_of_a_call_proves_nothing(
    place: str, clock: ManualClock, status: int, *, is_listed: bool
) -> None:
    """The minutes ran out, or the token expired, while the phone call took place."""

    async def refuse_late() -> tuple[int, Json]:
        await clock.sleep(60)
        return status, {}

    service = Service(clock, [refuse_late], [shown()] if is_listed else [])
    async with world(service, place) as here:
        record = await here.call()
        again = await here.place()

    assert record.state is (CallState.ENDED if is_listed else CallState.UNKNOWN)
    assert not again.is_new
    assert len(service.keys) == 1


@pytest.mark.parametrize(
    "refusal",
    [
        (402, shown(status="failed")),
        (422, {"error": {"code": "safety_violation", "details": {"call_id": "c-1"}}}),
        (429, {"call_id": 17, "detail": "cut off"}),
    ],
)
async def test_a_refusal_that_names_a_call_does_not_prove_that_there_was_none(
    place: str, clock: ManualClock, refusal: Reply
) -> None:
    """The minutes ran out during the call, or what was said was not allowed."""
    service = Service(clock, [refusal], [shown(status="failed")])
    async with world(service, place) as here:
        record = await here.call()

    assert record.call is not None
    assert (record.state, record.call.status) == (CallState.ENDED, "failed")


async def test_a_token_that_is_refused_after_the_call_is_not_renewed_to_place_it_again(
    place: str, clock: ManualClock
) -> None:
    async def refuse_late() -> tuple[int, Json]:
        await clock.sleep(60)
        return 401, {"error": {"code": "token_expired"}}

    service = Service(clock, [refuse_late, PLACED], [shown()])
    async with world(service, place) as here:
        here.session.can_renew = True
        record = await here.call()

    assert record.state is CallState.ENDED
    assert len(service.keys) == 1


async def test_the_page_of_an_outage_does_not_prove_that_no_call_was_placed(place: str, clock: ManualClock) -> None:
    """It has words that pages of bot checks have, too."""
    service = Service(clock, [(503, "<html>We have technical challenges.</html>")], [shown()])
    async with world(service, place) as here:
        record = await here.call()

    assert record.state is CallState.ENDED


async def test_an_answer_about_a_call_to_another_number_is_not_told_as_the_outcome(
    place: str, clock: ManualClock
) -> None:
    """A cache or a proxy mixed up two responses."""
    service = Service(clock, [(201, shown("c-9", respondent_phone="+442079460000"))], [shown()])
    async with world(service, place) as here:
        record = await here.call()

    assert record.call_id == "c-1"


@pytest.mark.parametrize("id_", ["c-9", "c-1"])
async def test_the_details_of_another_call_are_not_told_as_the_outcome(
    place: str, clock: ManualClock, id_: str
) -> None:
    service = Service(clock, [(201, shown(status="in_progress"))])
    service.details = shown(id_, respondent_phone="+442079460000") | {"highlights": "They are full"}
    async with world(service, place) as here:
        placed = await here.place()
        await here.run(clock.sleep(60))
        service.details = shown()
        record = await here.outcome(placed)

    assert record.call is not None
    assert (record.call.call_id, record.call.highlights) == ("c-1", "Booked")


async def test_an_earlier_call_in_the_answer_to_a_redial_does_not_tell_whether_a_new_one_was_placed(
    place: str, clock: ManualClock
) -> None:
    service = Service(clock, [(201, shown())], [shown()])
    service.on_look = lambda looks: service.calls.append(shown("c-2", at=clock.now())) if looks == 20 else None
    async with world(service, place) as here:
        await here.tell(await here.call())
        redialed = await here.place(redial=True)
        await here.run(clock.sleep(2))
        meanwhile = await here.run(here.calls.find(redialed.record.tracking_id))
        record = await here.outcome(redialed)

    assert meanwhile is not None
    assert meanwhile.is_active
    assert record.call_id == "c-2"


async def test_an_id_that_is_used_again_is_a_new_call(place: str, clock: ManualClock) -> None:
    service = Service(clock, [(201, shown())])
    async with world(service, place) as here:
        await here.tell(await here.call())
        service.replies = [(201, shown(at=clock.now() + timedelta(seconds=1)))]
        new = await here.call(redial=True)

    assert new.state is CallState.ENDED


async def test_a_call_that_can_not_be_sent_is_tried_again_and_then_given_up(place: str, clock: ManualClock) -> None:
    async with world(Service(clock), place) as here:
        session = Session("account-1")
        api = KallyAI("http://127.0.0.1:9", tokens=session, user_agent="tests")
        async with Worker(lambda: api, session.account, lambda: here.ledger, clock=clock) as worker:
            calls = Calls(worker)
            placed = await here.run(calls.place(TABLE, timezone="UTC"))
            record = await here.run(calls.wait(placed.record, 86_400))

    assert record.state is CallState.REFUSED
    assert record.error is not None
    assert record.error.code == "connection_failed"


async def test_a_rate_limit_is_waited_for(place: str, clock: ManualClock) -> None:
    limited: Reply = (429, {"error": {"code": "rate_limited"}})
    service = Service(clock, [limited, limited, PLACED])
    async with world(service, place) as here:
        record = await here.call()

    assert record.state is CallState.ENDED
    assert service.keys == [record.idempotency_key] * 3
    assert service.looks == 2


async def test_a_rate_limit_that_lasts_too_long_is_told(place: str, clock: ManualClock) -> None:
    async with world(Service(clock, [(429, {})], headers={"Retry-After": "120"}), place) as here:
        record = await here.call()

    assert record.state is CallState.REFUSED
    assert record.error is not None
    assert record.error.retry_after == 120


def placed_in_spite_of_a_limit(service: Service, retry_after: str) -> None:
    """Let the service answer the first request with 429, although it places the call."""

    async def place_and_refuse() -> tuple[int, Json]:
        service.calls = [shown(at=service.clock.now())]
        service.headers = {"Retry-After": retry_after}
        return 429, {"error": {"code": "rate_limited"}}

    service.replies = [place_and_refuse, PLACED]


@pytest.mark.parametrize("retry_after", ["6", "120"])
@pytest.mark.parametrize("look", ["shows the call", "fails", "shows no details", "does not show the call yet"])
async def test_a_call_that_was_placed_in_spite_of_a_rate_limit_is_found(
    place: str, clock: ManualClock, look: str, retry_after: str
) -> None:
    service = Service(clock)
    placed_in_spite_of_a_limit(service, retry_after)
    ended = NOW + timedelta(seconds=95)

    def see(_: int) -> None:
        is_early = clock.now() < ended
        service.headers = {}
        service.list_status = 503 if look == "fails" and is_early else 200
        service.without_details = {"c-1"} if look == "shows no details" and is_early else set()
        service.hidden = {"c-1"} if look == "does not show the call yet" and is_early else set()

    service.on_look = see
    async with world(service, place) as here:
        record = await here.call()
        again = await here.call()

    assert (again.state, again.call_id) == (CallState.ENDED, "c-1")
    if look == "does not show the call yet":  # of a call in progress, KallyAI knows the key
        assert service.keys == [record.idempotency_key] * 2
    else:
        assert len(service.keys) == 1
        assert again.tracking_id == record.tracking_id


@pytest.mark.parametrize("retry_after", ["6", "120"])
async def test_a_rate_limit_proves_nothing_while_the_list_cannot_be_read(
    place: str, clock: ManualClock, retry_after: str
) -> None:
    service = Service(clock, list_status=503)
    placed_in_spite_of_a_limit(service, retry_after)
    service.on_look = lambda _: service.headers.clear()
    async with world(service, place) as here:
        record = await here.call()
        again = await here.call()
        service.list_status = 200
        found = await here.run(here.calls.find(record.tracking_id))

    assert record.state is CallState.UNKNOWN
    assert again.tracking_id == record.tracking_id
    assert found is not None
    assert found.call_id == "c-1"
    assert len(service.keys) == 1


async def test_a_call_that_was_placed_in_spite_of_a_rate_limit_is_found_also_if_the_key_can_not_be_sent_again(
    place: str, clock: ManualClock
) -> None:
    """The machine is suspended for too long, and the service lists the call only when it has ended."""
    service = Service(clock, hidden={"c-1"})
    placed_in_spite_of_a_limit(service, "6")

    def look(looks: int) -> None:
        if looks == 1:
            service.headers = {}
            clock.suspend(150)
        if looks == 4:
            service.hidden = set()

    service.on_look = look
    async with world(service, place) as here:
        record = await here.call()

    assert (record.state, record.call_id) == (CallState.ENDED, "c-1")
    assert len(service.keys) == 1


async def test_a_key_is_not_sent_again_long_after_the_list_was_read(place: str, clock: ManualClock) -> None:
    """The machine is suspended between the look into the list and the request: the call may have ended meanwhile."""
    service = Service(clock, [(429, {}), PLACED])
    service.on_look = lambda looks: clock.suspend(30) if looks == 1 else None
    async with world(service, place) as here:
        record = await here.call()

    assert len(service.keys) == 1
    assert record.state is CallState.REFUSED


async def test_a_lost_call_is_found_in_the_list_and_nothing_is_sent_again(place: str, clock: ManualClock) -> None:
    service = Service(clock, [LOST], [shown("c-other", respondent_phone="+12025550100"), shown()])
    async with world(service, place) as here:
        record = await here.call()

    assert record.state is CallState.ENDED
    assert record.call is not None
    assert record.call.call_id == record.call_id == "c-1"
    assert len(service.keys) == 1


async def test_the_same_key_is_sent_again_only_within_a_second(place: str, clock: ManualClock) -> None:
    service = Service(clock, [LOST])
    async with world(service, place) as here:
        record = await here.call()

    assert record.state is CallState.UNKNOWN
    assert set(service.keys) == {record.idempotency_key}
    assert 2 <= len(service.keys) <= 11
    assert clock.now() - NOW >= timedelta(seconds=300)


async def test_a_lost_call_is_looked_for_until_it_is_listed(place: str, clock: ManualClock) -> None:
    service = Service(clock, [LOST])
    service.on_look = lambda looks: service.calls.append(shown()) if looks == 18 else None
    async with world(service, place) as here:
        record = await here.call()

    assert record.state is CallState.ENDED
    assert clock.now() - NOW > timedelta(seconds=2)


async def test_an_unknown_call_is_not_placed_again_and_is_looked_for_whenever_it_is_asked_about(
    place: str, clock: ManualClock
) -> None:
    service = Service(clock, [LOST])
    async with world(service, place) as here:
        record = await here.call()
        sent = len(service.keys)
        again = await here.place()
        service.calls.append(shown())
        found = await here.run(here.calls.find(record.tracking_id))

    assert record.state is again.record.state is CallState.UNKNOWN
    assert not again.is_new
    assert len(service.keys) == sent
    assert found is not None
    assert found.state is CallState.ENDED


async def test_a_refusal_after_a_lost_answer_proves_nothing(place: str, clock: ManualClock) -> None:
    service = Service(clock, [LOST, (402, {"plan_type": "trial"})])
    # The first request did place it, and that used up the quota.
    service.on_look = lambda _: service.calls.append(shown()) if len(service.keys) == 2 and not service.calls else None
    async with world(service, place) as here:
        record = await here.call()

    assert record.state is CallState.ENDED


async def test_a_call_that_the_service_says_is_in_progress_is_followed(place: str, clock: ManualClock) -> None:
    service = Service(clock, [(201, {"call_id": "c-1", "status": "queued"})], [shown(status="in_progress")])

    async def ends_later() -> None:
        await clock.sleep(120)
        service.calls[0] = shown()

    async with world(service, place) as here, anyio.create_task_group() as tasks:
        tasks.start_soon(ends_later)
        record = await here.call()

    assert record.state is CallState.ENDED
    assert record.call is not None
    assert record.call.status == "success"


@pytest.mark.parametrize("offset", [-300, 300, 86400])
async def test_a_clock_that_is_wrong_does_not_hide_the_call(place: str, clock: ManualClock, offset: float) -> None:
    service = Service(clock, [LOST], [shown(at=NOW + timedelta(seconds=offset))], clock_offset=offset)
    async with world(service, place) as here:
        record = await here.call()

    assert record.call_id == "c-1"


async def test_two_calls_that_fit_one_record_leave_it_unknown(place: str, clock: ManualClock) -> None:
    async with world(Service(clock, [LOST], [shown("c-1"), shown("c-2")]), place) as here:
        record = await here.call()

    assert record.state is CallState.UNKNOWN


async def test_two_records_that_fit_one_call_both_stay_unknown(place: str, clock: ManualClock) -> None:
    window, garden = (TABLE.model_copy(update={"additional_instructions": (wish,)}) for wish in ("Window", "Garden"))
    async with world(Service(clock, [LOST]), place) as here:
        first, second = await here.place(window), await here.place(garden)
        await here.outcome(first)
        await here.outcome(second)
        clock_start = NOW
        service = Service(clock, [LOST], [shown(at=clock_start)])
    async with world(service, place) as here:
        found = [await here.run(here.calls.find(each.record.tracking_id)) for each in (first, second)]

    assert [record.state for record in found if record] == [CallState.UNKNOWN] * 2


async def test_two_lost_calls_that_differ_in_what_is_repeated_get_a_call_each(place: str, clock: ManualClock) -> None:
    four, two = TABLE, TABLE.model_copy(update={"party_size": 2})
    service = Service(clock, [LOST], [shown("c-2", party_size=2), shown("c-4", party_size=4)])
    async with world(service, place) as here:
        placed = await here.place(four), await here.place(two)
        ends = [(await here.outcome(each)).call_id for each in placed]

    assert ends == ["c-4", "c-2"]


async def test_the_call_of_another_record_is_not_taken_for_a_lost_redial(place: str, clock: ManualClock) -> None:
    service = Service(clock, [PLACED, LOST])
    async with world(service, place) as here:
        await here.tell(await here.call())
        service.calls = [shown()]  # the first call is the only one that is listed
        redialed = await here.call(redial=True)
        service.calls.append(shown("c-2"))
        found = await here.run(here.calls.find(redialed.tracking_id))

    assert redialed.state is CallState.UNKNOWN
    assert found is not None
    assert found.call_id == "c-2"


async def test_without_a_ledger_no_call_is_placed(clock: ManualClock, tmp_path: Path) -> None:
    for place in (str(tmp_path), "postgresql://127.0.0.1:9/nothing?connect_timeout=1"):
        service = Service(clock)
        async with world(service, place) as here:
            with pytest.raises(LedgerUnavailableError, match="can't be used"):
                await here.place()
        assert service.keys == []


async def test_an_outcome_that_was_not_delivered_is_told_again_and_then_for_a_minute(
    place: str, clock: ManualClock
) -> None:
    busy: Reply = (201, {"call_id": "c-1", "status": "busy"})
    async with world(Service(clock, [busy, PLACED]), place) as here:
        record = await here.call()
        clock.advance(7200)
        undelivered = await here.place()
        await here.tell(record)
        clock.advance(59)
        within_a_minute = await here.place()
        clock.advance(2)
        later = await here.place()

    assert not undelivered.is_new
    assert not within_a_minute.is_new
    assert later.is_new


@pytest.mark.parametrize("status", ["success", "Success", "completed", "terminated", "brand-new"])
async def test_a_call_that_may_have_reached_somebody_is_not_placed_again_for_an_hour(
    place: str, clock: ManualClock, status: str
) -> None:
    ended: Reply = (201, {"call_id": "c-1", "status": status, "highlights": "They said yes"})
    async with world(Service(clock, [ended]), place) as here:
        await here.tell(await here.call())
        clock.advance(3500)
        within_the_hour = await here.place()
        clock.advance(200)
        later = await here.place()

    assert not within_the_hour.is_new
    assert later.is_new


async def test_a_summary_that_comes_late_does_not_restart_the_hour(place: str, clock: ManualClock) -> None:
    ended: Reply = (201, {"call_id": "c-1", "status": "success"})
    service = Service(clock, [ended], [shown()])
    async with world(service, place) as here:
        await here.tell(await here.call())
        clock.advance(3000)
        told_more = await here.run(here.calls.find("c-1"))
        assert told_more is not None
        await here.tell(told_more)
        clock.advance(700)
        later = await here.place()

    assert told_more.call is not None
    assert told_more.call.highlights == "Booked"
    assert later.is_new


@pytest.mark.parametrize("status", ["no_answer", "BUSY", "failed", "cancelled", "canceled", "voicemail"])
async def test_a_call_that_reached_nobody_may_be_placed_again_after_a_minute(
    place: str, clock: ManualClock, status: str
) -> None:
    ended: Reply = (201, {"call_id": "c-1", "status": status, "duration_seconds": 12})
    async with world(Service(clock, [ended]), place) as here:
        await here.tell(await here.call())
        clock.advance(61)
        again = await here.place()

    assert again.is_new


async def test_a_redial_joins_a_call_in_progress_and_an_outcome_that_was_not_delivered(
    place: str, clock: ManualClock
) -> None:
    service = Service(clock, [never, PLACED])
    async with world(service, place) as here:
        first = await here.place()
        joined = await here.place(redial=True)
    async with world(Service(clock, [PLACED]), f"{place}") as here:
        await here.run(clock.sleep(400))  # the first process ended; this one settles what it left
        [unknown] = await here.run(here.calls.list_unsettled())
        await here.tell(unknown)
        second = await here.place(redial=True)
        undelivered = await here.place(redial=True)
        await here.tell(await here.outcome(second))
        third = await here.place(redial=True)

    assert joined.record.tracking_id == first.record.tracking_id == unknown.tracking_id
    assert second.is_new
    assert undelivered.record.tracking_id == second.record.tracking_id
    assert third.is_new


async def test_while_a_second_request_waits_the_first_one_has_delivered_nothing(place: str, clock: ManualClock) -> None:
    busy: Reply = (201, {"call_id": "c-1", "status": "busy"})
    async with world(Service(clock, [busy]), place) as here:
        placed = await here.place()
        ended = await here.outcome(placed)
        with here.calls.delivery.waiting(ended):
            await here.tell(ended)
        clock.advance(7200)
        again = await here.place()

    assert not again.is_new


async def test_an_answer_that_the_client_did_not_wait_for_is_not_delivered(place: str, clock: ManualClock) -> None:
    busy: Reply = (201, {"call_id": "c-1", "status": "busy"})
    async with world(Service(clock, [busy]), place) as here:
        ended = await here.call()
        async with here.calls.delivery.request("connection", 7) as told:
            await here.tell(ended)
        await here.run(here.calls.delivery.canceled("connection", 7))
        clock.advance(7200)
        again = await here.place()

    assert [report.record.tracking_id for report in told] == [ended.tracking_id]
    assert not again.is_new


# Rule 1: what must hold before a request leaves


async def test_a_request_does_not_leave_after_a_long_pause(place: str, clock: ManualClock) -> None:
    """A laptop is closed between the reservation and the request, and opened later."""
    service = Service(clock)
    async with world(service, place) as here:
        account = here.session.account
        paused = anyio.Event()

        async def slow_account() -> Any:
            if paused.is_set():
                clock.set_wall_clock(3600)
            paused.set()
            return await account()

        here.session.account = slow_account  # type: ignore[method-assign]  # the machine sleeps while it is asked
        api = KallyAI("http://service", tokens=Session("account-1"), user_agent="tests", app=service)
        async with Worker(lambda: api, slow_account, lambda: here.ledger, clock=clock) as worker:
            calls = Calls(worker)
            placed = await here.run(calls.place(TABLE, timezone="UTC"))
            record = await here.run(calls.wait(placed.record, 86_400))

    assert service.keys == []
    assert record.state is CallState.REFUSED
    assert record.error is not None
    assert record.error.code == "too_late"


async def test_a_request_does_not_leave_after_someone_else_signed_in(place: str, clock: ManualClock) -> None:
    limited: Reply = (429, {})
    service = Service(clock, [limited, PLACED])
    async with world(service, place) as here:
        placed = await here.place()
        here.session.name = "account-2"
        record = await here.outcome(placed)

    assert "account-2" not in service.accounts
    assert record.state is CallState.REFUSED
    assert record.error is not None
    assert record.error.code == "account_changed"


async def test_a_lost_call_is_not_looked_for_on_the_account_of_someone_else(place: str, clock: ManualClock) -> None:
    service = Service(clock, [LOST])
    async with world(service, place) as here:

        async def signs_in_as_another() -> tuple[int, Json]:
            here.session.name = "account-2"
            return 500, {}

        service.replies = [signs_in_as_another]
        placed = await here.place()
        service.calls.append(shown())
        record = await here.outcome(placed)

    assert service.accounts == ["account-1"]
    assert record.state is CallState.UNKNOWN


async def test_a_call_that_was_canceled_in_time_is_not_sent(place: str, clock: ManualClock) -> None:
    service = Service(clock, [(429, {}), PLACED])
    async with world(service, place) as here:
        ended = await here.call()
        too_late = await here.run(here.calls.cancel(ended.tracking_id))

    assert not too_late


# Consent


async def test_consent_is_void_when_the_number_was_called_meanwhile(place: str, clock: ManualClock) -> None:
    other = TABLE.model_copy(update={"task_description": "Ask for the hours"})
    async with world(Service(clock), place) as here:
        found = await here.run(here.calls.precheck(TABLE, timezone="UTC"))
        consent = Consent("tests", "not_needed", last_call=found.last_call)
        await here.call(other)
        with pytest.raises(ConsentOutdatedError):
            await here.place(consent=consent)
        found = await here.run(here.calls.precheck(TABLE, timezone="UTC"))
        placed = await here.place(consent=Consent("tests", "form", last_call=found.last_call))

    assert placed.is_new


@pytest.mark.parametrize(
    ("consent", "one_number"),
    [
        (Consent("tests", "confirmation", confirmation_id="once"), False),
        (Consent("tests", "not_needed"), True),
    ],
    ids=["one confirmation for many numbers", "no risk seen for any of many calls to one number"],
)
async def test_of_many_requests_at_one_instant_one_places_a_call(
    place: str, clock: ManualClock, consent: Consent, *, one_number: bool
) -> None:
    service = Service(clock)
    numbers = ["+14155551234" if one_number else f"+141555512{number}" for number in range(30, 42)]
    tasks = [
        TABLE.model_copy(update={"task_description": f"Task {number}", "respondent_phone": phone})
        for number, phone in enumerate(numbers)
    ]
    new: list[bool] = []

    async def ask(here: World, number: int) -> None:
        try:
            new.append((await here.calls.place(tasks[number], timezone="UTC", consent=consent)).is_new)
        except ConsentOutdatedError:
            new.append(False)

    async def ask_all(here: World) -> None:
        async with anyio.create_task_group() as group:
            for number in range(len(tasks)):
                group.start_soon(ask, here, number)

    async with world(service, place) as here:
        await here.run(ask_all(here))
        await here.run(clock.sleep(60))

    assert sum(new) == 1
    assert len(service.keys) == 1


# Workers that die


@asynccontextmanager
async def left_behind(place: str, clock: ManualClock) -> AsyncIterator[CallRecord]:
    """A record whose process ended before the answer came."""
    service = Service(clock, [never])
    async with world(service, place) as here:
        placed = await here.place()
        while not service.keys:
            await anyio.lowlevel.checkpoint()
    yield placed.record


async def test_the_next_process_settles_the_calls_that_the_last_one_left(place: str, clock: ManualClock) -> None:
    async with left_behind(place, clock) as left:
        service = Service(clock, [], [shown()])
        async with world(service, place) as here:
            [active] = await here.run(here.calls.list_unsettled())
            ended = await here.run(here.calls.wait(active, 86_400))

    assert active.tracking_id == left.tracking_id
    assert ended.state is CallState.ENDED
    assert service.keys == []


@pytest.mark.parametrize("jump", [3600, -3600])
async def test_a_clock_that_jumps_after_a_crash_neither_hides_a_call_nor_keeps_its_record_active(
    place: str, clock: ManualClock, jump: float
) -> None:
    async with left_behind(place, clock) as left:
        clock.set_wall_clock(jump)
        service = Service(clock, [], [shown()], clock_offset=-jump)
        async with world(service, place) as here:
            await here.run(clock.sleep(600))
            found = await here.run(here.calls.find(left.tracking_id))

    assert found is not None
    assert found.call_id == "c-1"


@pytest.mark.parametrize("jump", [1000, 3600])
async def test_a_clock_that_jumps_after_a_crash_does_not_hide_a_call_from_a_process_that_knows_the_services_clock(
    place: str, clock: ManualClock, jump: float
) -> None:
    async with left_behind(place, clock) as left:
        clock.set_wall_clock(jump)
        service = Service(clock, [PLACED], clock_offset=-jump)
        async with world(service, place, account="account-2") as here:
            await here.call()
            service.calls = [shown("c-2")]
            here.session.name = "account-1"
            await here.run(clock.sleep(600))
            found = await here.run(here.calls.find(left.tracking_id))

    assert found is not None
    assert found.call_id == "c-2"


async def test_nothing_is_sent_for_a_process_that_has_gone(place: str, clock: ManualClock) -> None:
    async with left_behind(place, clock) as left:
        clock.advance(3600)
        service = Service(clock, [PLACED])
        async with world(service, place) as here:
            await here.run(clock.sleep(60))
            ended = await here.run(here.calls.find(left.tracking_id))

    assert ended is not None
    assert ended.state is CallState.UNKNOWN
    assert service.keys == []
    assert service.looks >= 1


async def test_another_account_neither_sees_nor_settles_it(place: str, clock: ManualClock) -> None:
    async with left_behind(place, clock) as left, world(Service(clock), place, account="account-2") as other:
        assert await other.run(other.calls.find(left.tracking_id)) is None
        assert await other.run(other.calls.list_unsettled()) == []
        assert (await other.place()).is_new


async def test_an_error_of_our_own_does_not_leave_a_record_behind(place: str, clock: ManualClock) -> None:
    def connect() -> KallyAI:
        raise ZeroDivisionError

    async with (
        world(Service(clock), place) as here,
        Worker(connect, here.session.account, lambda: here.ledger, clock=clock) as worker,
    ):
        calls = Calls(worker)
        placed = await here.run(calls.place(TABLE, timezone="UTC"))
        record = await here.run(calls.wait(placed.record, 86_400))

    assert record.state is CallState.UNKNOWN
