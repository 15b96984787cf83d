"""Conditions of SQL statements about calls."""

from collections.abc import Collection

from kallyai_mcp.calls.records import ACTIVE, CallState


def state_in(*states: CallState) -> str:
    """The condition for calls in one of these states."""
    return f"state IN ({_quoted(states)})"


def state_not_in(*states: CallState) -> str:
    """The condition for calls in other states, also in those that only a newer version knows."""
    return f"state NOT IN ({_quoted(states)})"


def _quoted(states: Collection[CallState]) -> str:
    return ", ".join(f"'{state.value}'" for state in states)


MINE = "api = :api AND account = :account"
"""The condition for what belongs to an account; `AccountKey.columns` are its values."""

IS_ACTIVE = state_in(*ACTIVE)
"""The condition for calls that a worker must still run to their end."""

IS_SCHEDULED = "state = 'scheduled'"
"""The condition for calls that wait until they are due."""

WAS_ALLOWED = "outcome IN ('placed', 'scheduled')"
"""The condition for entries of the audit trail about a call that has a record; one that was refused
has none.
"""


def list_ids(ids: Collection[str]) -> tuple[str, dict[str, str]]:
    """What stands between the parentheses of `IN` for these ids, and its parameters."""
    if not ids:
        return "''", {}  # no id is empty; with NULL, `NOT IN` would be true for none
    names = {f"id_{number}": id_ for number, id_ in enumerate(ids)}
    return ", ".join(f":{name}" for name in names), names
