"""Requests to the MCP endpoints that are written in an unusual way."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from tests.transports.http_server import (
    ACCEPT,
    LIMIT,
    RunningSandbox,
    initialize,
    running_server,
)

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "tests", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
TOOLS: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/list",
    "params": {"_meta": META},
}
MODERN = {"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/list"}
JSON = "application/json"


@pytest.fixture(scope="module")
async def http(sandbox: RunningSandbox) -> AsyncIterator[httpx2.AsyncClient]:
    async with (
        running_server(sandbox.settings()) as url,
        httpx2.AsyncClient(base_url=url, timeout=LIMIT) as client,
    ):
        yield client


async def post(http: httpx2.AsyncClient, body: str, **headers: str) -> httpx2.Response:
    """Send a message to `/mcp`."""
    path = headers.pop("path", "/mcp")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await http.post(path, content=body, headers=ACCEPT | {"Content-Type": JSON} | named)


@pytest.mark.parametrize("kind", ["Application/JSON", "APPLICATION/json; Charset=UTF-8"])
async def test_a_media_type_is_read_in_any_case(http: httpx2.AsyncClient, kind: str) -> None:
    accepts = {"Accept": "Application/JSON, Text/Event-Stream", "Content_Type": kind}
    old = await post(http, json.dumps(initialize()), **accepts)
    new = await post(http, json.dumps(TOOLS), **accepts, **MODERN)

    assert (old.status_code, new.status_code) == (200, 200)


@pytest.mark.parametrize("kind", ["text/plain", "application/jsonx", ""])
async def test_another_media_type_is_refused(http: httpx2.AsyncClient, kind: str) -> None:
    assert (await post(http, json.dumps(initialize()), Content_Type=kind)).status_code in (400, 415)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
async def test_an_id_must_be_a_json_number(http: httpx2.AsyncClient, number: str) -> None:
    for message, headers in ((initialize(), {}), (TOOLS, MODERN)):
        body = json.dumps(message | {"id": 77}).replace('"id": 77', f'"id": {number}')
        response = await post(http, body, **headers)

        assert response.status_code == 400, response.text
        assert response.json()["error"]["code"] in (-32700, -32600)


async def test_a_slash_at_the_end_is_no_redirect(http: httpx2.AsyncClient) -> None:
    """A redirect names the address behind the proxy, often by http, and the token would follow."""
    served = await post(http, json.dumps(initialize()), path="/mcp/")
    stream = await http.get("/mcp/")
    others = [await http.get(path) for path in ("/sse/", "/health/", "/ready/", "/nothing/")]

    assert (served.status_code, stream.status_code) == (200, 405)
    assert {response.status_code for response in others} == {404}
