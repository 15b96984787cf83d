import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.requests import Request
from starlette.responses import Response

from kallyai_mcp.api.client import KallyAI
from kallyai_mcp.api.errors import NotSignedInError
from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.ledger.base import LedgerUnavailableError
from kallyai_mcp.calls.policy import CallPolicy
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState
from kallyai_mcp.calls.service import CallService, Placed
from kallyai_mcp.calls.timing import Timing
from tests.calls.places import ledger_at
from tests.fake_service import odd_service

NOW = datetime(2026, 1, 25, 15, 30, tzinfo=UTC)
TABLE = Submission(
    task_category="restaurant", task_description="Book a table", respondent_phone="+14155551234", party_size=4
)
QUICK = Timing(settle=0.4, surely_ringing=0, pause=0.01, first_look=0.01, longest_pause=1, follow=5, beat=0.05)
"""As the rules are, but for a phone call that lasts a moment."""

Reply = tuple[int, Any]
PLACED: Reply = (201, {"call_id": "c-1", "status": "success", "highlights": "Booked"})
BROKEN: Reply = (500, {"detail": "boom"})
REFUSED: Reply = (403, {"error": {"code": "suppression_violation"}})


def shown(call_id: str = "c-1", status: str = "success", **submission: Any) -> dict[str, Any]:
    echo = {"respondent_phone": "+14155551234", "task_description": "Book a table"} | submission
    ended = {"highlights": "Booked"} if status == "success" else {}
    return {"call_id": call_id, "status": status, "created_at": NOW.isoformat(), "submission": echo, **ended}


@dataclass
class Service:
    """A service that answers as it is told: `replies` to each POST in turn, and `calls` in its list."""

    replies: list[Reply | Callable[[], Reply]]
    calls: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    looks: int = 0
    on_look: Callable[[int], None] = lambda _: None

    def answer(self, request: Request) -> Response | Reply:
        if request.method == "POST":
            self.keys.append(request.headers["Idempotency-Key"])
            reply = self.replies.pop(0)
            return reply() if callable(reply) else reply
        if request.url.path == "/v1/calls":
            self.looks += 1
            self.on_look(self.looks)
            return 200, {"calls": self.calls, "total": len(self.calls)}
        found = [call for call in self.calls if request.url.path.endswith(call["call_id"])]
        return (200, found[0]) if found else (404, {"error": {"code": "call_not_found"}})


class Token:
    async def access_token(self) -> str:
        return "token-0123456789"

    async def renew(self, rejected: str) -> str:
        raise NotSignedInError("refused") if rejected else AssertionError


@asynccontextmanager
async def dialling(
    service: Service,
    where: str,
    *,
    rules: Timing = QUICK,
    guards: CallPolicy = CallPolicy(),  # noqa: B008 - frozen
    account: str = "account-1",
    now: datetime = NOW,
) -> AsyncIterator[CallService]:
    async with odd_service(service.answer) as url, KallyAI(url, tokens=Token(), user_agent="tests") as api:

        async def scope() -> AccountKey:
            return AccountKey("https://api.example", account)

        ledger = ledger_at(where)
        async with CallService(
            lambda: api, scope, lambda: ledger, rules=rules, guards=guards, now=lambda: now
        ) as calls:
            yield calls


async def silent(_: float) -> None:
    return


async def outcome(calls: CallService, placed: Placed) -> CallRecord:
    with anyio.fail_after(10):
        return await calls.wait(placed.record, 10, silent)


async def place(calls: CallService, *, redial: bool = False) -> CallRecord:
    return await outcome(calls, await calls.place(TABLE, timezone="UTC", redial=redial))


async def test_a_call_is_placed_with_a_key_and_its_outcome_kept(where: str) -> None:
    service = Service([PLACED])
    async with dialling(service, where) as calls:
        record = await place(calls)
        found = await calls.find("c-1")

    assert record.state is CallState.ENDED
    assert record.call is not None
    assert record.call.highlights == "Booked"
    assert service.keys == [record.key]
    assert str(uuid.UUID(record.key)) == record.key
    assert found == record


async def test_what_the_service_refuses_was_not_dialled(where: str) -> None:
    async with dialling(Service([REFUSED]), where) as calls:
        record = await place(calls)

    assert record.state is CallState.REFUSED
    assert record.error is not None
    assert record.error.code == "suppression_violation"


async def test_a_call_that_can_not_be_sent_is_tried_again_and_then_given_up(where: str) -> None:
    async with KallyAI("http://127.0.0.1:9", tokens=Token(), user_agent="tests") as api:

        async def scope() -> AccountKey:
            return AccountKey("https://api.example", "account-1")

        ledger = ledger_at(where)
        async with CallService(lambda: api, scope, lambda: ledger, rules=QUICK) as calls:
            record = await place(calls)

    assert record.state is CallState.REFUSED
    assert record.error is not None
    assert record.error.code == "connection_failed"


async def test_a_rate_limit_is_waited_for(where: str) -> None:
    limited: Reply = (429, {"error": {"code": "rate_limited"}})
    service = Service([limited, limited, PLACED])
    async with dialling(service, where) as calls:
        record = await place(calls)

    assert record.state is CallState.ENDED
    assert len(set(service.keys)) == 1
    assert len(service.keys) == 3


async def test_a_rate_limit_that_lasts_too_long_is_handed_on(where: str) -> None:
    def limited(request: Request) -> Response | Reply:
        assert request.method == "POST"
        return Response("{}", 429, headers={"Retry-After": "120"}, media_type="application/json")

    service = Service([])
    service.answer = limited  # type: ignore[method-assign]  # this one refuses everything
    async with dialling(service, where) as calls:
        record = await place(calls)

    assert record.state is CallState.REFUSED
    assert record.error is not None
    assert record.error.retry_after == 120


async def test_a_lost_answer_is_fetched_from_the_list_and_nothing_is_sent_again(where: str) -> None:
    service = Service([BROKEN], [shown("c-other", respondent_phone="+12025550100"), shown()])
    async with dialling(service, where) as calls:
        record = await place(calls)

    assert record.state is CallState.ENDED
    assert record.call is not None
    assert record.call.call_id == record.call_id == "c-1"
    assert len(service.keys) == 1


async def test_while_the_call_can_not_have_ended_yet_the_same_key_is_sent_again(where: str) -> None:
    service = Service([BROKEN, BROKEN, PLACED])
    async with dialling(service, where, rules=Timing(pause=0.01, first_look=0.01)) as calls:
        record = await place(calls)

    assert record.state is CallState.ENDED
    assert len(service.keys) == 3
    assert set(service.keys) == {record.key}


async def test_later_it_is_looked_for_until_it_shows_up(where: str) -> None:
    service = Service([BROKEN])

    def show(looks: int) -> None:
        if looks == 4:
            service.calls.append(shown())

    service.on_look = show
    async with dialling(service, where) as calls:
        record = await place(calls)

    assert record.state is CallState.ENDED
    assert len(service.keys) == 1


async def test_when_it_must_have_ended_and_is_not_there_the_same_key_is_sent_again(where: str) -> None:
    service = Service([BROKEN, PLACED])
    async with dialling(service, where) as calls:
        record = await place(calls)

    assert record.state is CallState.ENDED
    assert service.keys == [record.key] * 2
    assert service.looks >= 1


async def test_what_can_not_be_settled_is_unknown_and_not_placed_again(where: str) -> None:
    service = Service([BROKEN] * 4)
    async with dialling(service, where) as calls:
        record = await place(calls)
        again = await calls.place(TABLE, timezone="UTC")

    assert record.state is CallState.UNKNOWN
    assert not again.is_new
    assert again.record.state is CallState.UNKNOWN
    assert set(service.keys) == {record.key}


async def test_an_unknown_call_is_looked_for_once_more_whenever_it_is_asked_about(where: str) -> None:
    service = Service([BROKEN] * 4)
    async with dialling(service, where) as calls:
        record = await place(calls)
        service.calls.append(shown())
        found = await calls.find(record.tracking_id)

    assert found is not None
    assert found.state is CallState.ENDED


async def test_a_refusal_after_a_lost_answer_is_not_taken_for_one(where: str) -> None:
    service = Service([BROKEN, (402, {"plan_type": "trial"})])

    def show(looks: int) -> None:
        if looks and len(service.keys) == 2:
            service.calls.append(shown())  # the first request did place it, and that used up the quota

    service.on_look = show
    async with dialling(service, where) as calls:
        record = await place(calls)

    assert record.state is CallState.ENDED


async def test_a_call_that_the_service_says_is_under_way_is_followed(where: str) -> None:
    service = Service([(201, {"call_id": "c-1", "status": "queued"})], [shown(status="in_progress")])
    async with dialling(service, where) as calls:
        placed = await calls.place(TABLE, timezone="UTC")
        with anyio.fail_after(5):
            while (record := await calls.find(placed.record.tracking_id)) is None or record.call_id is None:
                await anyio.lowlevel.checkpoint()
        service.calls[0] = shown()
        record = await outcome(calls, placed)

    assert record.state is CallState.ENDED
    assert record.call is not None
    assert record.call.status == "success"


@pytest.mark.parametrize("difference", [{"task_description": "Cancel the table"}, {"party_size": 2}])
async def test_another_call_to_the_same_number_is_not_taken_for_it(where: str, difference: dict[str, Any]) -> None:
    service = Service([BROKEN, PLACED], [shown("c-other", **difference)])
    async with dialling(service, where) as calls:
        record = await place(calls)

    assert record.call is not None
    assert record.call.call_id == "c-1"


async def test_an_older_call_to_the_same_number_is_not_taken_for_it(where: str) -> None:
    old = shown("c-old") | {"created_at": (NOW - timedelta(hours=1)).isoformat()}
    service = Service([BROKEN, PLACED], [old])
    async with dialling(service, where) as calls:
        record = await place(calls)

    assert record.call_id == "c-1"


async def test_two_lost_calls_to_one_number_get_a_call_each(where: str) -> None:
    service = Service([BROKEN, BROKEN], [shown("c-2"), shown("c-1")])
    async with dialling(service, where) as calls:
        first = await calls.place(TABLE, timezone="UTC")
        second = await calls.place(TABLE, timezone="UTC", redial=True)
        ends = {(await outcome(calls, first)).call_id, (await outcome(calls, second)).call_id}

    assert ends == {"c-1", "c-2"}


@pytest.mark.parametrize("where", ["redis://127.0.0.1:9#nobody-listens", "a-folder"])
async def test_without_a_ledger_nothing_is_dialled(where: str, tmp_path: Path) -> None:
    service = Service([PLACED])
    async with dialling(service, where if "#" in where else str(tmp_path)) as calls:
        with pytest.raises(LedgerUnavailableError, match="can't be used"):
            await calls.place(TABLE, timezone="UTC")

    assert service.keys == []


async def test_an_outcome_that_somebody_was_told_may_be_asked_for_anew(where: str) -> None:
    busy: Reply = (201, {"call_id": "c-1", "status": "busy"})
    async with dialling(Service([busy, PLACED]), where) as calls:
        record = await place(calls)
        untold = await calls.place(TABLE, timezone="UTC")
        await calls.hand_out(record)
        to_result = await calls.place(TABLE, timezone="UTC")

    assert not untold.is_new
    assert to_result.is_new


async def test_while_a_second_asker_waits_the_first_has_told_nobody(where: str) -> None:
    busy: Reply = (201, {"call_id": "c-1", "status": "busy"})
    async with dialling(Service([busy]), where) as calls:
        placed = await calls.place(TABLE, timezone="UTC")
        ended = await outcome(calls, placed)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(calls.wait, placed.record, 30, silent)
            await anyio.wait_all_tasks_blocked()
            await calls.hand_out(ended)
            tasks.cancel_scope.cancel()
        again = await calls.place(TABLE, timezone="UTC")

    assert not again.is_new


@asynccontextmanager
async def left_under_way(where: str) -> AsyncIterator[CallRecord]:
    """A record whose process has gone away before the answer came."""
    gate = anyio.Event()

    async def answer_late(*_: Any) -> None:
        await gate.wait()

    async with KallyAI("http://service", tokens=Token(), user_agent="tests", app=answer_late) as api:

        async def scope() -> AccountKey:
            return AccountKey("https://api.example", "account-1")

        ledger = ledger_at(where)
        async with CallService(lambda: api, scope, lambda: ledger, rules=QUICK, now=lambda: NOW) as calls:
            placed = await calls.place(TABLE, timezone="UTC")
            with anyio.fail_after(5):
                while (record := await calls.find(placed.record.tracking_id)) is None or record.sent_at is None:
                    await anyio.lowlevel.checkpoint()
    yield record


async def settled(calls: CallService, record: CallRecord) -> CallRecord:
    with anyio.fail_after(15):
        return await calls.wait(record, 15, silent)


async def test_the_next_process_settles_what_the_last_one_left(where: str) -> None:
    async with left_under_way(where) as record:
        service = Service([], [shown()])
        async with dialling(service, where) as calls:
            assert [entry.tracking_id for entry in await calls.unsettled()] == [record.tracking_id]
            ended = await settled(calls, record)

    assert ended.state is CallState.ENDED
    assert service.keys == []


async def test_nothing_is_dialled_anew_for_a_process_that_has_gone(where: str) -> None:
    async with left_under_way(where) as record:
        service = Service([])
        async with dialling(service, where, now=NOW + timedelta(hours=1)) as calls:
            ended = await settled(calls, record)

    assert ended.state is CallState.UNKNOWN
    assert service.keys == []
    assert service.looks >= 1


async def test_another_account_neither_sees_nor_settles_it(where: str) -> None:
    async with left_under_way(where) as record, dialling(Service([PLACED]), where, account="account-2") as other:
        assert await other.find(record.tracking_id) is None
        assert await other.unsettled() == []
        assert (await other.place(TABLE, timezone="UTC")).is_new


async def test_an_error_of_our_own_does_not_leave_a_record_behind(where: str) -> None:
    async def scope() -> AccountKey:
        return AccountKey("https://api.example", "account-1")

    def connect() -> KallyAI:
        raise ZeroDivisionError

    ledger = ledger_at(where)
    async with CallService(connect, scope, lambda: ledger, rules=QUICK) as calls:
        record = await place(calls)

    assert record.state is CallState.UNKNOWN
    assert record.error is not None
    assert record.error.code == "internal_error"
