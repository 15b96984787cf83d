"""What an account has used of its plan.

A call costs its conversation's length, rounded up to a tenth of a minute, however it ends, and counts from the moment
it is placed. The period is the calendar month in UTC, or the calendar year on a yearly plan. A call is refused
once the minutes or the calls of the plan are used up; the last one may run over. What an account "used before"
(`accounts.Account`) counts in every period, so that each account stays the state it is there to show.
"""

import math
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kallyai_mcp.sandbox import call_table
from kallyai_mcp.sandbox.accounts import Account
from kallyai_mcp.sandbox.errors import QuotaExceededError

UPGRADE_URL = "https://kallyai.com/pricing"
"""`upgrade_url` of the reference's QuotaExceededResponse."""


def tenths_of(duration_seconds: float) -> int:
    """What a call of this length costs, in tenths of a minute."""
    return math.ceil(round(duration_seconds / 6, 6))


def minutes(tenths: int) -> int | float:
    """Tenths of a minute as minutes; a whole number as an int, as the reference prints it."""
    return tenths // 10 if tenths % 10 == 0 else tenths / 10


def period(account: Account, now: datetime) -> tuple[datetime, datetime]:
    """First moment of the account's current period, and of the next one, in UTC."""
    now = now.astimezone(UTC)
    if account.period == "yearly":
        return datetime(now.year, 1, 1, tzinfo=UTC), datetime(now.year + 1, 1, 1, tzinfo=UTC)
    following = (now.year + 1, 1) if now.month == 12 else (now.year, now.month + 1)
    return datetime(now.year, now.month, 1, tzinfo=UTC), datetime(*following, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Usage:
    """How far an account is through its plan in the current period; `tenths` are tenths of a minute."""

    account: Account
    tenths: int
    calls: int
    period_start: datetime
    period_end: datetime

    def statistics(self) -> dict[str, Any]:
        """The reference's "Get Statistics" payload."""
        plan = self.account
        allocated = plan.minutes_allocated * 10
        return {
            "plan_type": plan.plan_type,
            "minutes_allocated": plan.minutes_allocated,
            "minutes_used": minutes(self.tenths),
            "minutes_remaining": minutes(max(0, allocated - self.tenths)),
            "calls_allocated": plan.calls_allocated,
            "calls_used": self.calls,
            "calls_remaining": max(0, plan.calls_allocated - self.calls),
            "period_start": self.period_start,
            "period_end": self.period_end,
            "usage_percentage": round(100 * self.tenths / allocated, 1),
            "subscription_status": plan.subscription_status,
        }

    def require_some_left(self) -> None:
        """Let the account place a call.

        Raises:
            QuotaExceededError: The minutes or the calls of the plan are used up.
        """
        plan = self.account
        if self.tenths >= plan.minutes_allocated * 10 or self.calls >= plan.calls_allocated:
            raise QuotaExceededError(
                {
                    "plan_type": plan.plan_type,
                    "minutes_allocated": plan.minutes_allocated,
                    "minutes_used": minutes(self.tenths),
                    "upgrade_url": UPGRADE_URL,
                }
            )


def usage(db: sqlite3.Connection, account: Account, now: datetime) -> Usage:
    """What the account has used in the period that `now` (aware) lies in."""
    start, end = period(account, now)
    tenths, calls = call_table.used(db, account.id, start, end)
    return Usage(account, account.minutes_used_before * 10 + tenths, account.calls_used_before + calls, start, end)
