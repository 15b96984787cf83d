"""The sandbox's telephone line: what a number does when it is dialled, and the conversation that comes of it.

Pure functions of what they are given: no HTTP, no database, no clock.
"""

from kallyai_mcp.sandbox.line.calendar import ics
from kallyai_mcp.sandbox.line.conversation import play
from kallyai_mcp.sandbox.line.numbers import RULE_EXAMPLES, TEST_NUMBERS, TestNumber, as_rows, lookup
from kallyai_mcp.sandbox.line.played import Entry, Event, PlayedCall, timestamp
from kallyai_mcp.sandbox.line.submission import Submission, TaskCategory

__all__ = [
    "RULE_EXAMPLES",
    "TEST_NUMBERS",
    "Entry",
    "Event",
    "PlayedCall",
    "Submission",
    "TaskCategory",
    "TestNumber",
    "as_rows",
    "ics",
    "lookup",
    "play",
    "timestamp",
]
