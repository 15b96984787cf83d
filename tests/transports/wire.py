"""Requests to `/mcp` as they are on the wire, for what a client would not send or not show."""

from typing import Any

import httpx2

from tests.transports.http_server import ACCEPT, LIMIT

Json = dict[str, Any]
VERSION = "2026-07-28"
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}


def request(method: str, params: Json, *, id_: int | str = "s", meta: Json | None = None) -> Json:
    """A request of 2026-07-28."""
    prefix = "io.modelcontextprotocol/"
    meta = {f"{prefix}protocolVersion": VERSION, f"{prefix}clientCapabilities": {}, **(meta or {})}
    return {"jsonrpc": "2.0", "id": id_, "method": method, "params": {**params, "_meta": meta}}


def headers(method: str, token: str | None = None, languages: str | None = None) -> dict[str, str]:
    """The headers of a request of 2026-07-28 to `/mcp`."""
    more = {"Authorization": f"Bearer {token}"} if token is not None else {}
    more |= {"Accept-Language": languages} if languages is not None else {}
    return {**ACCEPT, "Mcp-Method": method, "MCP-Protocol-Version": VERSION, **more}


async def ask(
    url: str, method: str, params: Json | None = None, *, token: str | None = None, languages: str | None = None
) -> Json:
    """The response of `/mcp` to a request of 2026-07-28: a JSON-RPC message."""
    async with httpx2.AsyncClient(timeout=LIMIT) as client:
        body = request(method, params or {})
        response: Json = (await client.post(f"{url}/mcp", json=body, headers=headers(method, token, languages))).json()
    return response
