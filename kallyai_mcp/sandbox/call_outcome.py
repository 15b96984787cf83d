"""Turns the result of a simulation into the outcome of a call, as it is stored and sent."""

import sqlite3
from datetime import datetime
from typing import Any

from kallyai_mcp.sandbox import call_table, quota
from kallyai_mcp.sandbox.simulator.calendar import ics
from kallyai_mcp.sandbox.simulator.dialogue import timestamp
from kallyai_mcp.sandbox.simulator.simulated_call import SimulatedCall


def outcome_of(result: SimulatedCall, *, call_id: str, placed_at: datetime) -> dict[str, Any]:
    """Return the fields of `call_table.Call` that follow from a simulation.

    Args:
        result: The simulation.
        call_id: The call's id, for its calendar file.
        placed_at: When the call was placed, aware.
    """
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
        "calendar": ics(result.event, call_id=call_id, now=placed_at) if result.event is not None else None,
    }


def remember(db: sqlite3.Connection, number: str, result: SimulatedCall) -> None:
    """Store what the callee of a number (E.164) remembers of a call: a booking that was made, changed, or canceled."""
    if result.ends is not None:
        call_table.cancel_agreement(db, result.ends)
    if result.agreement is not None:
        call_table.add_agreement(db, number, result.agreement)
