"""Signing in from within a call: the client opens the page, and the call goes on when the user is back."""

from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.elicitation import Elicitation
from kallyai_mcp.tools.text.account import SIGN_IN_ASKED


async def signs_in(questions: Elicitation, app_context: AppContext) -> bool:
    """Whether the user, sent to the sign-in page by their client, comes back from there while the call waits.

    It waits for as long as a call does that isn't told (`app_context.wait_seconds`).

    Raises:
        InputRequiredError: The client is sent by what it carries.
    """
    link = await app_context.sign_in.link() if questions.can_send else None
    if link is None:
        return False
    reply = await questions.send("sign_in", SIGN_IN_ASKED, link.url)
    return (
        reply is not None and reply.action == "accept" and await app_context.sign_in.arrived(app_context.wait_seconds)
    )
