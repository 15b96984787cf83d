"""The tables of docs/security.md say what each endpoint and request demands; the server is asked
for each row.
"""

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from kallyai_mcp.cli.serve_http import build_app
from tests.auth.oauth_server.deployment import OAUTH, Deployment, User, deploy, sign_in
from tests.docs.pages import text_of
from tests.transports.http_server import ACCEPT, LIMIT, RunningSandbox, running_app

OF_CLIENTS = ("POST /oauth/token", "POST /oauth/revoke")
"""Without a client, they answer 401, too (RFC 6749, section 5.2)."""

NAMED = "anybody, by any name"


def table(heading: str) -> dict[str, list[str]]:
    """What the table in that section says about each name in its first column: the other cells,
    without backticks.
    """
    section = text_of("docs/security.md").split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [re.findall(r"[^|]+", line) for line in section.splitlines() if line.startswith("| `")]
    return {
        name: [cell.strip().replace("`", "") for cell in row[1:]]
        for row in rows
        for name in re.findall(r"`(.+?)`", row[0])
    }


ENDPOINTS = {name: (who, limit) for name, (who, limit) in table("HTTP endpoints").items()}
SCOPES = {
    name: scopes.partition(";")[0] for name, (scopes,) in table("Requests and their scopes").items()
}
OPEN = (
    "tools/call sign_in",
    *(
        "initialize",
        "ping",
        "tools/list",
        "prompts/list",
        "resources/list",
        "resources/templates/list",
    ),
    *("resources/read ui://kallyai/call.html", "resources/read ui://kallyai/quota.html"),
    "resources/read skill://phone-call/SKILL.md",
)
"""Requests that are not in that table."""


@pytest.fixture(scope="module")
async def server(sandbox: RunningSandbox) -> AsyncIterator[Deployment]:
    async with deploy(sandbox) as server:
        yield server


@pytest.fixture
def app(sandbox: RunningSandbox) -> Starlette:
    """The app of the hosted sign-in."""
    own = OAUTH | {"AUTH": "oauth", "PUBLIC_URL": "http://127.0.0.1:9", "RATE_LIMIT": "2/hour"}
    return build_app(sandbox.settings(**own), "127.0.0.1")


async def ask(client: httpx2.AsyncClient, url: str, endpoint: str, **headers: str) -> int:
    method, path = endpoint.replace("*", "POST").split()
    return (await client.request(method, f"{url}{path}", headers=ACCEPT | headers)).status_code


async def test_every_endpoint_is_in_the_table(app: Starlette) -> None:
    found = set()
    for route in app.routes:
        assert isinstance(route, Route | Mount)
        methods = getattr(route, "methods", None) or {"*"}  # a mounted app takes any
        found |= {f"{method} {route.path}" for method in methods if method != "HEAD"}

    assert found == set(ENDPOINTS), "list each endpoint in the table of docs/security.md"


async def test_each_endpoint_demands_what_the_table_says(app: Starlette) -> None:
    async with running_app(app) as url, httpx2.AsyncClient(timeout=LIMIT) as client:
        for endpoint, (who, limit) in ENDPOINTS.items():
            foreign = await ask(client, url, endpoint, Host="evil.example.com")
            page = await ask(client, url, endpoint, Origin="https://evil.example.com")
            plain = await ask(client, url, endpoint)
            codes = [await ask(client, url, endpoint) for _ in range(3)]

            assert foreign == (421 if who != NAMED else plain), endpoint
            assert page == (403 if who != NAMED else plain), endpoint
            assert (plain == 401) == (who == "bearer" or endpoint in OF_CLIENTS), endpoint
            assert (plain == 429, codes[-1] == 429) == (False, limit == "sign-in"), endpoint


async def test_an_account_has_its_limit(sandbox: RunningSandbox) -> None:
    paths = [name.split()[1] for name, (_, limit) in ENDPOINTS.items() if limit == "account"]
    app = build_app(sandbox.settings(RATE_LIMIT=f"{len(paths)}/hour", AUTH="caller"), "127.0.0.1")
    async with running_app(app) as url, httpx2.AsyncClient(timeout=LIMIT) as client:
        bearers = [
            {"Authorization": f"Bearer {sandbox.token(name)}"}
            for name in ("acct-personal", "acct-business")
        ]
        # A GET would open a stream.
        codes = [
            await ask(client, url, f"POST {path}", **bearers[0]) for path in [*paths, paths[0]]
        ]
        refused = await client.post(f"{url}{paths[0]}", headers=ACCEPT | bearers[0])
        other = await ask(client, url, f"POST {paths[0]}", **bearers[1])

    assert 401 not in codes
    assert [code == 429 for code in codes] == [False] * len(paths) + [True]
    assert 3500 < int(refused.headers["retry-after"]) <= 3600
    assert other != 429


def message(request: str) -> dict[str, Any]:
    """A JSON-RPC message for a row of the table of requests."""
    method, _, what = request.partition(" ")
    known: dict[str, dict[str, Any]] = {
        "tools/call": {"name": what, "arguments": {}},
        "resources/read": {"uri": what.replace("ID", "c-1")},
        "subscriptions/listen": {"notifications": {"resourceSubscriptions": ["kallyai://calls"]}},
        "initialize": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "tests", "version": "1"},
        },
    }
    params = known.get(method, {"taskId": "t-1"} if method.startswith("tasks/") else {})
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


async def answer_to(server: Deployment, message: dict[str, Any], token: str) -> httpx2.Response:
    headers = ACCEPT | {"Authorization": f"Bearer {token}"}
    return await server.http.post(f"{server.url}/mcp", json=message, headers=headers)


async def test_each_request_needs_the_scopes_listed(server: Deployment) -> None:
    async with User() as user:
        token = (await sign_in(server, user, scope="sessions:read"))["access_token"]
    for request, scopes in (SCOPES | dict.fromkeys(OPEN, "none")).items():
        response = await answer_to(server, message(request), token)

        assert response.status_code == (200 if scopes == "none" else 403), request
        if scopes != "none":
            assert response.json()["scope"] == scopes, request


async def test_no_spelling_of_a_transcript_needs_another_scope(server: Deployment) -> None:
    async with User() as user:
        token = (await sign_in(server, user, scope="calls:read"))["access_token"]
    for uri in (
        "KALLYAI://calls/c-1/transcript",
        "kallyai://calls/c-1/transcri%70t",
        "kallyai://calls/c-1/transcript?x",
        "kallyai://calls/c-1%2Ftranscript",
        "kallyai:///calls/c-1/transcript",
        "kallyai://calls//transcript",
    ):
        response = await answer_to(
            server, message("resources/read") | {"params": {"uri": uri}}, token
        )

        assert response.status_code == 403, uri
        assert response.json()["scope"] == "transcripts:read", uri
