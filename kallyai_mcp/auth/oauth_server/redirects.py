"""Redirect URIs: which may be registered, which match, and how they are shown (RFC 8252, section 7)."""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import SplitResult, urlencode, urlsplit

from kallyai_mcp.urls import is_loopback

MAX_LENGTH = 512
"""The most characters of one URI."""

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{1,62}")
_FORBIDDEN_SCHEMES = frozenset(
    {
        *("about", "blob", "chrome", "chrome-extension", "data", "file", "filesystem", "ftp", "intent", "jar"),
        *("javascript", "moz-extension", "res", "resource", "vbscript", "view-source", "ws", "wss"),
        *("callto", "facetime", "facetime-audio", "geo", "mailto", "maps", "sip", "sips", "sms", "tel", "webcal"),
        *("afp", "cifs", "dav", "davs", "ldap", "ldaps", "nfs", "rdp", "sftp", "smb", "ssh", "telnet", "vnc"),
        *("applescript", "hcp", "help", "itms-services", "market", "microsoft-edge", "search", "search-ms", "shell"),
    }
)
"""Schemes that the browser or the operating system acts on itself, so that no app can have them as its own."""


@dataclass(frozen=True)
class Destination:
    """Where a redirect URI leads, in words for a person.

    Attributes:
        kind: `web` for a web site, `here` for a program on the person's own machine, `app` for an installed app.
        name: The host of a web site, host and port on this machine, or the app's scheme.
    """

    kind: Literal["web", "here", "app"]
    name: str


def find_problem(uri: str) -> str | None:
    """Why a client may not register `uri`; None if it may.

    The URI must be https with a host, http on a loopback address (RFC 8252, section 7.3), or have a private-use scheme
    (section 7.1). It must have no fragment (RFC 6749, section 3.1.2), and no user name, which could look like a host.
    """
    if len(uri) > MAX_LENGTH:
        return f"it is longer than {MAX_LENGTH} characters"
    if any(not "!" <= char <= "~" or char in '"<>\\^`{|}' for char in uri):
        return "it has characters that a URL can't have"
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "it is not a URL"
    if "#" in uri or "@" in parts.netloc:
        return "a fragment or a user name has no place in it"
    if (
        not _SCHEME.fullmatch(parts.scheme)
        or parts.scheme in _FORBIDDEN_SCHEMES
        or parts.scheme.startswith(("ms-", "x-apple"))
        or not uri.startswith(f"{parts.scheme}:/")
    ):
        return "its scheme can't be used"
    if parts.scheme in ("http", "https"):
        if not host:
            return "it has no host"
        if parts.scheme == "http" and not is_loopback(host):
            return "http is only for the client's own machine; use https"
    return None


def matches(given: str, registered: str) -> bool:
    """Whether `given` is the registered URI: character by character, except for the port on a loopback address.

    A program learns its port only when it starts (RFC 8252, section 7.3; OAuth 2.1, section 8.4.2). The same holds for
    `localhost`: programs register it, and it is the same machine (RFC 6761, section 6.3).
    """
    if given == registered:
        return True
    if find_problem(given) is not None:
        return False
    one, other = urlsplit(given), urlsplit(registered)
    is_http = one.scheme == other.scheme == "http"
    return is_http and is_loopback(other.hostname) and _without_port(one) == _without_port(other)


def is_at(uri: str, issuer: str) -> bool:
    """Whether `uri` leads to the server with that base URL, by whatever name and port it is written."""
    return _place(urlsplit(uri)) == _place(urlsplit(issuer))


def _place(parts: SplitResult) -> tuple[str, int | None]:
    host = (parts.hostname or "").removesuffix(".")
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return "loopback" if is_loopback(host) or host.endswith(".localhost") else host, port


def destination_of(uri: str) -> Destination:
    """Where `uri`, in which `find_problem` found nothing, leads."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https"):
        return Destination("app", f"{parts.scheme}:")
    is_here = is_loopback(parts.hostname)
    return Destination("here" if is_here else "web", parts.netloc.lower())


def add_parameters(uri: str, **parameters: str | None) -> str:
    """`uri`, unchanged, with `parameters` that are not None added to its query (RFC 6749, section 4.1.2).

    The SDK's `construct_redirect_uri` encodes the existing query anew, and may so change it.
    """
    given = urlencode({name: value for name, value in parameters.items() if value is not None})
    return f"{uri}{'&' if '?' in uri else '?'}{given}"


def _without_port(parts: SplitResult) -> tuple[str | None, str, str]:
    return parts.hostname, parts.path, parts.query
