"""call_around with the hosted sign-in: the list goes on while the sign-in's token is good, and later with a new one."""

import anyio

from tests.auth.oauth_server.deployment import Deployment, User, sign_in
from tests.transports.http_server import LIMIT, RunningSandbox, connected_agent
from tests.transports.test_lists_over_http import AROUND, EXPIRES

WRITE_SCOPES = "calls:read calls:write subscription:read"


async def test_a_list_stops_when_the_token_expires_and_goes_on_after_its_renewal(
    server: Deployment, sandbox: RunningSandbox, user: User
) -> None:
    tokens = await sign_in(server, user, scope=WRITE_SCOPES)
    before = len(await sandbox.calls())
    with anyio.fail_after(LIMIT):
        async with connected_agent(server.url, token=tokens["access_token"]) as agent:
            started = await agent.use("call_around", AROUND, wait_seconds=0)
        id_ = started.data["tracking_id"]
        await sandbox.wait_for_calls(before + 1)
        sandbox.end_calls()
        await sandbox.wait_for_calls(before + 2)
        sandbox.clock.advance(minutes=EXPIRES)
        form = {
            "grant_type": "refresh_token",
            "refresh_token": tokens["refresh_token"],
            "client_id": tokens["client_id"],
        }
        renewed = (await server.post("token", form)).json()
        async with connected_agent(server.url, token=renewed["access_token"]) as agent:
            stopped = await agent.use("get_call", call_id=id_, wait_seconds=LIMIT)
            again = await agent.use("call_around", AROUND, wait_seconds=0)
            await sandbox.wait_for_calls(before + 3)
            sandbox.end_calls()
            ended = await agent.use("get_call", call_id=id_, wait_seconds=LIMIT)

    assert stopped.data["status"] == "needs_sign_in", stopped.text
    assert again.data["tracking_id"] == id_
    assert ended.data["status"] == "needs_decision"
    assert [call["outcome"] for call in ended.data["calls"]] == ["not_reached", "not_reached", "answered"]


async def test_a_list_calls_nobody_else_after_its_sign_in_was_revoked(
    server: Deployment, sandbox: RunningSandbox, user: User
) -> None:
    mine, other = await sign_in(server, user, scope=WRITE_SCOPES), await sign_in(server, user, scope=WRITE_SCOPES)
    before = len(await sandbox.calls())
    with anyio.fail_after(LIMIT):
        async with connected_agent(server.url, token=mine["access_token"]) as agent:
            started = await agent.use("call_around", AROUND | {"task_description": "Ask"}, wait_seconds=0)
        await sandbox.wait_for_calls(before + 1)
        await server.post("revoke", {"token": mine["access_token"], "client_id": mine["client_id"]})
        sandbox.end_calls()
        async with connected_agent(server.url, token=other["access_token"]) as agent:
            stopped = await agent.use("get_call", call_id=started.data["tracking_id"], wait_seconds=LIMIT)

    assert stopped.data["status"] == "needs_sign_in", stopped.text
    assert len(await sandbox.calls()) == before + 1
