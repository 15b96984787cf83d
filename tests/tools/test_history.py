from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.requests import Request

from kallyai_mcp.sandbox import call_table
from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.sandbox.serve import running
from tests.agent import BISTRO, Agent, open_agent, settings_in
from tests.conftest import one_generation
from tests.fake_service import Reply, fake_service
from tests.sandbox.manual_clock import ManualClock
from tests.tools.answering import asking
from tests.tools.task_client import NUMBERS
from tests.tools.user import User, open_agent_for

mode = pytest.fixture(one_generation)


async def test_a_listed_call_that_is_not_in_the_ledger_does_not_claim_that_nothing_was_booked(
    tmp_path: Path, clock: ManualClock
) -> None:
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
        "?  answered*  Italian Bistro +14155551234  success",
        "?  not reached  Italian Bistro +14155551234  busy  busy",
        "answered*: whether it booked something is not known here; get_call looks it up.",
    ]
    assert [call.get("calendar_checked") for call in listed.data["calls"]] == [False, None]


async def test_the_list_says_how_to_get_more(agent: Agent) -> None:
    for number in ("success", "busy", "no_answer"):
        await agent.use("make_call", BISTRO, respondent_phone=NUMBERS[number])

    page = await agent.use("list_calls", limit=2)
    rest = await agent.use("list_calls", limit=2, offset=2)
    beyond = await agent.use("list_calls", offset=3)

    assert page.text.startswith("3 calls, newest first (1–2). Times in New York.")  # noqa: RUF001 - a dash between numbers
    assert page.text.endswith("More: offset=2.")
    assert page.data["next_offset"] == 2
    assert rest.text.startswith("3 calls, newest first (3–3). Times in New York.")  # noqa: RUF001
    assert "More" not in rest.text
    assert "next_offset" not in rest.data
    assert beyond.text == "No calls to show."


async def test_a_list_can_be_narrowed_and_planned_calls_come_first(
    agent: Agent, clock: ManualClock
) -> None:
    asks = {
        "task_category": "general",
        "task_description": "Ask for the price",
        "respondent_phone": NUMBERS["busy"],
    }
    await agent.use("make_call", asks, business_name="Joe's Garage")
    await agent.use("make_call", BISTRO)
    clock.advance(days=1)
    await agent.use("make_call", asks)
    planned = await agent.use(
        "make_call", asks | {"task_description": "Ask again"}, not_before="2026-01-27T10:00"
    )

    async def shown(**wanted: object) -> list[str]:
        listed = await agent.use("list_calls", **wanted)
        return [call["status"] for call in listed.data["calls"]]

    everything = await agent.use("list_calls")
    numbers = [call.get("respondent_phone") for call in everything.data["calls"]]
    assert await shown() == ["scheduled", "busy", "booked", "busy"]
    assert await shown(number=NUMBERS["busy"]) == ["scheduled", "busy", "busy"]
    assert await shown(business="garage") == ["scheduled", "busy", "busy"]
    assert await shown(status="scheduled") == ["scheduled"]
    assert await shown(status="booked", since="2026-01-25") == ["booked"]
    assert await shown(status="Not reached") == ["busy", "busy"]
    assert await shown(since="2026-01-26T00:00") == ["scheduled", "busy"]
    assert (await agent.use("list_calls", status="answered")).text == "No calls to show."
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
    assert everything.text.splitlines()[0].startswith(
        "scheduled  Joe's Garage +12025550103  due Tue Jan 27, "
    )
    assert numbers == [NUMBERS["busy"], NUMBERS["busy"], None, None]
    # The calls without a name have it from the one before.
    assert everything.text.count("Joe's Garage") == 3
    assert planned.data["tracking_id"] in everything.text


async def test_a_sign_in_that_may_read_transcripts_alone_gets_one_without_the_calls_facts(
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


async def test_a_call_in_progress_is_listed_above_kallyais_own_list(
    agent: Agent, clock: ManualClock
) -> None:
    await agent.use("make_call", BISTRO, respondent_phone=NUMBERS["busy"])
    planned = await agent.use(
        "make_call", BISTRO, task_description="Ask", not_before="2026-01-27T10:00"
    )
    await agent.use("cancel_call", call_id=planned.data["tracking_id"])
    clock.hold()
    made = await agent.use("make_call", BISTRO, wait_seconds=0)
    with anyio.fail_after(60):
        await clock.sleepers(1)
    clock.advance(seconds=30)

    listed = await agent.use("list_calls")

    above, canceled, hint, heading, day, ended = listed.text.splitlines()
    bistro = "Italian Bistro +14155551234"
    assert (
        above == f"Jan 25 10:30 AM  in progress  {bistro}  30 s so far  {made.data['tracking_id']}"
    )
    assert hint == "Follow calls without an outcome with get_call; do not place them again."
    assert f"  canceled  {bistro}  was due Tue Jan 27, " in canceled
    assert heading.startswith("2 calls, newest first.")
    assert day == "Jan 25"
    assert ended.startswith("10:30 AM  not reached  Italian Bistro +12025550103  busy  ")
    assert [call["status"] for call in listed.data["calls"]] == ["in_progress", "canceled", "busy"]


async def test_a_call_that_has_ended_at_kallyai_alone_is_listed_once(
    tmp_path: Path, clock: ManualClock
) -> None:
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


TABLE = BISTRO | {"respondent_phone": NUMBERS["success"]}
MOVE = {
    name: TABLE[name]
    for name in ("task_category", "respondent_phone", "business_name", "appointment_date")
} | {
    "task_description": "Move the table to 8 PM",
    "appointment_time": "20:00",
}
CANCEL = {name: TABLE[name] for name in ("task_category", "respondent_phone")} | {
    "task_description": "Cancel the table"
}


async def test_a_booking_that_was_moved_says_so_everywhere(agent: Agent) -> None:
    booked = (await agent.use("make_call", TABLE)).data["call_id"]
    moved = await agent.use("make_call", MOVE, changes_call_id=booked)
    later = moved.data["call_id"]
    shown = await agent.use("get_call", call_id=booked)
    event = await agent.use("get_calendar_event", call_id=booked)
    listed = await agent.use("list_calls")
    narrowed = await agent.use("list_calls", status="moved")

    assert moved.text.splitlines()[0].endswith(
        f"Wed Jan 28, 8:00 PM. It replaces the booking of Wed Jan 28, 7:00 PM (call_id {booked})."
    )
    assert shown.text.startswith(
        f"Moved: call {later} has booked Wed Jan 28, 8:00 PM instead.\nBooked: table for 4"
    )
    assert "KallyAI suggests" in moved.text
    assert "KallyAI suggests" not in shown.text
    assert shown.data["next_steps"]  # the structure leaves out nothing that KallyAI reported
    assert shown.data["moved_by"] == event.data["moved_by"] == later
    assert event.text.startswith(
        f'Moved: call {later} has booked Wed Jan 28, 8:00 PM instead.\n"Table for 4'
    )
    assert (
        f"  moved  Italian Bistro +12025550100  table for 4, Jan 28 7:00 PM; now {later}  "
        in listed.text
    )
    assert [call["call_id"] for call in narrowed.data["calls"]] == [booked]
    assert [call.get("moved_by") for call in listed.data["calls"]] == [None, later]
    assert listed.data["calls"][1] == {
        "status": "booked",
        "call_id": booked,
        "appointment": "2026-01-28T19:00",
        "moved_by": later,
        "created_at": "2026-01-25T15:30Z",
        "business_name": "Italian Bistro",
    }


async def test_a_booking_that_lies_ahead_is_named_to_the_next_call_there_with_what_became_of_it(
    agent: Agent,
) -> None:
    booked = (await agent.use("make_call", TABLE)).data["call_id"]
    moved = (await agent.use("make_call", MOVE, changes_call_id=booked)).data["call_id"]
    ask = {
        "task_category": "general",
        "task_description": "Ask for the menu",
        "respondent_phone": NUMBERS["success"],
    }
    named = await agent.use("make_call", ask)
    again = await agent.use("get_call", call_id=named.data["call_id"])
    canceled = await agent.use("make_call", CANCEL, changes_call_id=booked)
    after = await agent.use("make_call", ask | {"task_description": "Ask for the hours"})
    shown = await agent.use("get_call", call_id=booked)
    listed = await agent.use("list_calls")

    line, change = (
        f"An earlier call booked there: Wed Jan 28, 8:00 PM (call_id {moved}).",
        "changes_call_id",
    )
    later = (
        f'was about this booking: "{canceled.data["highlights"]}" (call_id '
        f"{canceled.data['call_id']})."
    )
    assert f"{line} To change or cancel it: {change}." in named.text
    assert "An earlier call" not in again.text + canceled.text
    assert f"{line} A later call {later} To change or cancel it: {change}." in after.text
    assert f"7:00 PM (call_id {booked}), which stands unless they changed it." in canceled.text
    assert shown.text.startswith(f"A later call {later}\n")
    assert shown.data["asked_about_in"] == canceled.data["call_id"]
    assert named.text.count(change) == 1
    assert change not in shown.text
    assert (
        f'it: "{canceled.data["highlights"]}" {canceled.data["call_id"]}  {booked}' in listed.text
    )


ADD_NAME = CANCEL | {"task_description": "Write down my name for the table"}
NOTHING_ELSE = "Only do what the task says about that booking. Change nothing else."


async def test_a_call_about_a_booking_changes_nothing_else(agent: Agent, app: SandboxApp) -> None:
    booked = (await agent.use("make_call", TABLE)).data["call_id"]
    asked = await agent.use("make_call", ADD_NAME, changes_call_id=booked)
    canceled = await agent.use("make_call", CANCEL, changes_call_id=booked)
    told = "KallyAI was told to change nothing about it but what the task says."

    with app.state.sandbox.store.transaction() as db:
        sent = [
            one.submission.get("additional_instructions", []) for one in call_table.all_calls(db)
        ]
    assert [NOTHING_ELSE in instructions for instructions in sent] == [False, True, True]
    assert told in asked.text
    assert "anceled" not in asked.data["highlights"]
    assert canceled.data["highlights"].startswith("Canceled: ")


async def test_a_booking_that_is_moved_needs_no_such_instruction(
    agent: Agent, app: SandboxApp
) -> None:
    booked = (await agent.use("make_call", TABLE)).data["call_id"]
    await agent.use("make_call", MOVE, changes_call_id=booked)

    with app.state.sandbox.store.transaction() as db:
        (*_, moved) = call_table.all_calls(db)
    assert NOTHING_ELSE not in moved.submission["additional_instructions"]


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", NOTHING_ELSE),
        ("es", "Solo haz con esa reserva lo que dice la tarea. No cambies nada más."),
    ],
)
async def test_the_consent_says_that_nothing_else_is_changed(
    tmp_path: Path, clock: ManualClock, app: SandboxApp, language: str, words: str
) -> None:
    user = User({"call_now": True}, {"call_now": True})
    async with open_agent_for(
        settings_in(tmp_path, CONFIRM="always"), "auto", clock, app, user
    ) as agent:
        booked = (await agent.use("make_call", TABLE)).data["call_id"]
        await agent.use(
            "make_call", ADD_NAME, changes_call_id=booked, language=language, call_language="en"
        )

    assert words in user.messages[1]


async def test_a_call_about_the_booking_of_another_number_is_asked_about(
    tmp_path: Path, clock: ManualClock, app: SandboxApp
) -> None:
    async with open_agent(
        settings_in(tmp_path, CONFIRM="auto"), mode="auto", clock=clock, app=app
    ) as agent:
        booked = (await agent.use("make_call", TABLE)).data["call_id"]
        clock.advance(hours=2)
        asked = await agent.use(
            "make_call", CANCEL, respondent_phone="+12025550119", changes_call_id=booked
        )
        none = await agent.use("make_call", CANCEL, changes_call_id="no-such-call")

    assert asked.data["reasons"] == ["other_number"]
    assert (
        "You are asked because: the booking that it changes was made at another number"
        in asked.text
    )
    assert none.text.startswith("Not called: ")
