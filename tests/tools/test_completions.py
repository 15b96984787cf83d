"""Completions of an argument, in both protocol generations."""

from pathlib import Path

import anyio
import pytest
from mcp.types import Completion, PromptReference, ResourceTemplateReference
from starlette.requests import Request

from kallyai_mcp.sandbox.simulator.numbers import TEST_NUMBERS
from kallyai_mcp.settings import Settings
from tests.agent import BISTRO, Agent, open_agent, settings_in
from tests.fake_service import fake_service
from tests.sandbox.manual_clock import ManualClock
from tests.transports.http_server import LIMIT

CALL = "kallyai://calls/{call_id}"
TEMPLATES = [CALL, f"{CALL}/transcript", f"{CALL}/calendar.ics"]
NUMBERS = {entry.name: entry.number for entry in reversed(TEST_NUMBERS)}


async def of_template(agent: Agent, typed: str, template: str = CALL, name: str = "call_id") -> Completion:
    reference = ResourceTemplateReference(uri=template)
    return (await agent.client.complete(reference, {"name": name, "value": typed})).completion


async def of_prompt(agent: Agent, name: str, typed: str, prompt: str = "book_table") -> list[str]:
    return (await agent.client.complete(PromptReference(name=prompt), {"name": name, "value": typed})).completion.values


@pytest.mark.parametrize("template", TEMPLATES)
async def test_a_call_id_is_completed_with_the_newest_calls_first(
    agent: Agent, clock: ManualClock, template: str
) -> None:
    ids: list[str] = []
    for outcome in ("success", "busy", "no_answer"):
        ids.insert(0, (await agent.use("make_call", BISTRO, respondent_phone=NUMBERS[outcome])).data["call_id"])
        clock.advance(minutes=1)

    everything = await of_template(agent, "", template)
    begun = await of_template(agent, ids[1][:8], template)

    assert everything.values == ids
    assert (everything.total, everything.has_more) == (3, False)
    assert begun.values == [ids[1]]


async def test_a_call_in_progress_is_completed_where_it_can_be_read(agent: Agent, clock: ManualClock) -> None:
    clock.hold()
    tracking_id = (await agent.use("make_call", BISTRO, wait_seconds=0)).data["tracking_id"]
    with anyio.fail_after(LIMIT):
        await clock.sleepers(1)

    assert (await of_template(agent, "t-")).values == [tracking_id]
    assert (await of_template(agent, "t-", TEMPLATES[1])).values == []


async def test_at_most_a_hundred_calls_are_completed(tmp_path: Path, mode: str, clock: ManualClock) -> None:
    def answer(request: Request) -> tuple[int, object]:
        limit = int(request.query_params["limit"])
        return 200, {"calls": [{"call_id": f"c-{n}", "status": "success"} for n in range(limit)], "total": 5000}

    async with fake_service(answer) as url:
        settings = settings_in(tmp_path, API_URL=url, ACCESS_TOKEN="a-token-of-the-tests")
        async with open_agent(settings, mode=mode, clock=clock) as agent:
            given = await of_template(agent, "c-")

    assert given.values == [f"c-{n}" for n in range(100)]
    assert given.has_more


async def test_without_a_sign_in_nothing_is_completed(settings: Settings, mode: str, clock: ManualClock) -> None:
    async with open_agent(settings, mode=mode, clock=clock) as agent:  # nobody is signed in
        given = await of_template(agent, "")

    assert given.values == []


async def test_after_an_error_of_kallyai_nothing_is_completed(tmp_path: Path, mode: str, clock: ManualClock) -> None:
    async with fake_service(lambda _: (403, {"error": {"code": "forbidden", "message": "No"}})) as url:
        settings = settings_in(tmp_path, API_URL=url, ACCESS_TOKEN="a-token-of-the-tests")
        async with open_agent(settings, mode=mode, clock=clock) as agent:
            assert (await of_template(agent, "")).values == []


@pytest.mark.parametrize(
    ("typed", "zones"),
    [
        ("Europe/Madr", ["Europe/Madrid"]),
        ("europe/madr", ["Europe/Madrid"]),
        ("madr", ["Europe/Madrid"]),
        ("new york", ["America/New_York"]),
        ("New_Yor", ["America/New_York"]),
        ("atlantis", []),
    ],
)
async def test_a_time_zone_is_completed_by_its_name_or_its_city(agent: Agent, typed: str, zones: list[str]) -> None:
    assert await of_prompt(agent, "timezone", typed) == zones


async def test_zones_by_name_come_before_zones_by_city(agent: Agent) -> None:
    given = await of_prompt(agent, "timezone", "a")

    assert len(given) == 100
    assert given[0].startswith("A")


@pytest.mark.parametrize(("typed", "languages"), [("", ["en", "es"]), ("E", ["en", "es"]), ("es", ["es"]), ("f", [])])
async def test_a_language_is_completed(agent: Agent, typed: str, languages: list[str]) -> None:
    assert await of_prompt(agent, "language", typed) == languages


async def test_nothing_else_is_completed(agent: Agent) -> None:
    await agent.use("make_call", BISTRO)

    assert await of_prompt(agent, "business_name", "") == []
    assert await of_prompt(agent, "language", "", prompt="book_flight") == []
    assert (await of_template(agent, "", "kallyai://calls")).values == []
    assert (await of_template(agent, "", name="limit")).values == []
