"""Makes `kallyai_mcp/transports/first_answers.json` with the real server."""

import json
import socket
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anyio
from mcp.server.mcpserver import MCPServer
from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS

from kallyai_mcp.cli.app_context import open_app_context
from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.server.build import build_server
from kallyai_mcp.settings import Settings
from kallyai_mcp.transports.first_answers import FirstAnswers
from kallyai_mcp.transports.stdio import read_lines, serve_stdio
from tests.agent import settings_in

METHODS = (
    "initialize",
    "server/discover",
    "ping",
    "tools/list",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
)
CLIENT = {"name": "tests", "version": "1"}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
LIMIT = 120
"""Seconds until a server that should have answered counts as hung."""

Json = dict[str, Any]


def request(
    id_: int | str,
    method: str,
    version: str,
    *,
    capabilities: Json | None = None,
    client: Json | None = None,
) -> Json:
    """A request as a client of a protocol version sends it."""
    params: Json = {}
    if version in MODERN_PROTOCOL_VERSIONS:
        prefix = "io.modelcontextprotocol/"
        params["_meta"] = {
            f"{prefix}protocolVersion": version,
            f"{prefix}clientCapabilities": capabilities or {},
            f"{prefix}clientInfo": client or CLIENT,
        }
    elif method == "initialize":
        params = {
            "protocolVersion": version,
            "capabilities": capabilities or {},
            "clientInfo": client or CLIENT,
        }
    return {"jsonrpc": "2.0", "id": id_, "method": method, "params": params}


def server_of(settings: Settings) -> MCPServer[Any]:
    """A server with these settings."""
    connection = Connection(settings)
    return build_server(lambda: open_app_context(connection, timezone="UTC"))


async def answers_to(lines: Iterable[str], settings: Settings) -> list[str]:
    """The lines that the real server writes to a client that waits for each answer."""
    ours, theirs = socket.socketpair()
    written = []
    with ours, theirs, anyio.fail_after(LIMIT):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(
                serve_stdio, server_of(settings), FirstAnswers(theirs.fileno(), theirs.fileno())
            )
            answers = read_lines(ours.fileno())
            for line in lines:
                ours.sendall(f"{line}\n".encode())
                if '"id"' in line:
                    written.append(await anext(answers))
            ours.shutdown(socket.SHUT_WR)
    return written


async def real_answers(settings: Settings, **client: Json) -> dict[str, dict[str, str]]:
    """For each protocol version and each method that it has, the server's answer to a request with
    the id 7.
    """
    answers: dict[str, dict[str, str]] = {}
    for version in (*HANDSHAKE_PROTOCOL_VERSIONS, *MODERN_PROTOCOL_VERSIONS):
        is_modern = version in MODERN_PROTOCOL_VERSIONS
        methods = METHODS[1:] if is_modern else METHODS
        messages = [request(7, method, version, **client) for method in methods]
        if not is_modern:
            messages.insert(1, INITIALIZED)
        lines = await answers_to(map(json.dumps, messages), settings)
        answers[version] = {
            method: line
            for method, line in zip(methods, lines, strict=True)
            if "result" in json.loads(line)
        }
    return answers


async def catalog(settings: Settings) -> str:
    """The content of `first_answers.json`."""
    versions = {
        version: {
            method: line[len('{"jsonrpc":"2.0","id":7,"result":') : -len("}\n")]
            for method, line in all_.items()
        }
        for version, all_ in (await real_answers(settings)).items()
    }
    texts = list(dict.fromkeys(text for results in versions.values() for text in results.values()))
    indexes = {
        version: {method: texts.index(text) for method, text in results.items()}
        for version, results in versions.items()
    }
    return json.dumps({"texts": texts, "versions": indexes}, ensure_ascii=False, indent=1) + "\n"


async def first_answers() -> str:
    """The content of the file, whatever the settings of this machine are."""
    with tempfile.TemporaryDirectory() as home:
        return await catalog(settings_in(Path(home)))
