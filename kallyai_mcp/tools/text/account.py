"""How the account reads: what is left of the quota, who is signed in, the sign-in link."""

from datetime import datetime

from kallyai_mcp.api.models import Statistics, Subscription
from kallyai_mcp.tools.text.plain import day, named, number, word, zone_of

SIGN_IN_MESSAGE = "Sign in to KallyAI, so that calls can be made on your account."
"""What the user reads before their client opens the sign-in page."""

_SHORT_SHARE = 0.1
"""Below this share of the allowance the text warns that little is left."""


def quota(statistics: Statistics, subscription: Subscription | None, *, zone_name: str, now: datetime) -> str:
    """What is left, of which plan, until when, and what to do when little is left."""
    left = _left(statistics)
    plan = _plan(statistics, subscription)
    first = f"{' and '.join(left)} left" if left else "KallyAI gives no figures for this account"
    first += f" ({', '.join(plan)})" if plan else ""
    first += _until(statistics, subscription, zone_name, now)
    if statistics.usage_percentage is not None:
        first += f". {round(statistics.usage_percentage)}% used"
    return f"{first}.{_short(statistics)}"


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


def _plan(statistics: Statistics, subscription: Subscription | None) -> list[str]:
    plan = subscription.plan if subscription else None
    facts = (
        statistics.plan_type or (plan.type if plan else None),
        plan.period if plan else None,
        statistics.subscription_status or (subscription.status if subscription else None),
    )
    return [word(fact) for fact in facts if fact]


def _until(statistics: Statistics, subscription: Subscription | None, zone_name: str, now: datetime) -> str:
    end = statistics.period_end or (subscription.expires_at if subscription else None)
    if end is None:
        return ""
    zone = zone_of(zone_name)
    verb = "renews" if subscription is None or subscription.auto_renew is not False else "ends"
    return f"; {verb} {day(end.astimezone(zone), now.astimezone(zone))}"


def _short(statistics: Statistics) -> str:
    pairs = (
        (statistics.minutes_remaining, statistics.minutes_allocated),
        (statistics.calls_remaining, statistics.calls_allocated),
        (statistics.credits_remaining, statistics.credits_allocated),
    )
    known = [(remaining, allocated) for remaining, allocated in pairs if remaining is not None]
    if any(remaining <= 0 for remaining, _ in known):
        return " Calls will be refused until then; get_billing_link has the page to upgrade."
    if any(allocated and remaining < _SHORT_SHARE * allocated for remaining, allocated in known):
        return " That is getting short; get_billing_link has the page to upgrade."
    return ""


def signed_in(who: str | None) -> str:
    """Who is signed in, as far as the token says."""
    return f"Signed in to KallyAI{f' as {named(who)}' if who else ''}."


def sign_in_link(link: str, minutes: int, *, then: str) -> str:
    """The sign-in link, and what to do afterwards."""
    return f"Give the user this link; it works for {minutes} minutes: {link}\nWhen they are back, {then}."
