"""How planned calls ended is told once, with the next result, whichever process gives that."""

from collections.abc import Sequence
from typing import Any

import pytest
from mcp import Client
from mcp.types import CallToolResult

from tests.calls.ledger.test_transactions import CALL, connected
from tests.calls.manual_time import ManualClock
from tests.calls.world import REFUSED, Reply, Service, World, reply, world


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
