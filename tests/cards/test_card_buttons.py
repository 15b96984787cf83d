"""The buttons of the call card that help after a call which was not placed, or may have been."""

from pathlib import Path
from typing import Any

from mcp.types import CallToolResult

from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.sandbox.serve import running
from tests.agent import BISTRO, Answer, open_agent, settings_in
from tests.cards.conftest import Open
from tests.playwright_names import expect
from tests.sandbox.manual_clock import ManualClock


def not_placed(code: str, **structure: Any) -> Answer:
    """The result of a call that failed with this code."""
    given = {"status": "refused", "placed": "no", "code": code, **structure}
    return Answer(CallToolResult(content=[], structured_content=given, is_error=True))


async def test_the_second_number_that_is_meant_is_called(open_card: Open) -> None:
    meant = ["+14155551234", "+12025550199"]
    wrong = {"argument": "respondent_phone", "problem": "x", "kind": "no_country"}
    chat = await open_card()
    await chat.give(
        not_placed("invalid_arguments", arguments=[wrong | {"suggestions": meant}]), BISTRO
    )
    await chat.button("Use +1 202-555-0199").click()
    await chat.button("Call now").click()

    await expect(chat.card.locator("#status")).to_have_text("Booked")
    assert chat.tools("make_call")[-1]["respondent_phone"] == "+12025550199"


async def test_the_chat_looks_for_a_lost_call(open_card: Open) -> None:
    chat = await open_card()
    await chat.give(not_placed("answer_lost", status="unknown", placed="maybe"), BISTRO)
    await chat.button("Ask the chat to check").click()

    await chat.page.wait_for_function("() => window.seen.messages.length === 1")
    [message] = await chat.seen("messages")
    assert message["content"][0]["text"] == (
        "Please look in list_calls whether +1 415-555-1234 was called, and tell me. Do not call "
        "again."
    )
    assert chat.tools("make_call") == []


async def test_the_sign_in_button_opens_the_link(
    open_card: Open, tmp_path: Path, clock: ManualClock, app: SandboxApp
) -> None:
    async with (
        running(app) as url,
        open_agent(settings_in(tmp_path, API_URL=url), mode="auto", clock=clock) as signed_out,
    ):
        chat = await open_card(by=signed_out)
        await chat.give(not_placed("token_expired"), BISTRO)
        await chat.button("Sign in").click()
        await chat.page.wait_for_function("() => window.seen.links.length === 1")
        given = await signed_out.use("sign_in")

        assert await chat.seen("links") == [{"url": given.data["link"]}]
        assert chat.tools("make_call") == []


async def test_who_is_signed_in_is_told_so(open_card: Open) -> None:
    chat = await open_card()
    await chat.give(not_placed("token_expired"), BISTRO)
    await chat.button("Sign in").click()

    await expect(chat.card.locator("#notice")).to_have_text("You are signed in. Try again.")
    assert await chat.seen("links") == []
