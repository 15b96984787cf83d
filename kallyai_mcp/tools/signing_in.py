"""Signing in from within a call: the client opens the page, and the call goes on when the user is back."""

from kallyai_mcp.tools.asking import Questions
from kallyai_mcp.tools.desk import Desk
from kallyai_mcp.tools.words.account import SIGN_IN_ASKED


async def signs_in(questions: Questions, desk: Desk) -> bool:
    """Whether the user, sent to the sign-in page by their client, comes back from there while the call waits.

    It waits for as long as a call does that isn't told (`desk.wait_seconds`).

    Raises:
        InputRequired: The client is sent by what it carries.
    """
    link = await desk.reception.link() if questions.can_send else None
    if link is None:
        return False
    reply = await questions.send("sign_in", SIGN_IN_ASKED, link.url)
    return reply is not None and reply.action == "accept" and await desk.reception.arrived(desk.wait_seconds)
