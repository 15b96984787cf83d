"""The structure has all that KallyAI reports of a call, after every outcome."""

from pathlib import Path
from typing import Any

import pytest

from tests.agent import BISTRO
from tests.sandbox.manual_clock import ManualClock
from tests.tools.answering import asking
from tests.update.snapshots import NOW, OUTCOMES

REPORTED: dict[str, Any] = {
    "highlights": "They were helpful",
    "next_steps": "Call them to change it",
    "duration_seconds": 61.5,
    "credits_used": 3,
    "created_at": "2026-01-25T15:30:00Z",
}


@pytest.mark.parametrize("outcome", OUTCOMES)
async def test_the_structure_has_everything_that_kallyai_reports(
    tmp_path: Path, outcome: str
) -> None:
    call, calendar = OUTCOMES[outcome]
    told = {"+": {**call, **REPORTED}}
    async with asking(tmp_path, ManualClock(NOW), told, {"+": calendar}) as (_, agent):
        answer = await agent.use("make_call", BISTRO)

    status = call["status"] or "unknown"
    assert {name: answer.data.get(name) for name in REPORTED} == REPORTED
    assert answer.data["status"] == status
