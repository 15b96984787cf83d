"""Fetches the metadata documents of MCP clients, whose URLs anybody may choose, without access to private networks."""

import ipaddress
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
import httpx2

from kallyai_mcp.urls import https_host

MAX_BYTES = 10 * 1024
MOST_AT_ONCE = 32
_lookups = threading.Semaphore(8)
_SPECIAL = ("192.0.0.0/24", "192.88.99.0/24", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/23", "3fff::/20")
"""Networks of IANA's registries of special addresses that some versions of Python take for public."""


class DocumentError(Exception):
    """A document can't be read. The message says why, for the developer of the client."""


class DocumentFetcher:
    """Fetches documents: only https from public addresses, without redirects and proxies, limited in time and size.

    It connects to an address that it has checked, so that a name can't resolve to another one after the check.
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
        self._resolve, self._may_connect = resolve or _look_up, may_connect or is_public
        self._port, self._seconds = port, seconds
        limits = httpx2.Limits(max_connections=MOST_AT_ONCE, max_keepalive_connections=0)
        self._http = httpx2.AsyncClient(
            transport=httpx2.AsyncHTTPTransport(verify=trust, trust_env=False, limits=limits),
            headers={"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": "identity"},
            timeout=httpx2.Timeout(seconds, pool=0),
        )

    async def fetch(self, url: str) -> bytes:
        """The document at `url`; raises `DocumentError`."""
        if (host := https_host(url)) is None:
            raise DocumentError("its address is not plain https")
        try:
            with anyio.fail_after(self._seconds):
                addresses = await self._resolve(host)
                if not addresses or not all(map(self._may_connect, addresses)):
                    raise DocumentError("it has no public address")
                return await self._get(httpx2.URL(url), host, addresses[:3])
        except httpx2.PoolTimeout:
            raise DocumentError("too many documents are being read; try again in a moment") from None
        except (TimeoutError, httpx2.TimeoutException):
            raise DocumentError("it took too long") from None
        except (socket.gaierror, UnicodeError):  # in the same words: nobody learns which private names there are
            raise DocumentError("it has no public address") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise DocumentError(f"it can't be reached ({type(error).__name__})") from None

    async def _get(self, url: httpx2.URL, host: str, addresses: Sequence[str]) -> bytes:
        where, name, body = url.copy_with(host=addresses[0], port=self._port), {"sni_hostname": host}, b""
        try:
            async with self._http.stream("GET", where, headers={"Host": host}, extensions=name) as response:
                if response.status_code != httpx2.codes.OK:
                    raise DocumentError(f"its server answered {response.status_code} (redirects are not followed)")
                async for chunk in response.aiter_raw():
                    body += chunk
                    if len(body) > MAX_BYTES:
                        raise DocumentError(f"it is longer than {MAX_BYTES} bytes")
        except httpx2.ConnectError:
            if not addresses[1:]:
                raise
            return await self._get(url, host, addresses[1:])
        return body


async def _look_up(host: str) -> Sequence[str]:
    # Outside of the event loop's own threads, where a slow name server would delay lookups of KallyAI's address.
    if not _lookups.acquire(blocking=False):
        raise DocumentError("too many names are being looked up; try again in a moment")

    def look_up() -> list[Any]:
        try:
            return socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
        finally:
            _lookups.release()  # in the thread, which goes on after a time-out

    found = await anyio.to_thread.run_sync(look_up, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1))
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_public(address: str) -> bool:
    """Whether an IP address is public, and embeds no other address (as IPv4-mapped, 6to4, and Teredo addresses do)."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if any(ip in ipaddress.ip_network(network) for network in _SPECIAL) or not ip.is_global or ip.is_multicast:
        return False
    return ip.version == 4 or not (ip.ipv4_mapped or ip.sixtofour or ip.teredo or ip.is_site_local or ip.is_reserved)
