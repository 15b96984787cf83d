"""The server card (SEP-2127) and the AI catalog with its URL, which clients read before they connect.

Both are public, have no data of an account, and are made from `registry/server.json`.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kallyai_mcp.tools.icons import server_icons
from kallyai_mcp.transports.access_policy import AccessPolicy
from kallyai_mcp.transports.protected_resource import base_url

CARD_PATH: Final = "/mcp/server-card"
CATALOG_PATH: Final = "/.well-known/ai-catalog.json"

_CARD_TYPE: Final = "application/mcp-server-card+json"
_CATALOG_TYPE: Final = "application/ai-catalog+json"
_HEADERS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET",
    "Access-Control-Allow-Headers": "Content-Type",
    "Cache-Control": "public, max-age=3600",
    "Vary": "Host",
}
"""The headers that "CORS Requirements" and "Caching" of the extension's discovery document require."""


def server_card_routes(policy: AccessPolicy, *, sse: bool) -> list[Route]:
    """The routes of both documents.

    Args:
        policy: The access policy, which decides about the token that a client needs.
        sse: Whether `/sse` is served.
    """

    async def card(request: Request) -> Response:
        document = _card(base_url(request.scope, policy), _headers(policy), sse=sse)
        return JSONResponse(document, headers=_HEADERS, media_type=_CARD_TYPE)

    async def catalog(request: Request) -> Response:
        document = _catalog(f"{base_url(request.scope, policy)}{CARD_PATH}")
        return JSONResponse(document, headers=_HEADERS, media_type=_CATALOG_TYPE)

    return [Route(CARD_PATH, card), Route(CATALOG_PATH, catalog)]


def _card(url: str, headers: list[dict[str, Any]], *, sse: bool) -> dict[str, Any]:
    entry = _registry_entry()
    handshake, modern = list(HANDSHAKE_PROTOCOL_VERSIONS), list(MODERN_PROTOCOL_VERSIONS)
    remotes = [{"type": "streamable-http", "url": f"{url}/mcp", "supportedProtocolVersions": [*handshake, *modern]}]
    if sse:
        remotes.append({"type": "sse", "url": f"{url}/sse", "supportedProtocolVersions": handshake})
    return {
        "$schema": "https://static.modelcontextprotocol.io/schemas/v1/server-card.schema.json",
        **{name: entry[name] for name in ("name", "title", "description", "version")},
        "icons": [icon.model_dump(by_alias=True, exclude_none=True) for icon in server_icons()],
        "remotes": [remote | ({"headers": headers} if headers else {}) for remote in remotes],
    }


def _headers(policy: AccessPolicy) -> list[dict[str, Any]]:
    """The headers that a user must fill in; empty if clients get their token by OAuth, or need none."""
    if policy.verifier is None or policy.issuer is not None:
        return []
    about = "Bearer, a space, and the token of this server"
    return [{"name": "Authorization", "description": about, "isRequired": True, "isSecret": True}]


def _catalog(card_url: str) -> dict[str, Any]:
    entry = _registry_entry()
    namespace, _, name = entry["name"].partition("/")
    publisher = ".".join(reversed(namespace.split(".")))
    server = {
        "identifier": f"urn:air:{publisher}:{name}",
        "displayName": entry["title"],
        "description": entry["description"],
        "version": entry["version"],
        "type": _CARD_TYPE,
        "url": card_url,
    }
    return {"specVersion": "1.0", "entries": [server]}


@cache
def _registry_entry() -> Mapping[str, str]:
    path = Path(__file__).parents[1] / "registry" / "server.json"
    entry: Mapping[str, str] = json.loads(path.read_bytes())
    return entry
