"""How planned calls ended is told once, with the next result, whichever process gives that."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from mcp import Client
from mcp.types import CallToolResult

from kallyai_mcp.calls.ledger import rows
from kallyai_mcp.calls.ledger.base import Ledger
from kallyai_mcp.calls.news import MOST_TOLD, news_of
from kallyai_mcp.calls.records import EXPIRED, CallRecord, CallState
from kallyai_mcp.calls.schedule import Schedule
from tests.calls.ledgers import ACCOUNT, NOW, ago, another, ended, outcome
from tests.calls.manual_time import ManualClock
from tests.calls.test_transactions import CALL, connected
from tests.calls.world import REFUSED, Reply, Service, World, reply, world

PLANNED = Schedule(NOW, NOW)
OVER = another(1, state=CallState.ENDED, call=outcome(), schedule=PLANNED)


@pytest.mark.parametrize(
    ("record", "is_told"),
    [
        (OVER, True),
        (replace(OVER, state=CallState.UNKNOWN, call=None), True),
        (replace(OVER, state=CallState.EXPIRED, error=EXPIRED), True),
        (replace(OVER, state=CallState.REFUSED, error=EXPIRED), True),
        (replace(OVER, delivered_at=NOW), False),
        (replace(OVER, state=CallState.CANCELED), False),
        (replace(OVER, state=CallState.SCHEDULED), False),
        (replace(OVER, state=CallState.SENT), False),
        (replace(OVER, schedule=Schedule()), False),
        (replace(OVER, plan_id="t-list"), False),
    ],
)
def test_untold_ends_of_planned_calls_are_news(record: CallRecord, is_told: bool) -> None:
    assert bool(news_of([record], ()).calls) is is_told
    assert not news_of([record], {record.tracking_id}).calls


def test_one_result_tells_of_few() -> None:
    planned = [replace(OVER, tracking_id=f"t-{number}") for number in range(MOST_TOLD + 2)]
    news = news_of(planned, ())

    assert news.calls == tuple(planned[:MOST_TOLD])
    assert news.left == 2


async def test_the_ledger_finds_untold_ends(ledger: Ledger) -> None:
    planned = Schedule(ago(hours=1), ago(hours=1))
    for number, schedule in enumerate((planned, planned, Schedule()), 1):
        is_told = number == 2
        await ended(ledger, another(number, schedule=schedule), delivered=is_told)
    found = await ledger.read(rows.list_untold_plans, ACCOUNT)

    assert [record.tracking_id for record in found] == ["t-1"]


async def used(here: World, client: Client, **arguments: Any) -> CallToolResult:
    """The result of another call by a client, which is told at once."""
    result = await here.run(client.call_tool("make_call", CALL | arguments))
    assert isinstance(result, CallToolResult)
    return result


def news_in(results: Sequence[CallToolResult]) -> list[str | None]:
    return [(result.structured_content or {}).get("since_then") for result in results]


LATER = {"not_before": "2026-01-25T17:00Z"}


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (reply("busy"), "was placed: not reached, busy (c-1)."),
        (REFUSED, "was not placed: this number is flagged as fraud (blocked_number)."),
    ],
)
async def test_a_planned_call_is_told_once(
    place: str, clock: ManualClock, answer: Reply, says: str
) -> None:
    service = Service(clock, [answer, reply("busy", "c-2"), reply("busy", "c-3")])
    async with world(service, place) as here, connected(here) as client:
        planned = await used(here, client, **LATER)
        await here.run(clock.sleep(7200))
        next_one = await used(here, client, respondent_phone="+12125551236")
        after = await used(here, client, respondent_phone="+12125551237")

    none, told, nothing_more = news_in([planned, next_one, after])
    assert none is None
    assert told is not None
    assert told.startswith(
        "Since then: the call to +1 212-555-1234 planned for Sun Jan 25, 12:00 PM"
    )
    assert told.endswith(says)
    assert nothing_more is None


async def test_another_process_tells_of_a_planned_call(place: str, clock: ManualClock) -> None:
    service = Service(clock, [reply("busy"), reply("busy", "c-2")])
    async with world(service, place) as here, connected(here) as client:
        await used(here, client, **LATER)
        await here.run(clock.sleep(7200))
    async with world(service, place) as here, connected(here) as client:
        listed = await here.run(client.call_tool("list_calls", {}))
        again = await here.run(client.call_tool("list_calls", {}))

    assert "Since then: the call to +1 212-555-1234" in str(listed.content)
    assert "Since then" not in str(again.content)


async def test_its_own_result_tells_of_a_planned_call(place: str, clock: ManualClock) -> None:
    service = Service(clock, [reply("busy"), reply("busy", "c-2")])
    async with world(service, place) as here, connected(here) as client:
        planned = await used(here, client, **LATER)
        id_ = (planned.structured_content or {})["tracking_id"]
        await here.run(clock.sleep(7200))
        shown = await here.run(client.call_tool("get_call", {"call_id": id_}))
        after = await used(here, client, respondent_phone="+12125551236")

    assert "busy" in str(shown.content)
    assert news_in([shown, after]) == [None, None]


async def test_an_unread_answer_tells_no_news_twice(place: str, clock: ManualClock) -> None:
    async with world(Service(clock, [reply("busy")]), place) as here, connected(here) as client:
        await used(here, client, **LATER)
        await here.run(clock.sleep(7200))
        delivery = here.calls.delivery
        delivery.delivers_when_read = True
        async with delivery.request("connection", 1):
            news = await here.run(here.calls.news(()))
            await here.run(delivery.deliver(news.calls[0]))
            meanwhile = await here.run(here.calls.news(()))
        unread = await here.run(here.calls.news(()))
        await here.run(delivery.answer_canceled("connection", 1))
        canceled = await here.run(here.calls.news(()))

    assert not meanwhile.calls
    assert not unread.calls
    assert canceled.calls == news.calls
