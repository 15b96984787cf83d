from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.requests import Request

from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.sandbox.serve import running
from tests.agent import BISTRO, Agent, Answer, open_agent, settings_in
from tests.conftest import one_generation
from tests.fake_service import Reply, fake_service
from tests.sandbox.manual_clock import ManualClock
from tests.tools.answering import asking
from tests.tools.task_client import NUMBERS

mode = pytest.fixture(one_generation)


async def test_a_listed_call_claims_no_missing_booking(tmp_path: Path, clock: ManualClock) -> None:
    submission = {"respondent_phone": "+14155551234", "business_name": "Italian Bistro"}
    question = submission | {"task_description": "Do you take credit cards?"}
    report = "Asked the garage: Do you take credit cards? They said: Only cash, sorry."
    async with asking(tmp_path, clock, {}) as (kallyai, agent):
        for status in ("busy", "success"):
            kallyai.placed[status] = {"call_id": status, "status": status, "submission": submission}
        listed = await agent.use("list_calls")
        kallyai.placed = {
            "c": {"call_id": "c", "status": "success", "highlights": report, "submission": question}
        }
        answered = await agent.use("list_calls")

    assert '  "They said: Only cash, sorry."  c' in answered.text  # and not the question again
    assert listed.text.splitlines() == [
        "2 calls, newest first. Times in New York.",
        "?  answered*  Italian Bistro +1 415-555-1234  success",
        "?  not reached  Italian Bistro +1 415-555-1234  busy  busy",
        "answered*: whether it booked something is not known here; get_call looks it up.",
    ]
    assert [call.get("calendar_checked") for call in listed.data["calls"]] == [False, None]


async def make_three_calls(agent: Agent) -> None:
    for number in ("success", "busy", "no_answer"):
        await agent.use("make_call", BISTRO, respondent_phone=NUMBERS[number])


async def test_the_list_says_how_to_get_more(agent: Agent) -> None:
    await make_three_calls(agent)
    page = await agent.use("list_calls", limit=2)

    assert page.text.startswith("3 calls, newest first (1–2). Times in New York.")  # noqa: RUF001 - a dash between numbers
    assert page.text.endswith("More: offset=2.")
    assert page.data["next_offset"] == 2


async def test_the_last_page_says_no_more(agent: Agent) -> None:
    await make_three_calls(agent)
    rest = await agent.use("list_calls", limit=2, offset=2)
    beyond = await agent.use("list_calls", offset=3)

    assert rest.text.startswith("3 calls, newest first (3–3). Times in New York.")  # noqa: RUF001 - a dash between numbers
    assert "More" not in rest.text
    assert "next_offset" not in rest.data
    assert beyond.text == "No calls to show."


PRICE = {
    "task_category": "general",
    "task_description": "Ask for the price",
    "respondent_phone": NUMBERS["busy"],
}


async def make_calls_on_two_days(agent: Agent, clock: ManualClock) -> Answer:
    """A call to a busy garage and one that books; a day later the garage again, and a call for
    later, which is the answer.
    """
    await agent.use("make_call", PRICE, business_name="Joe's Garage")
    await agent.use("make_call", BISTRO)
    clock.advance(days=1)
    await agent.use("make_call", PRICE)
    return await agent.use(
        "make_call", PRICE | {"task_description": "Ask again"}, not_before="2026-01-27T10:00"
    )


NARROWED: list[tuple[dict[str, str], list[str]]] = [
    ({}, ["scheduled", "busy", "booked", "busy"]),
    ({"number": NUMBERS["busy"]}, ["scheduled", "busy", "busy"]),
    ({"business": "garage"}, ["scheduled", "busy", "busy"]),
    ({"status": "scheduled"}, ["scheduled"]),
    ({"status": "booked", "since": "2026-01-25"}, ["booked"]),
    ({"status": "Not reached"}, ["busy", "busy"]),
    ({"since": "2026-01-26T00:00"}, ["scheduled", "busy"]),
    ({"status": "answered"}, []),
]
"""What is wanted, and the status of each call that is listed."""


async def test_a_list_can_be_narrowed(agent: Agent, clock: ManualClock) -> None:
    await make_calls_on_two_days(agent, clock)
    for wanted, statuses in NARROWED:
        listed = await agent.use("list_calls", wanted)

        assert [call["status"] for call in listed.data["calls"]] == statuses
    assert listed.text == "No calls to show."


async def test_planned_calls_come_first(agent: Agent, clock: ManualClock) -> None:
    planned = await make_calls_on_two_days(agent, clock)
    listed = await agent.use("list_calls")
    first = listed.text.splitlines()[0]
    numbers = [call.get("respondent_phone") for call in listed.data["calls"]]

    assert first.startswith(
        "scheduled  +1 202-555-0103 (another call: Joe's Garage)  Ask again  due Tue Jan 27, "
    )
    assert planned.data["tracking_id"] in first
    assert numbers == [NUMBERS["busy"], NUMBERS["busy"], None, None]


async def test_a_name_from_another_call_says_so(agent: Agent, clock: ManualClock) -> None:
    await make_calls_on_two_days(agent, clock)
    listed = await agent.use("list_calls")
    names = [call.get("business_name") for call in listed.data["calls"]]

    assert listed.text.count("+1 202-555-0103 (another call: Joe's Garage)") == 2
    assert listed.text.count("Joe's Garage +1 202-555-0103  ") == 1
    assert names == [None, None, "Italian Bistro", "Joe's Garage"]


async def test_an_unknown_status_or_time_is_named(agent: Agent) -> None:
    wrong = await agent.use("list_calls", status="bookd", since="yesterday")

    assert "placed" not in wrong.data
    assert wrong.text.splitlines()[1:] == [
        '- since: expected datetime: ISO 8601; got "yesterday": input is too short.',
        '- status: "bookd" is not one of scheduled, in_progress, booked, booked_other_time, '
        "answered, not_reached, "
        "failed, canceled, unknown, moved, expired, refused, busy, cancelled, no_answer, success, "
        "terminated, "
        "voicemail.",
    ]


async def test_a_sign_in_for_transcripts_gets_them_alone(
    agent: Agent, tmp_path: Path, clock: ManualClock, app: SandboxApp
) -> None:
    call_id = (await agent.use("make_call", BISTRO)).data["call_id"]
    full = await agent.use("get_transcript", call_id=call_id)
    token = app.state.sandbox.issue_tokens(scopes=["transcripts:read"])["access_token"]

    async with running(app) as url:
        settings = settings_in(tmp_path / "narrow", API_URL=url, ACCESS_TOKEN=token)
        async with open_agent(settings, mode="auto", clock=clock) as narrow:
            answer = await narrow.use("get_transcript", call_id=call_id)

    assert answer.text.startswith(
        "Conversation. The text between the marks was said by other people"
    )
    assert answer.text.splitlines()[2:-1] == full.text.splitlines()[2:-1]
    assert answer.data == full.data


async def listed_during_a_call(agent: Agent, clock: ManualClock) -> Answer:
    """The list thirty seconds after a call has begun, with a busy and a canceled one before."""
    await agent.use("make_call", BISTRO, respondent_phone=NUMBERS["busy"])
    planned = await agent.use(
        "make_call", BISTRO, task_description="Ask", not_before="2026-01-27T10:00"
    )
    await agent.use("cancel_call", call_id=planned.data["tracking_id"])
    clock.hold()
    await agent.use("make_call", BISTRO, wait_seconds=0)
    with anyio.fail_after(60):
        await clock.sleepers(1)
    clock.advance(seconds=30)
    return await agent.use("list_calls")


async def test_a_call_in_progress_is_listed_first(agent: Agent, clock: ManualClock) -> None:
    listed = await listed_during_a_call(agent, clock)
    above, _, hint, *_ = listed.text.splitlines()
    id_ = listed.data["calls"][0]["tracking_id"]

    assert above == (
        "Jan 25 10:30 AM  in progress  Italian Bistro +1 415-555-1234  Book a table  "
        f"30 s so far  {id_}"
    )
    assert hint == "Follow calls without an outcome with get_call; do not place them again."
    assert [call["status"] for call in listed.data["calls"]] == ["in_progress", "canceled", "busy"]


async def test_what_kallyai_lists_comes_below(agent: Agent, clock: ManualClock) -> None:
    listed = await listed_during_a_call(agent, clock)
    _, canceled, _, heading, day, ended = listed.text.splitlines()

    assert "  canceled  Italian Bistro +1 415-555-1234  Ask  was due Tue Jan 27, " in canceled
    assert heading.startswith("2 calls, newest first.")
    assert day == "Jan 25"
    assert ended.startswith(
        "10:30 AM  not reached  Italian Bistro +1 202-555-0103  Book a table  busy  "
    )


async def test_a_call_ended_at_kallyai_is_listed_once(tmp_path: Path, clock: ManualClock) -> None:
    sent, ends, calls = anyio.Event(), anyio.Event(), list[dict[str, Any]]()

    async def answer(request: Request) -> Reply:
        if request.method == "POST":
            call = {"call_id": "c-1", "status": "success", "created_at": "2026-01-25T15:30:00Z"}
            calls.append(call | {"submission": (await request.json())["submission"]})
            sent.set()
            await ends.wait()
            return 201, calls[0]
        return 200, {"calls": calls, "total": len(calls)}

    async with fake_service(answer) as url:
        settings = settings_in(tmp_path, API_URL=url, ACCESS_TOKEN="token-0123456789")
        async with open_agent(settings, mode="auto", clock=clock) as agent:
            made = await agent.use("make_call", BISTRO, wait_seconds=0)
            await sent.wait()
            listed = await agent.use("list_calls")
            ends.set()
            ended = await agent.use("get_call", call_id=made.data["tracking_id"], wait_seconds=60)

    assert [call["status"] for call in listed.data["calls"]] == ["in_progress"]
    assert ended.data["call_id"] == "c-1"
