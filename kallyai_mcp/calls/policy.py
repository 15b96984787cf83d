"""The call policy: which numbers may be called, how often, and which risks are a reason to ask the
user first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from enum import StrEnum
from math import inf
from typing import Literal

from kallyai_mcp.api.errors import PolicyError
from kallyai_mcp.api.models import Statistics, Submission
from kallyai_mcp.calls.numbers import local_times, may_cost_more
from kallyai_mcp.setting_values import variable
from kallyai_mcp.settings import Settings

ConsentKind = Literal[
    "not_needed", "never_asks", "form", "confirmation", "first_consent", "not_looked_at"
]
"""How consent was given.

- `not_needed`: there was no risk.
- `never_asks`: a setting says never to ask.
- `form`: by a form of the client.
- `confirmation`: by a confirmation token that the agent sent back.
- `first_consent`: a list goes on with the consent that it has.
- `not_looked_at`: no consent is checked, see `NOT_LOOKED_AT`.
"""

EARLIEST = time(8)
LATEST = time(21)
"""The ordinary hours for a call, by the callee's clock: from the first one until before the second
one.
"""

RECENTLY = timedelta(hours=1)
"""How long after a call its number counts as called recently."""

FEW_MINUTES = 5.0
"""With fewer minutes left than this, the plan may not last for one call.

With none, KallyAI refuses the call.
"""


@dataclass(frozen=True)
class Limit:
    """The most calls of one account, or of one account to one number, in a rolling window."""

    setting: str
    count: int
    window: timedelta
    per_number: bool = False

    def wait(self, newest: Sequence[datetime], now: datetime) -> float:
        """Seconds until one more call is allowed, infinite for never.

        `newest`: when the last `count` were placed.
        """
        if len(newest) < self.count:
            return 0.0
        if not newest:
            return inf
        return (newest[-1] + self.window - now).total_seconds()

    def error(self, wait: float) -> PolicyError:
        """The error that refuses one more call for so many seconds."""
        rule = f"this server allows {self._calls()} ({self.setting})"
        if wait == inf:
            return PolicyError(rule, setting=self.setting)
        return PolicyError(
            f"{rule}, and that many were placed", setting=self.setting, retry_after=wait
        )

    def _calls(self) -> str:
        """What is allowed: "2 calls a day to one number"."""
        calls = _COUNTS.get(self.count, f"{self.count} calls")
        span = "an hour" if self.window == timedelta(hours=1) else "a day"
        return f"{calls} {span} to one number" if self.per_number else f"{calls} {span}"


_COUNTS = {0: "no calls", 1: "1 call"}


class RiskFlag(StrEnum):
    """A reason to ask the user before a call."""

    # The number is not to be called again (`opt_outs`); `risk_flags` does not look for it.
    OPTED_OUT = "opted_out"
    LOCAL_HOUR = "local_hour"  # it is not between 8:00 and 21:00 for the callee
    # The number was called, or may have been, within the last hour.
    CALLED_RECENTLY = "called_recently"
    FEW_MINUTES = "few_minutes"  # the plan has less than 5 minutes left
    COSTLY = "costly"  # a satellite or shared-cost number
    URGENT = "urgent"  # the request says `is_urgent`
    # It changes a booking of another number; `risk_flags` does not look for it.
    OTHER_NUMBER = "other_number"


_LIMITS = (
    ("calls_per_hour", timedelta(hours=1), False),
    ("calls_per_day", timedelta(days=1), False),
    ("calls_per_number", timedelta(days=1), True),
)
"""The settings that limit calls: the window of each, and whether it is for one number."""


@dataclass(frozen=True)
class CallPolicy:
    """What an operator allows, and when a user is asked first, by the settings."""

    settings: Settings = field(default_factory=Settings)

    def limits(self) -> tuple[Limit, ...]:
        """The limits for which a setting has a value."""
        found = []
        for name, window, per_number in _LIMITS:
            count: int | None = getattr(self.settings, name)
            if count is not None:
                found.append(Limit(variable(name), count, window, per_number))
        return tuple(found)

    def refusal(
        self, number: str, newest: Mapping[Limit, Sequence[datetime]], now: datetime, due: datetime
    ) -> PolicyError | None:
        """The error of the setting that refuses a call to `number` that is `due` now or later; None
        if none does.

        `newest` is as for `Limit.wait`. The limit that lasts longest is named, so that an agent
        does not retry early.
        """
        banned = self.ban(number)
        if banned is not None:
            return banned
        waits = {limit: limit.wait(placed, now) for limit, placed in newest.items()}
        longest = max(waits, key=lambda limit: waits[limit], default=None)
        until_due = max(0.0, (due - now).total_seconds())
        if longest is None or waits[longest] <= until_due:
            return None
        return longest.error(waits[longest])

    def ban(self, number: str) -> PolicyError | None:
        """The error when `number` (E.164) may not be called at all; None when it may."""
        allowed = self.settings.allow_numbers
        if self.settings.stop_calls:
            return _banned("calls are switched off on this server", "stop_calls")
        if number.startswith(self.settings.deny_numbers):
            return _banned("this server may not call this number", "deny_numbers")
        if allowed and not number.startswith(allowed):
            return _banned("this server calls only the numbers on its list", "allow_numbers")
        return None

    def risk_flags(
        self,
        submission: Submission,
        usage: Statistics | None,
        *,
        now: datetime,
        last_call: datetime | None,
    ) -> tuple[RiskFlag, ...]:
        """The reasons to ask the user before a call that is placed `now`.

        With several zones, as for a mobile number of Spain, `LOCAL_HOUR` applies if it is outside
        the ordinary hours in any of them. It does not apply without a known zone, as for a
        toll-free number. `usage` is None when it is not known, `last_call` when the number was
        never called.
        """
        number = submission.respondent_phone
        found = {
            RiskFlag.LOCAL_HOUR: not all(map(is_ordinary, local_times(number, now))),
            RiskFlag.CALLED_RECENTLY: last_call is not None and was_called_recently(last_call, now),
            RiskFlag.FEW_MINUTES: usage is not None and _has_few_minutes(usage),
            RiskFlag.COSTLY: may_cost_more(number),
            RiskFlag.URGENT: bool(submission.is_urgent),
        }
        return tuple(filter(found.get, RiskFlag))


def _has_few_minutes(usage: Statistics) -> bool:
    """Whether the plan is nearly used up."""
    minutes = usage.minutes_remaining
    return minutes is not None and 0 < minutes < FEW_MINUTES


def _banned(rule: str, setting: str) -> PolicyError:
    return PolicyError(f"{rule} ({variable(setting)})", setting=variable(setting))


@dataclass(frozen=True)
class Consent:
    """How consent to a call was given, and what it was given for.

    Attributes:
        asked_by: The client's own name and version, for the audit trail.
        risk_flags: The risks that the user was told.
        last_calls: When each number that may be called had been called last, at that time; None for
            never.
        confirmation_id: The id of the user's yes, which allows one call; None when no user was
            asked.
        joins: A duplicate was found. Then no risk was checked, and no new call is allowed.
        opt_outs: The opt-outs that the user was told (`OptOut.id`).
        lifts_opt_out: The user has said that the number may be called again from now on.
        reasons: The risks of each number that the user was told, by number; for a list.
        first_call: The tracking id of the first call that it was given for, if its list has gone
            on with it.
    """

    asked_by: str | None
    how: ConsentKind
    risk_flags: tuple[RiskFlag, ...] = ()
    last_calls: tuple[datetime | None, ...] = ()
    confirmation_id: str | None = None
    joins: bool = False
    opt_outs: tuple[str, ...] = ()
    lifts_opt_out: bool = False
    reasons: Mapping[str, tuple[RiskFlag, ...]] = field(default_factory=dict)
    first_call: str | None = None

    @property
    def is_looked_at(self) -> bool:
        """Whether the transaction that reserves a call checks it."""
        return self.how != "not_looked_at"

    @property
    def asks_nobody(self) -> bool:
        """Whether there is no user who could be asked about one more reason."""
        return self.how in ("never_asks", "not_looked_at")

    @property
    def is_yes(self) -> bool:
        """Whether the user was asked, and has agreed."""
        return self.how in ("form", "confirmation")


NOT_LOOKED_AT = Consent(None, "not_looked_at")
"""Where no consent is checked: in a demonstration, and for a call that is due, whose consent was
checked when it was scheduled.
"""


def was_called_recently(last_call: datetime, now: datetime) -> bool:
    """Whether a number that was called last at that time counts as called recently."""
    return now - last_call < RECENTLY


def is_ordinary(there: datetime) -> bool:
    """Whether a call at this time of the callee's clock is within the ordinary hours."""
    return EARLIEST <= there.time() < LATEST
