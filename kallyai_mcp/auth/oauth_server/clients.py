"""MCP clients: registered ones, whose metadata is sealed in their client_id, and those with a metadata document.

Also which redirect URIs a client may have, which are equal, and how they are shown (RFC 8252, section 7).
"""

import hashlib
import json
import re
import time
import unicodedata
from collections.abc import Awaitable, Callable
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from mcp.shared.auth import InvalidRedirectUriError, InvalidScopeError, OAuthClientInformationFull
from pydantic import AnyUrl, ValidationError

from kallyai_mcp.auth.oauth_server import scopes
from kallyai_mcp.auth.oauth_server.metadata_documents import DocumentError
from kallyai_mcp.urls import https_host, is_loopback

_MAX_URIS, _MAX_URI, _MAX_ALL_URIS, _MAX_NAME = 10, 512, 2_000, 64
_CACHE_SECONDS, _MAX_CACHED = 300.0, 256
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

    @property
    def key(self) -> str:
        """A digest of the client_id, for sealed content: the client_id of a registered client is long."""
        return hashlib.sha256(self.client_id.encode()).hexdigest()[:32]

    def redirect_uri_for(self, given: str | None) -> str | None:
        """The redirect URI of a request that names `given`, or none; None if that is not the client's."""
        registered = [str(uri) for uri in self.redirect_uris or ()]
        if given is None:
            return registered[0] if len(registered) == 1 else None
        return given if any(_matches(given, uri) for uri in registered) else None

    def validate_redirect_uri(self, redirect_uri: AnyUrl | None) -> AnyUrl:
        """As in the SDK, but a program on the user's machine may choose its port."""
        found = self.redirect_uri_for(None if redirect_uri is None else str(redirect_uri))
        if found is None:
            raise InvalidRedirectUriError("The redirect_uri is not the client's.")
        return AnyUrl(found)

    def validate_scope(self, requested_scope: str | None) -> list[str] | None:
        """The existing scopes among those that are requested (RFC 6749, section 3.3); None if none is requested."""
        if requested_scope is None or not requested_scope.strip():
            return None
        if not (known := scopes.in_order(requested_scope.split())):
            raise InvalidScopeError(f"The scopes are {' '.join(scopes.SCOPES)}.")
        return list(known)


class DocumentClients:
    """The clients with metadata documents, cached for five minutes."""

    def __init__(
        self, fetch: Callable[[str], Awaitable[bytes]], issuer: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch, self._issuer, self._clock = fetch, issuer, clock
        self._cache: dict[str, tuple[Client, float]] = {}

    def cached(self, client_id: str) -> Client:
        """The client, if its document was read lately; else one without redirect URIs, which can use its tokens."""
        client, until = self._cache.get(client_id, (None, 0.0))
        if client is not None and until > self._clock():
            return client
        return Client(client_id=client_id, token_endpoint_auth_method="none")  # noqa: S106 - no password

    async def read(self, client_id: str) -> Client:
        """The client at that URL; raises `DocumentError`."""
        if (cached := self.cached(client_id)).redirect_uris:
            return cached
        path = urlsplit(client_id).path if https_host(client_id) is not None else ""
        if path in ("", "/") or len(client_id) > _MAX_URI or {".", ".."} & set(path.split("/")):
            raise DocumentError("the app's id is not the address of one")
        try:
            document = json.loads(await self._fetch(client_id))
            if not isinstance(document, dict) or document.get("client_id") != client_id:
                raise DocumentError("it is about another app")
            if document.get("token_endpoint_auth_method", "none") != "none":
                raise DocumentError("it asks for a secret, which nobody can have given the app")
            names = ("client_id", "client_name", "redirect_uris")
            known = {name: document[name] for name in names if name in document}
            client = Client.model_validate(known | {"token_endpoint_auth_method": "none"})
        except (ValidationError, ValueError, RecursionError):
            raise DocumentError("it is no JSON with an app's metadata") from None
        if (problem := find_problem(client, self._issuer)) is not None:
            raise DocumentError(problem)
        client.client_name, client.publisher = clean_name(client.client_name), https_host(client_id)
        if len(self._cache) >= _MAX_CACHED:
            self._cache.pop(next(iter(self._cache)))
        self._cache[client_id] = (client, self._clock() + _CACHE_SECONDS)
        return client


def clean_name(name: str | None) -> str | None:
    """A client's name on one line, without control and format characters, and not too long."""
    kept = "".join(char if unicodedata.category(char)[0] not in "CZ" else " " for char in (name or "")[: 4 * _MAX_NAME])
    clean = " ".join(kept.split())
    return (clean if len(clean) <= _MAX_NAME else f"{clean[: _MAX_NAME - 1]}…") or None


def find_problem(client: OAuthClientInformationFull, issuer: str) -> str | None:
    """The reason why a client can't have its redirect URIs, in words; None if it can."""
    uris = [str(uri) for uri in client.redirect_uris or ()]
    if not 0 < len(uris) <= _MAX_URIS or sum(map(len, uris)) > _MAX_ALL_URIS:
        return f"there must be 1 to {_MAX_URIS} redirect addresses, of {_MAX_ALL_URIS} characters together"
    problems = (_problem_of(uri) or ("it is this server's own" if is_at(uri, issuer) else None) for uri in uris)
    return next((f"a redirect address can't be used: {problem}" for problem in problems if problem is not None), None)


def _problem_of(uri: str) -> str | None:
    """Why nobody may register `uri`, if it is not https, http on a loopback address, or of a private-use scheme."""
    if len(uri) > _MAX_URI or any(not "!" <= char <= "~" or char in '"<>\\^`{|}' for char in uri):
        return "it is too long, or has characters that a URL can't have"
    try:
        parts = urlsplit(uri)
        _ = parts.port
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
    if parts.scheme in ("http", "https") and not parts.hostname:
        return "it has no host"
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        return "http is only for the client's own machine; use https"
    return None


def _matches(given: str, registered: str) -> bool:
    """Whether two redirect URIs are equal in every character; on a loopback address, the port may be another.

    A program learns its port only when it starts (RFC 8252, section 7.3; OAuth 2.1, section 8.4.2).
    """
    if given == registered:
        return True
    if _problem_of(given) is not None:
        return False
    one, other = urlsplit(given), urlsplit(registered)
    if one.scheme == other.scheme == "http":  # both are on a loopback address
        return (one.hostname, one.path or "/", one.query) == (other.hostname, other.path or "/", other.query)
    return not other.path and given == f"{registered}/"


def is_at(uri: str, issuer: str) -> bool:
    """Whether `uri` leads to the server with the base URL `issuer`, even if its host is written in another way."""
    return _place(urlsplit(uri)) == _place(urlsplit(issuer))


def _place(parts: SplitResult) -> tuple[str, int | None]:
    host = (parts.hostname or "").removesuffix(".")
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return "loopback" if is_loopback(host) or host.endswith(".localhost") else host, port


def destination_of(uri: str) -> tuple[Literal["web", "here", "app"], str]:
    """Where a redirect URI leads, and the name to show: a web site, a program on this machine, or an installed app."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https"):
        return "app", f"{parts.scheme}:"
    return "here" if is_loopback(parts.hostname) else "web", parts.netloc.lower()
