"""Redirect addresses: which may be registered, which match, and how they are shown (RFC 8252, section 7)."""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import SplitResult, urlencode, urlsplit

from kallyai_mcp.urls import is_loopback

LONGEST = 512
"""Characters of one address."""

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{1,62}")
_NO_APPS = frozenset(
    {
        "about",
        "blob",
        "chrome",
        "data",
        "file",
        "filesystem",
        "ftp",
        "intent",
        "javascript",
        "mailto",
        "ms-settings",
        "res",
        "search-ms",
        "sms",
        "tel",
        "vbscript",
        "view-source",
        "ws",
        "wss",
    }
)
"""Schemes that a browser, or its machine, acts on by itself; a private-use scheme is an app's own."""


@dataclass(frozen=True)
class Destination:
    """Where an address leads, for a person.

    Attributes:
        kind: `web` for a web site, `here` for a program on the person's own machine, `app` for an installed app.
        name: The host of a web site, host and port on this machine, or the app's scheme.
    """

    kind: Literal["web", "here", "app"]
    name: str


def check(uri: str) -> str | None:
    """What is wrong with an address that is to be registered; None when nothing is.

    It must be https with a host, http on a loopback address (RFC 8252, section 7.3), or of a private-use scheme
    (section 7.1); without a fragment (RFC 6749, section 3.1.2) and without a user name that could pass for a host.
    """
    if len(uri) > LONGEST:
        return f"it is longer than {LONGEST} characters"
    if any(not "!" <= char <= "~" or char in '"<>\\^`{|}' for char in uri):
        return "it has characters that a URL can't have"
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "it is not a URL"
    if "#" in uri or "@" in parts.netloc:
        return "a fragment or a user name has no place in it"
    if not _SCHEME.fullmatch(parts.scheme) or parts.scheme in _NO_APPS or not uri.startswith(f"{parts.scheme}:/"):
        return "its scheme can't be used"
    if parts.scheme in ("http", "https"):
        if not host:
            return "it has no host"
        if parts.scheme == "http" and not is_loopback(host):
            return "http is only for the client's own machine; use https"
    return None


def matches(given: str, registered: str) -> bool:
    """Whether `given` is the registered address: character by character, but for the port on a loopback address.

    A program learns its port only when it starts (RFC 8252, section 7.3; OAuth 2.1, section 8.4.2). `localhost` counts
    too: programs register it, and it names the same machine (RFC 6761, section 6.3).
    """
    if given == registered:
        return True
    if check(given) is not None:
        return False
    one, other = urlsplit(given), urlsplit(registered)
    is_http = one.scheme == other.scheme == "http"
    return is_http and is_loopback(other.hostname) and _without_port(one) == _without_port(other)


def destination(uri: str) -> Destination:
    """Where `uri`, which has been checked, leads."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https"):
        return Destination("app", f"{parts.scheme}:")
    is_here = is_loopback(parts.hostname)
    return Destination("here" if is_here else "web", parts.netloc.lower())


def answered(uri: str, **parameters: str | None) -> str:
    """`uri`, unchanged, with the parameters of an answer added to its query (RFC 6749, section 4.1.2)."""
    given = urlencode({name: value for name, value in parameters.items() if value is not None})
    return f"{uri}{'&' if '?' in uri else '?'}{given}"


def _without_port(parts: SplitResult) -> tuple[str | None, str, str]:
    return parts.hostname, parts.path, parts.query
