"""When a call is due: at a requested time, and again after an attempt that reached nobody."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.numbers import zones_of_number
from kallyai_mcp.calls.policy import EARLIEST, is_ordinary
from kallyai_mcp.clock import moment, moment_or_none, seconds_or_none

MOST_RETRIES = 3
"""The most further attempts after the first one."""

RETRY_PAUSE = timedelta(minutes=15)
"""The shortest time from the end of an attempt to the next one."""

MOST_AHEAD = timedelta(days=30)
"""How far in the future a call may be scheduled."""

_NO_RETRY_AFTER = timedelta(hours=2)
"""No attempt follows one whose end became known later than this after it was placed."""

_RETRIED = frozenset({"busy", "no_answer"})
"""The statuses ("CallResponse") after which a call is placed again."""


@dataclass(frozen=True)
class Attempt:
    """An attempt that reached nobody: when it was placed, its `Call.plain_status`, and the service's id of the call."""

    at: datetime
    status: str
    call_id: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a call is due, and how often it may be placed.

    Attributes:
        not_before: When it is due (aware); None for at once.
        place_by: The latest time at which it may be placed (aware); None for a call that is due at once.
        attempts: The most attempts, with the first one.
        earlier: The attempts so far, which reached nobody.
    """

    not_before: datetime | None = None
    place_by: datetime | None = None
    attempts: int = 1
    earlier: tuple[Attempt, ...] = ()

    @property
    def attempt(self) -> int:
        """The number of the newest attempt, which is due, in progress, or over; the first one is 1."""
        return len(self.earlier) + 1

    @property
    def columns(self) -> dict[str, Any]:
        """The columns of the ledger; `from_row` reads them back."""
        earlier = [{"at": one.at.timestamp(), "status": one.status, "call_id": one.call_id} for one in self.earlier]
        return {
            "not_before": seconds_or_none(self.not_before),
            "place_by": seconds_or_none(self.place_by),
            "attempts": self.attempts,
            "earlier": json.dumps(earlier) if earlier else None,
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Schedule":
        """The schedule in a row with the columns that `columns` returned; errors as in `records.from_row`."""
        earlier = json.loads(row["earlier"]) if row["earlier"] else ()
        return cls(
            moment_or_none(row["not_before"]),
            moment_or_none(row["place_by"]),
            row["attempts"],
            tuple(Attempt(moment(one["at"]), one["status"], one["call_id"]) for one in earlier),
        )


AT_ONCE = Schedule()
"""The schedule of a call that is placed at once, and once."""


def next_schedule(
    schedule: Schedule, attempt: Attempt, ended_at: datetime, submission: Submission, timezone: str, place_within: float
) -> Schedule | None:
    """The schedule of the attempt after `attempt`, which reached nobody; None when no other one follows."""
    is_late = ended_at - attempt.at > _NO_RETRY_AFTER
    if schedule.attempt >= schedule.attempts or attempt.status not in _RETRIED or is_late:
        return None
    due = next_attempt(ended_at, submission.respondent_phone, timezone)
    if is_past_appointment(submission, due, timezone):
        return None
    return Schedule(due, due + timedelta(seconds=place_within), schedule.attempts, (*schedule.earlier, attempt))


def next_attempt(ended_at: datetime, number: str, timezone: str) -> datetime:
    """When the next attempt of a call is due: after `RETRY_PAUSE`, between 8:00 and 21:00 for the callee.

    If the number (E.164) has several zones, it is between these hours in all of them. If it has none, `timezone`
    counts.
    """
    due = ended_at + RETRY_PAUSE
    zones = [ZoneInfo(name) for name in zones_of_number(number) or (timezone,)]
    while (later := max(_opening(due, zone) for zone in zones)) != due:
        due = later
    return due


def is_past_appointment(submission: Submission, due: datetime, timezone: str) -> bool:
    """Whether a call at `due` would come too late for the appointment that it asks for, in the zone `timezone`."""
    if submission.appointment_date is None:
        return False
    there = due.astimezone(ZoneInfo(timezone))
    asked = submission.appointment_date, submission.appointment_time or "24:00"
    return (there.date(), f"{there:%H:%M}") >= asked


def _opening(moment: datetime, zone: ZoneInfo) -> datetime:
    """`moment` if it is within the ordinary hours of `zone`; else the next 8:00 there."""
    there = moment.astimezone(zone)
    if is_ordinary(there):
        return moment
    day = there.date() if there.time() < EARLIEST else there.date() + timedelta(days=1)
    return datetime.combine(day, EARLIEST, zone).astimezone(UTC)
