"""Guard rails: what may be rung at all, how often, and what is odd enough about a call to ask its user first.

`phonenumbers` is imported late, as in `numbers`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import Literal
from zoneinfo import ZoneInfo

from kallyai_mcp.api.errors import PolicyError
from kallyai_mcp.api.models import Submission
from kallyai_mcp.common_types import Confirm

How = Literal["not_needed", "never_asks", "form", "confirmation"]
"""How consent was had: nothing was odd; the user is never asked; by a form; by a confirmation that the agent got."""

EARLIEST, LATEST = time(8), time(21)
"""Between which hours where the phone rings a call is ordinary; the second is the first that no longer is."""

RECENTLY = timedelta(hours=1)
"""For how long a number counts as rung recently."""

FEW_MINUTES = 5.0
"""Fewer minutes than these may not last for a call."""

_ENTRY = re.compile(r"\+[0-9]{1,15}")

_NO_HOUR_SUITS_ALL = timedelta(hours=LATEST.hour - EARLIEST.hour)
"""Clocks that are so far apart are never all between `EARLIEST` and `LATEST`."""


@dataclass(frozen=True)
class Limit:
    """So many calls of one account in a rolling window.

    Attributes:
        setting: The setting's name.
        limit: How many.
        window: In how long a time.
        per_number: To one number, not to all together.
    """

    setting: str
    limit: int
    window: timedelta
    per_number: bool = False

    def hit(self, oldest: datetime | None, *, now: datetime, timezone: str) -> PolicyError:
        """The refusal of one call more.

        Args:
            oldest: When the oldest of the last `limit` calls was placed: when it leaves the window there is room again.
                None when there never is.
            now: The present moment.
            timezone: IANA name of the user's time zone.
        """
        calls = "1 call" if self.limit == 1 else f"{self.limit or 'no'} calls"
        span = "an hour" if self.window == timedelta(hours=1) else "a day"
        rule = f"this server allows {calls} {span}{' to one number' if self.per_number else ''} ({self.setting})"
        if oldest is None:
            return PolicyError(rule, setting=self.setting)
        opens = oldest + self.window
        # Up to the next whole minute: at the time that is told it is open.
        to_result = (opens + timedelta(seconds=59, microseconds=999_999)).astimezone(ZoneInfo(timezone))
        words = f"{rule}, and so many were made; it may be tried again at {to_result.isoformat(' ', 'minutes')}"
        return PolicyError(words, setting=self.setting, retry_after=max(0.0, (opens - now).total_seconds()))


def last_to_open(hits: Iterable[PolicyError]) -> PolicyError | None:
    """Of several refusals the one that lasts longest, so that an agent isn't told to come back too early."""
    return max(hits, key=lambda hit: float("inf") if hit.retry_after is None else hit.retry_after, default=None)


@dataclass(frozen=True)
class CallPolicy:
    """What an operator allows; all off by default.

    Attributes:
        confirm: When the user is asked (`KALLYAI_CONFIRM`); this room only keeps it for the tools.
        calls_per_hour: Calls of one account in any 60 minutes (`KALLYAI_CALLS_PER_HOUR`).
        calls_per_day: Calls of one account in any 24 hours (`KALLYAI_CALLS_PER_DAY`).
        calls_per_number: Calls of one account to one number in any 24 hours (`KALLYAI_CALLS_PER_NUMBER`).
        allowed: E.164 numbers, or prefixes of them such as +1415, that alone may be rung; empty for all
            (`KALLYAI_ALLOW_NUMBERS`).
        denied: Those that may not, even if they are allowed (`KALLYAI_DENY_NUMBERS`).
        stopped: Nothing may be rung (`KALLYAI_STOP_CALLS`).

    Raises:
        ValueError: A cap is below 0, or an entry of a list is no number or prefix; the message is one line.
    """

    confirm: Confirm = "auto"
    calls_per_hour: int | None = None
    calls_per_day: int | None = None
    calls_per_number: int | None = None
    allowed: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    stopped: bool = False

    def __post_init__(self) -> None:
        for cap in self.caps():
            if cap.limit < 0:
                raise ValueError(f"{cap.setting} must be 0 or more")
        # An entry that matches nothing would be a rail that isn't there.
        for setting, entries in (("KALLYAI_ALLOW_NUMBERS", self.allowed), ("KALLYAI_DENY_NUMBERS", self.denied)):
            if wrong := [entry for entry in entries if not _ENTRY.fullmatch(entry)]:
                raise ValueError(f"{setting}: {wrong[0]!r} is no number or prefix in E.164, such as +1415")

    def caps(self) -> tuple[Limit, ...]:
        """The caps that are set."""
        hour, day = timedelta(hours=1), timedelta(days=1)
        limits = (
            ("KALLYAI_CALLS_PER_HOUR", self.calls_per_hour, hour, False),
            ("KALLYAI_CALLS_PER_DAY", self.calls_per_day, day, False),
            ("KALLYAI_CALLS_PER_NUMBER", self.calls_per_number, day, True),
        )
        return tuple(Limit(name, limit, window, one) for name, limit, window, one in limits if limit is not None)

    def ban(self, number: str) -> PolicyError | None:
        """Why `number` (E.164) may not be rung, however often it was; None when it may."""
        if self.stopped:
            setting = "KALLYAI_STOP_CALLS"
            return PolicyError(f"calls are switched off on this server ({setting})", setting=setting)
        if number.startswith(self.denied):
            setting = "KALLYAI_DENY_NUMBERS"
            return PolicyError(f"this number may not be rung from this server ({setting})", setting=setting)
        if self.allowed and not number.startswith(self.allowed):
            setting = "KALLYAI_ALLOW_NUMBERS"
            return PolicyError(
                f"this server rings only the numbers on its list ({setting}), and this is none of them", setting=setting
            )
        return None

    def refuse(self, number: str) -> None:
        """Refuse a number that may not be rung, however often it was.

        Args:
            number: E.164.

        Raises:
            PolicyError: Calls are stopped, or the number is denied or not allowed.
        """
        if (hit := self.ban(number)) is not None:
            raise hit


class RiskFlag(StrEnum):
    """What speaks against placing a call without asking its user.

    `HOUR_THERE`: outside 8:00-21:00 where the phone rings. `RUNG_RECENTLY`: the number was rung within the last hour.
    `DOUBTFUL_NUMBER`: possible, but not valid for its prefix. `FEW_MINUTES`: under 5 minutes, or no calls, are left.
    `URGENT`: the call is to be urgent.
    """

    HOUR_THERE = "hour_there"
    RUNG_RECENTLY = "rung_recently"
    DOUBTFUL_NUMBER = "doubtful_number"
    FEW_MINUTES = "few_minutes"
    URGENT = "urgent"


@dataclass(frozen=True)
class Consent:
    """How a call came to be placed, for the audit trail.

    Attributes:
        asked_by: The client's name and version, as it calls itself.
        how: How consent was had.
        oddities: What was odd.
    """

    asked_by: str | None
    how: How
    risk_flags: tuple[RiskFlag, ...] = ()


def risk_flags(
    submission: Submission,
    *,
    now: datetime,
    last_rung: datetime | None,
    minutes_remaining: float | None,
    calls_remaining: float | None,
) -> tuple[RiskFlag, ...]:
    """What is odd about a call.

    A number of several zones, such as a mobile of Spain, is at an odd hour if it is in any of them. One whose zones lie
    so far apart that there is no ordinary hour for all of them, such as a toll-free number of North America, is not:
    its zones say nothing of where it rings. Nor is one of no known zone.

    Args:
        submission: What is to be said to whom; its number is E.164.
        now: The present moment, aware.
        last_rung: When the number was rung last, or None.
        minutes_remaining: Minutes left of the quota, or None when they are not known.
        calls_remaining: Calls left of the quota, or None when they are not known.
    """
    number = submission.respondent_phone
    times = local_times(number, now)
    found = {
        RiskFlag.HOUR_THERE: _are_apart_by(times) < _NO_HOUR_SUITS_ALL and not all(map(_is_ordinary, times)),
        RiskFlag.RUNG_RECENTLY: last_rung is not None and now - last_rung < RECENTLY,
        RiskFlag.DOUBTFUL_NUMBER: _is_doubtful(number),
        RiskFlag.FEW_MINUTES: (minutes_remaining is not None and minutes_remaining < FEW_MINUTES)
        or (calls_remaining is not None and calls_remaining < 1),
        RiskFlag.URGENT: bool(submission.is_urgent),
    }
    return tuple(risk_flag for risk_flag in RiskFlag if found[risk_flag])


def local_times(number: str, now: datetime) -> tuple[datetime, ...]:
    """The time where a number may ring, once for each different clock there, the earliest first.

    Args:
        number: E.164.
        now: The present moment, aware.

    Returns:
        `now` in the zones of the number; nothing when they are unknown.
    """
    import phonenumbers
    from phonenumbers import timezone

    try:
        zones = timezone.time_zones_for_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return ()
    # Of zones with one clock the first by name, so that the answer does not change with the library's order.
    there = (
        now.astimezone(ZoneInfo(zone)) for zone in sorted(zones, reverse=True) if zone != timezone.UNKNOWN_TIMEZONE
    )
    by_clock = {moment.replace(tzinfo=None): moment for moment in there}
    return tuple(by_clock[clock] for clock in sorted(by_clock))


def place_of(number: str, language: str = "en") -> str | None:
    """The country where a number is at home, as "Spain".

    Not the town: the geocoder of `phonenumbers` takes seconds and 190 MB to load.

    Args:
        number: E.164.
        language: Of the name: `en` or `es`; any other is taken for `en`.

    Returns:
        The name, or None when the number belongs to several countries, or to one far from where KallyAI rings.
    """
    import phonenumbers

    from kallyai_mcp.calls.countries import NAMES

    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return None
    regions = phonenumbers.region_codes_for_country_code(parsed.country_code or 0)
    if len(regions) > 1:
        regions = tuple(region for region in regions if phonenumbers.is_valid_number_for_region(parsed, region))
    names = NAMES.get(regions[0]) if len(regions) == 1 else None
    return names[language == "es"] if names else None


def _is_ordinary(there: datetime) -> bool:
    return EARLIEST <= there.time() < LATEST


def _are_apart_by(times: tuple[datetime, ...]) -> timedelta:
    clocks = [moment.replace(tzinfo=UTC) for moment in times]
    return max(clocks) - min(clocks) if clocks else timedelta()


def _is_doubtful(number: str) -> bool:
    import phonenumbers

    try:
        return not phonenumbers.is_valid_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return True
