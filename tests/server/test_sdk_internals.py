"""One test for each private part of the SDK that we use: it fails when the SDK changes that
part.
"""

import re
from pathlib import Path
from typing import Any

from mcp import Client
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import MCPServer

import kallyai_mcp
from kallyai_mcp.server.sdk_internals import connection_of


async def test_a_connections_messages_share_one_object() -> None:
    seen: list[tuple[str, object]] = []

    async def note(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        seen.append((ctx.method, connection_of(ctx)))
        return await call_next(ctx)

    server: MCPServer[Any] = MCPServer("test", middleware=[note])
    async with Client(server, mode="legacy") as one, Client(server, mode="legacy") as other:
        await one.list_tools()
        await one.list_prompts()
        await other.list_tools()

    connections = {
        method: [connection for name, connection in seen if name == method] for method, _ in seen
    }
    first, second = connections["tools/list"]
    assert first is not second
    assert connections["prompts/list"] == [first]
    assert connections["notifications/initialized"] == [first, second]


def test_one_module_uses_the_sdks_private_parts() -> None:
    package = Path(kallyai_mcp.__file__).parent
    texts = {
        str(path.relative_to(package)): path.read_text(encoding="utf-8")
        for path in package.rglob("*.py")
    }
    users = {
        path: text
        for path, text in texts.items()
        if re.search(r"^\s*(from|import) mcp\b", text, re.MULTILINE)
    }

    # ruff's SLF001 finds each attribute with a leading underscore; it does not find getattr and
    # private modules.
    private = re.compile(
        r"SLF001|[gs]etattr\([^)]*\"_[a-z]|^\s*(from|import) mcp[a-z_.]*\._", re.MULTILINE
    )
    assert [path for path, text in users.items() if private.search(text)] == [
        "server/sdk_internals.py"
    ]
