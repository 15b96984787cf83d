"""The icons: each is a picture that a client shows without loading anything."""

import base64
import struct
import xml.etree.ElementTree as ET

from mcp import Client
from mcp.types import Icon

from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.settings import Settings
from tests.agent import Agent, open_agent
from tests.sandbox.manual_clock import ManualClock

SVG = "{http://www.w3.org/2000/svg}"
FEW = 600
"""Characters of all icons of a server's tools and prompts, on average."""


def content(icon: Icon) -> bytes:
    kind, _, encoded = icon.src.removeprefix("data:").partition(";base64,")
    assert kind == icon.mime_type
    return base64.b64decode(encoded, validate=True)


def elements(icon: Icon) -> set[str]:
    """The names of the elements of a drawn icon."""
    root = ET.fromstring(content(icon))  # noqa: S314 - our own file
    return {element.tag.removeprefix(SVG) for element in root.iter()}


async def test_each_tool_and_prompt_has_an_icon_that_is_only_drawn(agent: Agent) -> None:
    tools = (await agent.client.list_tools()).tools
    prompts = (await agent.client.list_prompts()).prompts
    icons = {tool.name: (tool.icons or [])[0] for tool in tools}
    icons |= {prompt.name: (prompt.icons or [])[0] for prompt in prompts}

    assert all(elements(icon) == {"svg", "rect", "path"} for icon in icons.values())
    assert len({icon.src for icon in icons.values()}) == len(icons) - 1  # one calendar for the tool and the prompt
    assert sum(len(icon.src) for icon in icons.values()) <= FEW * len(icons)


async def test_the_server_has_a_drawing_and_a_bitmap(agent: Agent) -> None:
    drawing, bitmap = (agent.client.server_info and agent.client.server_info.icons) or []

    assert elements(drawing) == {"svg", "rect", "path"}
    assert struct.unpack(">II", content(bitmap)[16:24]) == (48, 48)
    assert bitmap.sizes == ["48x48"]


async def test_only_the_first_result_carries_the_servers_icons(
    settings: Settings, clock: ManualClock, app: SandboxApp
) -> None:
    async with open_agent(settings, mode="auto", clock=clock, app=app) as agent:
        client: Client = agent.client
        results = [await client.list_tools(), await client.list_prompts(), (await agent.use("check_quota")).result]

    for result in results:
        assert set((result.meta or {})["io.modelcontextprotocol/serverInfo"]) == {
            *("name", "title", "version", "description")
        }
