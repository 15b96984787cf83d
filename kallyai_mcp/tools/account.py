"""The tools about the account (check_quota, get_billing_link, sign_in), and sign-in while another tool waits."""

from typing import Annotated, Any

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult

from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.elicitation import Elicitation
from kallyai_mcp.tools.results import BillingAnswer, QuotaAnswer, SignInAnswer, answer
from kallyai_mcp.tools.text import account as words


async def check_quota(*, ctx: Context[AppContext, Any]) -> Annotated[CallToolResult, QuotaAnswer]:
    """Check how many calls and minutes (or credits) are left, the plan, and when it renews."""
    app_context = ctx.request_context.lifespan_context
    account = await app_context.sign_in.account()
    statistics, subscription = await app_context.usage.get(app_context.api(), account, app_context.now())
    structure = QuotaAnswer(**statistics.model_dump(), subscription=subscription)
    return answer(words.quota(statistics, subscription, now=app_context.now()), structure)


async def get_billing_link(*, ctx: Context[AppContext, Any]) -> Annotated[CallToolResult, BillingAnswer]:
    """Get the link to the user's billing portal: plan, upgrade, invoices. Only the user opens it."""
    app_context = ctx.request_context.lifespan_context
    portal = await app_context.api().get_billing_portal()
    return answer(words.billing_link(None if app_context.embedded else portal.url), BillingAnswer(url=portal.url))


async def sign_in(*, ctx: Context[AppContext, Any]) -> Annotated[CallToolResult, SignInAnswer]:
    """Get who is signed in to KallyAI, or the link with which the user signs in."""
    app_context = ctx.request_context.lifespan_context
    signed_in = await app_context.sign_in.signed_in()
    if signed_in is None and await request_sign_in(Elicitation(ctx), app_context):
        signed_in = await app_context.sign_in.signed_in()
    if signed_in is not None:
        return answer(words.signed_in(signed_in.who), SignInAnswer(signed_in=True, who=signed_in.who))
    page = await app_context.sign_in.link()
    if page is None:
        return answer(words.LOGIN_NEEDED, SignInAnswer(signed_in=False))
    text = words.sign_in_needed(page, "go on with what they asked for")
    return answer(text, SignInAnswer(signed_in=False, link=page.url, expires_in=page.minutes * 60))


async def request_sign_in(elicitation: Elicitation, app_context: AppContext) -> bool:
    """Have the client open the sign-in page, and wait for the user to sign in.

    The wait lasts at most `app_context.wait_seconds`, as the default wait for a call does.

    Returns:
        Whether the user has signed in.

    Raises:
        InputRequiredError: The tool ends here; the result in the error asks the client to open the page.
    """
    link = await app_context.sign_in.link() if elicitation.opens_links else None
    if link is None:
        return False
    reply = await elicitation.open_link("sign_in", elicitation.words.say("sign_in_message"), link.url)
    if reply is None or reply.action != "accept":
        return False
    return await app_context.sign_in.wait_until_signed_in(app_context.wait_seconds)
