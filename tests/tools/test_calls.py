from pathlib import Path

import anyio
import pytest

from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.sandbox.faults import Fault, FaultPlan
from kallyai_mcp.sandbox.simulator.numbers import TEST_NUMBERS
from kallyai_mcp.settings import Settings
from tests.agent import BISTRO, Agent, open_agent
from tests.sandbox.manual_clock import ManualClock
from tests.sandbox.sandbox_app import sandbox_app

NUMBERS = {entry.name: entry.number for entry in reversed(TEST_NUMBERS)}


async def calls_made(agent: Agent) -> int:
    total: int = (await agent.use("list_calls")).data["total"]
    return total


async def test_the_result_has_no_nulls_and_no_json_in_its_text(agent: Agent) -> None:
    answer = await agent.use("make_call", BISTRO)

    assert None not in answer.data.values()
    assert "{" not in answer.text
    assert "null" not in answer.text
    assert "None" not in answer.text


async def test_a_call_that_nobody_answered_says_what_time_it_is_there(agent: Agent) -> None:
    answer = await agent.use("make_call", BISTRO, respondent_phone=NUMBERS["no_answer"])

    assert "It is 10:30 AM there. You may call again later." in answer.text  # Washington, at the clock's 15:30 UTC


async def test_a_call_that_outlasts_the_wait_is_in_progress_and_goes_on(agent: Agent, clock: ManualClock) -> None:
    clock.hold()

    waiting = await agent.use("make_call", BISTRO, wait_seconds=0)

    assert waiting.data["status"] == "in_progress"
    tracking_id = waiting.data["tracking_id"]
    assert "has lasted 0 s. It continues without you; do not place it again." in waiting.text
    assert f'Next: get_call with call_id "{tracking_id}"' in waiting.text

    await clock.sleepers(1)
    clock.advance(seconds=40)
    again = await agent.use("get_call", call_id=tracking_id)
    assert "has lasted 40 s." in again.text
    assert again.data["elapsed_seconds"] == 40

    clock.advance(minutes=5)
    ended = await agent.use("get_call", call_id=tracking_id, wait_seconds=5)
    assert ended.text.startswith("Booked: ")
    assert ended.data["tracking_id"] == tracking_id
    assert await calls_made(agent) == 1


async def test_a_call_goes_on_when_the_client_gives_up(agent: Agent, clock: ManualClock) -> None:
    clock.hold()
    with anyio.move_on_after(0.2) as gave_up:
        await agent.use("make_call", BISTRO, wait_seconds=60)
    assert gave_up.cancelled_caught

    again = await agent.use("make_call", BISTRO, wait_seconds=0)

    assert again.text.startswith("In progress already; no new call was placed.")
    assert again.data["placed_now"] is False
    with anyio.fail_after(30):
        while await calls_made(agent) == 0:  # the request may still be on its way
            await anyio.lowlevel.checkpoint()
    clock.advance(minutes=5)
    ended = await agent.use("get_call", call_id=again.data["tracking_id"], wait_seconds=30)
    assert ended.data["status"] == "success"
    assert await calls_made(agent) == 1


async def test_redial_places_a_second_call_once_the_outcome_of_the_first_is_delivered(
    agent: Agent, clock: ManualClock
) -> None:
    clock.hold()
    first = await agent.use("make_call", BISTRO, wait_seconds=0)
    joined = await agent.use("make_call", BISTRO, wait_seconds=0, redial=True)
    with anyio.fail_after(5):
        await clock.sleepers(1)
    clock.advance(minutes=5)
    await agent.use("get_call", call_id=first.data["tracking_id"], wait_seconds=5)

    second = await agent.use("make_call", BISTRO, wait_seconds=0, redial=True)

    assert joined.data["placed_now"] is False
    assert joined.data["tracking_id"] == first.data["tracking_id"]
    assert second.data["placed_now"] is True
    with anyio.fail_after(5):
        await clock.sleepers(1)
    assert await calls_made(agent) == 2


async def test_get_call_finds_a_call_by_its_call_id(agent: Agent) -> None:
    made = await agent.use("make_call", BISTRO)

    answer = await agent.use("get_call", call_id=made.data["call_id"])

    assert answer.text == made.text


async def test_get_call_finds_a_call_of_an_earlier_server(
    settings: Settings, mode: str, clock: ManualClock, tmp_path: Path
) -> None:
    data = tmp_path / "sandbox.db"
    with sandbox_app(data=data, clock=clock) as served:
        async with open_agent(settings, mode=mode, clock=clock, app=served) as agent:
            made = await agent.use("make_call", BISTRO)
    with sandbox_app(data=data, clock=clock) as served:
        async with open_agent(settings, mode=mode, clock=clock, app=served) as agent:
            answer = await agent.use("get_call", call_id=made.data["call_id"])

    assert answer.text == made.text


async def test_an_unknown_id_is_an_error_that_says_where_to_find_ids(agent: Agent) -> None:
    answer = await agent.use("get_call", call_id="no-such-call")

    assert answer.is_error
    assert answer.text.startswith("KallyAI knows no call by that id (call_not_found). list_calls shows the ids.")
    assert "correlation_id " in answer.text


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        ("suppression_violation", "this number is on the do-not-call list (suppression_violation). Do not try again"),
        ("blocked_number", "this number is flagged as fraud (blocked_number)"),
        ("consent_denied", "consent to the call was declined (consent_denied)"),
        ("safety_violation", "KallyAI's guidelines do not allow what was to be said (safety_violation)"),
        ("phone_not_provisioned", "this account has no line to call from yet (phone_not_provisioned)"),
        ("rate_limited", "KallyAI gets too many requests (rate_limited). Try again in"),
    ],
)
async def test_a_refusal_says_that_no_call_was_placed_and_why(agent: Agent, refusal: str, words: str) -> None:
    answer = await agent.use("make_call", BISTRO, respondent_phone=NUMBERS[refusal])

    assert answer.is_error
    assert answer.text.startswith(f"Not called: {words}")
    assert 'KallyAI: "' in answer.text
    assert "correlation_id " in answer.text
    assert await calls_made(agent) == 0


async def test_a_country_that_is_not_supported_is_refused_by_the_service(agent: Agent) -> None:
    answer = await agent.use("make_call", BISTRO, respondent_phone="+81312345678")

    assert answer.is_error
    assert "unsupported_country" in answer.text


async def test_a_number_may_have_spaces_and_punctuation(agent: Agent) -> None:
    answer = await agent.use("make_call", BISTRO, respondent_phone="+1 (415) 555-1234")

    assert answer.data["respondent_phone"] == "+14155551234"


async def test_blank_and_null_arguments_count_as_missing(agent: Agent) -> None:
    answer = await agent.use("make_call", BISTRO, user_phone="", time_preference_text=None, call_language=" ")

    assert answer.data["status"] == "success"


async def test_a_call_can_be_held_in_spanish(agent: Agent) -> None:
    made = await agent.use("make_call", BISTRO, call_language="es", language="es")
    transcript = await agent.use("get_transcript", call_id=made.data["call_id"])

    assert "una mesa para 4" in transcript.text


@pytest.mark.parametrize(
    "said", [{"is_urgent": False}, {"time_preference_text": " "}, {"additional_instructions": [""]}]
)
async def test_an_argument_that_says_nothing_does_not_make_it_another_call(
    agent: Agent, said: dict[str, object]
) -> None:
    await agent.use("make_call", BISTRO)
    again = await agent.use("make_call", BISTRO, **said)
    assert again.data["placed_now"] is False


async def test_a_duplicate_gets_the_outcome_and_places_no_call(agent: Agent, clock: ManualClock) -> None:
    first = await agent.use("make_call", BISTRO)
    clock.advance(minutes=2)

    again = await agent.use("make_call", BISTRO, task_description="book a  TABLE")

    assert again.text == (
        "Already called 2 minutes ago; no new call was placed. To call again on purpose: redial=true.\n" + first.text
    )
    assert again.data["placed_now"] is False
    assert again.data["call_id"] == first.data["call_id"]
    assert await calls_made(agent) == 1


async def test_an_hour_after_a_success_the_same_call_is_placed_again(agent: Agent, clock: ManualClock) -> None:
    await agent.use("make_call", BISTRO)
    clock.advance(minutes=59)
    duplicate = await agent.use("make_call", BISTRO)
    clock.advance(minutes=2)

    assert duplicate.data["placed_now"] is False
    assert (await agent.use("make_call", BISTRO)).data["placed_now"] is True


async def test_a_call_that_nobody_answered_may_be_placed_again_after_a_minute(agent: Agent, clock: ManualClock) -> None:
    await agent.use("make_call", BISTRO, respondent_phone=NUMBERS["no_answer"])
    at_once = await agent.use("make_call", BISTRO, respondent_phone=NUMBERS["no_answer"])
    clock.advance(seconds=61)

    again = await agent.use("make_call", BISTRO, respondent_phone=NUMBERS["no_answer"])

    assert at_once.data["placed_now"] is False
    assert again.data["placed_now"] is True
    assert await calls_made(agent) == 2


async def test_a_call_left_in_progress_is_settled_by_the_next_server(
    settings: Settings, mode: str, clock: ManualClock, tmp_path: Path
) -> None:
    data = tmp_path / "sandbox.db"
    clock.hold()
    with sandbox_app(data=data, clock=clock) as served:
        async with open_agent(settings, mode=mode, clock=clock, app=served) as agent:
            left = await agent.use("make_call", BISTRO, wait_seconds=0)
            with anyio.fail_after(5):
                await clock.sleepers(1)
    with sandbox_app(data=data, clock=clock) as served:
        async with open_agent(settings, mode=mode, clock=clock, app=served) as agent:
            shown = await agent.use("list_calls")
            clock.advance(minutes=5)
            ended = await agent.use("get_call", call_id=left.data["tracking_id"], wait_seconds=30)
            again = await agent.use("make_call", BISTRO, wait_seconds=0)

    assert left.data["tracking_id"] in shown.text
    assert ended.text.startswith("Booked: ")
    assert again.data["placed_now"] is False


async def test_a_lost_answer_is_reported_while_the_call_is_looked_up(
    settings: Settings, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    faults = [Fault(kind="stall_after", seconds=5), Fault(kind="unavailable_before", method="GET", times=9)]
    app.state.sandbox.set_faults(FaultPlan(faults=faults))
    async with open_agent(settings, mode=mode, clock=clock, app=app) as agent:
        made = await agent.use("make_call", BISTRO, wait_seconds=0)
        with anyio.fail_after(10):
            while "is being checked" not in made.text:
                made = await agent.use("get_call", call_id=made.data["tracking_id"])

    assert made.text.startswith("In progress: no usable answer came")
    assert "do not place it again" in made.text
