"""Fetches the metadata documents of MCP clients, whose URLs anybody may choose, without access to private networks."""

import ipaddress
import json
import socket
import ssl
from asyncio import get_running_loop
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from urllib.parse import urlsplit

import anyio
import httpx2

from kallyai_mcp.auth.oauth_server.clients import REDIRECT_RULE, Client, clean_name, has_redirect_uris
from kallyai_mcp.urls import https_host

MAX_BYTES = 10 * 1024
MOST_AT_ONCE = 32
_MAX_URL = 512
_NOT_REACHED = "it can't be reached at a public address"
"""The same words for a name without an address, and a private one: nobody learns which private names there are."""
_SPECIAL = ("192.0.0.0/24", "192.88.99.0/24", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/23", "3fff::/20")
"""Networks of IANA's registries of special addresses that some versions of Python take for public."""


class DocumentError(Exception):
    """A document can't be read. The message says why, for the developer of the client."""


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
        """The document at `url`; raises `DocumentError`."""
        host = https_host(url)
        path = urlsplit(url).path if host is not None else ""
        if host is None or path in ("", "/") or len(url) > _MAX_URL or {".", ".."} & set(path.split("/")):
            raise DocumentError("the app's id is not the address of one")
        try:
            with anyio.fail_after(self._seconds):
                addresses = await self._resolve(host)
                if not addresses or not all(map(self._may_connect, addresses)):
                    raise DocumentError(_NOT_REACHED)
                return await self._get(httpx2.URL(url), host, addresses[0])
        except (TimeoutError, httpx2.TimeoutException):
            raise DocumentError("it took too long, or too many are being read; try again in a moment") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, UnicodeError):
            raise DocumentError(_NOT_REACHED) from None

    async def _get(self, url: httpx2.URL, host: str, address: str) -> bytes:
        where, name, body = url.copy_with(host=address, port=self._port), {"sni_hostname": host}, b""
        async with self._http.stream("GET", where, headers={"Host": host}, extensions=name) as response:
            if response.status_code != httpx2.codes.OK:
                raise DocumentError(f"its server answered {response.status_code} (redirects are not followed)")
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise DocumentError(f"it is longer than {MAX_BYTES} bytes")
        return body

    async def _look_up(self, host: str) -> Sequence[str]:
        found = await get_running_loop().run_in_executor(
            self._lookups, partial(socket.getaddrinfo, host, 443, type=socket.SOCK_STREAM)
        )
        return [str(address[0]) for *_, address in found]


async def read_client(fetch: Callable[[str], Awaitable[bytes]], client_id: str, issuer: str) -> Client:
    """The client whose metadata document is at the URL `client_id`; raises `DocumentError`."""
    try:
        document = json.loads(await fetch(client_id))
        if not isinstance(document, dict) or document.get("client_id") != client_id:
            raise DocumentError("it is about another app")
        if document.get("token_endpoint_auth_method", "none") != "none":
            raise DocumentError("it asks for a secret, which nobody can have given the app")
        names = {"client_name", "redirect_uris"} & document.keys()
        client = Client.public(client_id, {name: document[name] for name in names}, https_host(client_id))
    except (ValueError, RecursionError):
        raise DocumentError("it is no JSON with an app's metadata") from None
    if not has_redirect_uris(client, issuer):
        raise DocumentError(REDIRECT_RULE)
    client.client_name = clean_name(client.client_name)
    return client


def is_public(address: str) -> bool:
    """Whether an IP address is public, and embeds no other address (as IPv4-mapped, 6to4, and Teredo addresses do)."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if any(ip in ipaddress.ip_network(network) for network in _SPECIAL) or not ip.is_global or ip.is_multicast:
        return False
    return ip.version == 4 or not (ip.ipv4_mapped or ip.sixtofour or ip.teredo or ip.is_site_local or ip.is_reserved)
