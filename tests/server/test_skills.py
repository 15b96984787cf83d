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


def front_matter_of(text: str) -> dict[str, str]:
    """The front matter of the skill: in YAML, each of its lines is a text."""
    lines = text.split("---", 2)[1].strip().splitlines()
    plain = [re.fullmatch(r"([a-z]+): (\w[^:#\n]*)", line) for line in lines]
    assert None not in plain
    return {found[1]: found[2] for found in plain if found}


async def test_the_server_declares_the_extension(newest: Client) -> None:
    capabilities = newest.server_capabilities

    assert capabilities is not None
    assert (capabilities.extensions or {})[SKILLS] == {}


async def test_the_skill_is_listed_with_its_digest(newest: Client) -> None:
    text = await text_of(newest)
    file = {
        "uri": URI,
        "digest": f"sha256:{hashlib.sha256(text.encode()).hexdigest()}",
        "size": len(text.encode()),
    }
    skill = {"uri": URI, "frontmatter": front_matter_of(text), "resources": [file]}

    assert (await ask(newest, "skills/list"))["skills"] == [skill]
    assert (await ask(newest, "skills/get", uri=URI))["skill"] == skill


async def test_the_list_of_skills_may_be_cached(newest: Client) -> None:
    listed = await ask(newest, "skills/list")

    assert (listed["resultType"], listed["ttlMs"], listed["cacheScope"]) == (
        "complete",
        300_000,
        "public",
    )


async def test_the_skill_names_each_tool(newest: Client) -> None:
    text = await text_of(newest)

    assert 0 < len(front_matter_of(text)["description"]) <= 1024
    assert [tool for tool in TOOLS if f"`{tool}`" not in text.split("---", 2)[2]] == []
