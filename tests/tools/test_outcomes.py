"""What results claim: by what the service answered, the outcome, the first words, and the
structure.
"""

from pathlib import Path
from typing import Any

import pytest

from kallyai_mcp.sandbox.app import SandboxApp
from tests.agent import BISTRO, Agent, open_agent, settings_in
from tests.sandbox.manual_clock import ManualClock
from tests.tools.answering import asking, calendar_file
from tests.tools.outcomes import ROWS, Row
from tests.tools.task_client import NUMBERS

EVENT = calendar_file(["DTSTART:20261128T190030Z"])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.callee)
async def test_a_result_claims_what_is_known(
    tmp_path: Path, clock: ManualClock, app: SandboxApp, row: Row
) -> None:
    arguments = BISTRO | {"respondent_phone": NUMBERS[row.callee]}
    if row.outcome == "booked_other_time":
        arguments |= {"accept_other_time": True}
    async with open_agent(settings_in(tmp_path), mode="auto", clock=clock, app=app) as agent:
        made = await agent.use("make_call", arguments)
        read = await agent.use("get_call", call_id=made.data["call_id"]) if row.outcome else made

    for answer in (made, read):
        assert answer.data.get("outcome") == row.outcome
        assert answer.data["retryable"] is (row.outcome == "not_reached")
        assert answer.data.get("appointment", {}).get("start") == row.appointment
        assert ("get_calendar_event" in answer.text) == bool(row.appointment)
        assert "KallyAI suggests" not in answer.text or "next_steps" in answer.data
        assert ".." not in answer.text
        assert answer.is_error == (row.outcome is None)
        if row.outcome is None:
            assert (answer.data["status"], answer.data["placed"]) == ("refused", "no")
            assert answer.data["code"] == row.callee


async def test_next_steps_are_in_the_structure_after_nobody_was_reached(
    tmp_path: Path, clock: ManualClock
) -> None:
    call = {"status": "voicemail", "next_steps": "They call back"}
    async with asking(tmp_path, clock, {"+": call}) as (_, agent):
        made = await agent.use("make_call", BISTRO)
        read = await agent.use("get_call", call_id=made.data["call_id"])

    assert made.data["outcome"] == "not_reached"
    assert made.data["next_steps"] == read.data["next_steps"] == "They call back"
    assert "They call back" not in made.text


async def test_a_call_of_another_program_claims_what_kallyai_shows(
    tmp_path: Path, clock: ManualClock
) -> None:
    calls: tuple[tuple[dict[str, Any], str | int, str | None], ...] = (
        ({"status": "success", "appointment_time": "25:10"}, 404, "answered"),
        ({"status": "success", "appointment_time": "6:00 PM"}, EVENT, "booked_other_time"),
        ({"status": "success", "appointment_time": "7:00 PM"}, EVENT, "booked"),
        ({"status": "success", "appointment_time": "1800"}, EVENT, "booked"),
        (
            {"status": "no_answer", "duration_seconds": 64, "highlights": "Ana reserved it"},
            404,
            "not_reached",
        ),
        ({"status": "settled", "duration_seconds": 3}, 404, "unknown"),
        ({"status": "in_progress", "created_at": "2026-01-25T15:29:00Z"}, 404, None),
        ({"status": "blocked", "created_at": "2026-01-22T15:30:00Z"}, 404, None),
    )
    async with asking(tmp_path, clock, {}) as (kallyai, agent):
        for count, (call, calendar, outcome) in enumerate(calls):
            submission = {
                "respondent_phone": "+442079460123",
                "business_name": "Bistro",
                "language": "en",
            } | call
            kallyai.placed[f"c-{count}"] = {
                "call_id": f"c-{count}",
                "submission": submission,
                **call,
            }
            kallyai.calendars["+"] = calendar
            found = await agent.use("get_call", call_id=f"c-{count}")

            assert found.data.get("outcome") == outcome
            assert ("elapsed_seconds" in found.data) == (outcome is None)
            assert outcome is not None or found.data["status"] == call["status"]
            assert (
                outcome != "booked_other_time"
                or "7:00 PM there; you asked for 6:00 PM." in found.text
            )


async def test_another_time_is_agreed_to_only_when_the_user_allows_it(agent: Agent) -> None:
    taken = BISTRO | {"respondent_phone": NUMBERS["counter_offer"]}
    kept = await agent.use("make_call", taken)
    narrow = await agent.use("make_call", taken, other_times="17:00-18:00")
    joined = await agent.use("make_call", taken, accept_other_time=True)
    agreed = await agent.use("make_call", taken, accept_other_time=True, redial=True)
    kept_again = await agent.use(
        "make_call", taken, appointment_time="18:00", changes_call_id=agreed.data["call_id"]
    )

    take = "If the user wants one: make_call with its day and time"
    assert kept.data["outcome"] == narrow.data["outcome"] == "answered"
    assert f"KallyAI was told to agree to no other time. {take}." in kept.text
    assert f"KallyAI was told to agree to no other time than 17:00-18:00. {take}." in narrow.text
    assert f'{take} and changes_call_id "{agreed.data["call_id"]}".' in kept_again.text
    assert take not in agreed.text
    assert joined.data["placed_now"] is False
    assert joined.data["call_id"] == kept.data["call_id"]
    assert agreed.data["outcome"] == "booked_other_time"
