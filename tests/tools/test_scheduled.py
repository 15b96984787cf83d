"""Calls for later and calls that are placed again, as an agent and its user see them."""

from pathlib import Path

import pytest

from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.settings import Settings
from tests.agent import Agent, open_agent, settings_in
from tests.sandbox.manual_clock import ManualClock
from tests.tools.task_client import NUMBERS, ask, call, client_of
from tests.tools.user import User, open_agent_for

CLINIC = {
    "task_category": "clinic",
    "task_description": "Ask whether they take new patients",
    "respondent_phone": "+14155551234",
    "business_name": "Dr. Ruiz",
}
IN_THE_MORNING = "2026-01-26T09:00"
"""9:00 in San Francisco, 12:00 for the user in New York."""


async def calls_made(agent: Agent) -> int:
    total: int = (await agent.use("list_calls")).data["total"]
    return total


async def test_a_call_for_later_says_when_it_is_placed_and_how_to_cancel_it(agent: Agent) -> None:
    answer = await agent.use("make_call", CLINIC, not_before=IN_THE_MORNING, retries=2)

    id_ = answer.data["tracking_id"]
    assert answer.text == (
        "Scheduled: Dr. Ruiz (+1 415-555-1234), Mon Jan 26, 9:00 AM Los Angeles time (12:00 PM your time). Up to 3 "
        f"attempts. This program must be running then.\ntracking_id {id_}; cancel_call cancels it."
    )
    assert answer.data["status"] == "scheduled"
    assert answer.data["scheduled_for"] == "2026-01-26T09:00:00-08:00"
    assert (answer.data["attempt"], answer.data["attempts"]) == (1, 3)
    assert "outcome" not in answer.data
    assert "elapsed_seconds" not in answer.data


@pytest.mark.parametrize(
    ("timezone", "due", "words"),
    [
        (None, "2026-01-26T09:00:00-08:00", "9:00 AM Los Angeles time (12:00 PM your time)"),
        ("America/New_York", "2026-01-26T09:00:00-05:00", "6:00 AM Los Angeles time (9:00 AM your time)"),
        ("Europe/London", "2026-01-26T09:00:00+00:00", "1:00 AM Los Angeles time (4:00 AM your time)"),
    ],
)
async def test_a_time_without_an_offset_is_in_the_zone_of_the_request(
    agent: Agent, timezone: str | None, due: str, words: str
) -> None:
    zone = {"timezone": timezone} if timezone else {}

    answer = await agent.use("make_call", CLINIC | zone, not_before=IN_THE_MORNING)

    assert f"Mon Jan 26, {words}." in answer.text
    assert answer.data["scheduled_for"] == due
    assert answer.data["timezone"] == (timezone or "America/Los_Angeles")


async def test_the_zone_of_a_scheduled_call_is_named_if_the_number_shows_none(agent: Agent) -> None:
    answer = await agent.use(
        "make_call", CLINIC, respondent_phone="+18003569377", timezone="America/Denver", not_before=IN_THE_MORNING
    )

    assert "Mon Jan 26, 9:00 AM Denver time (11:00 AM your time)." in answer.text


async def test_a_call_for_later_is_shown_everywhere(agent: Agent) -> None:
    scheduled = await agent.use("make_call", CLINIC, not_before="2026-01-26T17:00:00Z")
    id_ = scheduled.data["tracking_id"]

    listed = await agent.use("list_calls")
    shown = await agent.use("get_call", call_id=id_)
    resource = await agent.client.read_resource(f"kallyai://calls/{id_}")
    transcript = await agent.use("get_transcript", call_id=id_)

    assert (
        "  scheduled  Dr. Ruiz +14155551234  due Mon Jan 26, 9:00 AM Los Angeles time (12:00 PM your time)"
        in listed.text
    )
    assert listed.data["calls"][0]["status"] == "scheduled"
    assert shown.text == scheduled.text
    # A text, not a blob; the comparison fails otherwise.
    assert resource.contents[0].text == scheduled.text  # type: ignore[union-attr]
    assert transcript.text.startswith("The call has not been placed yet")


async def test_a_call_is_placed_when_it_is_due(agent: Agent, clock: ManualClock) -> None:
    scheduled = await agent.use("make_call", CLINIC, not_before=IN_THE_MORNING)
    clock.advance(hours=25, minutes=31)

    ended = await agent.use("get_call", call_id=scheduled.data["tracking_id"], wait_seconds=20)

    assert ended.data["status"] == "success"
    assert await calls_made(agent) == 1


async def test_asked_again_the_same_call_is_the_scheduled_one(agent: Agent) -> None:
    first = await agent.use("make_call", CLINIC, not_before=IN_THE_MORNING)
    again = await agent.use("make_call", CLINIC)

    assert again.data["tracking_id"] == first.data["tracking_id"]
    assert again.data["placed_now"] is False
    assert again.text.startswith("Already scheduled, so nothing new was placed: Dr. Ruiz (+1 415-555-1234), Mon Jan 26")
    assert await calls_made(agent) == 0


async def test_a_canceled_call_is_canceled_for_good(agent: Agent) -> None:
    id_ = (await agent.use("make_call", CLINIC, not_before=IN_THE_MORNING)).data["tracking_id"]

    canceled = await agent.use("cancel_call", call_id=id_)
    again = await agent.use("cancel_call", call_id=id_)
    shown = await agent.use("get_call", call_id=id_)

    assert canceled.text == again.text
    assert canceled.text == "Canceled: Dr. Ruiz (+1 415-555-1234) will not be called. Nothing else has to be done."
    assert canceled.data["status"] == "canceled"
    assert shown.text.startswith("Not called: ")


async def test_a_call_in_progress_cannot_be_hung_up(agent: Agent, clock: ManualClock) -> None:
    clock.hold()
    id_ = (await agent.use("make_call", CLINIC, wait_seconds=0)).data["tracking_id"]
    await clock.sleepers(1)

    answer = await agent.use("cancel_call", call_id=id_)

    assert answer.text == (
        "Not canceled: the call to Dr. Ruiz (+1 415-555-1234) is in progress, and it can't be hung up. It will not be "
        f'placed again. get_call "{id_}" follows it.'
    )
    assert answer.data["status"] == "in_progress"


async def test_a_call_that_is_over_is_not_canceled_and_one_that_is_not_known_is_an_error(agent: Agent) -> None:
    call_id = (await agent.use("make_call", CLINIC)).data["call_id"]

    over = await agent.use("cancel_call", call_id=call_id)
    unknown = await agent.use("cancel_call", call_id="t-none")

    assert over.text.startswith("Not canceled: the call to Dr. Ruiz (+1 415-555-1234) is over.")
    assert unknown.is_error


@pytest.mark.parametrize(
    ("not_before", "wrong"),
    [
        ("2026-01-24T09:00", '"2026-01-24 09:00" is past; it is 2026-01-25 07:30 in America/Los_Angeles'),
        ("2026-03-24T09:00", '"2026-03-24 09:00" is more than 30 days away; call or schedule later'),
        ("9999-12-31T23:59:59Z", '"9999-12-31 23:59" is more than 30 days away; call or schedule later'),
        ("0001-01-01T00:00:00Z", '"1-01-01 00:00" is past; it is 2026-01-25 15:30 in UTC'),
        ("2026-01-29T09:00", '"2026-01-29 09:00" is after the appointment that the call asks for'),
        ("tomorrow", '"tomorrow" is not a date and time; it looks like 2026-11-27T09:00'),
        ("2026-01-27", '"2026-01-27" is not a date and time; it looks like 2026-11-27T09:00'),
        ("2026-W05-2", '"2026-W05-2" is not a date and time; it looks like 2026-11-27T09:00'),
    ],
)
async def test_a_time_that_makes_no_sense_is_refused(agent: Agent, not_before: str, wrong: str) -> None:
    answer = await agent.use("make_call", CLINIC, not_before=not_before, appointment_date="2026-01-28")

    assert answer.is_error
    assert answer.text == f"Not called. Fix 1 argument:\n- not_before: {wrong}."


async def test_a_time_that_came_just_now_means_now(agent: Agent) -> None:
    answer = await agent.use("make_call", CLINIC, not_before="2026-01-25T07:20")

    assert answer.data["status"] == "success"


async def test_a_call_that_is_busy_is_placed_again_and_its_result_names_the_attempts(
    agent: Agent, clock: ManualClock
) -> None:
    busy = CLINIC | {"respondent_phone": NUMBERS["busy"]}

    first = await agent.use("make_call", busy, retries=1)
    clock.advance(minutes=16)
    last = await agent.use("get_call", call_id=first.data["tracking_id"], wait_seconds=20)

    assert first.data["status"] == "scheduled"
    assert first.text.startswith(
        "Not reached yet: Dr. Ruiz (+1 202-555-0103) (busy Sun Jan 25, 10:30 AM). Attempt 2 of 2: Sun Jan 25, 10:45 AM "
        "New York time."
    )
    assert last.data["status"] == "busy"
    assert last.text.endswith("\nAttempt 2 of 2. Before: busy Sun Jan 25, 10:30 AM.")
    assert [one["status"] for one in last.data["earlier_attempts"]] == ["busy"]
    assert await calls_made(agent) == 2


async def test_the_id_of_an_earlier_attempt_cancels_those_to_come(agent: Agent, clock: ManualClock) -> None:
    first = await agent.use("make_call", CLINIC | {"respondent_phone": NUMBERS["busy"]}, retries=2)
    listed = await agent.use("list_calls")
    [call_id] = [one["call_id"] for one in listed.data["calls"] if one.get("call_id")]

    canceled = await agent.use("cancel_call", call_id=call_id)
    clock.advance(minutes=16)
    shown = await agent.use("get_call", call_id=first.data["tracking_id"], wait_seconds=20)

    assert canceled.data["status"] == "canceled"
    assert canceled.text.startswith("Canceled: Dr. Ruiz (+1 202-555-0103) will not be called again.")
    assert shown.text.startswith("Not called: ")
    assert await calls_made(agent) == 1


async def test_a_call_that_was_missed_says_so_until_it_was_read(agent: Agent, clock: ManualClock) -> None:
    id_ = (await agent.use("make_call", CLINIC, not_before=IN_THE_MORNING)).data["tracking_id"]
    clock.advance(hours=30)

    listed = await agent.use("list_calls")
    shown = await agent.use("get_call", call_id=id_)
    after = await agent.use("list_calls")

    assert "  expired  Dr. Ruiz" in listed.text
    assert listed.data["calls"][0]["status"] == "expired"
    assert shown.is_error
    assert shown.text == (
        "Not called: this program did not run when the call was due, and a call is never placed late. Ask the user "
        "whether to call now or at another time."
    )
    assert shown.data["placed"] == "no"
    assert after.data["calls"] == []


async def test_consent_names_the_time_and_the_attempts(
    tmp_path: Path, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    always = settings_in(tmp_path, CONFIRM="always")
    user = User({"call_now": True})
    async with open_agent_for(always, mode, clock, app, user) as agent:
        scheduled = await agent.use("make_call", CLINIC, not_before=IN_THE_MORNING, retries=2)

    (preview,) = user.messages
    assert "When: Mon Jan 26, 9:00 AM Los Angeles time (12:00 PM your time)" in preview.splitlines()
    assert (
        "Attempts: up to 3 if it is busy or nobody answers, at least 15 minutes apart, 8 AM to 9 PM there"
        in preview.splitlines()
    )
    assert "Time there" not in preview
    assert scheduled.data["status"] == "scheduled"


async def test_consent_covers_exactly_that_time_and_those_attempts(
    tmp_path: Path, clock: ManualClock, app: SandboxApp
) -> None:
    always = settings_in(tmp_path, CONFIRM="always")
    async with open_agent(always, mode="auto", clock=clock, app=app) as agent:
        other = CLINIC | {"task_description": "Another question"}
        asked = await agent.use("make_call", other, not_before=IN_THE_MORNING)
        yes = {"confirmation": asked.data["confirmation"]}
        later = await agent.use("make_call", other | yes, not_before="2026-01-26T09:30")
        more = await agent.use("make_call", other | yes, not_before=IN_THE_MORNING, retries=1)
        agreed = await agent.use("make_call", other | yes, not_before=IN_THE_MORNING)

    assert agreed.data["status"] == "scheduled"
    assert later.data["status"] == more.data["status"] == "needs_confirmation"


async def test_the_hour_that_counts_is_that_of_the_call(tmp_path: Path, clock: ManualClock, app: SandboxApp) -> None:
    auto = settings_in(tmp_path, CONFIRM="auto")
    async with open_agent(auto, mode="auto", clock=clock, app=app) as agent:
        by_day = await agent.use("make_call", CLINIC, not_before=IN_THE_MORNING)
        at_night = await agent.use("make_call", CLINIC | {"party_size": 2}, not_before="2026-01-26T03:00")

    assert by_day.data["status"] == "scheduled"
    assert at_night.data["reasons"] == ["local_hour"]


async def test_a_task_lasts_until_a_scheduled_call_has_ended_and_can_be_canceled(
    settings: Settings, clock: ManualClock, app: SandboxApp
) -> None:
    async with client_of(settings, clock, app) as client:
        task = await call(client, not_before="2026-01-26T09:00")
        working = await ask(client.session, "tasks/get", task["taskId"])
        await ask(client.session, "tasks/cancel", task["taskId"])
        canceled = await ask(client.session, "tasks/get", task["taskId"])

    assert task["status"] == working["status"] == "working"
    assert working["statusMessage"].startswith("Scheduled: Italian Bistro (+1 415-555-1234), Mon Jan 26, ")
    assert working["statusMessage"].endswith("tasks/cancel cancels it.")
    assert canceled["status"] == "cancelled"
