"""The billing portal: a page at a signed link, because the browser that opens the page has no access token."""

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


@router.get("/_sandbox/billing/{session}")
async def billing_page(session: str, language: PageLanguage, sandbox: SandboxDep) -> HTMLResponse:
    """Show the account's plan and usage, in English or Spanish."""
    account = _account_of(sandbox, session)
    with sandbox.store.transaction() as db:
        usage = quota.usage(db, account, sandbox.clock.now())
    return page_rendering.render(
        "billing.html",
        language=language,
        account=account,
        minutes_used=usage.tenths / 10,
        calls_used=usage.calls,
        start=page_rendering.day(usage.period_start, language),
        end=page_rendering.day(usage.period_end - timedelta(days=1), language),
    )
