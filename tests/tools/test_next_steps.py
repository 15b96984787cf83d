"""The one step that a result offers after a call."""

from pathlib import Path

from tests.agent import BISTRO, Agent
from tests.sandbox.manual_clock import ManualClock
from tests.tools.answering import asking
from tests.tools.task_client import NUMBERS


async def test_no_retries_are_offered_after_a_voicemail(agent: Agent) -> None:
    left = await agent.use("make_call", BISTRO | {"respondent_phone": NUMBERS["voicemail"]})

    assert "If that message is not enough: make_call with the same arguments, not_b" in left.text
    assert "retries" not in left.text


async def test_a_next_attempt_has_the_callees_clock(tmp_path: Path, clock: ManualClock) -> None:
    abroad = BISTRO | {"respondent_phone": "+442079460123"}
    async with asking(tmp_path, clock, {"+": {"status": "busy"}}) as (_, agent):
        busy = await agent.use("make_call", abroad)

    assert 'not_before "2026-01-25T15:45+00:00" (Sun Jan 25, 3:45 PM there), ret' in busy.text


ASKS_ITSELF = "make_call itself asks the user before that: this number was called within"


async def test_a_result_says_that_make_call_asks(tmp_path: Path, clock: ManualClock) -> None:
    clock.advance(hours=1)  # the callee's day has begun
    busy_line = {"+": {"status": "busy"}}
    async with asking(tmp_path, clock, busy_line, CONFIRM="auto") as (_, agent):
        busy = await agent.use("make_call", BISTRO)
        again = await agent.use("make_call", BISTRO, redial=True)

    assert ASKS_ITSELF in busy.text
    assert again.data["status"] == "needs_confirmation"


async def test_after_an_hour_nothing_says_so(tmp_path: Path, clock: ManualClock) -> None:
    clock.advance(hours=1)
    busy_line = {"+": {"status": "busy"}}
    async with asking(tmp_path, clock, busy_line, CONFIRM="auto") as (_, agent):
        busy = await agent.use("make_call", BISTRO)
        clock.advance(hours=1, minutes=1)
        later = await agent.use("get_call", call_id=busy.data["call_id"])

    assert "To try again" in later.text
    assert ASKS_ITSELF not in later.text


RESERVED = {
    "status": "success",
    "call_id": "c-1",
    "highlights": "Reserved a table for 4 under Ada.",
}
CONFIRM = 'To have them confirm a booking: make_call with changes_call_id "c-1", change "ask"'


async def test_a_booking_without_event_is_to_be_confirmed(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with asking(tmp_path, clock, {"+": RESERVED}) as (_, agent):
        made = await agent.use("make_call", BISTRO)

    assert made.data["outcome"] == "answered"
    assert f"Do not book again. {CONFIRM}" in made.text


async def test_they_are_asked_about_a_booking_without_event(
    tmp_path: Path, clock: ManualClock
) -> None:
    about = {"task_category": "restaurant", "task_description": "Do they have the booking?"}
    about |= {"changes_call_id": "c-1"}
    async with asking(tmp_path, clock, {"+": RESERVED}) as (kallyai, agent):
        await agent.use("make_call", BISTRO)
        kallyai.calls = {"+": {"status": "success"}}
        asked = await agent.use("make_call", about, change="ask")
        moved = await agent.use("make_call", about, change="move", appointment_time="20:00")

    (told,) = [
        text
        for text in kallyai.bodies[-1]["submission"]["additional_instructions"]
        if text.startswith("This call is about")
    ]
    assert told.endswith(
        "c-1: a booking for 2026-01-28 19:00, which no calendar event shows, 4 people, Sample Guest"
    )
    assert "about what call_id c-1 asked for, which no calendar" in asked.text
    assert moved.data["code"] == "no_calendar_event"


async def test_nobody_is_asked_about_a_missed_call(tmp_path: Path, clock: ManualClock) -> None:
    busy = {"status": "busy", "call_id": "c-1"}
    async with asking(tmp_path, clock, {"+": busy}) as (kallyai, agent):
        await agent.use("make_call", BISTRO)
        refused = await agent.use(
            "make_call",
            task_category="restaurant",
            task_description="Do they have it?",
            changes_call_id="c-1",
            change="ask",
        )

    assert refused.data["code"] == "no_calendar_event"
    assert len(kallyai.bodies) == 1


async def test_without_an_offer_no_other_time_is_suggested(agent: Agent) -> None:
    full = await agent.use("make_call", BISTRO | {"respondent_phone": NUMBERS["fully_booked"]})
    walk_in = await agent.use("make_call", BISTRO | {"respondent_phone": NUMBERS["no_event"]})

    assert full.data["outcome"] == walk_in.data["outcome"] == "answered"
    assert "no other time. If" not in full.text
    assert "no other time. If" not in walk_in.text


CLOSED = {
    "entries": [
        {"speaker": "AI", "content": "Hello, a table for Wednesday, please."},
        {"speaker": "HUMAN", "content": "We are closed now. Please call again tomorrow after 9."},
        {"speaker": "AI", "content": "Thank you. May I ask who answers on Wednesday?"},
        {"speaker": "HUMAN", "content": "Ana answers on Wednesday."},
    ]
}


async def test_a_closed_callee_is_called_when_it_says(tmp_path: Path, clock: ManualClock) -> None:
    success = {"status": "success", "highlights": "Ana answers on Wednesday."}
    async with asking(tmp_path, clock, {"+": success}) as (kallyai, agent):
        kallyai.transcript = CLOSED
        made = await agent.use("make_call", BISTRO)
        planned = await agent.use(
            "make_call", BISTRO, redial=True, not_before="2026-01-26T10:00-08:00"
        )

    assert (
        'They said: "We are closed now." To call when they say: make_call with the same arguments, '
        "redial=true, and not_before."
    ) in made.text
    assert planned.data["status"] == "scheduled"
