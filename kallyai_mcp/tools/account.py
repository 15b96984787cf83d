"""The account behind the calls: check_quota, get_billing_link, sign_in."""

from typing import Annotated, Any

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult

from kallyai_mcp.api.models import Statistics
from kallyai_mcp.tools.asking import Questions
from kallyai_mcp.tools.desk import Desk
from kallyai_mcp.tools.results import BillingAnswer, QuotaAnswer, SignInAnswer, answer
from kallyai_mcp.tools.signing_in import signs_in
from kallyai_mcp.tools.words import account as words
from kallyai_mcp.tools.words.plain import one_line


async def check_quota(*, ctx: Context[Desk, Any]) -> Annotated[CallToolResult, QuotaAnswer]:
    """Check the minutes and calls (or credits) left, the plan, and when it renews."""
    desk = ctx.request_context.lifespan_context
    account = await desk.reception.account()
    statistics, subscription = await desk.plans.figures(desk.api(), account, desk.now())
    plan = subscription.plan if subscription else None
    structure = QuotaAnswer(
        **statistics.model_dump(include=set(QuotaAnswer.model_fields) & set(Statistics.model_fields)),
        period=plan.period if plan else None,
        auto_renew=subscription.auto_renew if subscription else None,
    )
    text = words.quota(statistics, subscription, zone_name=desk.timezone, now=desk.now())
    return answer(text, structure)


async def get_billing_link(*, ctx: Context[Desk, Any]) -> Annotated[CallToolResult, BillingAnswer]:
    """Get the link to the user's billing portal: plan, upgrade, invoices. Only the user should open it."""
    desk = ctx.request_context.lifespan_context
    portal = await desk.api().get_billing_portal()
    if desk.embedded:
        text = "This is the embedded sandbox: its billing portal can't be opened. `kallyai-mcp sandbox` serves one."
    else:
        text = f"Give the user this link to their billing portal: {one_line(portal.url)}"
    return answer(text, BillingAnswer(url=portal.url))


async def sign_in(*, ctx: Context[Desk, Any]) -> Annotated[CallToolResult, SignInAnswer]:
    """Say who is signed in to KallyAI, or give the link that signs the user in."""
    desk = ctx.request_context.lifespan_context
    signed_in = await desk.reception.signed_in()
    if signed_in is None and await signs_in(Questions(ctx), desk):
        signed_in = await desk.reception.signed_in()
    if signed_in is not None:
        text = words.signed_in(signed_in.who)
        return answer(text, SignInAnswer(signed_in=True, who=signed_in.who))
    link = await desk.reception.link()
    if link is None:
        text = "Not signed in to KallyAI. `kallyai-mcp login` on the machine that this server runs on signs in."
        return answer(text, SignInAnswer(signed_in=False))
    text = "Not signed in to KallyAI. " + words.sign_in_link(
        link.url, link.minutes, then="go on with what they asked for"
    )
    return answer(text, SignInAnswer(signed_in=False, link=link.url, expires_in=link.minutes * 60))
