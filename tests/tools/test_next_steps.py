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
