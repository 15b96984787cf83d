"""Texts about the account: what is left of the quota, who is signed in, the sign-in link."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from kallyai_mcp.api.errors import QuotaExceededError
from kallyai_mcp.api.models import Plan, Statistics, Subscription
from kallyai_mcp.calls.quota import unit_used_up
from kallyai_mcp.tools.context import SignInLink
from kallyai_mcp.tools.text.plain import day, number, one_line, part, word

_SHORT_SHARE = 0.1
"""If less than this share of an allowance is left, a text says that it is little."""

_FEW = {"minutes": 10.0, "calls": 3.0, "credits": 3.0}
"""With so many or fewer left, the result of a call says it."""

_TRIAL = "trialing"
"""KallyAI's status of a subscription that is tried out."""

LOGIN_NEEDED = (
    "Not signed in to KallyAI. `kallyai-mcp login` on the machine that this server "
    "runs "
    "on signs in."
)
"""For when nobody is signed in, and there is no sign-in link."""

_NO_PORTAL = (
    "This is the embedded sandbox: its billing portal can't be opened. `kallyai-mcp "
    "sandbox` serves one."
)
_PORTAL = "Give the user this link to their billing portal, where the plan is changed"


@dataclass(frozen=True)
class Allowance:
    """What is left of the calls, minutes, or credits, and when they come back.

    None for what is not known.
    """

    unit: str
    remaining: float
    allocated: float | None
    renews: datetime | None

    @property
    def share(self) -> float:
        """The part that is left, 0 to 1.

        Without `allocated`, it is 1 if anything is left, else 0.
        """
        if not self.allocated:
            return float(self.remaining > 0)
        return self.remaining / self.allocated

    def __str__(self) -> str:
        """For example "2 of 35 calls"."""
        if self.allocated is None:
            return f"{number(self.remaining)} {self.unit}"
        return f"{number(self.remaining)} of {number(self.allocated)} {self.unit}"


def allowances(statistics: Statistics) -> list[Allowance]:
    """What is left, the scarcest first."""
    kinds = (
        ("minutes", statistics.minutes_remaining, statistics.minutes_allocated),
        ("calls", statistics.calls_remaining, statistics.calls_allocated),
        ("credits", statistics.credits_remaining, statistics.credits_allocated),
    )
    ends = statistics.period_end
    known = []
    for unit, left, allocated in kinds:
        if left is not None:
            known.append(Allowance(unit, left, allocated, ends))
    return sorted(known, key=lambda allowance: allowance.share)


@dataclass(frozen=True)
class Counted:
    """How much of an allowance is used, as a refusal says."""

    unit: str
    used: float
    allocated: float

    @property
    def is_used_up(self) -> bool:
        """Whether nothing is left."""
        return self.used >= self.allocated

    def __str__(self) -> str:
        """For example "29 of 30 minutes"."""
        return f"{number(self.used)} of {number(self.allocated)} {self.unit}"


def counted_by(error: QuotaExceededError) -> list[Counted]:
    """The figures of a refusal, those that are used up first."""
    kinds = (
        ("minutes", error.minutes_used, error.minutes_allocated),
        ("credits", error.credits_used, error.credits_allocated),
    )
    known = []
    for unit, used, allocated in kinds:
        if used is not None and allocated is not None:
            known.append(Counted(unit, used, allocated))
    return sorted(known, key=lambda counted: not counted.is_used_up)


def used_up(error: QuotaExceededError, usage: Statistics) -> Allowance | None:
    """What is used up: by the figures of the refusal, or else by the statistics.

    None if neither shows it.
    """
    for counted in counted_by(error):
        if counted.is_used_up:
            return Allowance(counted.unit, 0, counted.allocated, usage.period_end)
    for left in allowances(usage):
        if left.remaining <= 0:
            return left
    return None


MORE = "To get more now: check_quota with billing_link=true."


def quota(
    statistics: Statistics,
    subscription: Subscription | None,
    *,
    now: datetime,
    has_tools: bool = True,
) -> str:
    """What is left, scarcest first; when it comes back; the plan.

    And how to get more, if little is left.

    With `has_tools`, the reader is an agent, and the text names the tool for the next step.
    """
    left = allowances(statistics)
    plan = ", ".join(plan_in_words(statistics, subscription or Subscription(), now))
    sentences = [f"{_left(left)}{part('; {}', plan)}."]
    if left:
        back = comes_back(statistics, subscription, now)
        sentences += when_back(back, is_used_up=unit_used_up(statistics) is not None)
    if has_tools and _is_little(left):
        sentences.append(MORE)
    return " ".join(sentences)


def _left(left: Sequence[Allowance]) -> str:
    if not left:
        return "KallyAI gives no figures"
    others = " and ".join(map(str, left[1:]))
    return f"{left[0]} left{part(' (and {})', others)}"


def when_back(back: str | None, *, is_used_up: bool) -> list[str]:
    """On which day what is left comes `back`, if that is known, and whether calls are refused."""
    if back is None:
        return ["Calls are refused now."] if is_used_up else []
    sentences = [f"They all come back {back}."]
    if is_used_up:
        sentences.append("Calls are refused until then.")
    return sentences


def little_left(statistics: Statistics | None, now: datetime) -> str:
    """The text of `quota`, if little is left; else ""."""
    if statistics is None or not _is_little(allowances(statistics)):
        return ""
    return quota(statistics, None, now=now)


def last_ones(statistics: Statistics | None, now: datetime) -> str:
    """That few calls are left, before the last ones are used: "2 of 35 calls left until Feb 1."; ""
    if more are left, or it is not known. Credits are told, too, because they pay for calls.
    """
    if statistics is None:
        return ""
    few = [one for one in allowances(statistics) if one.remaining <= _FEW[one.unit]]
    if not few:
        return ""
    few += [one for one in allowances(statistics) if one.unit == "credits" and one not in few]
    until = part(" until {}", comes_back(statistics, None, now))
    return f"{' and '.join(map(str, few))} left{until}."


def _is_little(left: Sequence[Allowance]) -> bool:
    return any(allowance.share < _SHORT_SHARE for allowance in left)


def comes_back(
    statistics: Statistics,
    subscription: Subscription | None,
    now: datetime,
) -> str | None:
    """The day on which the period ends, and the allowances are full again.

    None if the plan has ended by then, or may have: only the subscription says when a trial ends.
    """
    ends = statistics.period_end
    if ends is None or ends <= now or _may_be_over_by(ends, statistics, subscription):
        return None
    return day(ends, now)


def _may_be_over_by(
    moment: datetime, statistics: Statistics, subscription: Subscription | None
) -> bool:
    """Whether the plan may have ended by then, and does not renew itself."""
    if subscription is None:
        return statistics.subscription_status == _TRIAL
    expires = subscription.expires_at
    if expires is None or expires > moment:
        return False
    return subscription.has_active_subscription is False or not subscription.auto_renew


def plan_in_words(statistics: Statistics, subscription: Subscription, now: datetime) -> list[str]:
    """The plan's name, and what is unusual about it.

    The subscription counts more than the statistics.
    """
    plan = subscription.plan or Plan()
    kind = plan.type or statistics.plan_type
    state = subscription.status or statistics.subscription_status or "active"
    facts = []
    if kind:
        facts.append(f"{word(kind)} plan")
    if state != "active":
        facts.append(word(state))
    return facts + _plan_ends(subscription, now)


def _plan_ends(subscription: Subscription, now: datetime) -> list[str]:
    """When the plan ends or has ended, unless it renews itself."""
    ends = subscription.expires_at
    if ends is None or subscription.auto_renew:
        return []
    if ends > now:
        return [f"ends {day(ends, now)}"]
    return [f"ended {day(ends, now)}"]


def sign_in_needed(page: SignInLink, then: str, *, places_calls: bool = False) -> str:
    """The text for when nobody is signed in: the link, and what the agent should do then.

    With `places_calls`, the text says that nobody was called.
    """
    first = "Not signed in to KallyAI."
    if places_calls:
        first = "Not called: not signed in to KallyAI."
    given = f"Give the user this link (valid for {page.minutes} minutes): {page.url}"
    return f"{first} {given}\nWhen they have signed in, {then}."


def billing_link(url: str, *, embedded: bool) -> str:
    """The link to the billing portal; the embedded sandbox serves no pages."""
    if embedded:
        return _NO_PORTAL
    return f"{_PORTAL}: {one_line(url)}"
