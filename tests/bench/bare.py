"""The server that ours is compared with: a bare `MCPServer` with a tool that asks the API, and one
that does not.

    python -m tests.bench.bare PORT|stdio UPSTREAM_URL

Over HTTP, its `streamable_http_app` is served with uvicorn, httptools, and uvloop, as ours is
served.
"""

import asyncio
import sys
from typing import Any

import httpx2
import uvicorn
from mcp.server.mcpserver import MCPServer


def build(upstream: str) -> MCPServer[Any]:
    """A server with `check_quota`, which makes the two requests of ours to `upstream`, and
    `without_request`.
    """
    server = MCPServer("bare", log_level="WARNING")
    client = httpx2.AsyncClient(base_url=upstream, headers={"Authorization": "Bearer a-token"})

    @server.tool()
    async def check_quota() -> dict[str, Any]:
        """Get the statistics and the subscription."""
        statistics, subscription = await asyncio.gather(
            *(client.get(f"/v1/users/me/{name}") for name in ("statistics", "subscription"))
        )
        quota: dict[str, Any] = statistics.raise_for_status().json()
        return quota | {"subscription": subscription.raise_for_status().json()}

    @server.tool()
    async def without_request() -> dict[str, Any]:
        """Get a figure."""
        return {"calls_remaining": 30}

    return server


if __name__ == "__main__":
    if sys.argv[1] == "stdio":
        build(sys.argv[2]).run()
        sys.exit()
    app = build(sys.argv[2]).streamable_http_app(stateless_http=True)
    uvicorn.run(
        app,
        port=int(sys.argv[1]),
        http="httptools",
        loop="uvloop",
        log_level="warning",
        access_log=False,
    )
