"""The cards as resources for a host of MCP Apps; tests/cards tests what they show."""

import pytest
from mcp.server.apps import APP_MIME_TYPE, EXTENSION_ID
from mcp.types import TextResourceContents

from tests.agent import Agent

CARDS = {
    "make_call": "ui://kallyai/call.html",
    "call_around": "ui://kallyai/call.html",
    "get_call": "ui://kallyai/call.html",
    "get_transcript": "ui://kallyai/call.html",
    "check_quota": "ui://kallyai/quota.html",
}


async def test_only_tools_with_a_card_name_it(agent: Agent) -> None:
    tools = (await agent.client.list_tools()).tools

    assert {tool.name: tool.meta["ui"]["resourceUri"] for tool in tools if tool.meta} == CARDS


@pytest.mark.parametrize("uri", sorted(set(CARDS.values())))
async def test_a_card_is_one_document_with_the_mime_type_of_an_app(agent: Agent, uri: str) -> None:
    (page,) = (await agent.client.read_resource(uri)).contents

    assert isinstance(page, TextResourceContents)
    assert page.mime_type == APP_MIME_TYPE
    assert page.text.startswith("<!doctype html>")


async def test_the_server_declares_the_apps_extension(agent: Agent) -> None:
    capabilities = agent.client.server_capabilities
    assert capabilities is not None
    if agent.client.protocol_version == "2026-07-28":
        assert EXTENSION_ID in (capabilities.extensions or {})
