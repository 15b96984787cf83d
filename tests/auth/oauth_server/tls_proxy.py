"""A proxy with a certificate for localhost in front of a server on this machine, as an operator's."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSListener

from tests.transports.certificates import Certificate


@asynccontextmanager
async def tls_proxy(folder: Path, server_port: int) -> AsyncIterator[tuple[str, ssl.SSLContext]]:
    """Yields the proxy's URL, and a context that trusts its certificate."""
    certificate = Certificate(folder, "localhost")

    async def copy(source: ByteStream, target: ByteStream) -> None:
        try:
            async for chunk in source:
                await target.send(chunk)
            await target.send_eof()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, NotImplementedError):
            return  # one of them has left; TLS has no half-closed connections

    async def forward(client: ByteStream) -> None:
        server = await anyio.connect_tcp("127.0.0.1", server_port)
        async with client, server, anyio.create_task_group() as tasks:
            tasks.start_soon(copy, client, server)
            await copy(server, client)
            tasks.cancel_scope.cancel()

    tcp = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port: int = tcp.extra(SocketAttribute.local_port)  # noqa: S610 - anyio's, not Django's
    async with (
        TLSListener(tcp, certificate.server_context(), standard_compatible=False) as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, forward)
        yield f"https://localhost:{port}", certificate.client_context()
        tasks.cancel_scope.cancel()
