"""The endpoints of the reference's "User Endpoints"."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from kallyai_mcp.sandbox import billing_portal, quota
from kallyai_mcp.sandbox.accounts import Account
from kallyai_mcp.sandbox.auth.access_tokens import require
from kallyai_mcp.sandbox.schemas import BillingPortal, Plan, Statistics, Subscription, errors
from kallyai_mcp.sandbox.state import SandboxDep

router = APIRouter(tags=["User"])

Subscriber = Annotated[Account, Depends(require("subscription:read"))]


@router.get("/v1/users/me/subscription", response_description="The subscription", responses=errors(401, 403))
async def get_subscription(request: Request, account: Subscriber, sandbox: SandboxDep) -> Subscription:
    """The plan, and when it ends or renews.

    Needs the scope `subscription:read`.
    """
    return Subscription(
        has_active_subscription=account.has_active_subscription,
        provider="stripe",
        plan=Plan(type=account.plan_type, period=account.period, minutes_included=account.minutes_allocated),
        status=account.subscription_status,
        expires_at=quota.expires_at(account, sandbox.clock.now()),
        auto_renew=account.has_active_subscription,
        management_url=billing_portal.portal_url(request, sandbox, account),
    )


@router.get("/v1/users/me/statistics", response_description="The current period", responses=errors(401, 403))
async def get_statistics(account: Subscriber, sandbox: SandboxDep) -> Statistics:
    """Used and remaining minutes and calls; calls in progress count.

    Needs the scope `subscription:read`.
    """
    with sandbox.store.transaction() as db:
        usage = quota.usage(db, account, sandbox.clock.now())
    return Statistics.model_validate(usage.statistics())


@router.get(
    "/v1/stripe/billing-portal", response_description="The link; it works for an hour", responses=errors(401, 403)
)
async def get_billing_portal(
    request: Request, account: Annotated[Account, Depends(require("billing:manage"))], sandbox: SandboxDep
) -> BillingPortal:
    """A link to the page where the plan is managed.

    Needs the scope `billing:manage`.
    """
    return BillingPortal(url=billing_portal.portal_url(request, sandbox, account))
