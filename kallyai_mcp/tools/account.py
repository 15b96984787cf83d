"""The tools about the account (check_quota, sign_in), and sign-in while another tool waits."""

import asyncio
import uuid
from typing import TYPE_CHECKING, Annotated, Any

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult, ElicitRequestURLParams
from pydantic import Field

from kallyai_mcp.api.errors import ForbiddenError, NotFoundError
from kallyai_mcp.api.models import Subscription
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.elicitation import Elicitation
from kallyai_mcp.tools.structure.models import QuotaAnswer, SignInAnswer, ToolResult
from kallyai_mcp.tools.text import account as words
from kallyai_mcp.tools.text.plain import named, part

if TYPE_CHECKING:
    from kallyai_mcp.api.client import KallyAI


async def check_quota(
    *,
    billing_link: Annotated[bool, Field(description="For the user, to get more")] = False,
    ctx: Context[AppContext, Any],
) -> Annotated[CallToolResult, QuotaAnswer]:
    """Check how many calls and minutes are left, when they come back, and how to get more."""
    app_context = ctx.request_context.lifespan_context
    api = app_context.api()
    statistics, subscription = await asyncio.gather(api.get_statistics(), _subscription(api))
    text = words.quota(statistics, subscription, now=app_context.now(), has_tools=not billing_link)
    shown = None
    if billing_link:
        url = (await api.get_billing_portal()).url
        text += f"\n{words.billing_link(url, embedded=app_context.settings.sandbox)}"
        if not app_context.settings.sandbox:
            shown = url
    structure = QuotaAnswer.model_construct(
        **dict(statistics), subscription=subscription, billing_url=shown
    )
    return ToolResult(text, structure).for_client()


async def _subscription(api: "KallyAI") -> Subscription | None:
    """The subscription; None without one, or without the scope for it."""
    try:
        return await api.get_subscription()
    except (ForbiddenError, NotFoundError):
        return None


async def sign_in(*, ctx: Context[AppContext, Any]) -> Annotated[CallToolResult, SignInAnswer]:
    """Get who is signed in to KallyAI, or the link with which the user signs in."""
    app_context = ctx.request_context.lifespan_context
    who = await app_context.sign_in.signed_in()
    if who is None and await request_sign_in(Elicitation(ctx), app_context):
        who = await app_context.sign_in.signed_in()
    if who is not None:
        text = f"Signed in to KallyAI{part(' as {}', named(who))}."
        return ToolResult(text, SignInAnswer(signed_in=True, who=who or None)).for_client()
    page = await app_context.sign_in.link()
    if page is None:
        return ToolResult(words.LOGIN_NEEDED, SignInAnswer(signed_in=False)).for_client()
    text = words.sign_in_needed(page, "go on with what they asked for")
    return ToolResult(
        text, SignInAnswer(signed_in=False, link=page.url, expires_in=page.minutes * 60)
    ).for_client()


async def request_sign_in(elicitation: Elicitation, app_context: AppContext) -> bool:
    """Have the client open the sign-in page, and wait for the user to sign in; returns whether they
    have.

    The wait lasts at most as long as the default wait for a call does.
    """
    link = await app_context.sign_in.link() if elicitation.opens_links else None
    if link is None:
        return False
    message = elicitation.words.say("sign_in_message")
    page = ElicitRequestURLParams(message=message, url=link.url, elicitation_id=str(uuid.uuid4()))
    reply = await elicitation.ask("sign_in", page)
    if reply is None or reply.action != "accept":
        return False
    return await app_context.sign_in.wait_until_signed_in(app_context.settings.wait_seconds)
