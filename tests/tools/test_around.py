"""Candidates that are called one after another, as an agent and its user see them."""

import re
from pathlib import Path
from typing import Any

import pytest

from kallyai_mcp.sandbox import call_table
from kallyai_mcp.sandbox.app import SandboxApp
from tests.agent import BISTRO, Agent, Answer, open_agent, settings_in
from tests.conftest import one_generation
from tests.sandbox.manual_clock import ManualClock
from tests.tools.task_client import NUMBERS
from tests.tools.user import User, open_agent_for

mode = pytest.fixture(one_generation)

_OF_ONE = ("respondent_phone", "business_name", "timezone")
TABLE = {name: value for name, value in BISTRO.items() if name not in _OF_ONE} | {"until": "booked"}
BUSY = {"respondent_phone": NUMBERS["busy"], "business_name": "First"}
FULL = {"respondent_phone": NUMBERS["fully_booked"], "business_name": "Second"}
FREE = {"respondent_phone": NUMBERS["success"], "business_name": "Third"}
LAST = {"respondent_phone": "+12025550128", "business_name": "Fourth"}


FOUR = [BUSY, FULL, FREE, LAST]


async def second_is_full(agent: Agent) -> Answer:
    """A list whose first candidate is busy, and whose second one has no table."""
    return await agent.use("call_around", TABLE, candidates=FOUR)


async def third_books(agent: Agent) -> Answer:
    """That list, after the user let it go on."""
    asked = (await second_is_full(agent)).data["calls"][1]["call_id"]
    return await agent.use("call_around", TABLE, candidates=FOUR, continue_after=asked)


async def test_an_answer_without_a_booking_needs_a_decision(agent: Agent) -> None:
    decide = await second_is_full(agent)
    asked = decide.data["calls"][1]["call_id"]

    assert decide.data["status"] == "needs_decision"
    assert decide.data["placed_now"] is True
    assert [call["outcome"] for call in decide.data["calls"]] == ["not_reached", "answered"]
    assert [one["business_name"] for one in decide.data["not_called"]] == ["Third", "Fourth"]
    assert decide.text.endswith(
        f'call_around with the same arguments and continue_after "{asked}". It stops at each '
        'answer; with if_answered "continue", it goes on until one books.'
    )


async def test_after_a_decision_the_next_candidate_books(agent: Agent) -> None:
    booked = await third_books(agent)

    assert booked.data["status"] == "booked"
    assert booked.data["placed_now"] is True
    assert await agent.calls_made() == 3


async def test_a_list_that_waits_places_no_call(agent: Agent) -> None:
    await second_is_full(agent)
    again = await second_is_full(agent)

    assert again.data["status"] == "needs_decision"
    assert again.data["placed_now"] is False
    assert await agent.calls_made() == 2


async def test_a_list_that_booked_is_told_again(agent: Agent) -> None:
    booked = await third_books(agent)
    told = await second_is_full(agent)
    shown = await agent.use("get_call", call_id=booked.data["tracking_id"])

    assert told.data["status"] == "booked"
    assert told.data["placed_now"] is False
    assert told.text == f"Asked for before; no new call was placed. {booked.text}"
    assert shown.text == booked.text


async def test_a_list_may_continue_past_empty_calendars(
    agent: Agent,
) -> None:
    refused = {"respondent_phone": NUMBERS["suppression_violation"], "business_name": "No calls"}
    far = {"respondent_phone": "+14155551234", "business_name": "Far"}
    booked = await agent.use(
        "call_around", TABLE, candidates=[refused, FULL, far, LAST], if_answered="continue"
    )
    other = TABLE | {"party_size": 2}
    decide = await agent.use("call_around", other, candidates=[FULL, FREE])
    id_ = decide.data["calls"][0]["call_id"]
    goes_on = await agent.use(
        "call_around", other, candidates=[FULL, FREE], continue_after=id_, if_answered="continue"
    )

    assert booked.text.startswith(
        "Booked: Far (+1 415-555-1234). Nobody else is called.\n1. No calls "
    )
    assert (
        "): not called, this number is on the do-not-call list (suppression_violation).\n2. Sec"
        in booked.text
    )
    _, full, call = booked.data["calls"]
    assert (full["outcome"], call["outcome"]) == ("answered", "booked")
    assert (call["timezone"], call["appointment"]["start"]) == (
        "America/Los_Angeles",
        "2026-01-28T19:00:00-08:00",
    )
    assert (decide.data["status"], goes_on.data["status"]) == ("needs_decision", "booked")


ASK = {
    "until": "all",
    "task_category": "general",
    "task_description": "Ask",
    "questions": ["Are dogs allowed?"],
}


async def test_each_candidate_has_its_answers(agent: Agent) -> None:
    done = await agent.use("call_around", ASK, candidates=[BUSY, LAST])
    first, question, _, last, _ = done.text.splitlines()

    assert first == "Done: 2 called."
    assert question == 'Question: "Are dogs allowed?"'
    assert last.startswith("Fourth  (0:")
    assert "answers" not in done.data["calls"][0]
    assert done.data["calls"][1]["answers"][0]["question"] == "Are dogs allowed?"


async def test_who_is_asked_agrees_to_nothing(agent: Agent, app: SandboxApp) -> None:
    await agent.use("call_around", ASK, candidates=[BUSY, LAST])
    with app.state.sandbox.store.transaction() as db:
        sent = [
            str(call.submission["additional_instructions"]) for call in call_table.all_calls(db)
        ]

    assert ["agree to anything" in text for text in sent] == [True, True]


async def test_one_consent_covers_a_whole_list(
    tmp_path: Path, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    clock.set(clock.now().replace(hour=12, minute=30))  # 7:30 in Washington
    user = User({"call_now": True})
    async with open_agent_for(
        settings_in(tmp_path, CONFIRM="auto"), mode, clock, app, user
    ) as agent:
        booked = await agent.use("call_around", TABLE, candidates=[BUSY, FREE])

    (preview,) = user.messages
    assert preview.splitlines()[:3] == [
        "Call up to 2 numbers, one after another? It stops when one is booked.",
        "- First (+1 202-555-0103), 7:30 AM there: it would come before 8 AM or after 9 PM there",
        "- Third (+1 202-555-0100), 7:30 AM there: it would come before 8 AM or after 9 PM there",
    ]
    assert booked.data["status"] == "booked"


async def test_after_days_a_list_asks_again(
    tmp_path: Path, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    user = User({"call_now": True}, {"call_now": True})
    async with open_agent_for(
        settings_in(tmp_path, CONFIRM="always"), mode, clock, app, user
    ) as agent:
        decide = await agent.use("call_around", TABLE, candidates=[FULL, BUSY, FREE])
        clock.advance(hours=51)
        id_ = decide.data["calls"][0]["call_id"]
        booked = await agent.use(
            "call_around", TABLE, candidates=[FULL, BUSY, FREE], continue_after=id_
        )

    _, preview = user.messages
    assert preview.splitlines()[:3] == [
        "Go on with the list, and call up to 2 more? It stops when one is booked.",
        "- First (+1 202-555-0103)",
        "- Third (+1 202-555-0100)",
    ]
    assert booked.data["status"] == "booked"
    assert booked.data["tracking_id"] == decide.data["tracking_id"]


async def test_without_forms_a_confirmation_covers_exactly_this_list(
    tmp_path: Path, clock: ManualClock, app: SandboxApp
) -> None:
    async with open_agent(
        settings_in(tmp_path, CONFIRM="always"), mode="auto", clock=clock, app=app
    ) as agent:
        asked = await agent.use("call_around", TABLE, candidates=[BUSY, FREE])
        yes = {"confirmation": asked.data["confirmation"]}
        other = await agent.use("call_around", TABLE | yes, candidates=[BUSY, LAST])
        booked = await agent.use("call_around", TABLE | yes, candidates=[BUSY, FREE])

    assert "call_around with the same arguments and confirmation" in asked.text
    assert other.data["status"] == "needs_confirmation"
    assert booked.data["status"] == "booked"


def candidates(count: int) -> list[dict[str, str]]:
    return [{"respondent_phone": f"+120255501{number:02}"} for number in range(count)]


async def test_all_are_asked_several_at_a_time(
    tmp_path: Path, clock: ManualClock, app: SandboxApp
) -> None:
    settings = settings_in(tmp_path, AT_ONCE="3")
    clock.hold()
    async with open_agent(settings, mode="auto", clock=clock, app=app) as agent:
        begun = await agent.use("call_around", TABLE, until="all", candidates=FOUR, wait_seconds=0)
        await clock.sleepers(3)
        during = await agent.calls_made()
        canceled = await agent.use("cancel_call", call_id=begun.data["tracking_id"])

    assert begun.text.startswith("In progress: First (+1 202-555-0103); Second (")
    assert "0 of 4 called" in begun.text
    assert during == 3
    assert canceled.data["status"] == "canceled"


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"candidates": candidates(11)}, 'candidates: at most 10, or 25 with until "all".'),
    ({"candidates": candidates(26), "until": "all"}, "got a list of 26."),
    ({"candidates": [BUSY, BUSY]}, "- candidates: names a number twice."),
    (
        {"candidates": [BUSY]},
        "{respondent_phone, business_name}; for one: make_call; got a list of 1.",
    ),
    (
        {"candidates": [BUSY, "+12025550100"]},
        "- candidates[1]: expected dictionary: 2 to 10 (all: 25) {respondent_phone, ",
    ),
    (
        {"candidates": [BUSY, FREE | {"phone": "1"}]},
        "- candidates[1].phone: there is no such key; expected 2 to 10 (all",
    ),
    (
        {"candidates": [BUSY, {"respondent_phone": "+1415"}]},
        '- candidates[1].respondent_phone: "+1415" is not a ',
    ),
    (
        {"candidates": [BUSY, {"business_name": "First"}]},
        "- candidates[1].respondent_phone: missing. 2 to",
    ),
    (
        {"not_before": "2026-01-26T09:00"},
        "- not_before: call_around has no such argument; it takes candidates, until",
    ),
    (
        {"continue_after": "t-1"},
        "- continue_after: no list with these other arguments has this call",
    ),
    (
        {"candidates": [BUSY, {"respondent_phone": "911"}]},
        "KallyAI cannot call emergency services. Tell the user to",
    ),
]


async def test_wrong_candidates_are_named(agent: Agent) -> None:
    for wrong, text in WRONG:
        answer = await agent.use("call_around", {**TABLE, "candidates": [BUSY, FREE], **wrong})
        assert answer.text.startswith("Not called")
        assert text in answer.text


async def test_a_limited_list_goes_on_the_next_day(
    tmp_path: Path, clock: ManualClock, app: SandboxApp
) -> None:
    candidates = [BUSY, FULL, FREE]
    async with open_agent(
        settings_in(tmp_path, CALLS_PER_DAY="2"), mode="auto", clock=clock, app=app
    ) as agent:
        stopped = await agent.use("call_around", TABLE | {"until": "all"}, candidates=candidates)
        clock.advance(hours=24)
        again = await agent.use("call_around", TABLE | {"until": "all"}, candidates=candidates)
        id_ = stopped.data["calls"][-1]["tracking_id"]
        done = await agent.use(
            "call_around", TABLE | {"until": "all"}, candidates=candidates, continue_after=id_
        )

    first, *_, last = stopped.text.splitlines()
    assert first == (
        "Stopped: this server allows 2 calls a day (KALLYAI_CALLS_PER_DAY), and that many were "
        "placed."
    )
    rest = f'with the same arguments and continue_after "{id_}".'
    assert re.fullmatch(rf"To go on: call_around on Mon Jan 26, \d+:\d\d [AP]M, {rest}", last)
    assert again.text == (
        f"Asked for before; no new call was placed. {stopped.text.replace(last, '')}To go on: "
        f"call_around now, {rest}"
    )
    assert (done.data["status"], done.data["tracking_id"]) == ("done", stopped.data["tracking_id"])
    assert len(done.data["calls"]) == 3


async def test_a_list_that_waits_is_above_the_calls(agent: Agent) -> None:
    decide = await second_is_full(agent)
    id_, (busy, full) = decide.data["tracking_id"], decide.data["calls"]
    listed = await agent.use("list_calls")
    [found] = listed.data["lists"]

    assert listed.text.splitlines()[0].endswith(f"  call_around: needs decision, 2 of 4  {id_}")
    assert found["status"] == "needs_decision"
    assert found["tracking_id"] == id_
    assert [call["call_id"] for call in listed.data["calls"]] == [full["call_id"], busy["call_id"]]


async def test_a_list_is_a_resource(agent: Agent) -> None:
    decide = await second_is_full(agent)
    shown = await agent.read(f"kallyai://calls/{decide.data['tracking_id']}")

    assert shown.text == decide.text


async def test_a_list_that_went_on_is_not_listed(agent: Agent) -> None:
    booked = await third_books(agent)
    after = await agent.use("list_calls")

    assert booked.data["status"] == "booked"
    assert "lists" not in after.data
