"""How a call record stands in its row of the table `calls`."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from kallyai_mcp.api.models import Call, Submission
from kallyai_mcp.calls.about_booking import about_call_id
from kallyai_mcp.calls.appointment import Calendar
from kallyai_mcp.calls.ledger.columns import if_any
from kallyai_mcp.calls.ledger.stored_errors import error_from_json, error_to_json
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState
from kallyai_mcp.calls.schedule import Schedule
from kallyai_mcp.calls.speech.spoken import Spoken
from kallyai_mcp.clock import moment_or_none, seconds_or_none

_AS_THEY_ARE = (
    *(
        "tracking_id",
        "fingerprint",
        "day",
        "generation",
        "idempotency_key",
        "timezone",
        "session_id",
        "worker",
    ),
    *("plan_id", "clock_offset", "call_id", "agreed_opt_out"),
)
"""The attributes of a record that are also columns of its row, with the same value."""

_TIMES = {
    "asked_at": "placed_at",
    "sent_at": "sent_at",
    "response_lost_at": "response_lost_at",
    "ended_at": "ended_at",
    "delivered_at": "delivered_at",
}
"""The columns of its row for the times of a record, in seconds since the epoch.

`placed_at` is the name that older versions know.
"""


def to_row(record: CallRecord) -> dict[str, Any]:
    """The row of a record in the table `calls`, without `confirmation_id`; `from_row` reads it
    back.
    """
    return {
        **{name: getattr(record, name) for name in _AS_THEY_ARE},
        **{column: seconds_or_none(getattr(record, name)) for name, column in _TIMES.items()},
        **record.account.columns,
        "number": record.submission.respondent_phone,
        "submission": json.dumps(record.submission.as_json()),
        "about_call_id": about_call_id(record.submission),
        "state": record.state.value,
        **end_columns(record),
        **record.schedule.columns,
    }


def end_columns(record: CallRecord) -> dict[str, Any]:
    """The columns of the row that say how a call ended."""
    return {
        "outcome": if_any(Call.model_dump_json, record.call),
        "calendar": if_any(_calendar_to_json, record.calendar),
        "reached": if_any(int, record.reached),
        "spoken": if_any(_spoken_to_json, record.spoken),
        "error": error_to_json(record.error),
    }


@cache
def _calendars() -> TypeAdapter[Calendar]:
    """How the ledger stores a calendar as JSON; made when it is first needed."""
    return TypeAdapter(Calendar)


def _calendar_to_json(calendar: Calendar) -> str:
    return _calendars().dump_json(calendar).decode()


def _calendar_from_json(text: str) -> Calendar:
    return _calendars().validate_json(text)


@cache
def _spoken() -> TypeAdapter[Spoken]:
    """How the ledger stores what a transcript shows as JSON; made when it is first needed."""
    return TypeAdapter(Spoken)


def _spoken_to_json(spoken: Spoken) -> str:
    return _spoken().dump_json(spoken).decode()


def spoken_from_json(text: str) -> Spoken:
    """What a transcript shows, in the column `spoken`."""
    return _spoken().validate_json(text)


def from_row(row: Mapping[str, Any]) -> CallRecord:
    """The record in a row that `to_row` wrote.

    `ValueError`, `KeyError`, or `TypeError`: this version can't read it.
    """
    times: dict[str, Any] = {name: moment_or_none(row[column]) for name, column in _TIMES.items()}
    return CallRecord(
        **{name: row[name] for name in _AS_THEY_ARE},
        **times,
        account=AccountKey(row["api"], row["account"]),
        submission=Submission.model_validate_json(row["submission"]),
        state=CallState(row["state"]),
        call=if_any(Call.model_validate_json, row["outcome"]),
        calendar=if_any(_calendar_from_json, row["calendar"]),
        reached=if_any(bool, row["reached"]),
        spoken=if_any(spoken_from_json, row["spoken"]),
        error=error_from_json(row["error"]),
        schedule=Schedule.from_row(row),
    )
