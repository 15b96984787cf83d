"""Turns the result of a simulation into the outcome of a call, as it is stored and sent."""

import sqlite3
from typing import Any

from kallyai_mcp.sandbox import call_table, quota
from kallyai_mcp.sandbox.simulator.calendar import ics
from kallyai_mcp.sandbox.simulator.dialogue import timestamp
from kallyai_mcp.sandbox.simulator.simulated_call import SimulatedCall
from kallyai_mcp.sandbox.simulator.simulation import CallFacts


def outcome_of(result: SimulatedCall, facts: CallFacts) -> dict[str, Any]:
    """Return the fields of `call_table.Call` that follow from a simulation."""
    event = result.event
    return {
        "status": result.status,
        "highlights": result.highlights,
        "next_steps": result.next_steps,
        "duration_seconds": result.duration_seconds,
        "tenths": quota.tenths_of(result.duration_seconds),
        "transcript": [
            {"speaker": entry.speaker, "content": entry.content, "timestamp": timestamp(entry.at_seconds)}
            for entry in result.entries
        ]
        or None,
        "calendar": ics(event, call_id=facts.call_id, now=facts.now) if event is not None else None,
    }


def remember(db: sqlite3.Connection, number: str, result: SimulatedCall) -> None:
    """Store what the callee of a number (E.164) remembers of a call: a booking that was made, moved, or canceled."""
    if result.booking is not None:
        call_table.add_booking(db, number, result.booking)
