"""The sandbox's accounts. Each one shows another state that an account can be in."""

from dataclasses import dataclass
from typing import Literal

Provider = Literal["google", "apple"]

SCOPES: dict[str, str] = {
    "calls:read": "Read call history and details",
    "calls:write": "Make phone calls",
    "sessions:read": "Read session state",
    "sessions:write": "Update session state",
    "subscription:read": "Read subscription status",
    "billing:manage": "Access billing portal",
    "transcripts:read": "Read call transcripts",
    "recordings:read": "Access call recordings",
}
"""Descriptions by scope: the reference's "Scopes" table."""

SCOPES_ES = {
    "calls:read": "Leer el historial y los detalles de las llamadas",
    "calls:write": "Hacer llamadas telefónicas",
    "sessions:read": "Leer el estado de la sesión",
    "sessions:write": "Actualizar el estado de la sesión",
    "subscription:read": "Leer el estado de la suscripción",
    "billing:manage": "Acceder al portal de facturación",
    "transcripts:read": "Leer las transcripciones de las llamadas",
    "recordings:read": "Acceder a las grabaciones de las llamadas",
}


def scopes_in(language: str) -> dict[str, str]:
    """Return the descriptions by scope in `en` or `es`."""
    return SCOPES_ES if language == "es" else SCOPES


@dataclass(frozen=True)
class Account:
    """One account of the sandbox, with the state that it shows, in English and Spanish.

    `minutes_used_before` and `calls_used_before` count at the start of every period. `regions`: ISO
    3166 codes of the countries that it may call; None means every supported country.
    """

    id: str
    email: str
    description: str
    spanish: str
    plan_type: str
    period: str
    minutes_allocated: int
    calls_allocated: int
    minutes_used_before: int = 0
    calls_used_before: int = 0
    has_active_subscription: bool = True
    subscription_status: str = "active"
    regions: frozenset[str] | None = None


ACCOUNTS: dict[str, Account] = {
    account.id: account
    for account in (
        Account(
            "acct-personal",
            "personal@sandbox.test",
            "A personal plan with minutes to spare",
            "Un plan personal con minutos de sobra",
            "personal",
            "monthly",
            210,
            35,
            45,
            8,
        ),
        Account(
            "acct-business",
            "business@sandbox.test",
            "A business plan with plenty of everything",
            "Un plan de empresa con minutos y llamadas de sobra",
            "business",
            "yearly",
            6000,
            1000,
        ),
        Account(
            "acct-trial",
            "trial@sandbox.test",
            "A trial with few minutes left",
            "Una prueba a la que le quedan pocos minutos",
            "trial",
            "monthly",
            30,
            5,
            25,
            3,
            has_active_subscription=False,
            subscription_status="trialing",
        ),
        Account(
            "acct-empty",
            "empty@sandbox.test",
            "A trial that is used up: every call is refused with 402",
            "Una prueba agotada: cada llamada se rechaza con 402",
            "trial",
            "monthly",
            30,
            5,
            30,
            5,
            has_active_subscription=False,
            subscription_status="trialing",
        ),
        Account(
            "acct-us-only",
            "us-only@sandbox.test",
            "May call the United States and Canada only",
            "Solo puede llamar a Estados Unidos y Canadá",
            "personal",
            "monthly",
            210,
            35,
            regions=frozenset({"US", "CA"}),
        ),
    )
}
"""Accounts by id. The embedded sandbox is signed in as `acct-personal`."""
