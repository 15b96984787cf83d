"""The tables of `kallyai-mcp admin`. Where stdout is no terminal, tabs separate whole columns."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from kallyai_mcp.calls.operator import AuditEntry, KnownCall
from kallyai_mcp.calls.records import ACTIVE, AccountKey, CallState
from kallyai_mcp.cli.call_commands import Shown
from kallyai_mcp.cli.screen import terminal_of
from kallyai_mcp.cli.short_id import short_id
from kallyai_mcp.cli.tables import Column, rendered_table
from kallyai_mcp.tools.text.plain import one_line

_CALLS = (
    Column("Asked for"),
    Column("State"),
    Column("Due"),
    Column("Number"),
    Column("Account"),
    Column("Id"),
)
_AUDIT = (
    Column("When"),
    Column("Account"),
    Column("Number"),
    Column("How it ended"),
    Column("Asked by", shrinks=True),
    Column("Agreed", shrinks=True),
    Column("Id"),
)
_SHORT_ACCOUNT = 8
"""Characters of an account's id that name it in `ACCOUNT`."""


def shown_calls(calls: Sequence[KnownCall], place: str, limit: int) -> Shown:
    """What `admin calls` prints."""
    structure = {"calls": [_as_json(call) for call in calls]}
    if not calls:
        return Shown(f"No such calls in {place}.", structure)
    text = _table(_CALLS, [_call_cells(call) for call in calls])
    return Shown(text, structure, note=_note(place, len(calls), limit))


def shown_audit(entries: Sequence[AuditEntry], place: str, limit: int) -> Shown:
    """What `admin audit` prints."""
    structure = {"audit": [_as_json(entry) for entry in entries]}
    if not entries:
        return Shown(f"No such entries of the audit trail in {place}.", structure)
    text = _table(_AUDIT, [_audit_cells(entry) for entry in entries])
    return Shown(text, structure, note=_note(place, len(entries), limit))


def _note(place: str, number: int, limit: int) -> str:
    """Which ledger was read, and whether it may have more."""
    if number < limit:
        return f"Ledger: {place}"
    return f"Ledger: {place}. It may have more than these {number}: --limit shows more."


def account_cell(account: AccountKey) -> str:
    """The id of an account; on a terminal, enough of it to name it."""
    return account.account[:_SHORT_ACCOUNT] if sys.stdout.isatty() else account.account


def _id_cell(id_: str) -> str:
    return short_id(id_) if sys.stdout.isatty() else one_line(id_)


def _table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> str:
    if sys.stdout.isatty():
        return rendered_table(columns, rows, terminal_of(err=False))
    return "\n".join("\t".join(row) for row in rows)


def _call_cells(call: KnownCall) -> Sequence[str]:
    return (
        _time(call.asked_at),
        _end_in_words(call),
        _time(call.due_at) if call.due_at is not None else "",
        call.number,
        account_cell(call.account),
        _id_cell(call.tracking_id),  # each line of the log about the call has it
    )


def _audit_cells(entry: AuditEntry) -> Sequence[str]:
    return (
        _time(entry.at),
        account_cell(entry.account),
        entry.number,
        _end_of_entry(entry),
        one_line(entry.asked_by or ""),
        ", ".join(filter(None, (entry.how, *entry.risk_flags))),
        _id_cell(entry.tracking_id) if entry.tracking_id is not None else "",
    )


def _end_of_entry(entry: AuditEntry) -> str:
    if entry.tracking_id is None:
        return decision_in_words(entry.decision)
    if entry.call is None:
        return f"{decision_in_words(entry.decision)}, no longer kept"
    end = _end_in_words(entry.call)
    # A call that was placed later has a line for that, too; two equal ones would look like two.
    is_settled = entry.decision == "scheduled" and entry.call.state != CallState.SCHEDULED
    return f"scheduled, then {end}" if is_settled else end


def decision_in_words(decision: str) -> str:
    """What an entry of the audit trail says of a request: "refused:KALLYAI_STOP_CALLS" is for
    programs.
    """
    return one_line(decision).replace(":", ": ")


def _end_in_words(call: KnownCall) -> str:
    """The state of a call, or what may be claimed about it."""
    if call.state in ACTIVE:
        return "in progress"
    known = (call.outcome or one_line(call.state)).replace("_", " ")
    return f"{known}: {one_line(call.code)}" if call.code is not None else known


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}Z"


def _as_json(found: KnownCall | AuditEntry) -> dict[str, Any]:
    """The attributes that have a value; times in ISO 8601, accounts by their id."""
    return _plain(asdict(found))


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: value for name, value in values.items() if value is not None}
    return {name: _plain_value(value) for name, value in known.items()}


def _plain_value(value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat(timespec="seconds")
        case {"api": _, "account": account}:
            return account
        case dict():
            return _plain(value)
        case _:
            return value
