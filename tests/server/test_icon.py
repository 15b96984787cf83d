"""The server's icon: a picture that a client shows without loading anything."""

import base64
import struct

from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.settings import Settings
from tests.agent import Agent, open_agent
from tests.sandbox.manual_clock import ManualClock


async def test_the_server_has_one_icon_in_a_data_uri(agent: Agent) -> None:
    [icon] = (agent.client.server_info and agent.client.server_info.icons) or []

    content = base64.b64decode(icon.src.removeprefix("data:image/png;base64,"), validate=True)
    assert struct.unpack(">II", content[16:24]) == (48, 48)
    assert (icon.mime_type, icon.sizes) == ("image/png", ["48x48"])


async def test_only_the_first_result_carries_the_icon(settings: Settings, clock: ManualClock, app: SandboxApp) -> None:
    async with open_agent(settings, mode="auto", clock=clock, app=app) as agent:
        client = agent.client
        results = [await client.list_tools(), await client.list_prompts(), (await agent.use("check_quota")).result]

    for result in results:
        about = (result.meta or {})["io.modelcontextprotocol/serverInfo"]
        assert set(about) == {"name", "title", "version", "description"}
