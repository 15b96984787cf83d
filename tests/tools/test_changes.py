"""A call that moves or cancels the booking of an earlier call, and what both calls say afterwards."""

from pathlib import Path

from kallyai_mcp.sandbox.app import SandboxApp
from tests.agent import BISTRO, Agent, open_agent, settings_in
from tests.sandbox.manual_clock import ManualClock
from tests.tools.task_client import NUMBERS

TABLE = BISTRO | {"respondent_phone": NUMBERS["success"]}
MOVE = {name: TABLE[name] for name in ("task_category", "respondent_phone", "business_name", "appointment_date")} | {
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
    assert shown.text.startswith(f"Moved: call {later} has booked Wed Jan 28, 8:00 PM instead.\nBooked: table for 4")
    assert shown.data["moved_by"] == event.data["moved_by"] == later
    assert event.text.startswith(f'Moved: call {later} has booked Wed Jan 28, 8:00 PM instead.\n"Table for 4')
    assert f"  moved  Italian Bistro +12025550100  table for 4, Jan 28 7:00 PM; now {later}  {booked}" in listed.text
    assert [call["call_id"] for call in narrowed.data["calls"]] == [booked]
    assert [call.get("moved_by") for call in listed.data["calls"]] == [None, later]


async def test_a_booking_that_lies_ahead_is_named_to_the_next_call_there_until_it_was_canceled(agent: Agent) -> None:
    booked = (await agent.use("make_call", TABLE)).data["call_id"]
    moved = (await agent.use("make_call", MOVE, changes_call_id=booked)).data["call_id"]
    ask = {"task_category": "general", "task_description": "Ask for the menu", "respondent_phone": NUMBERS["success"]}
    named = await agent.use("make_call", ask)
    again = await agent.use("get_call", call_id=named.data["call_id"])
    canceled = await agent.use("make_call", CANCEL, changes_call_id=booked)
    after = await agent.use("make_call", ask | {"task_description": "Ask for the hours"})
    shown = await agent.use("get_call", call_id=booked)
    listed = await agent.use("list_calls")

    line = f"An earlier booking there lies ahead: Wed Jan 28, 8:00 PM (call_id {moved}). To change or cancel it: "
    assert line in named.text
    assert "lies ahead" not in again.text + canceled.text + after.text
    assert f"It was about the booking of Wed Jan 28, 7:00 PM (call_id {booked})." in canceled.text
    assert shown.text.startswith("A later call was about this booking, and was answered: get_call ")
    assert shown.data["asked_about_in"] == canceled.data["call_id"]
    assert named.text.count("changes_call_id") == 1
    assert "to change or cancel it: changes_call_id." in shown.text
    assert f"; a later call was about it: {canceled.data['call_id']}  {booked}" in listed.text


async def test_a_call_about_the_booking_of_another_number_is_asked_about(
    tmp_path: Path, clock: ManualClock, app: SandboxApp
) -> None:
    async with open_agent(settings_in(tmp_path, CONFIRM="auto"), mode="auto", clock=clock, app=app) as agent:
        booked = (await agent.use("make_call", TABLE)).data["call_id"]
        clock.advance(hours=2)
        asked = await agent.use("make_call", CANCEL, respondent_phone="+12025550119", changes_call_id=booked)
        none = await agent.use("make_call", CANCEL, changes_call_id="no-such-call")

    assert asked.data["reasons"] == ["other_number"]
    assert "You are asked because: the booking that it changes was made at another number" in asked.text
    assert none.text.startswith("Not called: ")
