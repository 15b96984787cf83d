"""One example submission for each task category, and a function that simulates it."""

from datetime import UTC, datetime
from typing import Any

from kallyai_mcp.sandbox.simulator.agreement import Agreement
from kallyai_mcp.sandbox.simulator.numbers import lookup
from kallyai_mcp.sandbox.simulator.scenario import Scenario
from kallyai_mcp.sandbox.simulator.simulated_call import SimulatedCall
from kallyai_mcp.sandbox.simulator.simulation import CallFacts, simulate
from kallyai_mcp.sandbox.simulator.submission import Submission

NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
NUMBER = "+14155551234"
COUNTER_OFFER = "+12025550101"

BOOKINGS: dict[str, dict[str, Any]] = {
    "restaurant": {
        "task_description": "Book a table by the window for a birthday.",
        "business_name": "Italian Bistro",
        "party_size": 4,
        "appointment_time": "19:00",
        "additional_instructions": ["High chair, please.", "  "],
    },
    "clinic": {
        "task_description": "Make an appointment for a check-up",
        "business_name": "North Clinic",
        "time_preference_text": "in the morning",
        "is_urgent": True,
    },
    "hotel": {
        "task_description": "Book a double room for two nights",
        "business_name": "Hotel Sol",
        "party_size": 2,
        "user_name": None,
    },
    "general": {
        "task_description": "Ask whether they can service a bicycle",
        "business_name": None,
        "appointment_date": None,
        "user_phone": None,
    },
}


def simulate_at(
    submission: dict[str, Any],
    scenario: Scenario | None = None,
    *,
    now: datetime = NOW,
    timezone: str | None = None,
    agreements: tuple[Agreement, ...] = (),
) -> SimulatedCall:
    """Simulate a call with `scenario`; by default with that of the test number that is called."""
    scenario = scenario or lookup(submission["respondent_phone"] or "") or Scenario()
    facts = CallFacts(Submission.model_validate(submission), now, timezone, "call-1", agreements)
    return simulate(facts, scenario)


def call(
    *,
    now: datetime = NOW,
    timezone: str | None = "America/New_York",
    category: str = "restaurant",
    scenario: Scenario | None = None,
    agreements: tuple[Agreement, ...] = (),
    **fields: Any,
) -> SimulatedCall:
    submission = {
        "task_category": category,
        "respondent_phone": NUMBER,
        "user_name": "Test Guest",
        "user_phone": "+12025550142",
        "appointment_date": "2026-11-27",
    }
    submission |= BOOKINGS[category] | fields
    return simulate_at(submission, scenario, now=now, timezone=timezone, agreements=agreements)


def said(result: SimulatedCall, speaker: str | None = None) -> str:
    return "\n".join(entry.content for entry in result.entries if speaker in {None, entry.speaker})
