"""Scopes: which tools a token can use, and the 403 that names a missing scope."""

import json
from typing import Any

from tests.auth.oauth_server.deployment import Deployment, User, sign_in
from tests.transports.http_server import ACCEPT, CALL, RunningSandbox


def call(tool: str, **arguments: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}


async def test_a_missing_scope_is_named_and_a_new_token_with_it_works(
    sandbox: RunningSandbox, server: Deployment, user: User
) -> None:
    narrow = await sign_in(server, user, scope="calls:read")
    refused = await server.use(narrow["access_token"], "make_call", **CALL, wait_seconds=0)
    headers = {"Authorization": f"Bearer {narrow['access_token']}"}
    messages = f"{server.url}/messages/?session_id=whatever"
    over_sse = await server.http.post(messages, json=call("get_transcript"), headers=headers)
    placed_before = len(await sandbox.calls())
    wide = await sign_in(server, user, narrow["client_id"], scope="calls:write calls:read")
    placed = await server.use(wide["access_token"], "make_call", **CALL, wait_seconds=0)

    assert [refused.status_code, over_sse.status_code, placed.status_code] == [403, 403, 200]
    assert refused.headers["www-authenticate"] == (
        'Bearer error="insufficient_scope", error_description="The token lacks calls:write", '
        f'scope="calls:read calls:write", resource_metadata="{server.url}/.well-known/oauth-protected-resource/mcp"'
    )
    assert "/.well-known/oauth-protected-resource/sse" in over_sse.headers["www-authenticate"]
    assert len(await sandbox.wait_for_calls(placed_before + 1)) == placed_before + 1
    sandbox.end_calls()


async def test_scopes_are_checked_in_every_encoding_of_a_request(server: Deployment, user: User) -> None:
    tokens = await sign_in(server, user, scope="subscription:read")
    quota, calls = call("check_quota"), call("list_calls")

    def twice(first: dict[str, Any], last: dict[str, Any]) -> bytes:
        return (json.dumps(first)[:-1] + f', "params": {json.dumps(last["params"])}}}').encode()

    def reads(uri: str) -> bytes:
        return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": uri}}).encode()

    bodies: dict[str, tuple[bytes, int]] = {
        "batch": (json.dumps([quota, calls]).encode(), 400),
        "utf-16": (json.dumps(calls).encode("utf-16"), 403),
        "byte order mark": (b"\xef\xbb\xbf" + json.dumps(calls).encode(), 403),
        "escapes": (json.dumps(calls).replace("tools/call", "tools\\u002fcall").encode(), 403),
        "the last of two, as the SDK reads it": (twice(quota, calls), 403),
        "the first of two": (twice(calls, quota), 200),
        "too long": (json.dumps(call("list_calls", limit="1" * 70_000)).encode(), 413),
        "not JSON": (b'{"method": "tools/call"', 400),
        "too deep": (b"[" * 60_000, 400),
        "a task": (b'{"jsonrpc": "2.0", "id": 1, "method": "tasks/get", "params": {"taskId": "t-1"}}', 403),
        "a transcript": (reads("KALLYAI://calls/x/%74ranscript"), 403),
        "a call": (reads("kallyai://calls/x"), 403),
        "a card": (reads("ui://kallyai/call.html"), 200),
    }
    headers = {"Authorization": f"Bearer {tokens['access_token']}", "Content-Type": "application/json"} | ACCEPT
    for name, (body, expected) in bodies.items():
        response = await server.http.post(f"{server.url}/mcp", content=body, headers=headers)

        assert response.status_code == expected, name
