"""A worker behind nginx restarts, and right after it the other one, as docs/operating.md says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.processes import free_port
from tests.transports.certificates import Certificate
from tests.transports.http_server import ClientOptions
from tests.transports.nginx import NAME, PROGRAM, nginx

pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="there is no nginx here (Debian: apt-get install nginx-light)"
)


@asynccontextmanager
async def worker(port: int) -> AsyncIterator[None]:
    """A server on this port that answers each request with 200."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", port):
        yield


@pytest.mark.parametrize("path", ["/mcp", "/sse"])
async def test_a_restarted_worker_answers_at_once(tmp_path: Path, path: str) -> None:
    first, second = free_port(), free_port()
    certificate = Certificate(tmp_path, NAME)
    options = ClientOptions(NAME, certificate.client_context())

    async with nginx(tmp_path, certificate, first, second) as url, options.client() as client:

        async def statuses() -> set[int]:
            return {(await client.get(f"{url}{path}")).status_code for _ in range(20)}

        async with worker(second):
            while_first_restarts = await statuses()
        async with worker(first):
            while_second_restarts = await statuses()

    assert while_first_restarts == while_second_restarts == {200}
