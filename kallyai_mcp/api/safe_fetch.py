"""Sends a GET or a POST to a URL of an untrusted client, without access to private networks (SSRF).

It uses only https on port 443 and public addresses, no redirects, and no proxy, and limits time and size. It connects
to the address that it has checked, so that the name can't resolve to another address after the check.
"""

import ipaddress
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import anyio
import httpx2

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.response_headers import retry_after
from kallyai_mcp.api.transport import causes
from kallyai_mcp.common_types import PostAnswer
from kallyai_mcp.urls import https_host

SECONDS = 5.0
"""The time for one document, from the name lookup to the last byte."""

MAX_BYTES = 10 * 1024
"""The most bytes of a document."""

MOST_AT_ONCE = 32
"""The most requests at the same time. Clients choose the servers, which may be slow on purpose."""

_BODY_SECONDS = 1.0
"""How long to wait for the body of the answer to a `post`. Its status, which comes before, is more important."""

_MOST_ADDRESSES = 3
_CONCURRENT_LOOKUPS = 8

_Read = TypeVar("_Read")

_Reader = Callable[[httpx2.Response], Awaitable[_Read]]

Resolve = Callable[[str, int], Awaitable[Sequence[tuple[str, int]]]]
"""Looks up a host name and a port; returns IP addresses and ports."""


class FetchError(KallyAIError):
    """A GET or a POST failed. The message says why, and may be shown to the client."""

    default_code = "not_fetched"


class SafeFetcher:
    """Fetches JSON from URLs of untrusted clients, and posts JSON to them.

    Args:
        user_agent: The User-Agent header.
        resolve: The name lookup; None for that of the system.
        may_connect: Whether an IP address is allowed; None for `is_public`.
        trust: The TLS context; None for the certificates of the system.
        seconds: The time-out of a whole request.
    """

    def __init__(
        self,
        *,
        user_agent: str,
        resolve: Resolve | None = None,
        may_connect: Callable[[str], bool] | None = None,
        trust: ssl.SSLContext | None = None,
        seconds: float = SECONDS,
    ) -> None:
        self._headers = {"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": "identity"}
        self._resolve = resolve or _look_up
        self._may_connect = may_connect or is_public
        self._trust = trust
        self._seconds = seconds
        self._in_progress = 0

    async def fetch(self, url: str) -> bytes:
        """The JSON document at `url`.

        Raises:
            FetchError: It does not exist, is not JSON, is too long or too slow, its URL or address is not allowed, or
                too many other requests are in progress.
        """
        return await self._limited(url, "GET", {}, None, _read_document)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> PostAnswer:
        """Post JSON to `url`.

        Returns:
            The answer. Its body has at most the `MAX_BYTES` that came within `_BODY_SECONDS`.

        Raises:
            FetchError: The code says why: `timeout`, `tls_error`, `connection_refused`, or `busy` when too many other
                requests are in progress.
        """
        return await self._limited(url, "POST", {**headers, "Content-Type": "application/json"}, body, _read_answer)

    async def _limited(
        self, url: str, method: str, headers: Mapping[str, str], body: bytes | None, read: _Reader[_Read]
    ) -> _Read:
        """Send a request within the limits of time and number."""
        if (host := https_host(url)) is None:
            raise FetchError("its address is not plain https")
        if self._in_progress >= MOST_AT_ONCE:
            raise FetchError("too many documents are being read; try again in a moment", code="busy")
        self._in_progress += 1
        try:
            with anyio.fail_after(self._seconds):
                headers = {**self._headers, **headers, "Host": host}
                extensions = {"sni_hostname": host}
                request_to = partial(httpx2.Request, method, headers=headers, content=body, extensions=extensions)
                return await self._send(url, host, request_to, read)
        except (TimeoutError, httpx2.TimeoutException):
            raise FetchError("it took too long", code="timeout") from None
        except (socket.gaierror, UnicodeError):
            # With the message for a private address, so that nobody learns which private names there are.
            raise _not_public() from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            is_tls = any(isinstance(cause, ssl.SSLError) for cause in causes(error))
            code = "tls_error" if is_tls else "connection_refused"
            raise FetchError(f"it can't be reached ({type(error).__name__})", code=code) from None
        finally:
            self._in_progress -= 1

    async def _send(
        self, url: str, host: str, request_to: Callable[..., httpx2.Request], read: _Reader[_Read]
    ) -> _Read:
        addresses = await self._resolve(host, 443)
        if not addresses or not all(self._may_connect(address) for address, _ in addresses):
            raise _not_public()
        if self._trust is None:
            # In a thread, because it reads all certificates.
            self._trust = await anyio.to_thread.run_sync(httpx2.create_ssl_context)
        transport = httpx2.AsyncHTTPTransport(verify=self._trust, trust_env=False)
        async with httpx2.AsyncClient(transport=transport, trust_env=False, timeout=self._seconds) as client:
            for place, (address, port) in enumerate(addresses[:_MOST_ADDRESSES], start=1):
                # Made after the check, because httpx2 refuses some URLs that a lookup accepts.
                request = request_to(url=httpx2.URL(url).copy_with(host=address, port=port))
                try:
                    response = await client.send(request, stream=True, follow_redirects=False)
                except httpx2.ConnectError:
                    if place == min(len(addresses), _MOST_ADDRESSES):
                        raise
                    continue
                try:
                    return await read(response)
                finally:
                    await response.aclose()
        raise _not_public()


def _not_public() -> FetchError:
    return FetchError("it has no public address", code="connection_refused")


async def _read_answer(response: httpx2.Response) -> PostAnswer:
    body = bytearray()
    with anyio.move_on_after(_BODY_SECONDS):
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > MAX_BYTES:
                break
    return PostAnswer(response.status_code, bytes(body[:MAX_BYTES]), retry_after(response.headers))


async def _read_document(response: httpx2.Response) -> bytes:
    if response.is_redirect:
        raise FetchError("it is somewhere else (redirects are not followed)")
    if response.status_code != httpx2.codes.OK:
        raise FetchError(f"its server answered {response.status_code}")
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise FetchError("it is not JSON")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_BYTES:
            raise FetchError(f"it is longer than {MAX_BYTES} bytes")
    return bytes(body)


_lookups = threading.Semaphore(_CONCURRENT_LOOKUPS)


async def _look_up(host: str, port: int) -> Sequence[tuple[str, int]]:
    # Outside of the event loop's own threads, where a slow name server would delay lookups of KallyAI's address.
    if not _lookups.acquire(blocking=False):
        raise FetchError("too many names are being looked up", code="busy")

    def look_up() -> list[Any]:
        try:
            return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        finally:
            _lookups.release()  # in the thread, which goes on after a time-out

    found = await anyio.to_thread.run_sync(look_up, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1))
    return list(dict.fromkeys((str(address[0]), port) for *_, address in found))


_NOT_PUBLIC = [
    ipaddress.ip_network(network)
    for network in ("192.0.0.0/24", "192.88.99.0/24", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/23", "3fff::/20")
]
"""Networks of IANA's registries of special addresses that some versions of Python take for public."""


def is_public(address: str) -> bool:
    """Whether an IP address is public, and embeds no other address (as 6to4 and Teredo do)."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if any(parsed in network for network in _NOT_PUBLIC):
        return False
    if not parsed.is_global or parsed.is_multicast or parsed.is_reserved:  # IPv4-mapped addresses are reserved
        return False
    return parsed.version == 4 or (parsed.sixtofour is None and parsed.teredo is None and not parsed.is_site_local)
