"""A webhook belongs to the sign-in of the client that asked for it."""

import base64
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import anyio

from kallyai_mcp.common_types import PostAnswer
from tests.auth.oauth_server.deployment import Deployment, User, deploy, sign_in
from tests.transports.event_stream import ask, mcp_stream, next_of
from tests.transports.http_server import CALL, LIMIT, RunningSandbox, connected_agent

URL = "https://receiver.example/hooks"
SECRET = "whsec_" + base64.b64encode(bytes(32)).decode()
WRITE_SCOPES = "calls:read calls:write subscription:read"


class Receiver:
    """Echoes challenges, and keeps the events that it gets."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.ends: list[tuple[str, dict[str, Any]]] = []
        self.news = anyio.Event()

    async def post(self, url: str, body: bytes, __: Mapping[str, str]) -> PostAnswer:
        parsed = json.loads(body)
        if "eventId" in parsed:
            self.events.append(parsed)
            self.news.set()
        elif parsed["type"] == "terminated":
            self.ends.append((url, parsed["error"]))
        return PostAnswer(200, json.dumps({"challenge": parsed.get("challenge")}).encode())


async def subscribe(server: Deployment, token: str, url: str) -> dict[str, Any]:
    params = {"name": "call.ended", "delivery": {"mode": "webhook", "url": url, "secret": SECRET}}
    granted: dict[str, Any] = (await ask(server.url, "events/subscribe", params, token=token))["result"]
    return granted


async def test_a_revoked_sign_in_is_told_of_no_more_calls(sandbox: RunningSandbox, user: User) -> None:
    receiver = Receiver()
    async with deploy(sandbox, post=receiver.post) as server:
        stolen, own = await sign_in(server, user, scope=WRITE_SCOPES), await sign_in(server, user, scope=WRITE_SCOPES)
        granted = await subscribe(server, stolen["access_token"], f"{URL}/stolen")
        own_subscription = await subscribe(server, own["access_token"], f"{URL}/own")
        await server.post("revoke", {"token": stolen["access_token"], "client_id": stolen["client_id"]})
        async with connected_agent(server.url, token=own["access_token"]) as agent:
            before = len(await sandbox.calls())
            await agent.use("make_call", CALL, wait_seconds=0)
            await sandbox.wait_for_calls(before + 1)
            sandbox.end_calls()
            with anyio.fail_after(LIMIT):
                await receiver.news.wait()

    ends = [datetime.fromisoformat(each["refreshBefore"]) for each in (granted, own_subscription)]
    assert len(receiver.events) == 1
    assert [(url, error["code"]) for url, error in receiver.ends] == [(f"{URL}/stolen", -32024)]
    assert max(ends) <= sandbox.clock.now() + timedelta(seconds=stolen["expires_in"])


async def test_an_open_stream_of_events_is_told_that_its_sign_in_was_revoked(
    sandbox: RunningSandbox, user: User
) -> None:
    async with deploy(sandbox) as server:
        tokens = await sign_in(server, user, scope=WRITE_SCOPES)
        async with mcp_stream(server.url, {"name": "call.ended"}, tokens["access_token"]) as messages:
            await next_of(messages, "active")
            await server.post("revoke", {"token": tokens["access_token"], "client_id": tokens["client_id"]})
            terminated = await next_of(messages, "terminated")
            (last,) = [message async for message in messages]

    assert (terminated["error"]["code"], terminated["error"]["data"]) == (-32024, {"reason": "Access revoked"})
    assert (last["id"], last["result"]["resultType"]) == ("s", "complete")
