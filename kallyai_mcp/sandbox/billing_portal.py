"""The billing portal: a page at a signed link, since a browser that opens it has no access token."""

from datetime import timedelta

import jwt
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from kallyai_mcp.sandbox import page_rendering, quota
from kallyai_mcp.sandbox.accounts import ACCOUNTS, Account
from kallyai_mcp.sandbox.auth.signing_keys import get_key, verify_jwt
from kallyai_mcp.sandbox.errors import ApiError
from kallyai_mcp.sandbox.page_rendering import PageLanguage
from kallyai_mcp.sandbox.state import Sandbox, SandboxDep

router = APIRouter(include_in_schema=False)

_LINK_LIFETIME = timedelta(hours=1)
_ALGORITHM = "HS256"
_ISSUER = "kallyai-sandbox-billing"


def portal_url(request: Request, sandbox: Sandbox, account: Account) -> str:
    """Return a link to the account's billing page at the request's own host; it works for an hour."""
    now = sandbox.clock.now()
    claims = {
        "iss": _ISSUER,
        "sub": account.id,
        "iat": int(now.timestamp()),
        "exp": int((now + _LINK_LIFETIME).timestamp()),
    }
    session = jwt.encode(claims, get_key(sandbox, "billing"), _ALGORITHM)
    return str(request.url_for("billing_page", session=session))


def _account_of(sandbox: Sandbox, session: str) -> Account:
    """Return the account that a billing link was made for.

    Raises:
        ApiError: 404: the link is not valid, or it has expired.
    """
    claims = verify_jwt(session, get_key(sandbox, "billing"), _ALGORITHM, issuer=_ISSUER)
    if claims is None or claims["exp"] <= sandbox.clock.now().timestamp():
        raise ApiError(404, "not_found", "This billing link is not valid or has expired", "Ask for a new one")
    return ACCOUNTS[claims["sub"]]


class _Meter:
    """One bar of the page: how much of an allowance is used, in the page's language."""

    def __init__(self, name: str, used: float, allocated: int, language: str) -> None:
        text = _TEXTS[language]
        self.name = name
        self.used = used
        self.allocated = allocated
        self.left = text["left"].format(left=page_rendering.number(max(0, allocated - used), language))
        self.label = text["used"].format(
            used=page_rendering.number(used, language), allocated=page_rendering.number(allocated, language)
        )


@router.get("/_sandbox/billing/{session}")
async def billing_page(session: str, language: PageLanguage, sandbox: SandboxDep) -> HTMLResponse:
    """Show the account's plan and usage, in English or Spanish."""
    account = _account_of(sandbox, session)
    with sandbox.store.transaction() as db:
        usage = quota.usage(db, account, sandbox.clock.now())
    text = _TEXTS[language]
    return page_rendering.render(
        "billing.html",
        language=language,
        text=text,
        account=account,
        meters=[
            _Meter(text["minutes"], usage.tenths / 10, account.minutes_allocated, language),
            _Meter(text["calls"], usage.calls, account.calls_allocated, language),
        ],
        start=page_rendering.day(usage.period_start, language),
        end=page_rendering.day(usage.period_end - timedelta(days=1), language),
    )


_TEXTS = {
    "en": {
        "title": "Your plan",
        "notice": "This is the sandbox: nothing is charged and nothing can be bought.",
        "plan": "Plan",
        "status": "Status",
        "period": "Current period",
        "minutes": "Minutes",
        "calls": "Calls",
        "used": "{used} of {allocated}",
        "left": "{left} left",
        "personal": "Personal",
        "business": "Business",
        "trial": "Trial",
        "monthly": "monthly",
        "yearly": "yearly",
        "active": "Active",
        "trialing": "Trial",
    },
    "es": {
        "title": "Tu plan",
        "notice": "Este es el entorno de pruebas: no se cobra nada y no se puede comprar nada.",
        "plan": "Plan",
        "status": "Estado",
        "period": "Periodo actual",
        "minutes": "Minutos",
        "calls": "Llamadas",
        "used": "{used} de {allocated}",
        "left": "Disponibles: {left}",
        "personal": "Personal",
        "business": "De empresa",
        "trial": "De prueba",
        "monthly": "mensual",
        "yearly": "anual",
        "active": "Activo",
        "trialing": "De prueba",
    },
}
