"""Fetches the metadata documents of MCP clients, whose URLs anybody may choose, without access to private networks."""

import json
import socket
import ssl
from asyncio import get_running_loop
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

import anyio
import httpx2
from mcp.shared.auth import OAuthClientInformationFull as Client

from kallyai_mcp.auth.oauth_server.clients import ClientError, check_client, public_client
from kallyai_mcp.urls import https_host

MAX_BYTES = 10 * 1024
MOST_AT_ONCE = 32
_MAX_URL = 512
_NOT_REACHED = "it can't be reached at a public address"
"""The same words for a name without an address, and a private one: nobody learns which private names there are."""
_SPECIAL = ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2002::/16", "3fff::/20")
"""Networks of IANA's registries of special addresses that Python takes for public, or some versions of it."""


class DocumentFetcher:
    """Fetches documents: only https from public addresses, without redirects and proxies, limited in time and size.

    It connects to the address that it has checked, so that a name can't resolve to another one after the check.
    """

    def __init__(
        self,
        user_agent: str,
        *,
        resolve: Callable[[str], Awaitable[Sequence[str]]] | None = None,
        may_connect: Callable[[str], bool] | None = None,
        trust: ssl.SSLContext | bool = True,
        port: int = 443,
        seconds: float = 5,
    ) -> None:
        self._resolve, self._may_connect = resolve or self._look_up, may_connect or is_public
        self._port, self._seconds = port, seconds
        # Threads of its own: a slow name server would delay lookups of KallyAI's address in the event loop's.
        self._lookups = ThreadPoolExecutor(MOST_AT_ONCE, "metadata-documents")
        limits = httpx2.Limits(max_connections=MOST_AT_ONCE, max_keepalive_connections=0)
        self._http = httpx2.AsyncClient(
            transport=httpx2.AsyncHTTPTransport(verify=trust, trust_env=False, limits=limits),
            headers={"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": "identity"},
            timeout=httpx2.Timeout(seconds, pool=0),
        )

    async def fetch(self, url: str) -> bytes:
        """The document at `url`; raises `ClientError`."""
        host = https_host(url)
        path = urlsplit(url).path if host is not None else ""
        if host is None or path in ("", "/") or len(url) > _MAX_URL or {".", ".."} & set(path.split("/")):
            raise ClientError("the app's id is not the address of one")
        try:
            with anyio.fail_after(self._seconds):
                addresses = await self._resolve(host)
                if not addresses or not all(map(self._may_connect, addresses)):
                    raise ClientError(_NOT_REACHED)
                return await self._get(httpx2.URL(url), host, addresses[0])
        except (TimeoutError, httpx2.TimeoutException):
            raise ClientError("it took too long, or too many are being read; try again in a moment") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, UnicodeError):
            raise ClientError(_NOT_REACHED) from None

    async def _get(self, url: httpx2.URL, host: str, address: str) -> bytes:
        where, name, body = url.copy_with(host=address, port=self._port), {"sni_hostname": host}, b""
        async with self._http.stream("GET", where, headers={"Host": host}, extensions=name) as response:
            if response.status_code != httpx2.codes.OK:
                raise ClientError(f"its server answered {response.status_code} (redirects are not followed)")
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise ClientError(f"it is longer than {MAX_BYTES} bytes")
        return body

    async def _look_up(self, host: str) -> Sequence[str]:
        found = await get_running_loop().run_in_executor(
            self._lookups, partial(socket.getaddrinfo, host, 443, type=socket.SOCK_STREAM)
        )
        return [str(address[0]) for *_, address in found]


async def read_client(fetch: Callable[[str], Awaitable[bytes]], client_id: str, issuer: str) -> Client:
    """The client whose metadata document is at the URL `client_id`; raises `ClientError`."""
    try:
        document = json.loads(await fetch(client_id))
        if not isinstance(document, dict) or document.get("client_id") != client_id:
            raise ClientError("it is about another app")
        if document.get("token_endpoint_auth_method", "none") != "none":
            raise ClientError("it asks for a secret, which nobody can have given the app")
        names = {"client_name", "redirect_uris"} & document.keys()
        client = public_client(client_id, {name: document[name] for name in names})
    except (ValueError, RecursionError):
        raise ClientError("it is no JSON with an app's metadata") from None
    check_client(client, issuer)
    return client


def is_public(address: str) -> bool:
    """Whether an IP address is public, and embeds no other address (as IPv4-mapped, 6to4, and Teredo addresses do)."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if ip.version == 6 and ip not in ip_network("2000::/3"):  # others are not public, or embed an address of IPv4
        return False
    return ip.is_global and not ip.is_multicast and not any(ip in ip_network(network) for network in _SPECIAL)
