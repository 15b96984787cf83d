"""Sign-in from within a tool call, in both protocol generations."""

from pathlib import Path

import anyio
import anyio.to_thread

from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.sandbox.serve import running
from tests.agent import BISTRO, open_agent, settings_in
from tests.sandbox.auth import browser_client
from tests.sandbox.manual_clock import ManualClock
from tests.tools.user import LIMIT, User


async def test_a_user_who_is_not_signed_in_gets_the_sign_in_page_and_the_tool_goes_on(
    tmp_path: Path, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    user = User(browser_client.sign_in)
    async with running(app) as url:
        settings = settings_in(tmp_path, API_URL=url)
        with anyio.fail_after(LIMIT):
            async with open_agent(settings, mode=mode, clock=clock, elicitation_callback=user) as agent:
                answer = await agent.use("check_quota")

    assert answer.text.startswith("27 of 35 calls left")
    assert user.messages == ["Sign in to KallyAI, so that calls can be made on your account."]


async def test_a_user_who_does_not_sign_in_gets_the_link_as_text(
    tmp_path: Path, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    async with running(app) as url:
        settings = settings_in(tmp_path, API_URL=url)
        with anyio.fail_after(LIMIT):
            async with open_agent(settings, mode=mode, clock=clock, elicitation_callback=User("decline")) as agent:
                answer = await agent.use("make_call", BISTRO)

    assert answer.is_error
    assert answer.text.startswith("Not called: not signed in to KallyAI. Give the user this link")
