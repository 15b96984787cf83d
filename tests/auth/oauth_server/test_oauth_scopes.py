"""Scopes: which tools a token can use, and the 403 that names a missing scope."""

import json
from typing import Any

from kallyai_mcp.tools.catalog import tools
from tests.auth.oauth_server.deployment import Deployment, User, sign_in
from tests.transports.http_server import CALL, RunningSandbox

TOOLS = {tool.name: tool.spec.scopes for tool in tools()}
ACCEPT = "application/json, text/event-stream"


def call(tool: str, **arguments: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}


async def test_a_missing_scope_is_named_and_a_new_token_with_it_works(
    sandbox: RunningSandbox, server: Deployment, user: User
) -> None:
    narrow = await sign_in(server, user, scope="calls:read")
    refused = await server.use(narrow["access_token"], "make_call", **CALL, wait_seconds=0)
    placed_before = len(await sandbox.calls())
    wide = await sign_in(server, user, narrow["client_id"], scope="calls:write calls:read")
    placed = await server.use(wide["access_token"], "make_call", **CALL, wait_seconds=0)

    challenge = refused.headers["www-authenticate"]
    assert refused.status_code == 403
    assert 'error="insufficient_scope"' in challenge
    assert 'error_description="The token lacks calls:write"' in challenge
    assert refused.json()["error_description"] == "The token lacks calls:write"
    assert 'scope="calls:read calls:write"' in challenge
    assert f'resource_metadata="{server.url}/.well-known/oauth-protected-resource/mcp"' in challenge
    assert placed.status_code == 200
    assert len(await sandbox.wait_for_calls(placed_before + 1)) == placed_before + 1
    sandbox.end_calls()


async def test_scopes_are_checked_in_every_encoding_of_a_request(server: Deployment, user: User) -> None:
    tokens = await sign_in(server, user, scope="subscription:read")
    quota, calls = call("check_quota"), call("list_calls")
    twice = json.dumps(quota)[:-1] + f', "params": {json.dumps(calls["params"])}}}'
    bodies: dict[str, bytes] = {
        "batch": json.dumps([quota, calls]).encode(),
        "batch in a batch": json.dumps([[calls]]).encode(),
        "utf-16": json.dumps(calls).encode("utf-16"),
        "byte order mark": b"\xef\xbb\xbf" + json.dumps(calls).encode(),
        "escapes": json.dumps(calls).replace("tools/call", "tools\\u002fcall").encode(),
        "twice": twice.encode(),
        "too long": json.dumps(call("list_calls", limit="1" * 70_000)).encode(),
        "not JSON": b'{"method": "tools/call"',
        "a task": json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tasks/get", "params": {"taskId": "t-1"}}).encode(),
    }
    headers = {
        "Authorization": f"Bearer {tokens['access_token']}",
        "Accept": ACCEPT,
        "Content-Type": "application/json",
    }
    statuses = {
        name: (await server.http.post(f"{server.url}/mcp", content=body, headers=headers)).status_code
        for name, body in bodies.items()
    }

    assert statuses == {
        "batch": 403,
        "batch in a batch": 403,
        "utf-16": 403,
        "byte order mark": 403,
        "escapes": 403,
        "twice": 400,
        "too long": 413,
        "not JSON": 400,
        "a task": 403,
    }
    assert (await server.send(tokens["access_token"], quota)).status_code == 200


async def test_scopes_are_checked_for_messages_of_sse(server: Deployment, user: User) -> None:
    tokens = await sign_in(server, user, scope="subscription:read")
    response = await server.http.post(
        f"{server.url}/messages/?session_id=whatever",
        json=call("list_calls"),
        headers={"Authorization": f"Bearer {tokens['access_token']}"},
    )

    assert response.status_code == 403
    assert "/.well-known/oauth-protected-resource/sse" in response.headers["www-authenticate"]


async def test_a_token_has_only_scopes_that_kallyai_granted(
    sandbox: RunningSandbox, server: Deployment, user: User
) -> None:
    tokens = await sign_in(server, user)
    with sandbox.app.state.sandbox.store.transaction() as db:
        db.execute("UPDATE auth_families SET scope = 'calls:read billing:manage'")
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": tokens["client_id"]}
    renewed = (await server.post("token", form)).json()

    assert renewed["scope"] == "calls:read"
