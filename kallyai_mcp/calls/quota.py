"""Whether an account's plan is certainly used up when a call is due."""

from dataclasses import dataclass
from datetime import datetime

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Statistics


@dataclass(eq=False, repr=False, kw_only=True)
class NothingLeftError(KallyAIError, code="quota_exceeded"):
    """The statistics show that nothing is left for a call until the period ends.

    Attributes:
        unit: What is used up: `minutes`, `calls`, or `credits`.
        allocated: How many the plan has; None if that is not known.
        renews: When the period ends, and the plan has all of them again (aware).
        due: When a call for later is due; None for one that is due now.
    """

    unit: str
    allocated: float | None
    renews: datetime
    plan_type: str | None = None
    due: datetime | None = None


def refusal_by_quota(
    usage: Statistics | None, now: datetime, due: datetime | None
) -> NothingLeftError | None:
    """The error of a call that KallyAI will certainly refuse, because nothing is left when it is
    `due` (None for `now`).

    None if that is not certain: KallyAI decides.
    """
    if usage is None or usage.period_end is None:
        return None
    called_at = due or now
    unit = unit_used_up(usage)
    if unit is None or usage.period_end <= called_at:
        return None
    return NothingLeftError(
        f"no {unit} are left",
        unit=unit,
        allocated=getattr(usage, f"{unit}_allocated"),
        renews=usage.period_end,
        plan_type=usage.plan_type,
        due=due,
    )


def check_what_is_left(usage: Statistics | None, now: datetime, due: datetime | None) -> None:
    """Raise the error of `refusal_by_quota`, if there is one."""
    refusal = refusal_by_quota(usage, now, due)
    if refusal is not None:
        raise refusal


def unit_used_up(usage: Statistics) -> str | None:
    """What is used up, so that no call can be placed; None if there is something left.

    Credits pay for a call, too, where an account has some.
    """
    if (usage.credits_remaining or 0) > 0:
        return None
    of_plan = {"minutes": usage.minutes_remaining, "calls": usage.calls_remaining}
    known = {unit: left for unit, left in of_plan.items() if left is not None}
    if not known and usage.credits_remaining is not None:
        known = {"credits": usage.credits_remaining}
    return next((unit for unit, left in known.items() if left <= 0), None)
