"""A client that opens an events/stream and reads its messages, over every transport."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2
from anyio.streams.buffered import BufferedByteReceiveStream

from kallyai_mcp.settings import Settings
from tests.processes import FORKED_COMMAND, environment
from tests.transports.http_server import ACCEPT, LIMIT, initialize

Json = dict[str, Any]
Messages = AsyncIterator[Json]
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


@asynccontextmanager
async def mcp_stream(url: str, params: Json, token: str | None = None) -> AsyncIterator[Messages]:
    """The messages of a stream at `/mcp`, which ends with the block."""
    method = "events/stream"
    async with (
        httpx2.AsyncClient(timeout=LIMIT) as client,
        client.stream("POST", f"{url}/mcp", json=request(method, params), headers=headers(method, token)) as response,
    ):
        yield _data(response)


@asynccontextmanager
async def sse_stream(url: str, params: Json) -> AsyncIterator[Messages]:
    """The messages of a stream at `/sse`, in a session of 2025-11-25."""
    async with httpx2.AsyncClient(timeout=LIMIT) as client, client.stream("GET", f"{url}/sse") as response:
        lines = response.aiter_lines()
        endpoint = await _next(lines, lambda line: line.startswith("data: "))
        address = f"{url}{endpoint.removeprefix('data: ')}"
        stream = {"jsonrpc": "2.0", "id": "s", "method": "events/stream", "params": params}
        for message in (initialize(), INITIALIZED, stream):
            await client.post(address, json=message)

        async def messages() -> Messages:
            async for line in lines:
                if line.startswith("data: ") and "capabilities" not in (found := json.loads(line[6:])).get(
                    "result", {}
                ):
                    yield found

        yield messages()


@asynccontextmanager
async def stdio_stream(settings: Settings, params: Json) -> AsyncIterator[Messages]:
    """The messages of a stream over stdio, of a server process with the home and the KallyAI of `settings`."""
    given = {"API_URL": settings.api_url, "ACCESS_TOKEN": settings.access_token or ""}
    process = await anyio.open_process(FORKED_COMMAND, env=environment(settings.home, **given), stderr=None)
    async with process:
        assert process.stdin is not None
        assert process.stdout is not None
        await process.stdin.send(json.dumps(request("events/stream", params)).encode() + b"\n")
        lines = BufferedByteReceiveStream(process.stdout)

        async def messages() -> Messages:
            while True:
                yield json.loads(await lines.receive_until(b"\n", 1_000_000))

        yield messages()
        process.kill()


async def next_of(messages: Messages, kind: str) -> Json:
    """The parameters of the next notification of that kind."""
    with anyio.fail_after(LIMIT):
        async for message in messages:
            if message.get("method") == f"notifications/events/{kind}":
                params: Json = message["params"]
                return params
    raise AssertionError(f"the stream ended without {kind}")


def _data(response: httpx2.Response) -> Messages:
    async def messages() -> Messages:
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                yield json.loads(line[6:])

    return messages()


async def _next(lines: AsyncIterator[str], wanted: Callable[[str], bool]) -> str:
    async for line in lines:
        if wanted(line):
            return line
    raise AssertionError("the stream ended")
