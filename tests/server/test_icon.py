"""The server's icon: a picture that a client shows without loading anything."""

import base64
import struct

from tests.agent import Agent


async def test_the_server_has_one_icon_in_a_data_uri(agent: Agent) -> None:
    [icon] = (agent.client.server_info and agent.client.server_info.icons) or []

    content = base64.b64decode(icon.src.removeprefix("data:image/png;base64,"), validate=True)
    assert struct.unpack(">II", content[16:24]) == (48, 48)
    assert (icon.mime_type, icon.sizes) == ("image/png", ["48x48"])
