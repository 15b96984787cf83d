"""What happens after a call was requested: it is placed, refused, joined to another one, or
followed to its end.
"""

from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from kallyai_mcp.api.client import KallyAI
from kallyai_mcp.calls.calls import Calls
from kallyai_mcp.calls.context import CallContext
from kallyai_mcp.calls.errors import LedgerUnavailableError
from kallyai_mcp.calls.events import Over
from kallyai_mcp.calls.ledger import rows
from kallyai_mcp.calls.records import CallState
from kallyai_mcp.calls.timing import Timing
from tests.calls.ledgers import ACCOUNT, NOW, ended_as, outcome
from tests.calls.manual_time import ManualClock
from tests.calls.world import (
    LOST,
    PLACED,
    TABLE,
    Json,
    Reply,
    Service,
    Session,
    World,
    after,
    end_of,
    shown,
    world,
)

pytestmark = pytest.mark.parametrize("place", ["sqlite"], indirect=True)
"""One driver is enough: the tests of the ledger run each statement on both."""


async def never() -> tuple[int, Json]:
    await anyio.sleep_forever()
    raise AssertionError


OUTAGE = "<html>We have technical challenges.</html>"
"""A page with words that pages of bot checks have, too."""


@pytest.mark.parametrize(
    "reply",
    [*((status, {}) for status in (408, 409, 425, 499, 302, 307, 500, 502, 504)), (503, OUTAGE)],
)
async def test_an_answer_that_proves_nothing_refuses_nothing(here: World, reply: Reply) -> None:
    service = here.answering([reply], [shown()], headers={"Location": "/elsewhere"})
    record = await here.call()

    assert (record.state, record.call_id) == (CallState.ENDED, "c-1")
    assert service.keys == [record.idempotency_key]


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 413, 415, 422])
async def test_a_proven_refusal_frees_the_call(here: World, status: int) -> None:
    refused: Reply = (status, {"error": {"code": "blocked_number"}})
    here.answering([refused, PLACED])
    record = await here.call()
    again = await here.place()

    assert end_of(record) == (CallState.REFUSED, "blocked_number")
    assert again.is_new


@pytest.mark.parametrize(("status", "is_listed"), [(402, True), (402, False), (401, True)])
async def test_a_refusal_after_the_call_proves_nothing(
    here: World, status: int, *, is_listed: bool
) -> None:
    """The minutes ran out, or the token expired, while the phone call took place."""
    refused_late = after(lambda: here.clock.sleep(60), (status, {}))
    service = here.answering([refused_late, PLACED], [shown()] if is_listed else [])
    here.session.can_renew = True
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
async def test_a_refusal_that_names_a_call_proves_nothing(here: World, refusal: Reply) -> None:
    """The minutes ran out during the call, or what was said was not allowed."""
    here.answering([refusal], [shown(status="failed")])
    record = await here.call()

    assert record.call is not None
    assert (record.state, record.call.status) == (CallState.ENDED, "failed")


async def test_an_answer_about_another_number_is_no_outcome(
    here: World,
) -> None:
    """A cache or a proxy mixed up two responses."""
    here.answering([(201, shown("c-9", respondent_phone="+442079460000"))], [shown()])
    record = await here.call()

    assert record.call_id == "c-1"


@pytest.mark.parametrize("id_", ["c-9", "c-1"])
async def test_another_calls_details_are_no_outcome(here: World, id_: str) -> None:
    service = here.answering([(201, shown(status="in_progress"))])
    service.details = shown(id_, respondent_phone="+442079460000") | {"highlights": "They are full"}
    placed = await here.place()
    await here.run(here.clock.sleep(60))
    service.details = shown()
    record = await here.outcome(placed)

    assert record.call is not None
    assert (record.call.call_id, record.call.highlights) == ("c-1", "Booked")


async def test_a_call_that_outlasts_its_wait_has_left(here: World) -> None:
    """`place` returns before the request has left, so what it returned is old when the wait is
    over.
    """

    async def answer() -> tuple[int, Json]:
        await here.clock.sleep(600)
        return 201, shown()

    here.answering([answer])
    placed = await here.place()
    waited = await here.run(here.calls.wait(placed, 30))

    assert placed.state is CallState.RESERVED
    assert (waited.state, waited.sent_at, waited.error) == (CallState.SENT, NOW, None)


async def test_a_redial_answered_with_an_earlier_call_waits(
    here: World,
) -> None:
    service = here.answering([(201, shown())], [shown()])
    later = NOW + timedelta(minutes=1)
    late = shown("c-2", at=later)
    service.on_look = lambda _: setattr(
        service, "calls", [shown(), *[late] * (here.clock.now() > later)]
    )
    await here.tell(await here.call())
    redialed = await here.place(redial=True)
    await here.run(here.clock.sleep(2))
    meanwhile = await here.find(redialed.tracking_id)
    record = await here.outcome(redialed)
    assert meanwhile.is_active
    assert record.call_id == "c-2"


async def test_an_unsendable_call_is_finally_given_up(here: World) -> None:
    session = Session("account-1")
    api = KallyAI("http://127.0.0.1:9", tokens=session, user_agent="tests")
    async with Calls(
        CallContext(
            lambda: api, session.account, lambda: here.ledger, timing=Timing(), clock=here.clock
        )
    ) as calls:
        placed = await here.run(calls.place(here.request()))
        record = await here.run(calls.wait(placed, 86_400))

    assert end_of(record) == (CallState.REFUSED, "connection_failed")


async def test_a_rate_limit_is_waited_for(here: World) -> None:
    limited: Reply = (429, {"error": {"code": "rate_limited"}})
    service = here.answering([limited, limited, PLACED])
    record = await here.call()

    assert record.state is CallState.ENDED
    assert service.keys == [record.idempotency_key] * 3
    assert service.looks == 3  # with that for the service's time


@pytest.mark.parametrize("retry_after", ["6", "120"])
@pytest.mark.parametrize(
    "look", ["shows the call", "fails", "shows no details", "does not show the call yet"]
)
async def test_a_call_placed_despite_429_is_found(here: World, look: str, retry_after: str) -> None:

    async def place_and_refuse() -> tuple[int, Json]:
        service.calls = [shown(at=here.clock.now())]
        return 429, {"error": {"code": "rate_limited"}}

    service = here.answering([place_and_refuse, PLACED], headers={"Retry-After": retry_after})
    ended = NOW + timedelta(seconds=95)

    def see(_: int) -> None:
        is_early = here.clock.now() < ended
        service.headers = {}
        service.list_status = 503 if look == "fails" and is_early else 200
        service.without_details = {"c-1"} if look == "shows no details" and is_early else set()
        service.hidden = {"c-1"} if look == "does not show the call yet" and is_early else set()

    service.on_look = see
    record = await here.call()
    again = await here.call()

    assert (again.state, again.call_id) == (CallState.ENDED, "c-1")
    if look == "does not show the call yet":  # of a call in progress, KallyAI knows the key
        assert service.keys == [record.idempotency_key] * 2
    else:
        assert len(service.keys) == 1
        assert again.tracking_id == record.tracking_id


async def test_a_key_is_not_resent_after_suspension(here: World) -> None:
    """The machine is suspended between the look into the list and the request: the call may have
    ended meanwhile.
    """
    service = here.answering([(429, {}), PLACED])
    service.on_look = lambda looks: here.clock.suspend(30) if looks == 2 else None
    record = await here.call()

    assert len(service.keys) == 1
    assert record.state is CallState.REFUSED


async def test_a_lost_call_is_looked_for_and_unknown(here: World) -> None:
    here.answering([LOST])
    record = await here.call()

    assert record.state is CallState.UNKNOWN
    assert here.clock.now() - NOW >= timedelta(seconds=300)
    assert 2 <= len(here.service.keys) <= 11
    assert set(here.service.keys) == {record.idempotency_key}


async def test_an_unknown_call_is_not_placed_again(here: World) -> None:
    here.answering([LOST])
    record = await here.call()
    here.service.keys.clear()
    again = await here.place()

    assert again.tracking_id == record.tracking_id
    assert again.state is CallState.UNKNOWN
    assert not again.is_new
    assert here.service.keys == []


async def test_an_unknown_call_is_looked_for_when_asked(here: World) -> None:
    here.answering([LOST])
    record = await here.call()
    here.service.calls.append(shown())
    found = await here.find(record.tracking_id)

    assert record.state is CallState.UNKNOWN
    assert found.state is CallState.ENDED


async def test_two_records_for_one_call_stay_unknown(place: str, clock: ManualClock) -> None:
    window, garden = (
        TABLE.model_copy(update={"additional_instructions": (wish,)})
        for wish in ("Window", "Garden")
    )
    async with world(Service(clock, [LOST]), place) as here:
        first, second = await here.place(window), await here.place(garden)
        await here.outcome(first)
        await here.outcome(second)
        service = Service(clock, [LOST], [shown()])
    async with world(service, place) as here:
        found = [await here.run(here.calls.find(each.tracking_id)) for each in (first, second)]

    assert [record.state for record in found if record] == [CallState.UNKNOWN] * 2


async def test_without_a_ledger_no_call_is_placed(place: str, clock: ManualClock) -> None:
    a_folder = str(Path(place).parents[1])
    for unusable in (a_folder, "postgresql://127.0.0.1:9/nothing?connect_timeout=1"):
        service = Service(clock)
        async with world(service, unusable) as here:
            with pytest.raises(LedgerUnavailableError, match="can't be used"):
                await here.place()
        assert service.keys == []


@pytest.mark.parametrize(
    ("status", "seconds"),
    [
        *((reached, 3600) for reached in ("Success", "terminated", "brand-new")),
        *(
            (unreached, 60)
            for unreached in ("no_answer", "BUSY", "failed", "cancelled", "voicemail")
        ),
    ],
)
async def test_a_told_call_may_be_placed_again_later(
    here: World, status: str, seconds: float
) -> None:
    highlights = {"highlights": "They said yes"} if seconds == 3600 else {"duration_seconds": 12}
    here.answering([(201, {"call_id": "c-1", "status": status} | highlights)])
    await here.tell(await here.call())
    here.clock.advance(seconds - 20)
    before = await here.place()
    here.clock.advance(40)
    later = await here.place()

    assert not before.is_new
    assert later.is_new


async def test_an_end_by_another_process_is_answered(here: World) -> None:
    """This process, too, runs the call, and has not heard of its end yet."""
    going_on = shown(status="in_progress")
    here.answering([(201, going_on)], details=going_on)
    placed = await here.place()
    await here.run(here.clock.sleep(1))
    sent = await here.find(placed.tracking_id)
    over = ended_as(sent, outcome())
    await here.run(here.ledger.handle(sent.account, Over(over)))
    found = await here.find(placed.tracking_id)
    waited = await here.run(here.calls.wait(found, 1))

    assert sent.state is CallState.SENT
    assert found.state is waited.state is CallState.ENDED


async def test_a_redial_joins_what_was_not_told(place: str, clock: ManualClock) -> None:
    service = Service(clock, [never, PLACED])
    async with world(service, place) as here:
        first = await here.place()
        joined = await here.place(redial=True)
    async with world(Service(clock, [PLACED]), f"{place}") as here:
        await here.run(clock.sleep(400))  # the first process ended; this one settles what it left
        [unknown] = await here.run(here.ledger.read(rows.list_unsettled, ACCOUNT))
        await here.tell(unknown)
        second = await here.place(redial=True)
        undelivered = await here.place(redial=True)
        await here.tell(await here.outcome(second))
        third = await here.place(redial=True)

    assert joined.tracking_id == first.tracking_id == unknown.tracking_id
    assert second.is_new
    assert undelivered.tracking_id == second.tracking_id
    assert third.is_new


async def test_another_account_is_not_searched_for_lost_calls(here: World) -> None:
    service = here.answering([after(lambda: setattr(here.session, "name", "account-2"), (500, {}))])
    placed = await here.place()
    service.calls.append(shown())
    record = await here.outcome(placed)

    assert service.accounts == ["account-1"]
    assert record.state is CallState.UNKNOWN


async def test_the_next_process_settles_calls_left_behind(place: str, clock: ManualClock) -> None:
    service = Service(clock, [never])
    async with world(service, place) as here:
        left = await here.place()
        while not service.keys:
            await anyio.lowlevel.checkpoint()
    service = Service(clock, [], [shown()])
    async with world(service, place) as here:
        [active] = await here.run(here.ledger.read(rows.list_unsettled, ACCOUNT))
        ended = await here.run(here.calls.wait(active, 86_400))

    assert active.tracking_id == left.tracking_id
    assert ended.state is CallState.ENDED
    assert service.keys == []


async def test_our_own_error_leaves_no_active_record(place: str, clock: ManualClock) -> None:
    def connect() -> KallyAI:
        raise ZeroDivisionError

    async with (
        world(Service(clock), place) as here,
        Calls(
            CallContext(
                connect, here.session.account, lambda: here.ledger, timing=Timing(), clock=clock
            )
        ) as calls,
    ):
        placed = await here.run(calls.place(here.request()))
        record = await here.run(calls.wait(placed, 86_400))

    assert record.state is CallState.UNKNOWN
