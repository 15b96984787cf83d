"""Sign-in while a tool waits: the client opens the sign-in page, and the tool goes on when the user has signed in."""

from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.elicitation import Elicitation
from kallyai_mcp.tools.text.account import sign_in_message


async def request_sign_in(elicitation: Elicitation, app_context: AppContext, *, spanish: bool) -> bool:
    """Have the client open the sign-in page, and wait for the user to sign in.

    The wait is as long as the default wait for a call (`app_context.wait_seconds`).

    Returns:
        Whether the user has signed in.

    Raises:
        InputRequiredError: The client is asked by the result that the error carries.
    """
    link = await app_context.sign_in.link() if elicitation.opens_links else None
    if link is None:
        return False
    reply = await elicitation.open_link("sign_in", sign_in_message(spanish=spanish), link.url)
    if reply is None or reply.action != "accept":
        return False
    return await app_context.sign_in.wait_until_signed_in(app_context.wait_seconds)
