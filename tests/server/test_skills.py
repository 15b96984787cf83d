"""The Skills extension (SEP-2640): a client lists the skill, checks it, and reads it."""

import hashlib
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from mcp import Client, types
from mcp.types import TextResourceContents
from pydantic import RootModel

from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.settings import Settings
from tests.agent import open_agent
from tests.sandbox.manual_clock import ManualClock

SKILLS = "io.modelcontextprotocol/skills"
URI = "skill://phone-call/SKILL.md"
TOOLS = ("make_call", "get_call", "list_calls", "get_calendar_event", "cancel_call")

Json = dict[str, Any]


class SkillParams(types.RequestParams):
    uri: str | None = None
    cursor: str | None = None


async def ask(client: Client, method: str, **params: str) -> Json:
    request: types.Request[Any, Any] = types.Request(method=method, params=SkillParams(**params))
    return (await client.session.send_request(request, RootModel[Json])).root


@pytest.fixture
async def newest(settings: Settings, clock: ManualClock, app: SandboxApp) -> AsyncIterator[Client]:
    """A client of the protocol version with extensions."""
    async with open_agent(settings, mode="auto", clock=clock, app=app) as agent:
        yield agent.client


async def text_of(client: Client) -> str:
    (content,) = (await client.read_resource(URI)).contents
    assert isinstance(content, TextResourceContents)
    assert content.mime_type == "text/markdown"
    return content.text


async def test_the_skill_is_declared_and_listed_with_front_matter_size_and_digest(
    newest: Client,
) -> None:
    capabilities = newest.server_capabilities
    text = await text_of(newest)
    _, front_matter, body = text.split("---", 2)
    # In YAML, a text of one line.
    plain = re.findall(r"^([a-z]+): (\w[^:#\n]*)$", front_matter, re.MULTILINE)

    listed = await ask(newest, "skills/list")
    one = await ask(newest, "skills/get", uri=URI)

    assert capabilities is not None
    assert (capabilities.extensions or {})[SKILLS] == {}
    file = {
        "uri": URI,
        "digest": f"sha256:{hashlib.sha256(text.encode()).hexdigest()}",
        "size": len(text.encode()),
    }
    assert (
        listed["skills"]
        == [one["skill"]]
        == [{"uri": URI, "frontmatter": dict(plain), "resources": [file]}]
    )
    assert (listed["resultType"], listed["ttlMs"], listed["cacheScope"]) == (
        "complete",
        300_000,
        "public",
    )
    assert len(plain) == front_matter.strip().count("\n") + 1
    assert 0 < len(dict(plain)["description"]) <= 1024
    assert [tool for tool in TOOLS if f"`{tool}`" not in body] == []
