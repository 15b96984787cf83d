"""What results claim: by what the service answered, the outcome, the first words, and the
structure.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.agent import BISTRO, Agent, Answer
from tests.sandbox.manual_clock import ManualClock
from tests.tools.answering import asking, calendar_file
from tests.tools.outcomes import ROWS, Row
from tests.tools.task_client import NUMBERS

EVENT = calendar_file(["DTSTART:20261128T190030Z"])


PLACED = [row for row in ROWS if row.outcome]
REFUSED = [row for row in ROWS if not row.outcome]


async def made_and_read(agent: Agent, row: Row) -> tuple[Answer, Answer]:
    """The answer to a call, and to `get_call` after that."""
    arguments = BISTRO | {"respondent_phone": NUMBERS[row.callee]}
    if row.outcome == "booked_other_time":
        arguments |= {"accept_other_time": True}
    made = await agent.use("make_call", arguments)
    return made, await agent.use("get_call", call_id=made.data["call_id"])


@pytest.mark.parametrize("mode", ["auto"])
@pytest.mark.parametrize("row", PLACED, ids=lambda row: row.callee)
async def test_a_result_claims_what_is_known(agent: Agent, row: Row) -> None:
    for answer in await made_and_read(agent, row):
        assert not answer.is_error
        assert answer.data["outcome"] == row.outcome
        assert answer.data["retryable"] is (row.outcome == "not_reached")
        assert answer.data.get("appointment", {}).get("start") == row.appointment


@pytest.mark.parametrize("mode", ["auto"])
@pytest.mark.parametrize("row", PLACED, ids=lambda row: row.callee)
async def test_a_text_goes_with_its_structure(agent: Agent, row: Row) -> None:
    for answer in await made_and_read(agent, row):
        assert ("get_calendar_event" in answer.text) == bool(row.appointment)
        assert "KallyAI suggests" not in answer.text or "next_steps" in answer.data
        assert ".." not in answer.text


@pytest.mark.parametrize("mode", ["auto"])
@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row.callee)
async def test_a_refused_call_has_no_outcome(agent: Agent, row: Row) -> None:
    refused = await agent.use("make_call", BISTRO | {"respondent_phone": NUMBERS[row.callee]})

    assert refused.is_error
    assert not {"outcome", "appointment"} & refused.data.keys()
    assert "get_calendar_event" not in refused.text
    assert ".." not in refused.text


@pytest.mark.parametrize("mode", ["auto"])
@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row.callee)
async def test_a_refused_call_says_what_refused_it(agent: Agent, row: Row) -> None:
    refused = await agent.use("make_call", BISTRO | {"respondent_phone": NUMBERS[row.callee]})

    assert refused.data["status"] == "refused"
    assert refused.data["placed"] == "no"
    assert refused.data["code"] == row.callee
    assert refused.data["retryable"] is False


async def test_a_missed_calls_next_steps_are_structured(tmp_path: Path, clock: ManualClock) -> None:
    call = {"status": "voicemail", "next_steps": "They call back"}
    async with asking(tmp_path, clock, {"+": call}) as (_, agent):
        made = await agent.use("make_call", BISTRO)
        read = await agent.use("get_call", call_id=made.data["call_id"])

    assert made.data["outcome"] == "not_reached"
    assert made.data["next_steps"] == read.data["next_steps"] == "They call back"
    assert "They call back" not in made.text


OTHERS: list[tuple[dict[str, Any], str | int, str | None]] = [
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
]
"""A call of another program, its calendar, and its outcome, which a call in progress has not."""


async def of_another_program(
    home: Path, clock: ManualClock, call: dict[str, Any], calendar: str | int
) -> Answer:
    """What `get_call` says about a call that is not in the ledger."""
    submission = {
        "respondent_phone": "+442079460123",
        "business_name": "Bistro",
        "language": "en",
    }
    async with asking(home, clock, {}, {"+": calendar}) as (kallyai, agent):
        kallyai.placed["c-1"] = {"call_id": "c-1", "submission": submission | call, **call}
        return await agent.use("get_call", call_id="c-1")


@pytest.mark.parametrize(("call", "calendar", "outcome"), OTHERS)
async def test_the_call_of_another_program_is_told(
    tmp_path: Path,
    clock: ManualClock,
    call: dict[str, Any],
    calendar: str | int,
    outcome: str | None,
) -> None:
    found = await of_another_program(tmp_path, clock, call, calendar)

    assert found.data.get("outcome") == outcome
    assert ("elapsed_seconds" in found.data) == (outcome is None)
    assert outcome is not None or found.data["status"] == call["status"]


async def test_another_program_got_another_time(tmp_path: Path, clock: ManualClock) -> None:
    at_six = {"status": "success", "appointment_time": "6:00 PM"}
    found = await of_another_program(tmp_path, clock, at_six, EVENT)

    assert "7:00 PM there; you asked for 6:00 PM." in found.text


TAKEN = BISTRO | {"respondent_phone": NUMBERS["counter_offer"]}
TAKE_ONE = "If the user wants one: make_call with its day and time"


async def test_no_other_time_is_agreed_to(agent: Agent) -> None:
    kept = await agent.use("make_call", TAKEN)

    assert kept.data["outcome"] == "answered"
    assert f"KallyAI was told to agree to no other time. {TAKE_ONE}." in kept.text


async def test_only_the_given_times_are_agreed_to(agent: Agent) -> None:
    narrow = await agent.use("make_call", TAKEN, other_times="17:00-18:00")

    assert narrow.data["outcome"] == "answered"
    assert (
        f"KallyAI was told to agree to no other time than 17:00-18:00. {TAKE_ONE}." in narrow.text
    )


async def test_any_time_is_agreed_to_if_allowed(agent: Agent) -> None:
    agreed = await agent.use("make_call", TAKEN, accept_other_time=True)

    assert agreed.data["outcome"] == "booked_other_time"
    assert TAKE_ONE not in agreed.text


async def test_allowing_another_time_alone_redials_nobody(agent: Agent) -> None:
    kept = await agent.use("make_call", TAKEN)
    joined = await agent.use("make_call", TAKEN, accept_other_time=True)

    assert joined.data["placed_now"] is False
    assert joined.data["call_id"] == kept.data["call_id"]


async def test_a_booking_that_is_not_moved_stays(agent: Agent) -> None:
    booked = (await agent.use("make_call", TAKEN, accept_other_time=True)).data["call_id"]
    kept = await agent.use(
        "make_call", TAKEN, appointment_time="18:00", changes_call_id=booked, change="move"
    )

    assert f'{TAKE_ONE}, changes_call_id "{booked}", and change "move".' in kept.text
