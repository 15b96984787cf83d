"""What a user's yes covers: every value of the request, but not how the request is written."""

from collections.abc import Mapping
from dataclasses import make_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kallyai_mcp.calls.records import CallRequest
from kallyai_mcp.clock import Stopwatch
from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools.catalog import tools
from kallyai_mcp.tools.confirmations import Confirmations
from kallyai_mcp.tools.consent import digest_of_call
from tests.agent import BISTRO, Agent, WallClock, settings_in
from tests.calls.ledgers import submission
from tests.sandbox.manual_clock import ManualClock
from tests.tools.user import NOON, open_agent_for

NEITHER = frozenset({"wait_seconds", "confirmation", "timezone"})
"""The arguments that say nothing about the call: `timezone` says where the user is."""

CALL = BISTRO | {"questions": ["Is there parking?"], "additional_instructions": ["A quiet table"]}
"""What the user has agreed to."""

CHANGED_CALL: Mapping[str, Any] = {
    "task_category": "general",
    "task_description": "Book the terrace",
    "respondent_phone": "+14155551236",
    "business_name": "Spanish Bistro",
    "user_name": "Grace",
    "user_phone": "+14155551237",
    "appointment_date": "2026-01-29",
    "appointment_time": "19:30",
    "other_times": "20:00",
    "departure_date": "2026-01-30",
    "time_preference_text": "late",
    "party_size": 5,
    "language": "es",
    "call_language": "es",
    "is_urgent": True,
    "additional_instructions": ["A loud table"],
    "questions": ["Is there a bar?"],
    "accept_other_time": True,
    "session_id": "another",
    "not_before": "2026-01-27T12:00",
    "retries": 2,
    "redial": True,
}
"""Another value for each argument of make_call, but those about a booking, which need a call."""

LIST = {name: CALL[name] for name in CALL if name not in ("respondent_phone", "business_name")} | {
    "candidates": [{"respondent_phone": "+14155551234"}, {"respondent_phone": "+14155551236"}],
    "until": "booked",
}

CHANGED_LIST: Mapping[str, Any] = {
    **CHANGED_CALL,
    "candidates": [{"respondent_phone": "+14155551236"}, {"respondent_phone": "+14155551234"}],
    "until": "answered",
    "if_answered": "continue",
}

ANOTHER_SPACING = {
    "task_description": " Book  a table. ",
    "user_name": f"{CALL['user_name']} ".upper(),
    "questions": ["Is there  parking? "],
    "additional_instructions": ["A quiet \u00a0table."],
    "respondent_phone": "+1 (415) 555-1234",
}


def arguments_of(tool: str, *, apart_from: frozenset[str]) -> list[str]:
    """The names of a tool's arguments."""
    (found,) = (each for each in tools() if each.name == tool)
    return [name for name in found.parameters["properties"] if name not in apart_from]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def always_asks(tmp_path: Path) -> Settings:
    return settings_in(tmp_path, CONFIRM="always")


async def refuses(
    agent: Agent, tool: str, agreed: Mapping[str, Any], changed: Mapping[str, Any]
) -> bool:
    """Whether the yes to a request does not count for the changed one."""
    confirmation = (await agent.use(tool, agreed)).data["confirmation"]
    answer = await agent.use(tool, {**agreed, **changed}, confirmation=confirmation)
    return bool(answer.data["status"] == "needs_confirmation")


@pytest.mark.parametrize(
    "name", arguments_of("make_call", apart_from=NEITHER | {"changes_call_id", "change"})
)
async def test_another_value_of_a_call_needs_another_yes(
    always_asks: Settings, clock: ManualClock, app: SandboxApp, name: str
) -> None:
    async with open_agent_for(always_asks, "auto", clock, app, None) as agent:
        assert await refuses(agent, "make_call", CALL, {name: CHANGED_CALL[name]})


@pytest.mark.parametrize(
    "name", arguments_of("call_around", apart_from=NEITHER | {"continue_after"})
)
async def test_another_value_of_a_list_needs_another_yes(
    always_asks: Settings, clock: ManualClock, app: SandboxApp, name: str
) -> None:
    async with open_agent_for(always_asks, "auto", clock, app, None) as agent:
        assert await refuses(agent, "call_around", LIST, {name: CHANGED_LIST[name]})


async def test_another_zone_needs_another_yes_where_used(
    always_asks: Settings, clock: ManualClock, app: SandboxApp
) -> None:
    toll_free = CALL | {"respondent_phone": "+18003569377"}
    in_denver = {"timezone": "America/Denver"}
    async with open_agent_for(always_asks, "auto", clock, app, None) as agent:
        assert await refuses(agent, "make_call", toll_free, in_denver)
        assert await refuses(
            agent, "make_call", CALL | {"not_before": "2026-01-27T12:00"}, in_denver
        )
        assert not await refuses(agent, "make_call", CALL, in_denver)


async def test_another_spacing_asks_nobody_again(
    always_asks: Settings, clock: ManualClock, app: SandboxApp
) -> None:
    shared = {name: value for name, value in ANOTHER_SPACING.items() if name in LIST}
    async with open_agent_for(always_asks, "auto", clock, app, None) as agent:
        assert not await refuses(agent, "make_call", CALL, ANOTHER_SPACING | {"wait_seconds": 1})
        assert not await refuses(
            agent, "call_around", LIST | {"party_size": 3}, shared | {"wait_seconds": 1}
        )


def test_the_yes_covers_what_a_request_gets_later() -> None:
    now = datetime(2026, 1, 25, 20, 0, tzinfo=UTC)
    later = make_dataclass(
        "later", [("records_it", bool, False)], bases=(CallRequest,), frozen=True
    )
    arguments = submission(), "America/New_York", Stopwatch(WallClock(ManualClock(now)))
    agreed, other = later(*arguments), later(*arguments, records_it=True)
    confirmations = Confirmations()
    token = confirmations.issue(now, digest_of_call("ada", agreed))

    assert confirmations.verify(token, now, digest_of_call("ada", agreed)) is not None
    assert confirmations.verify(token, now, digest_of_call("ada", other)) is None
    assert confirmations.verify(token, now, digest_of_call("bob", agreed)) is None
