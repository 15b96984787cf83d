from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.client import ClientSession
from mcp.types import CancelledNotification, CancelledNotificationParams

from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.sandbox.simulator.numbers import TEST_NUMBERS
from tests.agent import BISTRO, Agent, open_agent, settings_in
from tests.sandbox.manual_clock import ManualClock

(BUSY,) = [entry.number for entry in TEST_NUMBERS if entry.name == "busy" and entry.number.startswith("+1")]


@pytest.fixture
def mode() -> str:
    return "legacy"  # in-process, a client of 2026-07-28 can't send notifications


async def give_up_late(session: ClientSession, request_id: Any) -> None:
    params = CancelledNotificationParams(request_id=request_id, reason="too late")
    await session.send_notification(CancelledNotification(method="notifications/cancelled", params=params))


async def test_an_outcome_that_crossed_a_cancellation_is_returned_again_and_no_call_is_placed(
    agent: Agent, clock: ManualClock
) -> None:
    first = await agent.use("make_call", BISTRO, respondent_phone=BUSY)
    with anyio.fail_after(5):
        for request_id in range(1, 10):  # whichever id the client gave the request
            await give_up_late(agent.client.session, request_id)
        clock.advance(seconds=61)

        again = await agent.use("make_call", BISTRO, respondent_phone=BUSY)

    assert again.data["placed_now"] is False
    assert again.data["call_id"] == first.data["call_id"]


async def test_a_call_that_a_lost_ledger_had_is_not_told_as_a_new_one(
    tmp_path: Path, clock: ManualClock, app: SandboxApp
) -> None:
    async with (
        open_agent(settings_in(tmp_path / "lost"), mode="auto", clock=clock, app=app) as before,
        open_agent(settings_in(tmp_path / "empty"), mode="auto", clock=clock, app=app) as after,
    ):
        first = await before.use("make_call", BISTRO)
        clock.advance(minutes=5)
        again = await after.use("make_call", BISTRO)

    assert (first.data["placed_now"], again.data["placed_now"]) == (True, False)
    assert again.data["call_id"] == first.data["call_id"]
    assert again.text.startswith("Already called 5 minutes ago; no new call was placed.")
