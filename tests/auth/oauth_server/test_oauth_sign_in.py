"""From a registration to working tokens, with a client and a browser over HTTP, and what their
scopes allow.
"""

import json
from typing import Any

import pytest

from kallyai_mcp.auth.oauth_server.scopes import BILLING_LINK, SCOPES
from kallyai_mcp.tools.catalog import tools
from tests.auth.oauth_server.deployment import Deployment, User, answer_in, next_url, sign_in
from tests.transports.http_server import ACCEPT, RunningSandbox

NEEDED = sorted({*BILLING_LINK, *(scope for tool in tools() for scope in tool.scopes)})


async def metadata(server: Deployment, path: str) -> dict[str, Any]:
    document: dict[str, Any] = (await server.http.get(f"{server.url}/.well-known/{path}")).json()
    return document


@pytest.mark.parametrize("path", ["", "/mcp", "/sse"])
async def test_a_protected_resource_names_its_server(server: Deployment, path: str) -> None:
    resource = await metadata(server, f"oauth-protected-resource{path}")

    assert resource["resource"] == server.url + path
    assert resource["authorization_servers"] == [server.url]
    assert resource["scopes_supported"] == NEEDED


async def test_the_metadata_has_what_clients_need(server: Deployment) -> None:
    issuer = await metadata(server, "oauth-authorization-server")
    given = {
        "issuer": server.url,
        "scopes_supported": sorted(SCOPES),
        "client_id_metadata_document_supported": True,
        "authorization_response_iss_parameter_supported": True,
        "authorization_endpoint": f"{server.url}/oauth/authorize",
        "token_endpoint": f"{server.url}/oauth/token",
        "registration_endpoint": f"{server.url}/oauth/register",
        "revocation_endpoint": f"{server.url}/oauth/revoke",
    }

    assert {name: issuer[name] for name in given} == given
    assert {"none", "client_secret_post"} == set(issuer["token_endpoint_auth_methods_supported"])


async def test_the_answer_goes_to_the_registered_redirect_uri(
    server: Deployment, user: User
) -> None:
    app = "com.example.app:/back?from=kallyai"
    known = [app, "http://[::1]/back", "http://127.0.0.1", "https://client.example"]
    client = (await server.register(redirect_uris=known))["client_id"]
    state = "a b&c=ñ"
    for uri in (app, "http://[::1]:9/back", "http://127.0.0.1:1", "https://client.example"):
        landed = await user.allow(server.authorize_url(client, redirect_uri=uri, state=state))
        answer = answer_in(landed)

        assert landed.startswith(uri)
        assert (answer["iss"], answer["state"]) == (server.issuer, state)
        assert (await server.redeem(client, answer["code"], redirect_uri=uri)).status_code == 200


async def test_a_token_has_the_scopes_that_were_granted(
    sandbox: RunningSandbox, server: Deployment, user: User
) -> None:
    client = await server.new_client()
    for asked, granted in (("openid calls:read offline_access", ["calls:read"]), (None, NEEDED)):
        code = await user.code(server.authorize_url(client, scope=asked, resource=None))
        tokens = (await server.redeem(client, code)).json() | {"client_id": client}

        assert tokens["scope"].split() == granted
        assert (await server.use(tokens["access_token"], "list_calls")).status_code == 200
    with sandbox.app.state.sandbox.store.transaction() as db:
        db.execute("UPDATE auth_families SET scope = 'calls:read sessions:read'")

    assert (await server.renew(tokens)).json()["scope"] == "calls:read"


async def test_a_client_must_send_its_secret(server: Deployment, user: User) -> None:
    client, other = [
        await server.register(token_endpoint_auth_method="client_secret_basic") for _ in range(2)
    ]
    given = (client["client_id"], await user.code(server.authorize_url(client["client_id"])))
    secrets = [
        {},
        {"client_secret": other["client_secret"]},
        {"client_secret": client["client_secret"]},
    ]
    answers = [await server.redeem(*given, **secret) for secret in secrets]
    token = {"client_id": given[0], "token": answers[-1].json()["access_token"]}
    for secret in secrets:
        answers += [await server.post("revoke", token | secret), await server.use(token["token"])]

    assert client["token_endpoint_auth_method"] == "client_secret_post"
    assert [answer.status_code for answer in answers] == [
        401,
        401,
        200,
        401,
        200,
        401,
        200,
        200,
        401,
    ]


async def test_a_user_who_cancels_returns_with_access_denied(
    server: Deployment, user: User
) -> None:
    url = server.authorize_url(await server.new_client())
    here = answer_in(next_url(await user.press(await user.open(url), "deny")))
    at_kallyai = await user.open(next_url(await user.press(await user.open(url), "allow")))
    back = await user.press(at_kallyai, "deny")
    there = answer_in(next_url(await user.open(back.headers["location"])))

    assert (
        here == there == {"error": "access_denied", "state": "the client's own", "iss": server.url}
    )


async def test_two_users_of_a_client_have_two_accounts(server: Deployment) -> None:
    client = await server.register(client_name="  A\u202e \n name ")
    async with User("acct-personal") as one, User("acct-business") as other:
        mine, theirs = [await sign_in(server, who, client["client_id"]) for who in (one, other)]

    assert client["client_name"] == "A name"
    assert "of 210 minutes" in (await server.use(mine["access_token"])).text
    assert "of 6000 minutes" in (await server.use(theirs["access_token"])).text


def call(tool: str, **arguments: Any) -> dict[str, Any]:
    return {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": tool, "arguments": arguments},
    }


async def test_scopes_are_checked_in_every_encoding(server: Deployment, user: User) -> None:
    tokens = await sign_in(server, user, scope="subscription:read")
    quota, calls = call("check_quota"), call("list_calls")

    def twice(first: dict[str, Any], last: dict[str, Any]) -> bytes:
        return (json.dumps(first)[:-1] + f', "params": {json.dumps(last["params"])}}}').encode()

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
    }
    headers = {
        "Authorization": f"Bearer {tokens['access_token']}",
        "Content-Type": "application/json",
    } | ACCEPT
    for name, (body, expected) in bodies.items():
        response = await server.http.post(f"{server.url}/mcp", content=body, headers=headers)

        assert response.status_code == expected, name
    for path, resource in (("mcp", "mcp"), ("messages/?session_id=whatever", "sse")):
        refused = await server.http.post(f"{server.url}/{path}", json=calls, headers=headers)
        assert refused.headers["www-authenticate"] == (
            'Bearer error="insufficient_scope", error_description="The token lacks calls:read", '
            'scope="calls:read", '
            f'resource_metadata="{server.url}/.well-known/oauth-protected-resource/{resource}"'
        )
