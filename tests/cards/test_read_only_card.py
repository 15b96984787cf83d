"""The call card of a read-only server offers nothing that would place or cancel a call."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from mcp import Client
from mcp.types import CallToolResult, TextResourceContents

from kallyai_mcp.cards.pages import CALL_CARD_URI, call_card
from kallyai_mcp.cli.app_context import open_app_context
from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.server.build import build_server
from kallyai_mcp.settings import Settings
from tests.agent import BISTRO, Agent, Answer
from tests.cards.conftest import Open
from tests.cards.kit import NUMBERS
from tests.playwright_names import expect
from tests.sandbox.manual_clock import ManualClock


@pytest.fixture
async def reader(settings: Settings, clock: ManualClock, app: SandboxApp) -> AsyncIterator[Agent]:
    connection = Connection(settings, embedded=lambda: app, now=clock.now)
    server = build_server(lambda: open_app_context(connection, timezone="America/New_York"), read_only=True)
    async with Client(server) as client:
        yield Agent(client)


async def page_of(reader: Agent) -> str:
    (page,) = (await reader.client.read_resource(CALL_CARD_URI)).contents
    assert isinstance(page, TextResourceContents)
    return page.text


@pytest.mark.parametrize(("arguments", "offered"), [(BISTRO, "Call again"), ({}, "Ask the chat to call again")])
@pytest.mark.parametrize("is_read_only", [False, True])
async def test_a_call_that_may_be_repeated_is_shown_without_an_offer_to_call(
    agent: Agent, reader: Agent, open_card: Open, arguments: dict[str, Any], offered: str, *, is_read_only: bool
) -> None:
    made = await agent.use("make_call", BISTRO, respondent_phone=NUMBERS["busy"])
    chat = await open_card(await page_of(reader) if is_read_only else call_card(), by=reader)
    await chat.give(made, arguments)

    await expect(chat.card.locator("#status")).to_have_text("Not reached")
    await expect(chat.card.locator("#choices button:visible")).to_have_text([] if is_read_only else [offered])


async def test_a_question_of_another_server_is_answered_in_the_chat(reader: Agent, open_card: Open) -> None:
    chat = await open_card(await page_of(reader), by=reader)
    structure = {"status": "needs_confirmation", "confirmation": "x", "reasons": ["urgent"], "placed_now": False}
    await chat.give(Answer(CallToolResult(content=[], structured_content=structure)), BISTRO)

    await expect(chat.card.locator("#consent")).to_contain_text("+1 415-555-1234")
    await expect(chat.button("Call now")).to_be_hidden()
