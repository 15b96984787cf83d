"""When the user is asked for what an agent left out, and when the agent has to correct it first."""

from typing import Any

import pytest

from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.settings import Settings
from tests.sandbox.manual_clock import ManualClock
from tests.tools.user import User, open_agent_for

BOOKING = {
    "task_category": "restaurant",
    "task_description": "Book a table",
    "respondent_phone": "+14155551234",
    "appointment_date": "2026-01-28",
}
ABOUT = {"task_category": "restaurant", "task_description": "Move it", "changes_call_id": "c-1"}


@pytest.mark.parametrize(
    ("given", "wrong"),
    [(BOOKING | {"appointment_time": "8pm"}, "appointment_time"), (ABOUT, "change")],
)
async def test_an_agent_corrects_before_a_user_answers(
    settings: Settings, clock: ManualClock, app: SandboxApp, given: dict[str, Any], wrong: str
) -> None:
    """What the user had answered would be lost with the error."""
    user = User()
    async with open_agent_for(settings, "auto", clock, app, user) as agent:
        refused = await agent.use("make_call", given)

    assert f"- {wrong}: " in refused.text
    assert user.asked == []
