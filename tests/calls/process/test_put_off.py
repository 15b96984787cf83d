"""Calls that can't be placed when they are due, and wait within their window, on both drivers."""

from datetime import datetime, timedelta

import pytest

from kallyai_mcp.calls.records import CallRecord, CallRequest, CallState
from kallyai_mcp.clock import Stopwatch
from tests.calls.ledgers import NOW
from tests.calls.manual_time import ManualClock
from tests.calls.world import LOST, PLACED, TABLE, Json, Reply, Service, World, end_of, shown, world

DUE = NOW + timedelta(hours=2)
LIMITED: Reply = (429, {"error": {"code": "rate_limited"}})
UNAUTHORIZED: Reply = (401, {"error": {"code": "token_expired"}})


async def scheduled(here: World) -> CallRecord:
    """A call that is due at `DUE`, until half an hour later."""
    when = here.calls.schedule_for(DUE, 0)
    return await here.run(here.calls.place(CallRequest(TABLE, "UTC", Stopwatch(here.clock), when)))


async def until(here: World, moment: datetime) -> None:
    """Let time pass until then, and a little longer, so that the worker has looked at the
    ledger.
    """
    here.clock.advance(max(0.0, (DUE - here.clock.now()).total_seconds()))
    await here.run(here.clock.sleep((moment - here.clock.now()).total_seconds() + 25))


async def found_at(here: World, placed: CallRecord, minutes: float) -> CallRecord:
    """The record so many minutes after the call was due."""
    await until(here, DUE + timedelta(minutes=minutes))
    return await here.find(placed.tracking_id)


def change_sign_in(here: World, name: str | None) -> None:
    """Let the sign-in change once a worker has taken the call, before its request leaves."""

    def after_write(result: object) -> None:
        if isinstance(result, tuple) and result:
            here.session.name = name

    here.database.after_write = after_write


@pytest.mark.parametrize("name", [None, "account-2"], ids=["signed out", "another account"])
async def test_a_due_call_waits_for_its_account(here: World, name: str | None) -> None:
    placed = await scheduled(here)
    change_sign_in(here, name)
    await until(here, DUE + timedelta(minutes=5))
    keys = len(here.service.keys)
    here.database.after_write = lambda _: None
    here.session.name = "account-1"
    record = await found_at(here, placed, 7)

    assert keys == 0
    assert record.state is CallState.ENDED
    assert len(here.service.keys) == 1


async def test_a_due_call_waits_while_its_token_fails(here: World) -> None:
    here.answering([UNAUTHORIZED, UNAUTHORIZED, PLACED])
    placed = await scheduled(here)
    waiting = await found_at(here, placed, 0)
    record = await found_at(here, placed, 5)

    assert waiting.state is CallState.SCHEDULED
    assert record.state is CallState.ENDED
    assert len(here.service.keys) == 3


async def test_a_due_call_expires_if_its_token_fails(here: World) -> None:
    here.answering([UNAUTHORIZED])
    placed = await scheduled(here)
    record = await found_at(here, placed, 31)

    assert end_of(record) == (CallState.EXPIRED, "expired")
    assert len(here.service.keys) <= 61


async def test_a_due_call_waits_as_kallyai_says(here: World) -> None:
    service = here.answering([LIMITED, PLACED], headers={"Retry-After": "600"})
    placed = await scheduled(here)
    waiting = await found_at(here, placed, 0)
    service.headers = {}
    await until(here, DUE + timedelta(minutes=9))
    keys = len(service.keys)
    record = await found_at(here, placed, 11)

    assert waiting.state is CallState.SCHEDULED
    assert waiting.response_lost_at is not None
    assert keys == 1
    assert record.state is CallState.ENDED
    assert service.keys == [waiting.idempotency_key] * 2


async def test_a_due_call_is_refused_after_long_pauses(here: World) -> None:
    here.answering([LIMITED, PLACED], headers={"Retry-After": "3600"})
    placed = await scheduled(here)
    record = await found_at(here, placed, 1)

    assert end_of(record) == (CallState.REFUSED, "rate_limited")
    assert len(here.service.keys) == 1


async def test_a_due_call_placed_despite_429_is_found(here: World) -> None:
    async def place_and_refuse() -> tuple[int, Json]:
        service.calls = [shown(at=here.clock.now())]
        return 429, {"error": {"code": "rate_limited"}}

    service = here.answering([place_and_refuse, PLACED], headers={"Retry-After": "600"})
    service.hidden = {"c-1"}
    placed = await scheduled(here)
    waiting = await found_at(here, placed, 5)
    service.hidden = set()
    record = await found_at(here, placed, 11)

    assert waiting.state is CallState.SCHEDULED
    assert (record.state, record.call_id) == (CallState.ENDED, "c-1")
    assert len(service.keys) == 1


async def test_a_key_waits_while_the_list_is_unreadable(here: World) -> None:
    service = here.answering([LIMITED, PLACED], headers={"Retry-After": "60"})
    placed = await scheduled(here)
    await until(here, DUE)
    service.headers, service.list_status = {}, 503
    waiting = await found_at(here, placed, 10)
    keys = len(service.keys)
    service.list_status = 200
    record = await found_at(here, placed, 12)

    assert (waiting.state, keys) == (CallState.SCHEDULED, 1)
    assert record.state is CallState.ENDED
    assert len(service.keys) == 2


async def test_a_second_requests_lost_call_is_found(here: World) -> None:
    async def place_and_lose() -> tuple[int, Json]:
        service.calls = [shown(at=here.clock.now())]
        return 500, {"detail": "the response was lost"}

    service = here.answering([LIMITED, place_and_lose, LOST], headers={"Retry-After": "1500"})
    placed = await scheduled(here)
    await until(here, DUE)
    service.headers = {}
    record = await found_at(here, placed, 29)

    assert (record.state, record.call_id) == (CallState.ENDED, "c-1")


@pytest.mark.parametrize("is_waiting", [True, False], ids=["while it waits", "while it is sent"])
async def test_a_call_put_off_can_be_canceled(here: World, *, is_waiting: bool) -> None:
    async def slowly() -> tuple[int, Json]:
        await here.clock.sleep(20)
        return 429, {"error": {"code": "rate_limited"}}

    service = here.answering([slowly, PLACED], headers={"Retry-After": "600"})
    placed = await scheduled(here)
    here.clock.advance((DUE - here.clock.now()).total_seconds())
    await here.run(here.clock.sleep(60 if is_waiting else 10))
    canceled = await here.run(here.calls.cancel(await here.find(placed.tracking_id)))
    service.headers = {}
    record = await found_at(here, placed, 29)

    assert canceled.state is (CallState.CANCELED if is_waiting else CallState.SENT)
    assert record.state is (CallState.CANCELED if is_waiting else CallState.REFUSED)
    assert len(service.keys) == 1


@pytest.mark.parametrize("how", ["expires", "is canceled"])
async def test_the_next_request_finds_a_call_after_429(
    place: str,
    clock: ManualClock,
    how: str,
) -> None:
    service = Service(clock, [LIMITED, PLACED], headers={"Retry-After": "600"})
    async with world(service, place) as here:
        waiting = await found_at(here, await scheduled(here), 0)
        if how == "is canceled":
            await here.run(here.calls.cancel(waiting))
    clock.advance(3600)
    service.headers, service.calls = {}, [shown(at=DUE)]
    async with world(service, place) as here:
        again = await here.call()

    assert again.is_new
    assert (again.state, again.call_id) == (CallState.ENDED, "c-1")
    assert len(service.keys) == 1


async def test_a_dead_workers_key_is_used_again(
    place: str,
    clock: ManualClock,
) -> None:
    service = Service(clock, [LIMITED, PLACED], headers={"Retry-After": "600"})
    async with world(service, place) as here:
        waiting = await found_at(here, await scheduled(here), 0)
    service.headers = {}
    async with world(service, place) as here:
        record = await found_at(here, waiting, 11)

    assert waiting.state is CallState.SCHEDULED
    assert record.state is CallState.ENDED
    assert service.keys == [waiting.idempotency_key] * 2
