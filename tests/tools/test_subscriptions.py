"""Notifications about calls, in both protocol generations, over every transport."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError
from mcp.client.sse import sse_client
from mcp.client.subscriptions import Subscription
from mcp.types import METHOD_NOT_FOUND, ResourceUpdatedNotification

from kallyai_mcp.cli.app_context import open_app_context
from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.server.build import build_server
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools import resource_watch
from tests.agent import BISTRO, Agent, open_agent, settings_in
from tests.sandbox.manual_clock import ManualClock
from tests.transports.http_server import CALL, LIMIT, connected_agent, running_sandbox, running_server

pytestmark = pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")
"""A client of the 2025 versions has no other way to subscribe."""

CALLS = "kallyai://calls"


@pytest.fixture(autouse=True)
def short_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource_watch, "LEDGER_INTERVAL", 0.02)
    monkeypatch.setattr(resource_watch, "SERVICE_INTERVAL", 0.04)


class Notifications:
    """The notifications that a client got, as URIs in order."""

    def __init__(self) -> None:
        self.uris: list[str] = []
        self._more = anyio.Event()

    async def __call__(self, message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            self.uris.append(message.params.uri)
            self._more.set()

    async def wait_for(self, *uris: str) -> None:
        """Wait until there was a notification for each of `uris`."""
        with anyio.fail_after(LIMIT):
            while not set(uris) <= set(self.uris):
                await self._more.wait()
                self._more = anyio.Event()


@asynccontextmanager
async def client_2025(
    settings: Settings, clock: ManualClock, app: SandboxApp, notifications: Notifications
) -> AsyncIterator[Agent]:
    """A client of the 2025 versions."""
    connection = Connection(settings, embedded=lambda: app, now=clock.now)
    server = build_server(lambda: open_app_context(connection, timezone="America/New_York"))
    async with Client(server, mode="legacy", message_handler=notifications) as client:
        yield Agent(client)


@asynccontextmanager
async def client_2026(settings: Settings, clock: ManualClock, app: SandboxApp) -> AsyncIterator[Agent]:
    async with open_agent(settings, mode="auto", clock=clock, app=app) as agent:
        yield agent


async def place(agent: Agent, clock: ManualClock, **more: Any) -> str:
    """Place a call that lasts until the clock advances; returns its tracking_id."""
    clock.hold()
    made = await agent.use("make_call", BISTRO, wait_seconds=0, **more)
    with anyio.fail_after(LIMIT):
        await clock.sleepers(1)
    tracking_id: str = made.data["tracking_id"]
    return tracking_id


async def next_of(subscription: Subscription, number: int) -> set[str]:
    """The URIs of the next `number` events."""
    with anyio.fail_after(LIMIT):
        return {getattr(await anext(subscription), "uri", "") for _ in range(number)}


async def test_a_subscriber_is_notified_when_a_call_ends(
    settings: Settings, clock: ManualClock, app: SandboxApp
) -> None:
    async with client_2026(settings, clock, app) as agent:
        id_ = await place(agent, clock)
        uris = [CALLS, f"{CALLS}/{id_}", f"{CALLS}/{id_}/transcript", f"{CALLS}/{id_}/calendar.ics"]
        async with agent.client.listen(resource_subscriptions=uris) as subscription:
            clock.advance(minutes=10)
            notifications = await next_of(subscription, 4)
        read = await agent.client.read_resource(uris[1])

    assert notifications == set(uris)
    assert "Booked: " in getattr(read.contents[0], "text", "")


async def test_a_subscriber_of_a_list_of_candidates_is_notified_of_each_call_and_of_its_end(
    settings: Settings, clock: ManualClock, app: SandboxApp
) -> None:
    candidates = [{"respondent_phone": number} for number in ("+12025550103", "+12025550119")]
    around = {"until": "answered", "task_category": "general", "task_description": "Ask", "candidates": candidates}
    clock.hold()
    async with client_2026(settings, clock, app) as agent:
        uri = f"{CALLS}/{(await agent.use('call_around', around, wait_seconds=0)).data['tracking_id']}"
        await clock.sleepers(1)
        async with agent.client.listen(resource_subscriptions=[uri]) as subscription:
            clock.advance(minutes=5)
            second = await next_of(subscription, 1)
            await clock.sleepers(1)
            clock.advance(minutes=5)
            with anyio.fail_after(LIMIT):
                async for _ in subscription:
                    read = await agent.client.read_resource(uri)
                    if "Answered: " in getattr(read.contents[0], "text", ""):
                        break

    assert second == {uri}


async def test_a_subscriber_of_the_list_is_notified_when_a_call_is_placed(
    settings: Settings, clock: ManualClock, app: SandboxApp
) -> None:
    async with (
        client_2026(settings, clock, app) as agent,
        agent.client.listen(resource_subscriptions=[CALLS]) as subscription,
    ):
        await place(agent, clock)

        assert await next_of(subscription, 1) == {CALLS}


async def test_a_client_of_the_2025_versions_is_notified_until_it_unsubscribes(
    settings: Settings, clock: ManualClock, app: SandboxApp
) -> None:
    notifications = Notifications()
    async with client_2025(settings, clock, app, notifications) as agent:
        first = await place(agent, clock)
        for uri in (CALLS, f"{CALLS}/{first}", f"{CALLS}/{first}/transcript"):
            await agent.client.subscribe_resource(uri)
        await agent.client.subscribe_resource(CALLS)  # a second time changes nothing
        await agent.client.unsubscribe_resource(f"{CALLS}/{first}/transcript")
        await agent.client.unsubscribe_resource(f"{CALLS}/nothing-of-the-kind")
        clock.advance(minutes=10)
        await notifications.wait_for(CALLS, f"{CALLS}/{first}")

    assert sorted(notifications.uris) == [CALLS, f"{CALLS}/{first}"]


async def test_a_call_that_another_process_runs_is_notified_too(
    settings: Settings, clock: ManualClock, app: SandboxApp
) -> None:
    async with client_2026(settings, clock, app) as caller, client_2026(settings, clock, app) as listener:
        id_ = await place(caller, clock)
        async with listener.client.listen(resource_subscriptions=[f"{CALLS}/{id_}"]) as subscription:
            clock.advance(minutes=10)

            assert await next_of(subscription, 1) == {f"{CALLS}/{id_}"}


async def test_a_call_that_only_kallyai_knows_is_notified_too(
    settings: Settings, clock: ManualClock, app: SandboxApp, tmp_path: Path
) -> None:
    async with (
        client_2026(settings_in(tmp_path / "elsewhere"), clock, app) as caller,
        client_2026(settings, clock, app) as listener,
    ):
        await place(caller, clock)
        call_id = (await listener.use("list_calls")).data["calls"][0]["call_id"]
        async with listener.client.listen(resource_subscriptions=[f"{CALLS}/{call_id}"]) as subscription:
            clock.advance(minutes=10)

            assert await next_of(subscription, 1) == {f"{CALLS}/{call_id}"}


@pytest.mark.parametrize(
    "uris",
    [
        [f"{CALLS}/t-nobody-knows"],
        ["kallyai://quota"],
        [CALLS, "file:///etc/passwd"],
        [f"{CALLS}/{n}" for n in range(101)],
    ],
    ids=["unknown", "elsewhere", "one of two", "too many"],
)
async def test_a_resource_of_somebody_else_can_not_be_subscribed_to(
    settings: Settings, clock: ManualClock, app: SandboxApp, uris: list[str]
) -> None:
    async with client_2026(settings, clock, app) as agent:
        with pytest.raises(MCPError, match="You can subscribe") as refused:
            async with agent.client.listen(resource_subscriptions=uris):
                pass
        quota = await agent.use("check_quota")

    assert refused.value.error.code == -32602
    assert not quota.is_error  # the connection still works


async def test_without_a_sign_in_a_subscription_is_refused(settings: Settings, clock: ManualClock) -> None:
    async with open_agent(settings, mode="auto", clock=clock) as agent:
        with pytest.raises(MCPError, match="Not signed in to KallyAI"):
            async with agent.client.listen(resource_subscriptions=[CALLS]):
                pass


async def test_callers_are_notified_only_of_their_own_calls(tmp_path: Path) -> None:
    async with (
        running_sandbox(tmp_path) as sandbox,
        running_server(sandbox.settings(), auth="caller") as url,
        connected_agent(url, token=sandbox.token("acct-personal")) as one,
        connected_agent(url, token=sandbox.token("acct-business")) as other,
        one.client.listen(resource_subscriptions=[CALLS]) as mine,
        other.client.listen(resource_subscriptions=[CALLS]) as theirs,
    ):
        id_ = (await one.use("make_call", CALL, wait_seconds=0)).data["tracking_id"]
        assert await next_of(mine, 1) == {CALLS}
        await sandbox.wait_for_calls()
        with pytest.raises(MCPError, match="You can subscribe only to your own calls") as refused:
            async with other.client.listen(resource_subscriptions=[f"{CALLS}/{id_}"]):
                pass
        sandbox.end_calls()
        assert await next_of(mine, 1) == {CALLS}
        with anyio.move_on_after(0.2) as silence:  # ten intervals
            await anext(theirs)

    assert id_ not in str(refused.value)
    assert silence.cancelled_caught


async def test_over_sse_callers_subscribe_only_to_their_own_calls(tmp_path: Path) -> None:
    async with running_sandbox(tmp_path) as sandbox, running_server(sandbox.settings(), auth="caller") as url:
        notifications = Notifications()

        def client(account: str, notifications: Notifications) -> Client:
            headers = {"Authorization": f"Bearer {sandbox.token(account)}"}
            return Client(sse_client(f"{url}/sse", headers=headers), mode="legacy", message_handler=notifications)

        async with client("acct-personal", notifications) as mine, client("acct-business", Notifications()) as theirs:
            made = await Agent(mine).use("make_call", CALL, wait_seconds=0)
            uri = f"{CALLS}/{made.data['tracking_id']}"
            await sandbox.wait_for_calls()
            await mine.subscribe_resource(uri)
            with pytest.raises(MCPError, match="You can subscribe only to your own calls"):
                await theirs.subscribe_resource(uri)
            sandbox.end_calls()
            await notifications.wait_for(uri)

    assert notifications.uris == [uri]


async def test_without_a_session_subscribing_is_neither_offered_nor_accepted(tmp_path: Path) -> None:
    async with (
        running_sandbox(tmp_path) as sandbox,
        running_server(sandbox.settings()) as url,
        connected_agent(url, "legacy") as agent,
    ):
        resources = agent.client.server_capabilities.resources
        with pytest.raises(MCPError, match="keeps no session") as refused:
            await agent.client.subscribe_resource(CALLS)

    assert resources is not None
    assert not resources.subscribe
    assert refused.value.error.code == METHOD_NOT_FOUND
