"""MCP clients: registered ones, whose metadata is sealed in their client_id, and those with a metadata document.

Also which redirect URIs a client may have, which are equal, and how they are shown (RFC 8252, section 7).
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from mcp.shared.auth import OAuthClientInformationFull as Client

from kallyai_mcp.urls import is_loopback, origin_of

_RULE = (
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


class ClientError(Exception):
    """A client can't be used. The message says why, for its developer."""


def public_client(client_id: str, metadata: Mapping[str, Any]) -> Client:
    """A client without a secret; raises pydantic's `ValidationError`."""
    whole = {**metadata, "client_id": client_id, "token_endpoint_auth_method": "none"}
    return Client.model_validate(whole)


def check_client(client: Client, issuer: str) -> None:
    """Raise `ClientError` if a client has no redirect URIs, or may not have them; and clean its name.

    The name is then one line without control and format characters, and not too long.
    """
    uris = [str(uri) for uri in client.redirect_uris or ()]
    if not 0 < sum(map(len, uris)) <= _MAX_URIS or not all(is_redirect_uri(uri, issuer) for uri in uris):
        raise ClientError(_RULE)
    start = (client.client_name or "")[: 4 * _MAX_NAME]
    name = " ".join("".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in start).split())
    client.client_name = (name if len(name) <= _MAX_NAME else f"{name[: _MAX_NAME - 1]}…") or None


def has_redirect_uri(client: Client, uri: str, issuer: str) -> bool:
    """Whether a redirect URI is the client's: it is equal to one of them in every character.

    On a loopback address the port may be another, because a program learns its port only when it starts (RFC 8252,
    section 7.3).
    """
    registered = (_without_port(str(known)) for known in client.redirect_uris or ())
    return is_redirect_uri(uri, issuer) and _without_port(uri) in registered


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
