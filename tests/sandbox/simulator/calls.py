"""Simulates calls whose submission is an example with changes."""

from datetime import UTC, date, datetime, time
from typing import Any

from kallyai_mcp.sandbox.simulator.scenario import Scenario
from kallyai_mcp.sandbox.simulator.simulated_call import Booking, SimulatedCall, Slot
from kallyai_mcp.sandbox.simulator.simulation import CallFacts, simulate
from kallyai_mcp.sandbox.simulator.submission import Submission, TaskCategory

NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
NUMBER = "+14155551234"
EARLIER = "3f0c1d2e-0000-4000-8000-000000000001"
KEEPS_TIME = {
    "en": "Do not agree to a day or time other than the one asked for.",
    "es": "No aceptes un día ni una hora distintos de los pedidos.",
}
UNDATED: dict[str, Any] = {"appointment_date": None, "appointment_time": None, "party_size": None}


def facts(
    *, timezone: str | None = "America/New_York", bookings: tuple[Booking, ...] = (), **fields: Any
) -> CallFacts:
    """An example, a table for 4 on Friday at 7 PM, with changes to its fields."""
    submission = {
        "task_category": "restaurant",
        "task_description": "Book a table by the window.",
        "respondent_phone": NUMBER,
        "business_name": "Italian Bistro",
        "user_name": "Ada",
        "user_phone": "+12025550142",
        "appointment_date": "2026-11-27",
        "appointment_time": "19:00",
        "party_size": 4,
    } | fields
    return CallFacts(Submission.model_validate(submission), NOW, timezone, "call-1", bookings)


def call(scenario: dict[str, Any] | None = None, **changes: Any) -> SimulatedCall:
    """Simulate a call to a line with this scenario; without one, the callee agrees."""
    return simulate(facts(**changes), Scenario.model_validate(scenario or {}))


def earlier(category: str = "restaurant") -> tuple[Booking, ...]:
    """What a callee remembers of an earlier call: a booking for 3 people on Saturday at 8 PM."""
    at = None if category == "hotel" else time(20, 0)
    return (
        Booking(EARLIER, EARLIER, "Ada", TaskCategory(category), 3, Slot(date(2026, 11, 28), at)),
    )


def summary(result: SimulatedCall) -> str:
    """What the service reports of a call that has ended."""
    return result.report.highlights or ""


def said(result: SimulatedCall, speaker: str | None = None) -> str:
    """The words of a call, one turn each line."""
    return "\n".join(entry.content for entry in result.entries if speaker in {None, entry.speaker})
