"""How the account reads: what is left of the quota, who is signed in, the sign-in link."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from kallyai_mcp.api.models import Plan, Statistics, Subscription
from kallyai_mcp.tools.text.plain import named, number, word
from kallyai_mcp.tools.text.times import day, month

SIGN_IN_MESSAGE = "Sign in to KallyAI, so that calls can be made on your account."
"""What the user reads before their client opens the sign-in page."""

_SHORT_SHARE = 0.1
"""Below this share of the allowance little is left."""

UNITS_ES = {"calls": "llamadas", "minutes": "minutos", "credits": "créditos"}


@dataclass(frozen=True)
class Allowance:
    """What is left of calls, minutes, or credits; `allocated` is None when KallyAI does not say."""

    unit: str
    remaining: float
    allocated: float | None

    @property
    def share(self) -> float:
        """The part that is left, 0 to 1; 1 when it is not known."""
        return self.remaining / self.allocated if self.allocated else float(self.remaining > 0)

    def words(self, *, spanish: bool = False) -> str:
        """For example "2 of 35 calls"."""
        of = f" {'de' if spanish else 'of'} {number(self.allocated)}" if self.allocated is not None else ""
        return f"{number(self.remaining)}{of} {UNITS_ES[self.unit] if spanish else self.unit}"


def allowances(statistics: Statistics) -> list[Allowance]:
    """What is left, the scarcest first."""
    kinds = (
        ("minutes", statistics.minutes_remaining, statistics.minutes_allocated),
        ("calls", statistics.calls_remaining, statistics.calls_allocated),
        ("credits", statistics.credits_remaining, statistics.credits_allocated),
    )
    known = [Allowance(unit, remaining, allocated) for unit, remaining, allocated in kinds if remaining is not None]
    return sorted(known, key=lambda allowance: allowance.share)


def quota(statistics: Statistics, subscription: Subscription | None, *, now: datetime) -> str:
    """What runs out first and what else is left, the plan, when they renew, and what to do when little is left."""
    left = allowances(statistics)
    if not left:
        first = "KallyAI gives no figures for this account"
    else:
        rest = " and ".join(allowance.words() for allowance in left[1:])
        first = f"{left[0].words()} left{f' (and {rest})' if rest else ''}"
    sentences = [first, *_plan(statistics, subscription, now)]
    if len(left) > 1 and left[0].share < left[1].share:
        sentences.append(f"{left[0].unit.capitalize()} run out first")
    return " ".join(f"{text}." for text in [*sentences, *_short(left)])


def _plan(statistics: Statistics, subscription: Subscription | None, now: datetime) -> list[str]:
    """The plan's name, period, and state, and its end: of the subscription, which the statistics may contradict."""
    plan = (subscription.plan if subscription else None) or Plan()
    kind = plan.type or statistics.plan_type
    state = (subscription.status if subscription else None) or statistics.subscription_status
    facts = [f"{_capitalized(word(kind))} plan"] if kind else []
    facts += [word(fact) for fact in (plan.period, state) if fact]
    if subscription is not None and subscription.has_active_subscription is False:
        facts.append("no active subscription")
    renews, expires = statistics.period_end, subscription.expires_at if subscription is not None else None
    if subscription is not None and expires is not None:
        ends = "renews" if subscription.auto_renew else "ends" if expires > now else "ended"
        facts.append(f"{ends} {billing_day(expires, now)}")
        if renews is not None and expires.date() == renews.date() and subscription.auto_renew:
            renews = None  # one date says it all
    sentences = [", ".join(facts)] if facts else []
    return sentences + ([f"This period ends {billing_day(renews, now)}"] if renews is not None else [])


def _capitalized(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"


def billing_day(moment: datetime, now: datetime, *, spanish: bool = False) -> str:
    """A day of the billing period: "Feb 1" or "1 de febrero", in UTC, as KallyAI counts."""
    utc = moment.astimezone(UTC)
    return f"{utc.day} de {month(utc, spanish=True)}" if spanish else day(utc, now.astimezone(UTC))


def _short(left: Sequence[Allowance]) -> list[str]:
    if any(allowance.remaining <= 0 for allowance in left):
        return ["Calls are refused until more is available; get_billing_link opens the upgrade page"]
    if left and left[0].share < _SHORT_SHARE:
        return ["That is little; get_billing_link opens the upgrade page"]
    return []


def little_left(statistics: Statistics, *, spanish: bool = False) -> str | None:
    """What is left, if it is little: "2 of 35 calls (93 minutes)"; None else."""
    left = allowances(statistics)
    if not left or left[0].share >= _SHORT_SHARE:
        return None
    rest = [f"{number(one.remaining)} {UNITS_ES[one.unit] if spanish else one.unit}" for one in left[1:]]
    others = f" ({', '.join(rest)})" if rest else ""
    return f"{left[0].words(spanish=spanish)}{others}"


def signed_in(who: str | None) -> str:
    """Who is signed in, as far as the token says."""
    return f"Signed in to KallyAI{f' as {named(who)}' if who else ''}."


def sign_in_link(link: str, minutes: int, *, then: str) -> str:
    """The sign-in link, and what to do afterwards."""
    return f"Give the user this link (valid for {minutes} minutes): {link}\nWhen they have signed in, {then}."


def sign_in_needed(link: str, minutes: int, *, tool: str, places_calls: bool, spanish: bool = False) -> str:
    """The text of an error because nobody is signed in.

    Args:
        link: Where the user signs in.
        minutes: For how long the link is valid.
        tool: The tool to call afterwards.
        places_calls: The tool was to place a call.
        spanish: In Spanish, else in English.
    """
    if spanish:
        not_called = "No se llamó: no hay sesión iniciada en KallyAI." if places_calls else "No hay sesión en KallyAI."
        return (
            f"{not_called} Da al usuario este enlace (válido {minutes} minutos): {link}\n"
            f"Cuando haya iniciado sesión, llama otra vez a {tool} con los mismos argumentos."
        )
    not_called = "Not called: not signed in to KallyAI." if places_calls else "Not signed in to KallyAI."
    return f"{not_called} {sign_in_link(link, minutes, then=f'call {tool} again with the same arguments')}"
