"""The command `kallyai-mcp serve --transport http --auth oauth`."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx2
import pytest
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSListener

from tests.auth.oauth_server.deployment import KEY, OAUTH, Deployment, User, sign_in
from tests.cli.machine import run_in_process
from tests.processes import free_port, started
from tests.transports.certificates import Certificate
from tests.transports.http_server import LIMIT, RunningSandbox


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


async def test_serve_with_oauth_signs_in_a_user_over_tls_for_mcp_and_sse(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    port = free_port()
    command = ("serve", "--transport", "http", "--auth", "oauth", "--port", str(port))
    async with tls_proxy(tmp_path, port) as (url, trust):
        with started(tmp_path, *command, **OAUTH, API_URL=sandbox.url, PUBLIC_URL=url) as process:
            assert process.stderr is not None
            assert f"serves http://127.0.0.1:{port}/mcp" in process.stderr.readline()
            async with httpx2.AsyncClient(timeout=LIMIT, verify=trust) as http, User(verify=trust) as user:
                server = Deployment(url, url, http)
                refused = await http.get(f"{url}/sse")
                consent = await user.open(server.authorize_url(await server.new_client()))
                tokens = await sign_in(server, user)
                quota = await server.use(tokens["access_token"])
                closed = await server.use(tokens["access_token"], billing_link=True)
                bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
                async with http.stream("GET", f"{url}/sse", headers=bearer) as over_sse:
                    pass

    cookie = consent.headers["set-cookie"]
    assert cookie.startswith("__Host-kallyai-flow-")
    assert all(attribute in cookie for attribute in ("Secure", "HttpOnly", "Path=/", "SameSite=lax"))
    assert "domain" not in cookie.lower()
    assert f'resource_metadata="{url}/.well-known/oauth-protected-resource/sse"' in refused.headers["www-authenticate"]
    assert [refused.status_code, closed.status_code, over_sse.status_code] == [401, 403, 200]
    assert "165 of 210" in quota.text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"CLIENT_ID": ""}, "KALLYAI_CLIENT_ID"),
        ({"CLIENT_SECRET": "", "SECRET_KEYS": ""}, "KALLYAI_CLIENT_SECRET, KALLYAI_SECRET_KEYS"),
        ({"SECRET_KEYS": "abcd"}, "at least 32 bytes"),
        ({"PUBLIC_URL": ""}, "KALLYAI_PUBLIC_URL"),
        ({"PUBLIC_URL": "http://phone.example.com"}, "use https"),
        ({"PUBLIC_URL": "https://phone.example.com/path"}, "without a path"),
    ],
)
def test_serve_with_oauth_does_not_start_without_its_settings(
    tmp_path: Path, changes: dict[str, str], words: str
) -> None:
    settings = {**OAUTH, "PUBLIC_URL": "https://phone.example.com"} | changes
    ended = run_in_process(tmp_path, "serve", "--transport", "http", "--auth", "oauth", "--port", "0", **settings)

    assert ended.returncode == 2
    assert len(ended.stderr.strip().splitlines()) == 1
    assert words in ended.stderr
    assert KEY not in ended.stderr
