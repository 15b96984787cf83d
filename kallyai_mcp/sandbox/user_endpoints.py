"""The endpoints of the reference's "User Endpoints", and the billing page at a signed link.

The browser that opens the billing page has no access token, so the link is a token itself; it works
for an hour.
"""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from kallyai_mcp.sandbox import pages, quota
from kallyai_mcp.sandbox.accounts import ACCOUNTS, Account
from kallyai_mcp.sandbox.auth.access import require
from kallyai_mcp.sandbox.errors import ApiError
from kallyai_mcp.sandbox.pages import PageLanguage
from kallyai_mcp.sandbox.schemas import BillingPortal, Plan, Statistics, Subscription, errors
from kallyai_mcp.sandbox.simulator.phrasebook import date_in_words
from kallyai_mcp.sandbox.state import Sandbox, SandboxDep

router = APIRouter(tags=["User"])

Subscriber = Annotated[Account, Depends(require("subscription:read"))]
_LINK_SECONDS = 3600
_ISSUER = "kallyai-sandbox-billing"


def _portal_url(request: Request, sandbox: Sandbox, account: Account) -> str:
    """Return a link to the account's billing page at the request's own host."""
    session = sandbox.tokens.sign("billing", _ISSUER, _LINK_SECONDS, {"sub": account.id})
    return str(request.url_for("billing_page", session=session))


@router.get(
    "/v1/users/me/subscription", response_description="The subscription", responses=errors(401, 403)
)
async def get_subscription(
    request: Request, account: Subscriber, sandbox: SandboxDep
) -> Subscription:
    """The plan, and when it ends or renews.

    Needs the scope `subscription:read`.
    """
    return Subscription(
        has_active_subscription=account.has_active_subscription,
        provider="stripe",
        plan=Plan(
            type=account.plan_type,
            period=account.period,
            minutes_included=account.minutes_allocated,
        ),
        status=account.subscription_status,
        expires_at=quota.expires_at(account, sandbox.clock.now()),
        auto_renew=account.has_active_subscription,
        management_url=_portal_url(request, sandbox, account),
    )


@router.get(
    "/v1/users/me/statistics", response_description="The current period", responses=errors(401, 403)
)
async def get_statistics(account: Subscriber, sandbox: SandboxDep) -> Statistics:
    """Used and remaining minutes and calls; calls in progress count.

    Needs the scope `subscription:read`.
    """
    with sandbox.store.transaction() as db:
        return quota.usage(db, account, sandbox.clock.now()).statistics()


@router.get(
    "/v1/stripe/billing-portal",
    response_description="The link; it works for an hour",
    responses=errors(401, 403),
)
async def get_billing_portal(
    request: Request,
    account: Annotated[Account, Depends(require("billing:manage"))],
    sandbox: SandboxDep,
) -> BillingPortal:
    """A link to the page where the plan is managed.

    Needs the scope `billing:manage`.
    """
    return BillingPortal(url=_portal_url(request, sandbox, account))


@router.get("/_sandbox/billing/{session}", include_in_schema=False)
async def billing_page(session: str, language: PageLanguage, sandbox: SandboxDep) -> HTMLResponse:
    """Show the account's plan and usage, in English or Spanish."""
    claims = sandbox.tokens.verify_unexpired("billing", _ISSUER, session)
    if claims is None:
        raise ApiError(
            404, "not_found", "This billing link is not valid or has expired", "Ask for a new one"
        )
    account = ACCOUNTS[claims["sub"]]
    with sandbox.store.transaction() as db:
        usage = quota.usage(db, account, sandbox.clock.now())
    return pages.render(
        "billing.html",
        language=language,
        account=account,
        minutes_used=usage.tenths / 10,
        calls_used=usage.calls,
        start=date_in_words(usage.period_start, language, "date.without_weekday"),
        end=date_in_words(usage.period_end - timedelta(days=1), language, "date.without_weekday"),
    )
