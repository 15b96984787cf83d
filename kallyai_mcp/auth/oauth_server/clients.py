"""MCP clients: registered ones, whose metadata is sealed in their client_id, and those with a metadata document.

Also which redirect URIs a client may have, which are equal, and how they are shown (RFC 8252, section 7).
"""

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from mcp.shared.auth import OAuthClientInformationFull

from kallyai_mcp.urls import is_loopback, origin_of

REDIRECT_RULE = (
    "a redirect address can't be used: use https, http on the client's own machine, or a scheme of the app's own; no "
    "address of this server, no user name or fragment, and at most 2,000 characters together"
)
_MAX_URIS, _MAX_NAME = 2_000, 64
_NO_URI = '"#<>\\^`{|}'
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


class Client(OAuthClientInformationFull):
    """An MCP client. `publisher` is the host of its metadata document; None for a registered client."""

    publisher: str | None = None

    @classmethod
    def public(cls, client_id: str, metadata: Mapping[str, Any], publisher: str | None = None) -> "Client":
        """A client without a secret; raises pydantic's `ValidationError`."""
        return cls.model_validate(
            {**metadata, "client_id": client_id, "publisher": publisher, "token_endpoint_auth_method": "none"}
        )

    def redirect_uri_for(self, given: str | None, issuer: str) -> str | None:
        """The redirect URI of a request that names `given`, or none; None if that is not the client's.

        It is equal in every character; on a loopback address the port may be another, because a program learns its port
        only when it starts (RFC 8252, section 7.3).
        """
        registered = [str(uri) for uri in self.redirect_uris or ()]
        if given is None:
            return registered[0] if len(registered) == 1 else None
        is_registered = is_redirect_uri(given, issuer) and _without_port(given) in map(_without_port, registered)
        return given if is_registered else None


def key_of(client: OAuthClientInformationFull) -> str:
    """A digest of the client_id, for sealed content: the client_id of a registered client is long."""
    return hashlib.sha256(client.client_id.encode()).hexdigest()[:32]


def clean_name(name: str | None) -> str | None:
    """A client's name on one line, without control and format characters, and not too long."""
    kept = "".join(char if unicodedata.category(char)[0] not in "CZ" else " " for char in (name or "")[: 4 * _MAX_NAME])
    clean = " ".join(kept.split())
    return (clean if len(clean) <= _MAX_NAME else f"{clean[: _MAX_NAME - 1]}…") or None


def has_redirect_uris(client: OAuthClientInformationFull, issuer: str) -> bool:
    """Whether a client has redirect URIs, and may have all of them."""
    uris = [str(uri) for uri in client.redirect_uris or ()]
    return 0 < sum(map(len, uris)) <= _MAX_URIS and all(is_redirect_uri(uri, issuer) for uri in uris)


def is_redirect_uri(uri: str, issuer: str) -> bool:
    """Whether a client may have a redirect URI, at a server with this issuer."""
    try:
        parts, origin = urlsplit(uri), origin_of(uri)
    except ValueError:
        return False
    if origin == issuer or "@" in parts.netloc or any(not "!" <= char <= "~" or char in _NO_URI for char in uri):
        return False
    if parts.scheme in ("http", "https"):
        return bool(parts.hostname) and (parts.scheme == "https" or is_loopback(parts.hostname))
    is_the_systems = parts.scheme in _FORBIDDEN_SCHEMES or parts.scheme.startswith(("ms-", "x-apple"))
    return _SCHEME.fullmatch(parts.scheme) is not None and uri.startswith(f"{parts.scheme}:/") and not is_the_systems


def _without_port(uri: str) -> tuple[str | None, str, str] | str:
    parts = urlsplit(uri)
    return (parts.hostname, parts.path or "/", parts.query) if parts.scheme == "http" else uri


def destination_of(uri: str) -> tuple[Literal["web", "here", "app"], str]:
    """Where a redirect URI leads, and the name to show: a web site, a program on this machine, or an installed app."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https"):
        return "app", f"{parts.scheme}:"
    return "here" if is_loopback(parts.hostname) else "web", parts.netloc.lower()
