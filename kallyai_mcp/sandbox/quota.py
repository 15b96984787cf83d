"""An account's usage of its plan.

A call costs the length of its conversation, rounded up to a tenth of a minute, whatever its status;
it counts from the moment it is placed. The period is the calendar month in UTC, or the calendar
year on a yearly plan. A call is refused when the minutes or the calls of the plan are used up; the
last call may exceed the minutes. The usage that an account starts with (`accounts.Account`) counts
in every period, so that each account always shows the same state.
"""

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime

from kallyai_mcp.sandbox import call_table
from kallyai_mcp.sandbox.accounts import Account
from kallyai_mcp.sandbox.errors import QuotaExceededError
from kallyai_mcp.sandbox.schemas import Statistics

UPGRADE_URL = "https://kallyai.com/pricing"
"""`upgrade_url` of the reference's QuotaExceededResponse."""

_RENEWAL_DAY = 22


def minutes(tenths: int) -> int | float:
    """Return tenths of a minute as minutes: an int if it is whole, as in the reference's
    examples.
    """
    return tenths // 10 if tenths % 10 == 0 else tenths / 10


def period(account: Account, now: datetime, day: int = 1) -> tuple[datetime, datetime]:
    """Return this `day` in the account's current period and in the next one, in UTC."""
    now = now.astimezone(UTC)
    if account.period == "yearly":
        return datetime(now.year, 1, day, tzinfo=UTC), datetime(now.year + 1, 1, day, tzinfo=UTC)
    after = (now.year + 1, 1) if now.month == 12 else (now.year, now.month + 1)
    return datetime(now.year, now.month, day, tzinfo=UTC), datetime(*after, day, tzinfo=UTC)


def expires_at(account: Account, now: datetime) -> datetime:
    """Return when the account's subscription renews or ends: a day of its own, as in the
    reference's example.
    """
    this, after = period(account, now, _RENEWAL_DAY)
    return this if now < this else after


@dataclass(frozen=True)
class Usage:
    """An account's usage in the current period; `tenths` are tenths of a minute."""

    account: Account
    tenths: int
    calls: int
    period_start: datetime
    period_end: datetime

    def statistics(self) -> Statistics:
        """Return the reference's "Get Statistics" payload."""
        plan = self.account
        allocated = plan.minutes_allocated * 10
        return Statistics(
            plan_type=plan.plan_type,
            minutes_allocated=plan.minutes_allocated,
            minutes_used=minutes(self.tenths),
            minutes_remaining=minutes(max(0, allocated - self.tenths)),
            calls_allocated=plan.calls_allocated,
            calls_used=self.calls,
            calls_remaining=max(0, plan.calls_allocated - self.calls),
            period_start=self.period_start,
            period_end=self.period_end,
            usage_percentage=round(100 * self.tenths / allocated, 1),
            subscription_status=plan.subscription_status,
        )

    def check_left(self) -> None:
        """Raise `QuotaExceededError` if the minutes or the calls of the plan are used up."""
        plan = self.account
        if self.tenths >= plan.minutes_allocated * 10 or self.calls >= plan.calls_allocated:
            raise self.exceeded()

    def exceeded(self) -> QuotaExceededError:
        """Return the error of a call that the plan does not cover."""
        return QuotaExceededError(
            {
                "plan_type": self.account.plan_type,
                "minutes_allocated": self.account.minutes_allocated,
                "minutes_used": minutes(self.tenths),
                "upgrade_url": UPGRADE_URL,
            }
        )


def usage(db: sqlite3.Connection, account: Account, now: datetime) -> Usage:
    """Return the account's usage in the period that contains `now` (aware)."""
    start, end = period(account, now)
    tenths, calls = call_table.used(db, account.id, start, end)
    return Usage(
        account,
        account.minutes_used_before * 10 + tenths,
        account.calls_used_before + calls,
        start,
        end,
    )
