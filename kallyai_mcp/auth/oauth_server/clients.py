"""MCP clients: registered ones, whose metadata is sealed in their client_id, and those with a
metadata document.

Also which redirect URIs a client may have, and which are equal (RFC 8252, section 7).
"""

import socket
import unicodedata
from asyncio import get_running_loop
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

import anyio
import httpx2
from mcp.shared.auth import OAuthClientInformationFull as Client

from kallyai_mcp.urls import https_host, is_loopback, server_of

_MAX_URIS = 2_000
"""The most characters of a client's redirect URIs together."""

_MAX_NAME = 64
_IN_URIS = frozenset(map(chr, range(ord("!"), ord("~") + 1))).difference('"#<>\\^`{|}')
"""The characters of a URI without a fragment (RFC 3986)."""

_FORBIDDEN_SCHEMES = {
    *(
        "about",
        "blob",
        "chrome",
        "chrome-extension",
        "data",
        "file",
        "filesystem",
        "ftp",
        "intent",
        "jar",
    ),
    *("javascript", "moz-extension", "res", "resource", "vbscript", "view-source", "ws", "wss"),
    *(
        "callto",
        "facetime",
        "facetime-audio",
        "geo",
        "mailto",
        "maps",
        "sip",
        "sips",
        "sms",
        "tel",
        "webcal",
    ),
    *(
        "afp",
        "cifs",
        "dav",
        "davs",
        "ldap",
        "ldaps",
        "nfs",
        "rdp",
        "sftp",
        "smb",
        "ssh",
        "telnet",
        "vnc",
    ),
    *(
        "applescript",
        "hcp",
        "help",
        "itms-services",
        "market",
        "microsoft-edge",
        "search",
        "search-ms",
        "shell",
    ),
}
"""Schemes that the browser or the operating system handles, so that no app can have one as its
own.
"""

MAX_BYTES = 10 * 1024
MOST_AT_ONCE = 32
_NOT_REACHED = (
    "its document can't be read at a public address, or not in time; try again in a moment"
)
"""The same words for a name without an address, and a private one: nobody learns which private
names there are.
"""
_SPECIAL = ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2002::/16", "3fff::/20")
"""Networks of IANA's registries of special addresses that Python takes for public, or some versions
of it.
"""


class ClientError(Exception):
    """A client can't be used. The message says why, for its developer."""


def check_client(client: Client, issuer: str) -> None:
    """Raise `ClientError` if a client has no redirect URIs, or may not have them; and clean its
    name.

    The name is then one line without control and format characters, and not too long.
    """
    uris = _redirect_uris(client)
    is_short = 0 < sum(map(len, uris)) <= _MAX_URIS
    if not is_short or not all(is_redirect_uri(uri, issuer) for uri in uris):
        raise ClientError(
            "use redirect addresses with https, http to the own machine, or an own scheme"
        )
    client.client_name = _clean_name(client.client_name or "") or None


def _clean_name(name: str) -> str:
    visible = (" " if unicodedata.category(char)[0] in "CZ" else char for char in name)
    line = " ".join("".join(visible).split())
    return line if len(line) <= _MAX_NAME else f"{line[: _MAX_NAME - 1]}…"


def _redirect_uris(client: Client) -> list[str]:
    return list(map(str, client.redirect_uris or ()))


def only_redirect_uri(client: Client) -> str:
    """The redirect URI of a client that has one, which may leave it out; none for any other.

    RFC 6749, section 3.1.2.3.
    """
    uris = _redirect_uris(client)
    return uris[0] if len(uris) == 1 else ""


def has_redirect_uri(client: Client, uri: str, issuer: str) -> bool:
    """Whether a redirect URI is the client's: it is equal to one of them in every character.

    On a loopback address the port may be another, because a program learns its port only when it
    starts (RFC 8252, section 7.3).
    """
    registered = map(_without_port, _redirect_uris(client))
    return is_redirect_uri(uri, issuer) and _without_port(uri) in registered


def is_redirect_uri(uri: str, issuer: str) -> bool:
    """Whether a client may have a redirect URI, at a server with this issuer."""
    try:
        parts = urlsplit(uri)
        is_ours = server_of(uri) == server_of(issuer)
    except ValueError:
        return False
    has_odd_characters = "@" in parts.netloc or not _IN_URIS.issuperset(uri)
    if is_ours or has_odd_characters:
        return False
    if parts.scheme == "https":
        return bool(parts.hostname)
    if parts.scheme == "http":
        return is_loopback(parts.hostname)
    return _is_scheme_of_an_app(parts.scheme) and uri.startswith(f"{parts.scheme}:/")


def _is_scheme_of_an_app(scheme: str) -> bool:
    """Whether an app can have a scheme as its own. A single letter is a drive of Windows."""
    is_the_systems = scheme in _FORBIDDEN_SCHEMES or scheme.startswith(("ms-", "x-apple"))
    return len(scheme) > 1 and not is_the_systems


def _without_port(uri: str) -> tuple[str | None, str, str] | str:
    parts = urlsplit(uri)
    if parts.scheme != "http":
        return uri
    return parts.hostname, parts.path or "/", parts.query


async def read_client(
    fetch: Callable[[str], Awaitable[bytes]], client_id: str, issuer: str
) -> Client:
    """The client whose metadata document is at the URL `client_id`; raises `ClientError`."""
    try:
        client = Client.model_validate_json(await fetch(client_id))
    except ValueError:
        raise ClientError("it is no JSON with an app's metadata") from None
    if client.client_id != client_id:
        raise ClientError("it is about another app")
    if client.token_endpoint_auth_method not in (None, "none"):
        raise ClientError("it asks for a secret, which nobody can have given the app")
    check_client(client, issuer)
    return client


def _names_document(url: str) -> bool:
    """Whether a valid URL has a path, and no part of it is a dot or two."""
    has_path = urlsplit(url).path not in ("", "/")
    return has_path and {".", ".."}.isdisjoint(url.split("/"))


def is_public(address: str) -> bool:
    """Whether an IP address is public, and embeds no other address (as IPv4-mapped, 6to4, and
    Teredo addresses do).
    """
    ip = ip_address(address)
    # Others are not public, or embed an address of IPv4.
    if ip.version == 6 and ip not in ip_network("2000::/3"):
        return False
    is_special = any(ip in network for network in map(ip_network, _SPECIAL))
    return ip.is_global and not ip.is_multicast and not is_special


class DocumentFetcher:
    """Fetches documents: only https from public addresses, without redirects and proxies, limited
    in time and size.

    It connects to the address that it has checked, so that a name can't resolve to another one
    after the check.
    """

    port = 443
    seconds = 5.0
    trust = True
    may_connect = staticmethod(is_public)

    def __init__(self, user_agent: str) -> None:
        # Threads of its own: a slow name server would delay lookups of KallyAI's address in the
        # event loop's.
        self._lookups = ThreadPoolExecutor(MOST_AT_ONCE, "metadata-documents")
        limits = httpx2.Limits(max_connections=MOST_AT_ONCE, max_keepalive_connections=0)
        self._http = httpx2.AsyncClient(
            transport=httpx2.AsyncHTTPTransport(verify=self.trust, trust_env=False, limits=limits),
            headers={
                "User-Agent": user_agent,
                "Accept": "application/json",
                "Accept-Encoding": "identity",
            },
            timeout=httpx2.Timeout(self.seconds, pool=0),
        )

    async def fetch(self, url: str) -> bytes:
        """The document at `url`; raises `ClientError`."""
        host = https_host(url)
        if host is None or not _names_document(url):
            raise ClientError("the app's id is not the address of one")
        try:
            with anyio.fail_after(self.seconds):
                addresses = await self.resolve(host)
                if not addresses or not all(map(self.may_connect, addresses)):
                    raise ClientError(_NOT_REACHED)
                return await self._get(httpx2.URL(url), host, addresses[0])
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError):
            raise ClientError(_NOT_REACHED) from None

    async def _get(self, url: httpx2.URL, host: str, address: str) -> bytes:
        where = url.copy_with(host=address, port=self.port)
        name = {"sni_hostname": host}
        body = b""
        async with self._http.stream(
            "GET", where, headers={"Host": host}, extensions=name
        ) as response:
            if response.status_code != httpx2.codes.OK:
                raise ClientError(
                    f"its server answered {response.status_code} (redirects are not followed)"
                )
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise ClientError(f"it is longer than {MAX_BYTES} bytes")
        return body

    async def resolve(self, host: str) -> Sequence[str]:
        """All addresses of a host."""
        found = await get_running_loop().run_in_executor(
            self._lookups, socket.getaddrinfo, host, self.port
        )
        return [str(address[0]) for *_, address in found]
