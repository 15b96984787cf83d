"""How the account reads: what is left of the quota, who is signed in, the sign-in link."""

from collections.abc import Callable
from datetime import datetime

from kallyai_mcp.api.models import Plan, Statistics, Subscription
from kallyai_mcp.tools.text.plain import day, named, number, word, zone_of

SIGN_IN_MESSAGE = "Sign in to KallyAI, so that calls can be made on your account."
"""What the user reads before their client opens the sign-in page."""

_SHORT_SHARE = 0.1
"""Below this share of the allowance the text warns that little is left."""


def quota(statistics: Statistics, subscription: Subscription | None, *, zone_name: str, now: datetime) -> str:
    """What is left in which period, the plan's state and when it ends or renews, and what to do when little is left."""
    zone = zone_of(zone_name)

    def date(moment: datetime) -> str:
        return day(moment.astimezone(zone), now.astimezone(zone))

    left = _left(statistics)
    first = f"{' and '.join(left)} left" if left else "KallyAI gives no figures for this account"
    if statistics.period_end is not None:
        first += f" until {date(statistics.period_end)}"
    if statistics.usage_percentage is not None:
        first += f" ({round(statistics.usage_percentage)}% used)"
    sentences = [first, *_plan(statistics, subscription, now, date), *_short(statistics)]
    return " ".join(f"{text}." for text in sentences)


def _left(statistics: Statistics) -> list[str]:
    kinds = (
        ("minutes", statistics.minutes_remaining, statistics.minutes_allocated),
        ("calls", statistics.calls_remaining, statistics.calls_allocated),
        ("credits", statistics.credits_remaining, statistics.credits_allocated),
    )
    return [
        f"{number(remaining)} of {number(allocated)} {kind}" if allocated is not None else f"{number(remaining)} {kind}"
        for kind, remaining, allocated in kinds
        if remaining is not None
    ]


def _plan(
    statistics: Statistics, subscription: Subscription | None, now: datetime, date: Callable[[datetime], str]
) -> list[str]:
    """The plan's name, period, and state, and its end: of the subscription, which the statistics may contradict."""
    plan = (subscription.plan if subscription else None) or Plan()
    state = (subscription.status if subscription else None) or statistics.subscription_status
    facts = [word(fact) for fact in (plan.type or statistics.plan_type, plan.period, state) if fact]
    if subscription is not None and subscription.has_active_subscription is False:
        facts.append("no active subscription")
    if subscription is not None and subscription.expires_at is not None:
        ends = "ends" if subscription.expires_at > now else "ended"
        facts.append(f"{'renews' if subscription.auto_renew else ends} {date(subscription.expires_at)}")
    return [f"Plan: {', '.join(facts)}"] if facts else []


def _short(statistics: Statistics) -> list[str]:
    pairs = (
        (statistics.minutes_remaining, statistics.minutes_allocated),
        (statistics.calls_remaining, statistics.calls_allocated),
        (statistics.credits_remaining, statistics.credits_allocated),
    )
    known = [(remaining, allocated) for remaining, allocated in pairs if remaining is not None]
    if any(remaining <= 0 for remaining, _ in known):
        return ["Calls will be refused until then; get_billing_link has the page to upgrade"]
    if any(allocated and remaining < _SHORT_SHARE * allocated for remaining, allocated in known):
        return ["That is getting short; get_billing_link has the page to upgrade"]
    return []


def signed_in(who: str | None) -> str:
    """Who is signed in, as far as the token says."""
    return f"Signed in to KallyAI{f' as {named(who)}' if who else ''}."


def sign_in_link(link: str, minutes: int, *, then: str) -> str:
    """The sign-in link, and what to do afterwards."""
    return f"Give the user this link; it works for {minutes} minutes: {link}\nWhen they are back, {then}."
