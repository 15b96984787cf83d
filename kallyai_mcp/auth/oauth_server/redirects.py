"""Redirect URIs: which may be registered, which are equal, and how they are shown (RFC 8252, section 7)."""

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
"""Schemes that the browser or the operating system handles, so that no app can have one as its own."""


@dataclass(frozen=True)
class Destination:
    """The destination of a redirect URI, as pages show it.

    Attributes:
        kind: `web` for a web site, `here` for a program on the user's own machine, `app` for an installed app.
        name: The host of a web site, the host and port of a program, or the scheme of an app.
    """

    kind: Literal["web", "here", "app"]
    name: str


def find_problem(uri: str) -> str | None:
    """The reason why a client may not register `uri`, in words; None if it may.

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
    """Whether `given` equals the registered URI in every character, except for the port on a loopback address.

    A program learns its port only when it starts (RFC 8252, section 7.3; OAuth 2.1, section 8.4.2). `localhost` counts
    as a loopback address: programs register it, and it is the same machine (RFC 6761, section 6.3).
    """
    if given == registered:
        return True
    if find_problem(given) is not None:
        return False
    one, other = urlsplit(given), urlsplit(registered)
    is_http = one.scheme == other.scheme == "http"
    return is_http and is_loopback(other.hostname) and _without_port(one) == _without_port(other)


def is_at(uri: str, issuer: str) -> bool:
    """Whether `uri` leads to the server with the base URL `issuer`, even if its host is written in another way."""
    return _place(urlsplit(uri)) == _place(urlsplit(issuer))


def _place(parts: SplitResult) -> tuple[str, int | None]:
    host = (parts.hostname or "").removesuffix(".")
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return "loopback" if is_loopback(host) or host.endswith(".localhost") else host, port


def destination_of(uri: str) -> Destination:
    """The destination of a redirect URI in which `find_problem` found nothing."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https"):
        return Destination("app", f"{parts.scheme}:")
    is_here = is_loopback(parts.hostname)
    return Destination("here" if is_here else "web", parts.netloc.lower())


def add_parameters(uri: str, **parameters: str | None) -> str:
    """`uri` with `parameters` added to its query, without those that are None (RFC 6749, section 4.1.2).

    The rest of the URI is unchanged. The SDK's `construct_redirect_uri` may change it, because it encodes it again.
    """
    given = urlencode({name: value for name, value in parameters.items() if value is not None})
    return f"{uri}{'&' if '?' in uri else '?'}{given}"


def _without_port(parts: SplitResult) -> tuple[str | None, str, str]:
    return parts.hostname, parts.path, parts.query
