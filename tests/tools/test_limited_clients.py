"""Results for clients that read only a part of them, or have a short time-out."""

from dataclasses import replace
from typing import Any

import pytest
from mcp.types import TextResourceContents

from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.settings import Settings
from tests.agent import BISTRO, SHOWS_APPS, open_agent
from tests.sandbox.manual_clock import ManualClock


async def test_the_suggested_wait_is_the_servers_default(
    settings: Settings, clock: ManualClock, app: SandboxApp
) -> None:
    clock.hold()
    with_wait = replace(settings, wait_seconds=3)
    async with open_agent(with_wait, mode="auto", clock=clock, app=app) as agent:
        answer = await agent.use("make_call", BISTRO, wait_seconds=0)

    assert answer.text.endswith(f'Next: get_call with call_id "{answer.data["tracking_id"]}" and wait_seconds 3.')


@pytest.mark.parametrize(
    ("options", "kinds"),
    [({}, ["text", "text"]), (SHOWS_APPS, ["text", "resource_link", "text", "resource"])],
    ids=["framework", "host of MCP Apps"],
)
async def test_links_and_files_are_for_hosts_that_keep_them_for_their_user(
    settings: Settings, mode: str, clock: ManualClock, app: SandboxApp, options: dict[str, Any], kinds: list[str]
) -> None:
    async with open_agent(settings, mode=mode, clock=clock, app=app, **options) as agent:
        made = await agent.use("make_call", BISTRO)
        event = await agent.use("get_calendar_event", call_id=made.data["call_id"])
        (file,) = (await agent.client.read_resource(event.data["calendar_uri"])).contents

    assert [block.type for answer in (made, event) for block in answer.result.content] == kinds
    assert event.data["calendar_uri"] == f"kallyai://calls/{made.data['call_id']}/calendar.ics"
    assert event.text.endswith(f"\nThe .ics file: {event.data['calendar_uri']}")
    assert isinstance(file, TextResourceContents)
    assert file.text.startswith("BEGIN:VCALENDAR")
