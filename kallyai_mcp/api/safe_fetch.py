"""Fetches a document from a URL of an untrusted client, or posts to it, without access to private networks (SSRF).

Only https on port 443, only public addresses, no redirects, no proxy, and limits of time and size. It connects to the
address that it checked, so that the name can't resolve to another address in between.
"""

import ipaddress
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import anyio
import httpx

from kallyai_mcp.api.error_responses import retry_after
from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.common_types import PostAnswer
from kallyai_mcp.urls import https_host

SECONDS = 5.0
"""The time for one document, from the name lookup to the last byte."""

MAX_BYTES = 10 * 1024
"""The most bytes of a document."""

MOST_AT_ONCE = 32
"""How many documents are fetched at once; clients choose the servers, which may be slow on purpose."""

_BODY_SECONDS = 1.0
"""How long the body of the answer to a `post` is waited for; its status, which is what counts, is there before."""

_MOST_ADDRESSES = 3
_CONCURRENT_LOOKUPS = 8

_Read = TypeVar("_Read")

_Reader = Callable[[httpx.Response], Awaitable[_Read]]

Resolve = Callable[[str, int], Awaitable[Sequence[tuple[str, int]]]]
"""Looks up a host name and a port: returns IP addresses and ports."""


class FetchError(KallyAIError):
    """A document can't be fetched. The message says why, and may be shown to the client."""

    default_code = "not_fetched"


class SafeFetcher:
    """Fetches JSON documents from URLs of untrusted clients.

    Args:
        user_agent: The User-Agent header.
        resolve: The name lookup; None for that of the system.
        may_connect: Whether an IP address is allowed; None for `is_public`.
        trust: The TLS context; None for the certificates of the system.
        seconds: The time for one document.
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
        self._running = 0

    async def fetch(self, url: str) -> bytes:
        """The document at `url`.

        Raises:
            FetchError: It does not exist, is not JSON, is too long or too slow, its URL or address is not allowed, or
                too many others are being fetched.
        """
        return await self._guarded(url, "GET", {}, None, _read)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> PostAnswer:
        """Send JSON to `url`; of the answer's body, what comes in `_BODY_SECONDS`, up to `MAX_BYTES`.

        Raises:
            FetchError: As `fetch`; its code says why: `timeout`, `tls_error`, `connection_refused`, or `busy` when too
                many others are being fetched.
        """
        return await self._guarded(url, "POST", {**headers, "Content-Type": "application/json"}, body, _read_any)

    async def _guarded(
        self, url: str, method: str, headers: Mapping[str, str], body: bytes | None, read: _Reader[_Read]
    ) -> _Read:
        """Send a request within the limits of time and number."""
        if (host := https_host(url)) is None:
            raise FetchError("its address is not plain https")
        if self._running >= MOST_AT_ONCE:
            raise FetchError("too many documents are being read; try again in a moment", code="busy")
        self._running += 1
        try:
            with anyio.fail_after(self._seconds):
                headers = {**self._headers, **headers, "Host": host}
                extensions = {"sni_hostname": host}
                to = partial(httpx.Request, method, headers=headers, content=body, extensions=extensions)
                return await self._send(url, host, to, read)
        except (TimeoutError, httpx.TimeoutException):
            raise FetchError("it took too long", code="timeout") from None
        except (socket.gaierror, UnicodeError):
            # In the same words as for a private address, so that nobody learns which private names there are.
            raise _not_public() from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            code = "tls_error" if _is_tls(error) else "connection_refused"
            raise FetchError(f"it can't be reached ({type(error).__name__})", code=code) from None
        finally:
            self._running -= 1

    async def _send(self, url: str, host: str, to: Callable[..., httpx.Request], read: _Reader[_Read]) -> _Read:
        addresses = await self._resolve(host, 443)
        if not addresses or not all(self._may_connect(address) for address, _ in addresses):
            raise _not_public()
        if self._trust is None:
            # It reads all certificates, so not in the event loop.
            self._trust = await anyio.to_thread.run_sync(httpx.create_ssl_context)
        transport = httpx.AsyncHTTPTransport(verify=self._trust, trust_env=False)
        async with httpx.AsyncClient(transport=transport, trust_env=False, timeout=self._seconds) as client:
            for place, (address, port) in enumerate(addresses[:_MOST_ADDRESSES], start=1):
                # Not before the check, since httpx takes fewer addresses for URLs than a lookup does.
                request = to(url=httpx.URL(url).copy_with(host=address, port=port))
                try:
                    response = await client.send(request, stream=True, follow_redirects=False)
                except httpx.ConnectError:
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


def _is_tls(error: BaseException | None) -> bool:
    """Whether an error of httpx is one of TLS: it keeps the error that it stands for."""
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


async def _read_any(response: httpx.Response) -> PostAnswer:
    body = bytearray()
    with anyio.move_on_after(_BODY_SECONDS):
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > MAX_BYTES:
                break
    return PostAnswer(response.status_code, bytes(body[:MAX_BYTES]), retry_after(response.headers))


async def _read(response: httpx.Response) -> bytes:
    if response.is_redirect:
        raise FetchError("it is somewhere else (redirects are not followed)")
    if response.status_code != httpx.codes.OK:
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
    # Not in the event loop's own threads: a client's slow name server would hold up the lookups of KallyAI's address.
    if not _lookups.acquire(blocking=False):
        raise FetchError("too many names are being looked up", code="busy")

    def look_up() -> list[Any]:
        try:
            return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        finally:
            _lookups.release()  # only now: the thread goes on when nobody waits for it any more

    found = await anyio.to_thread.run_sync(look_up, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1))
    return list(dict.fromkeys((str(address[0]), port) for *_, address in found))


_NOT_PUBLIC = [
    ipaddress.ip_network(network)
    for network in ("192.0.0.0/24", "192.88.99.0/24", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/23", "3fff::/20")
]
"""Networks of the registries of special addresses that some versions of Python take for public."""


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
