"""When a call is due: at a requested time, and again after an attempt that reached nobody."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from kallyai_mcp.api.errors import KallyAIError, RateLimitedError, needs_sign_in
from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.numbers import zones_of_number
from kallyai_mcp.calls.policy import EARLIEST, LATEST, is_ordinary
from kallyai_mcp.clock import moment, moment_or_none, seconds_or_none

MOST_RETRIES = 3
"""The most further attempts after the first one."""

RETRY_PAUSE = timedelta(minutes=15)
"""The shortest time from the end of an attempt to the next one."""

MOST_AHEAD = timedelta(days=30)
"""How far in the future a call may be scheduled."""

_TRIED_AGAIN = timedelta(seconds=30)
"""The shortest time after which a due call is tried again that could not be placed."""

_NO_RETRY_AFTER = timedelta(hours=2)
"""No attempt follows one whose end became known later than this after it was placed."""

_RETRIED = frozenset({"busy", "no_answer"})
"""The statuses ("CallResponse") after which a call is placed again."""


@dataclass(frozen=True)
class Attempt:
    """An attempt that reached nobody: when it was placed, its `Call.plain_status`, and the
    service's id of the call.
    """

    at: datetime
    status: str
    call_id: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a call is due, and how often it may be placed.

    Attributes:
        not_before: When it is due (aware); None for at once.
        place_by: The latest time at which it may be placed (aware); None for a call that is due at
            once.
        attempts: The most attempts, with the first one.
        earlier: The attempts so far, which reached nobody.
    """

    not_before: datetime | None = None
    place_by: datetime | None = None
    attempts: int = 1
    earlier: tuple[Attempt, ...] = ()

    @property
    def attempt(self) -> int:
        """The number of the newest attempt, which is due, in progress, or over; the first one
        is 1.
        """
        return len(self.earlier) + 1

    @property
    def attempts_left(self) -> int:
        """How many attempts are left, with the newest one."""
        return self.attempts - len(self.earlier)

    def has_begun(self, now: datetime) -> bool:
        """Whether the time has come at which a call may be placed."""
        return self.not_before is None or self.not_before <= now

    def is_over(self, now: datetime) -> bool:
        """Whether a call may no longer be placed."""
        return self.place_by is not None and self.place_by < now

    @property
    def columns(self) -> dict[str, Any]:
        """The columns of the ledger; `from_row` reads them back."""
        earlier = [
            {"at": one.at.timestamp(), "status": one.status, "call_id": one.call_id}
            for one in self.earlier
        ]
        return {
            "not_before": seconds_or_none(self.not_before),
            "place_by": seconds_or_none(self.place_by),
            "attempts": self.attempts,
            "earlier": json.dumps(earlier) if earlier else None,
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Schedule":
        """The schedule in a row with the columns that `columns` returned; errors as in
        `records.from_row`.
        """
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
    schedule: Schedule,
    attempt: Attempt,
    ended_at: datetime,
    submission: Submission,
    timezone: str,
    place_within: float,
) -> Schedule | None:
    """The schedule of the attempt after `attempt`, which reached nobody; None if none follows."""
    is_late = ended_at - attempt.at > _NO_RETRY_AFTER
    if schedule.attempt >= schedule.attempts or attempt.status not in _RETRIED or is_late:
        return None
    due = next_attempt(ended_at, submission.respondent_phone, timezone)
    if is_past_appointment(submission, due, timezone):
        return None
    place_by = due + timedelta(seconds=place_within)
    following = Schedule(due, place_by, schedule.attempts, (*schedule.earlier, attempt))
    return bounded(following, submission, timezone, agreed_for=due)


def put_off(schedule: Schedule, error: KallyAIError, now: datetime) -> Schedule | None:
    """The schedule of a due call that was not placed because of `error`, and may be placed later.

    Without its sign-in, a call waits, and expires when its window ends. After 429, it waits as long
    as KallyAI says. Returns None if it is refused for good: if its window ends before that, if it
    has no window, and after any other error.
    """
    if schedule.place_by is None:
        return None
    if needs_sign_in(error):
        return replace(schedule, not_before=now + _TRIED_AGAIN)
    if not isinstance(error, RateLimitedError):
        return None
    pause = timedelta(seconds=error.retry_after or 0)
    due = now + max(pause, _TRIED_AGAIN)
    return replace(schedule, not_before=due) if due <= schedule.place_by else None


def next_attempt(ended_at: datetime, number: str, timezone: str) -> datetime:
    """When the next attempt of a call is due: after `RETRY_PAUSE`, in the day of the callee."""
    return _day_from(ended_at + RETRY_PAUSE, _zones_of(number, timezone))


def bounded(
    schedule: Schedule,
    submission: Submission,
    timezone: str,
    *,
    agreed_for: datetime,
) -> Schedule:
    """`schedule`, whose window ends at the latest at `latest_moment`."""
    if schedule.place_by is None:
        return schedule
    latest = latest_moment(submission, timezone, agreed_for)
    return replace(schedule, place_by=min(schedule.place_by, latest))


def latest_moment(submission: Submission, timezone: str, agreed_for: datetime) -> datetime:
    """Until when a call may be placed that its user has agreed to for the time `agreed_for`.

    Until the callee's night begins, and until the appointment that the call asks for. The user has
    agreed to a night in which `agreed_for` lies, and knows of an appointment that was past then.
    """
    night = next_night(agreed_for, submission.respondent_phone, timezone)
    appointment = appointment_moment(submission, timezone)
    if appointment is None or appointment <= agreed_for:
        return night
    return min(night, appointment)


def next_night(after: datetime, number: str, timezone: str) -> datetime:
    """When the next night of the callee begins: at 21:00. In a night, it is the one after that.

    The callee's day is between 8:00 and 21:00, in all zones of a number (E.164) that has several.
    If the number has none, `timezone` counts.
    """
    zones = _zones_of(number, timezone)
    day = _day_from(after, zones)
    evenings = (datetime.combine(day.astimezone(zone).date(), LATEST, zone) for zone in zones)
    return min(evening.astimezone(UTC) for evening in evenings)


def appointment_moment(submission: Submission, timezone: str) -> datetime | None:
    """When the appointment begins that a call asks for, in the zone `timezone`; None without one.

    One without a time may be at any time of its day, so it is the end of that day.
    """
    if submission.appointment_date is None:
        return None
    day = submission.appointment_date
    begins = submission.appointment_time
    if begins is None:
        midnight = datetime.combine(day + timedelta(days=1), time(), ZoneInfo(timezone))
        return midnight.astimezone(UTC)
    begin = datetime.combine(day, time.fromisoformat(begins), ZoneInfo(timezone))
    return begin.astimezone(UTC)


def is_past_appointment(submission: Submission, due: datetime, timezone: str) -> bool:
    """Whether a call at `due` is too late for the appointment that it asks for, in `timezone`."""
    appointment = appointment_moment(submission, timezone)
    return appointment is not None and due >= appointment


def _zones_of(number: str, timezone: str) -> Sequence[ZoneInfo]:
    """The zones of a number; `timezone` for one that has none."""
    return [ZoneInfo(name) for name in zones_of_number(number) or (timezone,)]


def _day_from(moment: datetime, zones: Sequence[ZoneInfo]) -> datetime:
    """`moment` if it is day in all of these zones; else when that is so next."""
    while (later := max(_opening(moment, zone) for zone in zones)) != moment:
        moment = later
    return moment


def _opening(moment: datetime, zone: ZoneInfo) -> datetime:
    """`moment` if it is within the ordinary hours of `zone`; else the next 8:00 there."""
    there = moment.astimezone(zone)
    if is_ordinary(there):
        return moment
    day = there.date() if there.time() < EARLIEST else there.date() + timedelta(days=1)
    return datetime.combine(day, EARLIEST, zone).astimezone(UTC)
