"""The sandbox's telephone line: what a number does when it is dialled, and the conversation that comes of it.

Pure functions of what they are given: no HTTP, no database, no clock.
"""

from kallyai_mcp.sandbox.simulator.calendar import ics
from kallyai_mcp.sandbox.simulator.dialogue import Entry, Event, SimulatedCall, timestamp
from kallyai_mcp.sandbox.simulator.numbers import RULE_EXAMPLES, TEST_NUMBERS, TestNumber, as_rows, lookup
from kallyai_mcp.sandbox.simulator.simulation import simulate
from kallyai_mcp.sandbox.simulator.submission import Submission, TaskCategory

__all__ = [
    "RULE_EXAMPLES",
    "TEST_NUMBERS",
    "Entry",
    "Event",
    "SimulatedCall",
    "Submission",
    "TaskCategory",
    "TestNumber",
    "as_rows",
    "ics",
    "lookup",
    "simulate",
    "timestamp",
]
