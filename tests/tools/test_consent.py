"""When the user is asked, and how: before a call, and for details that it can't do without."""

from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pytest
from mcp.types import CallToolResult, ElicitRequestFormParams, ElicitResult, InputRequiredResult

from kallyai_mcp.calls.policy import RiskFlag
from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools.consent import Decision, Flags, decide
from tests.agent import BISTRO, settings_in
from tests.sandbox.manual_clock import ManualClock
from tests.tools.task_client import NUMBERS
from tests.tools.test_around import TABLE
from tests.tools.user import NIGHT, NOON, Reply, User, open_agent_for

BLOCKED = BISTRO | {"respondent_phone": NUMBERS["blocked_number"]}
BARE = {
    "task_category": "restaurant",
    "task_description": "Book a table",
    "business_name": "Italian Bistro",
}
PHONE = {"respondent_phone": "+14155551234"}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NIGHT)


@pytest.fixture
def auto_confirm(tmp_path: Path) -> Settings:
    return settings_in(tmp_path, CONFIRM="auto")


RISKY = (RiskFlag.URGENT,)

DECISIONS: list[tuple[Literal["auto", "always"], Flags, bool, bool, Decision]] = [
    ("auto", (), False, False, Decision.NOT_NEEDED),
    ("auto", (), True, False, Decision.NOT_NEEDED),
    ("auto", (), False, True, Decision.REFUSED),
    ("auto", RISKY, False, False, Decision.ASK),
    ("auto", RISKY, False, True, Decision.ASK),
    ("auto", RISKY, True, False, Decision.CONFIRMED),
    ("always", (), False, False, Decision.ASK),
    ("always", (), False, True, Decision.ASK),
    ("always", (), True, False, Decision.CONFIRMED),
]


@pytest.mark.parametrize(("confirm", "flags", "is_confirmed", "said_no", "decision"), DECISIONS)
def test_risks_and_what_was_said_decide(
    confirm: Literal["auto", "always"],
    flags: Flags,
    is_confirmed: bool,
    said_no: bool,
    decision: Decision,
) -> None:
    assert decide(confirm, flags, is_confirmed=is_confirmed, said_no=said_no) is decision


YES = {"call_now": True}


async def test_a_call_at_night_needs_a_yes(
    auto_confirm: Settings, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    user = User(YES)
    async with open_agent_for(auto_confirm, mode, clock, app, user) as agent:
        answer = await agent.use("make_call", BISTRO)
        again = await agent.use("make_call", BISTRO)

    assert answer.data["status"] == "success"
    assert again.data["placed_now"] is False
    assert len(user.asked) == 1  # the duplicate asks nobody


async def test_the_user_sees_what_they_agree_to(
    auto_confirm: Settings, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    user = User("decline")
    async with open_agent_for(auto_confirm, mode, clock, app, user) as agent:
        await agent.use("make_call", BISTRO)
    (preview,) = user.messages
    first, *lines = preview.splitlines()

    assert first.startswith("Call Italian Bistro, +1 415-555-1234")
    assert "You are asked because: it would come before 8 AM or after 9 PM there" in preview
    assert {
        "Time there: 4:30 AM",
        "What for: Book a table",
        "Details: Sample Guest, Wed Jan 28, 7:00 PM, 4 people",
    } <= set(lines)
    assert lines[-2:] == ["Calls left: 27", "Minutes left: 165"]


async def test_the_form_of_a_simulated_call_says_so(
    auto_confirm: Settings, clock: ManualClock, app: SandboxApp
) -> None:
    user = User("decline")
    async with open_agent_for(auto_confirm, "auto", clock, app, user) as agent:
        await agent.use("make_call", BISTRO)
    (form,) = user.asked

    assert isinstance(form, ElicitRequestFormParams)
    field = form.requested_schema["properties"]["call_now"]
    assert field["description"] == "Simulated: nobody is called"


async def test_by_day_a_second_call_asks(
    auto_confirm: Settings, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    clock.set(NOON)
    user = User(YES)
    async with open_agent_for(auto_confirm, mode, clock, app, user) as agent:
        first = await agent.use("make_call", BISTRO)
        await agent.use("make_call", BISTRO, task_description="Ask for the terrace")
    (recent,) = user.messages

    assert first.data["status"] == "success"
    assert (
        "You are asked because: this number was or may have been called within the last hour"
        in recent
    )


async def test_an_urgent_call_asks_by_day(
    auto_confirm: Settings, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    clock.set(NOON)
    user = User(YES)
    async with open_agent_for(auto_confirm, mode, clock, app, user) as agent:
        await agent.use("make_call", BISTRO, is_urgent=True)

    assert "You are asked because: it is an urgent call" in user.messages[0]


@pytest.mark.parametrize("then", [NIGHT, NOON], ids=["at night", "although it is day by then"])
async def test_without_the_users_yes_no_call_is_placed(
    auto_confirm: Settings, mode: str, clock: ManualClock, app: SandboxApp, then: datetime
) -> None:
    class Late(User):
        async def __call__(self, *question: Any) -> ElicitResult:
            clock.set(then)
            return await super().__call__(*question)

    replies: list[Reply] = ["decline", "cancel", {"call_now": False}]
    answers = []
    async with open_agent_for(auto_confirm, mode, clock, app, Late(*replies)) as agent:
        for _ in replies:
            clock.set(NIGHT)
            answers.append(await agent.use("make_call", BISTRO))
        listed = await agent.use("list_calls")

    assert {(answer.is_error, answer.text) for answer in answers} == {
        (
            True,
            "Not called: the user was asked and did not agree to this call. Do not place it unless "
            "the user asks "
            "for it.",
        )
    }
    assert listed.data["total"] == 0


async def test_at_night_the_morning_is_offered(
    auto_confirm: Settings, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    user = User({"call_now": False, "call_later": True})
    async with open_agent_for(auto_confirm, mode, clock, app, user) as agent:
        wanted = await agent.use("make_call", BISTRO, timezone="America/Los_Angeles")
        scheduled = await agent.use(
            "make_call", BISTRO, timezone="America/Los_Angeles", not_before="2026-01-25T08:00-08:00"
        )

    (form,) = user.asked
    assert isinstance(form, ElicitRequestFormParams)
    assert (
        form.requested_schema["properties"]["call_later"]["title"]
        == "Call at 8:00 AM there instead"
    )
    assert wanted.text == (
        "Not called yet: the user wants the call later. Next: make_call with the same arguments "
        "and "
        'not_before "2026-01-25T08:00-08:00".'
    )
    assert scheduled.data["status"] == "scheduled"


async def test_a_client_without_forms_gets_a_confirmation(
    auto_confirm: Settings, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    async with open_agent_for(auto_confirm, mode, clock, app, None) as agent:
        asked = await agent.use("make_call", BISTRO)
    confirmation = asked.data["confirmation"]

    assert asked.data["status"] == "needs_confirmation"
    assert asked.text.startswith(
        "Not called yet: the user must agree first. Show them this and ask:\nCall Italian"
    )
    assert (
        f'If they agree: make_call with the same arguments and confirmation "{confirmation}"'
        in asked.text
    )
    assert (
        "in the morning, Sun Jan 25, 8:00 AM Los Angeles time: make_call with the same arguments "
        'and not_before "2026-01-25T08:00-08:00".' in asked.text
    )


@pytest.mark.parametrize(
    ("given", "there"),
    [
        ({}, "2026-01-25T04:30-08:00"),
        ({"not_before": "2026-01-26T06:00-08:00"}, "2026-01-26T06:00-08:00"),
    ],
)
async def test_the_callees_clock_is_told_when_due(
    auto_confirm: Settings, clock: ManualClock, app: SandboxApp, given: dict[str, Any], there: str
) -> None:
    async with open_agent_for(auto_confirm, "auto", clock, app, None) as agent:
        asked = await agent.use("make_call", BISTRO | given)

    assert asked.data["local_times"] == [there]


OTHER_CALLS = [
    {"party_size": 5},
    {"redial": True},
    {"retries": 1},
    {"not_before": "2026-01-26T07:00"},
]


@pytest.mark.parametrize("changed", OTHER_CALLS)
async def test_a_confirmation_is_for_one_request(
    auto_confirm: Settings, mode: str, clock: ManualClock, app: SandboxApp, changed: dict[str, Any]
) -> None:
    async with open_agent_for(auto_confirm, mode, clock, app, None) as agent:
        confirmation = (await agent.use("make_call", BISTRO)).data["confirmation"]
        other = await agent.use("make_call", BISTRO | changed, confirmation=confirmation)
        calls = await agent.calls_made()

    assert other.data["status"] == "needs_confirmation"
    assert other.text.startswith(
        "That confirmation is for other arguments, or too old; no call was placed."
    )
    assert calls == 0


async def test_a_confirmation_places_one_call(
    auto_confirm: Settings, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    async with open_agent_for(auto_confirm, mode, clock, app, None) as agent:
        confirmation = (await agent.use("make_call", BISTRO)).data["confirmation"]
        placed = await agent.use("make_call", BISTRO, confirmation=confirmation)
        spent = await agent.use("make_call", BISTRO, redial=True, confirmation=confirmation)
        calls = await agent.calls_made()

    assert placed.data["status"] == "success"
    assert spent.data["status"] == "needs_confirmation"
    assert calls == 1


async def test_a_yes_is_used_once_within_minutes(
    auto_confirm: Settings, clock: ManualClock, app: SandboxApp
) -> None:
    async with open_agent_for(auto_confirm, "auto", clock, app, None) as agent:
        confirmation = (await agent.use("make_call", BLOCKED)).data["confirmation"]
        refused = await agent.use("make_call", BLOCKED, confirmation=confirmation)
        expiry, _, mac = confirmation.partition(".")
        forged = (confirmation, f"0x{expiry.upper()}.{mac}", "ffffffffff." + "A" * 22)
        again = [await agent.use("make_call", BLOCKED, confirmation=one) for one in forged]
        confirmation = (await agent.use("make_call", BISTRO)).data["confirmation"]
        clock.advance(minutes=11)
        late = await agent.use("make_call", BISTRO, confirmation=confirmation)

    assert refused.text.startswith("Not called: this number is flagged as fraud")
    assert {answer.text for answer in again[:2]} == {
        "Not called: the calls to this number changed meanwhile, or the confirmation was used "
        "already. Request it "
        "again without confirmation."
    }
    assert all(answer.data["retryable"] for answer in again[:2])
    assert {answer.data["status"] for answer in (again[2], late)} == {"needs_confirmation"}


async def test_a_reply_sent_twice_is_used_once(
    auto_confirm: Settings, clock: ManualClock, app: SandboxApp
) -> None:
    yes = {"consent": ElicitResult(action="accept", content={"call_now": True})}
    async with open_agent_for(auto_confirm, "auto", clock, app, User()) as agent:
        call_tool = agent.client.session.call_tool
        asked = await call_tool("make_call", BLOCKED, allow_input_required=True)
        assert isinstance(asked, InputRequiredResult)
        reply: dict[str, Any] = {"input_responses": yes, "request_state": asked.request_state}
        refused = await call_tool("make_call", BLOCKED, allow_input_required=True, **reply)
        again = await call_tool("make_call", BLOCKED, allow_input_required=True, **reply)
        anew = await call_tool("make_call", BLOCKED, allow_input_required=True)

    for used, code in ((refused, "blocked_number"), (again, "consent_outdated")):
        assert isinstance(used, CallToolResult)
        assert (used.structured_content or {})["code"] == code
    assert isinstance(anew, InputRequiredResult)


SAID = {**PHONE, "user_name": "Ada", "appointment_date": "2026-01-28", "party_size": 4}


async def test_missing_details_are_asked_for_in_one_form(
    tmp_path: Path, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    user = User(SAID, YES)
    settings = settings_in(tmp_path, CONFIRM="always")
    async with open_agent_for(settings, mode, clock, app, user) as agent:
        made = await agent.use("make_call", BARE, appointment_time="19:00")
    form, consent = user.asked
    assert isinstance(form, ElicitRequestFormParams)

    assert made.data["status"] == "success"
    assert list(form.requested_schema["properties"]) == list(SAID)
    assert form.requested_schema["required"] == ["respondent_phone"]
    assert "4 people" in consent.message


async def test_a_form_says_who_is_called(
    settings: Settings, clock: ManualClock, app: SandboxApp
) -> None:
    user = User("decline")
    booking = BARE | PHONE | {"appointment_time": "19:00"}
    async with open_agent_for(settings, "auto", clock, app, user) as agent:
        await agent.use("make_call", booking)

    assert user.messages == [
        "More details are needed to call Italian Bistro, +1 415-555-1234.\nWhat for: Book a table"
    ]


async def test_a_lists_form_names_its_first_candidates(
    settings: Settings, clock: ManualClock, app: SandboxApp
) -> None:
    user = User("decline")
    several = [{"respondent_phone": f"+1202555010{end}"} for end in range(4)]
    several[1]["business_name"] = "Joe's"
    async with open_agent_for(settings, "auto", clock, app, user) as agent:
        booking = TABLE | {"candidates": several, "appointment_time": "19:00", "party_size": None}
        await agent.use("call_around", booking, until="booked")

    assert user.messages[0].splitlines()[0] == (
        "More details are needed to call +1 202-555-0100, Joe's, +1 202-555-0102, …."
    )


WRONG: list[tuple[str, Any, str]] = [
    ("respondent_phone", "555 1234", "555 1234 can't be called. Give the number with its country."),
    ("appointment_date", "2026-01-24", "2026-01-24 is not a day from today on."),
    ("party_size", 51, "51 is not a number from 1 to 50."),
]


@pytest.mark.parametrize(("name", "value", "told"), WRONG, ids=[name for name, *_ in WRONG])
async def test_a_wrong_answer_alone_is_asked_again(
    settings: Settings,
    mode: str,
    clock: ManualClock,
    app: SandboxApp,
    name: str,
    value: Any,
    told: str,
) -> None:
    user = User(SAID | {name: value}, {name: SAID[name]})
    async with open_agent_for(settings, mode, clock, app, user) as agent:
        made = await agent.use("make_call", BARE, appointment_time="19:00")
    again = user.asked[1]
    assert isinstance(again, ElicitRequestFormParams)

    assert made.data["status"] == "success"
    assert again.message.splitlines()[-1] == told
    assert list(again.requested_schema["properties"]) == [name]


async def test_an_emergency_number_is_not_asked_again(
    settings: Settings, clock: ManualClock, app: SandboxApp
) -> None:
    async with open_agent_for(settings, "auto", clock, app, User({"respondent_phone": "911"})) as (
        agent
    ):
        answer = await agent.use("make_call", BARE)

    assert answer.data["dial"] == "911"


NOT_GIVEN: dict[str, tuple[Reply, dict[str, Any], str]] = {
    "declined": (
        "decline",
        {},
        "Not called: the user was asked for the missing details and did not give them.",
    ),
    "wrong each time": (
        {"respondent_phone": "415 555 1234"},
        {},
        "Not called. Fix 1 argument:\n- respondent_phone:",
    ),
    "empty": (
        {},
        {**PHONE, "appointment_date": "2026-01-28"},
        "Not called. Fix 1 argument:\n- party_size: missing; for how many people? ",
    ),
}
"""What the user replies to the form, what was asked for, and what the agent is told."""


@pytest.mark.parametrize(("reply", "asked", "told"), NOT_GIVEN.values(), ids=NOT_GIVEN)
async def test_without_the_details_nobody_is_called(
    settings: Settings,
    mode: str,
    clock: ManualClock,
    app: SandboxApp,
    reply: Reply,
    asked: dict[str, Any],
    told: str,
) -> None:
    async with open_agent_for(settings, mode, clock, app, User(*[reply] * 3)) as agent:
        answer = await agent.use("make_call", BARE | asked)
        calls = await agent.calls_made()

    assert answer.text.startswith(told)
    assert calls == 0


ASKS_ONLY = (
    "A call that books nothing, or changes a booking without changes_call_id, has its day and time "
    "in task_description "
    "alone."
)
DAY = f"appointment_date: missing; for which day? {ASKS_ONLY}"
SIZE = f"party_size: missing; for how many people? {ASKS_ONLY}"
LACKING: list[tuple[dict[str, Any], list[str]]] = [
    ({}, []),
    ({"task_category": "general", "appointment_date": "2026-01-28"}, []),
    ({"appointment_date": "2026-01-28"}, [SIZE]),
    ({"appointment_date": "2026-01-28", "party_size": None}, [SIZE]),
    ({"appointment_date": "2026-01-28", "party_size": 0}, ["party_size: expected 1 to 50; got 0."]),
    ({"task_category": "clinic", "appointment_time": "10:00"}, [DAY]),
    ({"task_category": "hotel", "appointment_time": "10:00"}, [DAY, SIZE]),
]


async def test_without_forms_an_incomplete_booking_is_refused(
    settings: Settings, clock: ManualClock, app: SandboxApp
) -> None:
    candidates = [{"respondent_phone": f"+1202555010{digit}"} for digit in (0, 3)]
    table = {
        name: BISTRO[name] for name in ("task_category", "task_description", "appointment_date")
    }
    async with open_agent_for(settings, "auto", clock, app, None) as agent:
        for asked, lines in LACKING:
            answer = await agent.use("make_call", BARE | PHONE | asked)
            told = [
                line.removeprefix("- ")
                for line in answer.text.splitlines()
                if line.startswith("- ")
            ]
            assert (answer.is_error, told) == (bool(lines), lines)
            assert answer.data["placed_now"] is not bool(lines)
        asks = await agent.use("call_around", table, candidates=candidates, until="all")
        books = await agent.use("call_around", table, candidates=candidates, until="booked")

    assert asks.data["status"] == "done"
    assert books.text == f"Not called. Fix 1 argument:\n- {SIZE}"
