"""Calls about a booking that an earlier call made: what each says about the other."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from icalendar import Calendar

from kallyai_mcp.sandbox import call_table
from kallyai_mcp.sandbox.app import SandboxApp
from tests.agent import BISTRO, Agent, Answer, open_agent, settings_in
from tests.conftest import one_generation
from tests.sandbox.manual_clock import ManualClock
from tests.tools.task_client import NUMBERS
from tests.tools.user import User, open_agent_for

mode = pytest.fixture(one_generation)

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


async def moved(agent: Agent) -> tuple[str, Answer]:
    """The id of a booking, and the answer of the call that has moved it."""
    booked = (await agent.use("make_call", TABLE)).data["call_id"]
    return booked, await agent.use("make_call", MOVE, changes_call_id=booked)


async def test_a_move_names_what_it_replaces(agent: Agent) -> None:
    booked, move = await moved(agent)

    assert move.text.splitlines()[0].endswith(
        f"Wed Jan 28, 8:00 PM. It replaces the booking of Wed Jan 28, 7:00 PM (call_id {booked})."
    )
    assert "KallyAI suggests" in move.text


async def test_a_moved_booking_says_so(agent: Agent) -> None:
    booked, move = await moved(agent)
    later = move.data["call_id"]
    shown = await agent.use("get_call", call_id=booked)

    assert shown.text.startswith(
        f"Moved: call {later} has booked Wed Jan 28, 8:00 PM instead.\nBooked: table for 4"
    )
    assert shown.data["moved_by"] == later
    assert "KallyAI suggests" not in shown.text
    assert shown.data["next_steps"]  # the structure leaves out nothing that KallyAI reported


async def test_the_event_of_a_moved_booking_says_so(agent: Agent) -> None:
    booked, move = await moved(agent)
    later = move.data["call_id"]
    event = await agent.use("get_calendar_event", call_id=booked)

    assert event.data["moved_by"] == later
    assert event.data["start"] == "2026-01-28T20:00:00-05:00"
    assert event.text.startswith(
        f"Moved: call {later} has booked Wed Jan 28, 8:00 PM instead. This is its event.\n"
        '"Table for 4'
    )


async def test_a_moved_bookings_files_are_one_event(agent: Agent) -> None:
    booked = (await agent.use("make_call", TABLE)).data["call_id"]
    first = await agent.read(f"kallyai://calls/{booked}/calendar.ics")
    move = await agent.use("make_call", MOVE, changes_call_id=booked)
    second = await agent.use("get_calendar_event", call_id=move.data["call_id"], as_file=True)
    of_old = await agent.read(f"kallyai://calls/{booked}/calendar.ics")

    (before,) = Calendar.from_ical(first.text).events
    (after,) = Calendar.from_ical(second.data["file"]).events
    assert before.decoded("uid") == after.decoded("uid")
    assert (before.decoded("sequence"), after.decoded("sequence")) == (0, 1)
    assert after.decoded("dtstart") == datetime(2026, 1, 29, 1, tzinfo=UTC)  # 8:00 PM there
    assert of_old.text.replace("\r", "") == second.data["file"]


async def test_a_moved_booking_is_listed_as_moved(agent: Agent) -> None:
    booked, move = await moved(agent)
    later = move.data["call_id"]
    listed = await agent.use("list_calls")
    narrowed = await agent.use("list_calls", status="moved")

    assert (
        f"  moved  Italian Bistro +12025550100  table for 4, Jan 28 7:00 PM; now {later}  "
        in listed.text
    )
    assert [call["call_id"] for call in narrowed.data["calls"]] == [booked]
    assert "moved_by" not in listed.data["calls"][0]
    assert listed.data["calls"][1] == {
        "status": "booked",
        "call_id": booked,
        "appointment": "2026-01-28T19:00",
        "moved_by": later,
        "created_at": "2026-01-25T15:30Z",
        "business_name": "Italian Bistro",
    }


MENU = {
    "task_category": "general",
    "task_description": "Ask for the menu",
    "respondent_phone": NUMBERS["success"],
}
AHEAD = "An earlier call booked there: Wed Jan 28, 8:00 PM (call_id {}). "


def asked_about(canceled: Answer) -> str:
    """The words for what a later call was told about a booking."""
    said, id_ = canceled.data["highlights"], canceled.data["call_id"]
    return f'A later call was about this booking: "{said}" (call_id {id_}).'


async def test_a_booking_ahead_is_named_at_next_call(agent: Agent) -> None:
    _, move = await moved(agent)
    named = await agent.use("make_call", MENU)
    again = await agent.use("get_call", call_id=named.data["call_id"])
    ahead = AHEAD.format(move.data["call_id"])

    assert f"{ahead}To change or cancel it: changes_call_id." in named.text
    assert named.text.count("changes_call_id") == 1
    assert "An earlier call" not in again.text


async def test_a_call_about_a_booking_names_it_only(agent: Agent) -> None:
    booked, _ = await moved(agent)
    canceled = await agent.use("make_call", CANCEL, changes_call_id=booked)

    assert f"7:00 PM (call_id {booked}), which stands unless they changed it." in canceled.text
    assert "An earlier call" not in canceled.text


async def test_what_became_of_a_booking_is_named(agent: Agent) -> None:
    booked, move = await moved(agent)
    canceled = await agent.use("make_call", CANCEL, changes_call_id=booked)
    after = await agent.use("make_call", MENU)
    ahead = AHEAD.format(move.data["call_id"])

    assert f"{ahead}{asked_about(canceled)} To change or cancel it: changes_call_id." in after.text


async def test_a_booking_names_the_call_about_it(agent: Agent) -> None:
    booked, _ = await moved(agent)
    canceled = await agent.use("make_call", CANCEL, changes_call_id=booked)
    shown = await agent.use("get_call", call_id=booked)
    listed = await agent.use("list_calls")

    assert shown.text.startswith(f"{asked_about(canceled)}\n")
    assert shown.data["asked_about_in"] == canceled.data["call_id"]
    assert "changes_call_id" not in shown.text
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


async def test_a_moved_booking_needs_no_such_instruction(agent: Agent, app: SandboxApp) -> None:
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


async def test_changing_another_numbers_booking_is_asked_about(
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
