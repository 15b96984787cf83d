"""The server card and the AI catalog: a client that knows only the host finds the server, and what it finds is true."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.transports.http_server import running_sandbox, running_server

CATALOG = "/.well-known/ai-catalog.json"
SECRET = "a-secret-of-many-characters"

Json = dict[str, Any]


async def get(url: str, headers: Mapping[str, str] | None = None) -> httpx2.Response:
    async with httpx2.AsyncClient() as client:
        return await client.get(url, headers=headers or {})


async def test_a_client_finds_the_server_by_its_host_and_connects(tmp_path: Path) -> None:
    async with running_sandbox(tmp_path) as sandbox, running_server(sandbox.settings()) as url:
        catalog = await get(f"{url}{CATALOG}", {"Origin": "https://any.example"})
        (entry,) = catalog.json()["entries"]
        card = await get(entry["url"], {"Accept": entry["type"], "Origin": "https://any.example"})
        newest, sse = card.json()["remotes"]
        async with Client(streamable_http_client(newest["url"])) as client:
            server, version = client.server_info, client.protocol_version

    assert catalog.json()["specVersion"] == "1.0"
    assert catalog.headers["content-type"] == "application/ai-catalog+json"
    assert entry["identifier"] == "urn:air:kallyai.com:kallyai-mcp"
    assert card.headers["content-type"] == entry["type"] == "application/mcp-server-card+json"
    assert server is not None
    assert {name: card.json()[name] for name in ("title", "description", "version")} == {
        "title": server.title,
        "description": server.description,
        "version": server.version,
    }
    assert re.fullmatch(r"[a-z.]+/kallyai-mcp", card.json()["name"])
    assert version in newest["supportedProtocolVersions"]
    assert (sse["type"], sse["url"]) == ("sse", f"{url}/sse")
    for document in (catalog, card):
        assert document.headers["access-control-allow-origin"] == "*"
        assert document.headers["cache-control"] == "public, max-age=3600"


@pytest.mark.parametrize(("settings", "headers"), [({}, None), ({"MCP_TOKEN": SECRET}, ["Authorization"])])
async def test_the_card_says_which_header_a_user_must_fill_in(
    tmp_path: Path, settings: dict[str, str], headers: list[str] | None
) -> None:
    async with running_sandbox(tmp_path) as sandbox, running_server(sandbox.settings(**settings)) as url:
        card = await get(f"{url}/mcp/server-card")
        remotes: list[Json] = card.json()["remotes"]

    for remote in remotes:
        named = [header["name"] for header in remote["headers"]] if "headers" in remote else None
        assert named == headers
    assert SECRET not in card.text


async def test_the_addresses_are_those_that_clients_use(tmp_path: Path) -> None:
    public = "https://phone.example.com"
    async with (
        running_sandbox(tmp_path) as sandbox,
        running_server(sandbox.settings(PUBLIC_URL=public, MCP_TOKEN=SECRET)) as url,
    ):
        card = (await get(f"{url}/mcp/server-card")).json()
        catalog = (await get(f"{url}{CATALOG}")).json()

    assert [remote["url"] for remote in card["remotes"]] == [f"{public}/mcp", f"{public}/sse"]
    assert catalog["entries"][0]["url"] == f"{public}/mcp/server-card"
