"""Texts about the account: what is left of the quota, who is signed in, the sign-in link."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from kallyai_mcp.api.models import Plan, Statistics, Subscription
from kallyai_mcp.tools.context import SignInLink
from kallyai_mcp.tools.text.plain import capitalized, link, named, number, word
from kallyai_mcp.tools.text.times import day

_PLANS_ES = {"trial": "de prueba", "personal": "personal", "business": "de empresa"}
_FACTS_ES = {
    "monthly": "mensual",
    "yearly": "anual",
    "active": "activo",
    "trialing": "en periodo de prueba",
    "canceled": "cancelado",
    "past_due": "con un pago pendiente",
}
"""Translations of KallyAI's words for periods and states; a word that is missing here is shown as KallyAI gives it."""

_SHORT_SHARE = 0.1
"""If less than this share of an allowance is left, a text says that it is little."""

_ENDS_ES = {
    "renews": "se renueva el",
    "was to renew": "debía renovarse el",
    "ends": "termina el",
    "ended": "terminó el",
}
_THE_UNITS_ES = {"calls": "las llamadas", "minutes": "los minutos", "credits": "los créditos"}
UNITS_ES = {"calls": "llamadas", "minutes": "minutos", "credits": "créditos"}


Unit = Literal["calls", "minutes", "credits"]


@dataclass(frozen=True)
class Allowance:
    """What is left of the calls, minutes, or credits; `allocated` is None when KallyAI does not report it."""

    unit: Unit
    remaining: float
    allocated: float | None

    @property
    def share(self) -> float:
        """The part that is left, 0 to 1. Without `allocated`, it is 1 if anything is left, else 0."""
        return self.remaining / self.allocated if self.allocated else float(self.remaining > 0)

    def words(self, *, spanish: bool = False, phone: str | None = None) -> str:
        """For example "2 of 35 calls"; `phone` is the called number, for the decimal sign (`plain.number`)."""
        of = ""
        if self.allocated is not None:
            of = f" {'de' if spanish else 'of'} {number(self.allocated, spanish=spanish, phone=phone)}"
        unit = UNITS_ES[self.unit] if spanish else self.unit
        return f"{number(self.remaining, spanish=spanish, phone=phone)}{of} {unit}"


def allowances(statistics: Statistics) -> list[Allowance]:
    """What is left, the scarcest first."""
    kinds: tuple[tuple[Unit, float | None, float | None], ...] = (
        ("minutes", statistics.minutes_remaining, statistics.minutes_allocated),
        ("calls", statistics.calls_remaining, statistics.calls_allocated),
        ("credits", statistics.credits_remaining, statistics.credits_allocated),
    )
    known = [Allowance(unit, remaining, allocated) for unit, remaining, allocated in kinds if remaining is not None]
    return sorted(known, key=lambda allowance: allowance.share)


def used_up(statistics: Statistics) -> list[Allowance]:
    """The allowances with nothing left."""
    return [one for one in allowances(statistics) if one.remaining <= 0]


def quota(
    statistics: Statistics,
    subscription: Subscription | None,
    *,
    now: datetime,
    spanish: bool = False,
    has_tools: bool = True,
) -> str:
    """The text about the quota: what is left, scarcest first; the plan; when it renews; what to do if little is left.

    With `has_tools`, the reader is an agent, and the text names the tool for the next step.
    """
    left = allowances(statistics)
    if not left:
        first = "KallyAI no da cifras de esta cuenta" if spanish else "KallyAI gives no figures for this account"
    else:
        rest = (" y " if spanish else " and ").join(allowance.words(spanish=spanish) for allowance in left[1:])
        more = f" ({'y' if spanish else 'and'} {rest})" if rest else ""
        amount = left[0].words(spanish=spanish)
        first = f"Disponibles: {amount}{more}" if spanish else f"{amount} left{more}"
    sentences = [first, *_plan(statistics, subscription, now, spanish)]
    if len(left) > 1 and left[0].share < left[1].share:
        unit = left[0].unit
        first_out = (
            f"Lo primero que se acaba son {_THE_UNITS_ES[unit]}" if spanish else f"{unit.capitalize()} run out first"
        )
        sentences.append(first_out)
    return " ".join(f"{text}." for text in [*sentences, *_short(left, spanish, has_tools=has_tools)])


def _plan(statistics: Statistics, subscription: Subscription | None, now: datetime, spanish: bool) -> list[str]:
    """Sentences about the plan: its name, period, state, and end. The subscription counts more than the statistics."""
    plan = (subscription.plan if subscription else None) or Plan()
    kind = plan.type or statistics.plan_type
    state = (subscription.status if subscription else None) or statistics.subscription_status
    facts = [f"Plan {plan_name(kind, spanish=True)}" if spanish else f"{capitalized(word(kind))} plan"] if kind else []
    facts += [(_FACTS_ES.get(fact) if spanish else None) or word(fact) for fact in (plan.period, state) if fact]
    if subscription is not None and subscription.has_active_subscription is False:
        facts.append("sin suscripción activa" if spanish else "no active subscription")
    renews, expires = statistics.period_end, subscription.expires_at if subscription is not None else None
    if subscription is not None and expires is not None:
        to_come, past = ("renews", "was to renew") if subscription.auto_renew else ("ends", "ended")
        key = to_come if expires > now else past
        ends = _ENDS_ES[key] if spanish else key
        facts.append(f"{ends} {billing_day(expires, now, spanish=spanish)}")
        if renews is not None and expires.date() == renews.date() and subscription.auto_renew:
            renews = None  # it is the day that the plan's sentence has
    sentences = [", ".join(facts)] if facts else []
    if renews is not None:
        day = billing_day(renews, now, spanish=spanish)
        sentences.append(f"Este periodo termina el {day}" if spanish else f"This period ends {day}")
    return sentences


def plan_name(kind: str, *, spanish: bool) -> str:
    """The name of a plan for a sentence: "personal", "de prueba"."""
    return (_PLANS_ES.get(kind) if spanish else None) or word(kind)


def billing_day(moment: datetime, now: datetime, *, spanish: bool = False) -> str:
    """A day of the billing period: "Feb 1" or "1 de febrero". KallyAI's billing days are in UTC."""
    return day(moment.astimezone(UTC), now.astimezone(UTC), spanish=spanish)


def _short(left: Sequence[Allowance], spanish: bool, *, has_tools: bool) -> list[str]:
    tool = "get_billing_link da el enlace para ampliarlo" if spanish else "get_billing_link opens the upgrade page"
    billing = f"; {tool}" if has_tools else ""
    if any(allowance.remaining <= 0 for allowance in left):
        refused = (
            "Se rechazarán las llamadas hasta que haya más saldo"
            if spanish
            else "Calls are refused until more is available"
        )
        return [f"{refused}{billing}"]
    if left and left[0].share < _SHORT_SHARE:
        return [f"{'Es poco' if spanish else 'That is little'}{billing}"]
    return []


def little_left(statistics: Statistics, *, spanish: bool = False, phone: str | None = None) -> str | None:
    """What is left, if it is little: "2 of 35 calls (93 minutes)"; else None. For `phone` see `Allowance.words`."""
    left = allowances(statistics)
    if not left or left[0].share >= _SHORT_SHARE:
        return None
    rest = [
        f"{number(one.remaining, spanish=spanish, phone=phone)} {UNITS_ES[one.unit] if spanish else one.unit}"
        for one in left[1:]
    ]
    others = f" ({', '.join(rest)})" if rest else ""
    return f"{left[0].words(spanish=spanish, phone=phone)}{others}"


def sign_in_message(*, spanish: bool) -> str:
    """What the user reads before their client opens the sign-in page."""
    if spanish:
        return "Inicia sesión en KallyAI para poder hacer llamadas con tu cuenta."
    return "Sign in to KallyAI, so that calls can be made on your account."


def signed_in(who: str | None, *, spanish: bool) -> str:
    """The text that says who is signed in; without a name if the token has none."""
    if spanish:
        return f"Sesión iniciada en KallyAI{f' como {named(who)}' if who else ''}."
    return f"Signed in to KallyAI{f' as {named(who)}' if who else ''}."


def login_needed(*, spanish: bool) -> str:
    """The text for when nobody is signed in, and there is no sign-in link."""
    if spanish:
        login = "`kallyai-mcp login`, en el equipo donde funciona este servidor, inicia sesión."
        return f"No hay sesión iniciada en KallyAI. {login}"
    return "Not signed in to KallyAI. `kallyai-mcp login` on the machine that this server runs on signs in."


_THEN = {
    "go_on": ("go on with what they asked for", "continúa con lo que pidió"),
    "read_again": ("read the resource again", "vuelve a leer el recurso"),
    "call_again": ("call {tool} again with the same arguments", "llama otra vez a {tool} con los mismos argumentos"),
}
"""What the agent should do after the user has signed in."""


def sign_in_needed(
    page: SignInLink,
    then: Literal["go_on", "read_again", "call_again"],
    *,
    spanish: bool,
    tool: str = "",
    places_calls: bool = False,
) -> str:
    """The text for when nobody is signed in: the link, and what the agent should do after the user has signed in.

    `tool` is the tool to call again (`call_again`). With `places_calls`, the text says that nobody was called.
    """
    url, minutes, todo = page.url, page.minutes, _THEN[then][spanish].format(tool=tool)
    if spanish:
        first = (
            "No se llamó: no hay sesión iniciada en KallyAI." if places_calls else "No hay sesión iniciada en KallyAI."
        )
        return (
            f"{first} Da al usuario este enlace (válido {minutes} minutos): {url}\nCuando haya iniciado sesión, {todo}."
        )
    first = "Not called: not signed in to KallyAI." if places_calls else "Not signed in to KallyAI."
    return f"{first} Give the user this link (valid for {minutes} minutes): {url}\nWhen they have signed in, {todo}."


def billing_link(url: str | None, *, spanish: bool) -> str:
    """The text with the link to the billing portal; without `url`, for the embedded sandbox, which serves no pages."""
    if url is None:
        return (
            "Este es el entorno de pruebas incorporado: su portal de facturación no se puede abrir. "
            "`kallyai-mcp sandbox` ofrece uno."
            if spanish
            else "This is the embedded sandbox: its billing portal can't be opened. `kallyai-mcp sandbox` serves one."
        )
    if spanish:
        return f"Da al usuario este enlace a su portal de facturación: {link(url)}"
    return f"Give the user this link to their billing portal: {link(url)}"
