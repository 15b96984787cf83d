from pathlib import Path

import anyio
import pytest
from mcp.types import CancelledNotification, CancelledNotificationParams

from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.sandbox.faults import Fault, FaultPlan
from kallyai_mcp.settings import Settings
from tests.agent import BISTRO, Agent, Answer, open_agent, settings_in
from tests.sandbox.manual_clock import ManualClock
from tests.tools.task_client import NUMBERS

BUSY = NUMBERS["busy"]


@pytest.fixture
def mode() -> str:
    return "legacy"  # in-process, a client of 2026-07-28 can't send notifications


async def outlasting(agent: Agent, clock: ManualClock) -> Answer:
    """A call that goes on after its request was answered."""
    clock.hold()
    waiting = await agent.use("make_call", BISTRO, wait_seconds=0)
    await clock.sleepers(1)
    return waiting


async def test_a_call_that_outlasts_the_wait_goes_on(agent: Agent, clock: ManualClock) -> None:
    waiting = await outlasting(agent, clock)

    assert waiting.data["status"] == "in_progress"
    assert "has lasted 0 s. It continues without you; do not place it again." in waiting.text
    assert f'Next: get_call with call_id "{waiting.data["tracking_id"]}"' in waiting.text


async def test_get_call_says_how_long_it_lasts(agent: Agent, clock: ManualClock) -> None:
    waiting = await outlasting(agent, clock)
    clock.advance(seconds=40)
    again = await agent.use("get_call", call_id=waiting.data["tracking_id"])

    assert "has lasted 40 s." in again.text
    assert again.data["elapsed_seconds"] == 40


async def test_a_call_in_progress_is_not_canceled(agent: Agent, clock: ManualClock) -> None:
    waiting = await outlasting(agent, clock)
    tracking_id = waiting.data["tracking_id"]
    again = await agent.use("get_call", call_id=tracking_id)
    kept = await agent.use("cancel_call", call_id=tracking_id)

    assert kept.data["status"] == "in_progress"
    assert kept.text == (
        "Not canceled: it is in progress, and KallyAI's API has no way to hang up. "
        f"This program will not place it again.\n{again.text}"
    )


async def test_the_end_of_a_call_is_told_later(agent: Agent, clock: ManualClock) -> None:
    waiting = await outlasting(agent, clock)
    clock.advance(minutes=5)
    ended = await agent.use("get_call", call_id=waiting.data["tracking_id"], wait_seconds=5)

    assert ended.text.startswith("Booked: ")
    assert await agent.calls_made() == 1


async def test_a_call_goes_on_without_its_client(agent: Agent, clock: ManualClock) -> None:
    clock.hold()
    with anyio.move_on_after(0.2) as gave_up:
        await agent.use("make_call", BISTRO, wait_seconds=60)
    assert gave_up.cancelled_caught

    again = await agent.use("make_call", BISTRO, wait_seconds=0)

    assert again.text.startswith("Asked for before; no new call was placed. In progress: ")
    assert again.data["placed_now"] is False
    with anyio.fail_after(60):
        while await agent.calls_made() == 0:  # the request may still be on its way
            await anyio.lowlevel.checkpoint()
    clock.advance(minutes=5)
    ended = await agent.use("get_call", call_id=again.data["tracking_id"], wait_seconds=30)
    assert ended.data["status"] == "success"
    assert await agent.calls_made() == 1


async def test_a_duplicate_gets_the_outcome_again(agent: Agent, clock: ManualClock) -> None:
    first = await agent.use("make_call", BISTRO)
    clock.advance(minutes=2)

    again = await agent.use("make_call", BISTRO, task_description="book a  TABLE")
    says_nothing = {
        "is_urgent": False,
        "time_preference_text": " ",
        "additional_instructions": [""],
    }
    assert (await agent.use("make_call", BISTRO | says_nothing)).data["placed_now"] is False

    assert again.text == (
        (
            "Already called 2 min 58 s ago; no new call was placed. To call again on purpose: "
            "redial=true.\n"
        )
        + first.text
    )
    assert again.data["placed_now"] is False
    assert again.data["call_id"] == first.data["call_id"]
    assert await agent.calls_made() == 1


async def test_the_suggested_next_attempt_is_no_duplicate(
    agent: Agent,
) -> None:
    busy = BISTRO | {"respondent_phone": BUSY}
    first = await agent.use("make_call", busy)
    again = await agent.use("make_call", busy)
    later = await agent.use("make_call", busy, not_before="2026-01-25T10:45", retries=2)

    assert 'not_before "2026-01-25T10:46-05:00" (Sun Jan 25, 10:46 AM), retries 2.' in first.text
    assert (again.data["placed_now"], later.data["status"]) == (False, "scheduled")
    assert later.data["scheduled_for"] == "2026-01-25T10:45:00-05:00"


async def test_a_lost_answer_is_being_checked(
    settings: Settings, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    app.state.sandbox.set_faults(FaultPlan(faults=[Fault(kind="unavailable_before", times=9)]))
    async with open_agent(settings, mode=mode, clock=clock, app=app) as agent:
        made = await agent.use("make_call", BISTRO, wait_seconds=0)
        with anyio.fail_after(60):
            while "Being checked" not in made.text:
                made = await agent.use("get_call", call_id=made.data["tracking_id"])
        again = await agent.use("make_call", BISTRO, wait_seconds=0)
        listed = await agent.use("list_calls")
        words = await agent.use("get_transcript", call_id=made.data["tracking_id"])

    told = (
        "Being checked: no usable answer came, so Italian Bistro (+1 415-555-1234) may have "
        "been called. "
    )
    assert made.text.startswith(
        f"{told}The check ends about 10:36 AM; do not place the call again.\n"
    )
    assert again.text.startswith(f"Asked for before; no new call was placed. {told}")
    assert (
        "  being checked  Italian Bistro +1 415-555-1234  Book a table  may have been called  "
        in listed.text
    )
    assert (
        made.data["placed"] == again.data["placed"] == listed.data["calls"][0]["placed"] == "maybe"
    )
    assert words.data["code"] == "outcome_unknown"


async def test_an_outcome_that_crossed_a_cancellation_is_returned(
    agent: Agent, clock: ManualClock
) -> None:
    first = await agent.use("make_call", BISTRO, respondent_phone=BUSY)
    with anyio.fail_after(60):
        for request_id in range(1, 10):  # whichever id the client gave the request
            params = CancelledNotificationParams(request_id=request_id, reason="too late")
            gives_up = CancelledNotification(method="notifications/cancelled", params=params)
            await agent.client.session.send_notification(gives_up)
        clock.advance(seconds=61)

        again = await agent.use("make_call", BISTRO, respondent_phone=BUSY)

    assert again.data["placed_now"] is False
    assert again.data["call_id"] == first.data["call_id"]


@pytest.mark.parametrize("minutes", [5, 0])
async def test_a_lost_ledgers_call_is_not_new(
    tmp_path: Path, clock: ManualClock, app: SandboxApp, minutes: int
) -> None:
    async with (
        open_agent(settings_in(tmp_path / "lost"), mode="auto", clock=clock, app=app) as before,
        open_agent(settings_in(tmp_path / "empty"), mode="auto", clock=clock, app=app) as after,
    ):
        first = await before.use("make_call", BISTRO)
        clock.advance(minutes=minutes)
        again = await after.use("make_call", BISTRO)

    assert (first.data["placed_now"], again.data["placed_now"]) == (True, False)
    assert again.data["call_id"] == first.data["call_id"]
    assert again.text.startswith("Already called at 10:30 AM by another program of yours")
