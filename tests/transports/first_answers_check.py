"""Compares what a client gets from `FirstAnswers` and then the server with what it gets from the server alone."""

import json
import os
import socket
import tempfile
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import anyio
from hypothesis import strategies as st
from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS

from kallyai_mcp.cli.app_context import open_app_context
from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.server.build import build_server
from kallyai_mcp.server.sdk_internals import run_on_lines
from kallyai_mcp.transports.async_stdio import LineReader
from kallyai_mcp.transports.first_answers import FirstAnswers
from kallyai_mcp.transports.replay import Replay
from tests.agent import settings_in
from tests.first_answers import CLIENT, INITIALIZED, LIMIT, METHODS, request

LAST = '{"jsonrpc":"2.0","id":"end","method":"no/such"}'
"""A request that every server refuses at once."""

VERSIONS = (*HANDSHAKE_PROTOCOL_VERSIONS, *MODERN_PROTOCOL_VERSIONS)

Json = dict[str, Any]

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
_capabilities: st.SearchStrategy[Json] = st.fixed_dictionaries(
    {},
    optional={
        "roots": st.sampled_from([{}, {"listChanged": True}, {"listChanged": "yes"}, 1, None]),
        "sampling": st.sampled_from([{}, {"tools": {}}, []]),
        "elicitation": st.sampled_from([{}, {"form": {}}, {"form": {}, "url": {}}, {"form": 1}]),
        "experimental": st.dictionaries(st.text(max_size=5), _json, max_size=2),
        "extensions": st.sampled_from(
            [
                {"io.modelcontextprotocol/ui": {"mimeTypes": ["text/html;profile=mcp-app"]}},
                {"io.modelcontextprotocol/tasks": {}},
                {"x": None},
            ]
        ),
        "tasks": st.sampled_from([{}, {"list": {}, "requests": {"sampling": {"createMessage": {}}}}]),
        "other": _json,
    },
)
_plain_capabilities: st.SearchStrategy[Json] = st.sampled_from(
    [{}, {"roots": {"listChanged": True}}, {"elicitation": {}, "extensions": {"x": {}}}]
)
_plain_client: st.SearchStrategy[Json] = st.sampled_from([CLIENT, CLIENT | {"title": "T"}])
_client: st.SearchStrategy[Json] = _plain_client | st.sampled_from([{"name": "x"}, CLIENT | {"icons": []}, {}])
_ids = st.integers(-5, 1 << 54) | st.sampled_from(["a", "7"]) | st.sampled_from(['q"', "é", "\u007f", True, 1.5, None])


@st.composite
def _requests(draw: st.DrawFn, method: str, version: str, ids: st.SearchStrategy[Any]) -> Json:
    is_odd = not draw(st.integers(0, 4))
    if is_odd:
        return request(draw(ids), method, version, capabilities=draw(_capabilities), client=draw(_client))
    return request(draw(ids), method, version, capabilities=draw(_plain_capabilities), client=draw(_plain_client))


@st.composite
def _messages(draw: st.DrawFn, version: str) -> str:
    method = draw(st.sampled_from([*METHODS[2:] * 3, *METHODS, "tools/call", "logging/setLevel", "no/such"]))
    message = draw(_requests(method, version, st.just(draw(_ids))))
    change = draw(st.sampled_from([*[""] * 8, "no params", "a field", "a param", "progress", "initialized"]))
    if change == "no params":
        del message["params"]
    elif change == "a field":
        message[draw(st.sampled_from(["jsonrpc", "params", "method", "extra"]))] = draw(_json)
    elif change == "a param":
        message["params"][draw(st.sampled_from(["cursor", "_meta", "x", "protocolVersion", "capabilities"]))] = draw(
            _json
        )
    elif change == "progress":
        message["params"].setdefault("_meta", {})["progressToken"] = draw(st.sampled_from([1, "p", True, None]))
    elif change == "initialized":
        message = {**INITIALIZED}
    text = json.dumps(message, ensure_ascii=draw(st.booleans()), separators=draw(st.sampled_from([None, (",", ":")])))
    damage = draw(st.sampled_from([*[""] * 20, "half", "twice", "empty", "return", "nested"]))
    return {
        "": text,
        "half": text[: len(text) // 2],
        "twice": text.replace('"method"', '"method":"ping","method"', 1),
        "empty": "",
        "return": f"{text}\r",
        "nested": text.replace("{}", '{"x":' * 150 + "1" + "}" * 150, 1),
    }[damage]


@st.composite
def conversations(draw: st.DrawFn) -> tuple[str, list[str], list[int], int]:
    """A protocol version, what a client sends, where that is cut, and after how many pieces the server is ready."""
    version = draw(st.sampled_from(VERSIONS))
    lines: list[str] = []
    if draw(st.integers(0, 9)):
        is_modern = version in MODERN_PROTOCOL_VERSIONS
        opening = draw(_requests(METHODS[is_modern], version, st.just(0)))
        lines = [json.dumps(opening), *([] if is_modern else [json.dumps(INITIALIZED)])]
    other = draw(st.sampled_from([*[version] * 9, *VERSIONS]))
    lines += draw(st.lists(_messages(other), max_size=6))
    length = len("\n".join(lines).encode("utf-8", "replace"))
    cuts = sorted(set(draw(st.lists(st.integers(1, max(1, length)), max_size=6))))
    return version, lines, cuts, draw(st.integers(0, len(cuts) + 1) | st.just(len(cuts) + 1))


async def server_alone(lines: Sequence[str]) -> list[str]:
    """All lines that the server writes to a client that sends these at once."""
    written: list[str] = []

    class Streams:
        async def __aiter__(self) -> AsyncGenerator[str, None]:
            for line in (*lines, LAST):
                yield line
            await anyio.wait_all_tasks_blocked()

        async def write(self, text: str) -> None:
            written.append(text)

    await _serve(Streams())
    return written


async def with_first_answers(lines: Sequence[str], cuts: Sequence[int], ready_after: int) -> tuple[list[str], int]:
    """The same if `FirstAnswers` answers until so many pieces were sent; and how many requests it answered."""
    data = "".join(f"{line}\n" for line in (*lines, LAST)).encode("utf-8", "surrogatepass")
    pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, None], strict=True)]
    ours, theirs = socket.socketpair()
    written: list[str] = []
    with ours, theirs:
        for side in (ours, theirs):
            side.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        first = FirstAnswers(theirs.fileno(), theirs.fileno())
        if ready_after:
            ours.sendall(b"".join(pieces[:1]))
        first.start()
        for number, piece in enumerate(pieces):
            if number == ready_after:
                first.stop()
            if number or not ready_after:
                ours.sendall(piece)
        if ready_after >= len(pieces):
            first.stop()

        async def read() -> None:
            async for line in LineReader(os.dup(ours.fileno())):
                written.append(line if line.endswith("\n") else f"{line}\n")
                if '"id":"end"' in line:
                    await anyio.wait_all_tasks_blocked()
                    ours.shutdown(socket.SHUT_WR)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await _serve(Replay(first))
            theirs.shutdown(socket.SHUT_WR)
    return written, first.requests


async def _serve(streams: Any) -> None:
    with tempfile.TemporaryDirectory() as home, anyio.fail_after(LIMIT):
        connection = Connection(settings_in(Path(home)))
        server = build_server(lambda: open_app_context(connection, timezone="UTC"))
        await run_on_lines(server, streams, streams.write)


def check_first_answers(_version: str, lines: list[str], cuts: list[int], ready_after: int) -> str:
    """Check that a client gets the same lines; returns how many answered requests the server was told."""

    async def both() -> tuple[list[str], list[str], int]:
        return await server_alone(lines), *(await with_first_answers(lines, cuts, ready_after))

    alone, together, early = anyio.run(both)
    assert sorted(together) == sorted(alone)
    return f"{early} answered requests that the server was told"
