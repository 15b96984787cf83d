"""MCP clients, which are registered dynamically, or have a metadata document.

A registered client (RFC 7591) has its metadata sealed in its client_id. The client_id of the others is the URL of their
metadata document (draft-ietf-oauth-client-id-metadata-document).
"""

import base64
import binascii
import hashlib
import hmac
import json
import time
import unicodedata
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote_plus, urlsplit

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.auth.oauth_server import redirects
from kallyai_mcp.auth.oauth_server.errors import OAuthError
from kallyai_mcp.auth.oauth_server.sealed_tokens import SealedTokens
from kallyai_mcp.urls import https_host

AuthMethod = Literal["none", "client_secret_post", "client_secret_basic"]
AUTH_METHODS: tuple[AuthMethod, ...] = ("none", "client_secret_post", "client_secret_basic")
"""The methods of authentication at the token endpoint."""

CACHE_SECONDS = 300.0
"""How long a metadata document is cached."""

_MAX_CACHED = 256
_MAX_REDIRECT_URIS = 10
_MAX_REDIRECT_LENGTH = 2_000
"""The most characters of all redirect URIs together. They are in the client_id, and so in URLs of the client."""

_MAX_NAME_LENGTH = 64
_MAX_URL_LENGTH = 512

Fetch = Callable[[str], Awaitable[bytes]]
"""Fetches a metadata document from the public internet; raises `KallyAIError` with a message that anybody may see."""


@dataclass(frozen=True)
class Client:
    """An MCP client.

    Attributes:
        id: The `client_id`.
        name: The client's own name, which nobody has checked; None without one.
        redirect_uris: The redirect URIs.
        auth_method: The method of its authentication.
        publisher: The host of its metadata document; None for a registered client.
    """

    id: str
    name: str | None
    redirect_uris: tuple[str, ...]
    auth_method: AuthMethod
    publisher: str | None = None

    @property
    def key(self) -> str:
        """A short name of the client, for sealed content; see `key_of`."""
        return key_of(self.id)

    def redirect_uri_for(self, given: str | None) -> str | None:
        """The redirect URI of an authorization request with the `given` redirect_uri, or without one.

        None if the given one is not the client's, or if none is given and the client has several.
        """
        if given is None:
            return self.redirect_uris[0] if len(self.redirect_uris) == 1 else None
        return given if any(redirects.matches(given, uri) for uri in self.redirect_uris) else None


def key_of(client_id: str) -> str:
    """A short name for a `client_id`: a digest."""
    return hashlib.sha256(client_id.encode()).hexdigest()[:32]


class ClientRegistry:
    """Registers clients, finds them, and authenticates them.

    The SDK's `RegistrationHandler` and `ClientAuthenticator` are not used. The first changes redirect URIs
    (`https://App.example:443/` becomes `https://app.example/`), but they are compared character by character. It also
    gives a secret to each client without an authentication method. The second refuses a client that sends its client_id
    only in the Authorization header (RFC 6749, section 2.3.1).

    Args:
        sealed_tokens: Seals the metadata of clients.
        fetch: Fetches metadata documents.
        issuer: Our own base URL, which no redirect URI may lead to.
        clock: Returns the time of a monotonic clock, in seconds.
    """

    def __init__(
        self, sealed_tokens: SealedTokens, fetch: Fetch, issuer: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._sealed_tokens = sealed_tokens
        self._fetch = fetch
        self._issuer = issuer
        self._clock = clock
        self._cache: dict[str, tuple[Client, float]] = {}

    def register(self, metadata: object, now: float) -> dict[str, Any]:
        """Register a client (RFC 7591, section 3); returns the client information response (section 3.2.1).

        Args:
            metadata: The client's metadata, unchecked. Without an authentication method, the client is public.
            now: Seconds since the epoch.

        Raises:
            OAuthError: The client can't be registered.
        """
        client = self._parse(metadata, "")
        content = {"name": client.name, "redirect_uris": client.redirect_uris, "method": client.auth_method}
        client_id = self._sealed_tokens.seal("client", content)
        answer: dict[str, Any] = {
            "client_id": client_id,
            "client_id_issued_at": int(now),
            "redirect_uris": list(client.redirect_uris),
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": client.auth_method,
        }
        if client.name is not None:
            answer["client_name"] = client.name
        if client.auth_method != "none":
            answer["client_secret"] = self._sealed_tokens.seal("client-secret", {"client": key_of(client_id)})
            answer["client_secret_expires_at"] = 0
        return answer

    async def find(self, client_id: str) -> Client:
        """The client with this id. A metadata document is fetched, or taken from the cache.

        Raises:
            OAuthError: There is no such client, or its document can't be fetched or used.
        """
        if not client_id.startswith("https:"):
            client = self._unseal(client_id)
            if client is None:
                raise _refused("This app is not registered here, or it was long ago. It can register again.")
            return client
        cached, until = self._cache.get(client_id, (None, 0.0))
        if cached is not None and until > self._clock():
            return cached
        publisher = _publisher_of(client_id)
        try:
            document = json.loads(await self._fetch(client_id))
        except KallyAIError as error:
            raise _refused(f"The app's metadata document can't be read: {error.message}.") from None
        except (ValueError, RecursionError):
            raise _refused("The app's metadata document is not JSON.") from None
        if not isinstance(document, dict) or document.get("client_id") != client_id:
            raise _refused("The app's metadata document is not about this app: its client_id is another.")
        client = self._parse(document, client_id, publisher)
        if client.auth_method != "none":
            raise _refused("The app's metadata document asks for a client secret, which nobody can have given it.")
        if len(self._cache) >= _MAX_CACHED:
            self._cache.pop(next(iter(self._cache)))
        self._cache[client_id] = (client, self._clock() + CACHE_SECONDS)
        return client

    def authenticate(self, form: Mapping[str, str], authorization: str) -> str | None:
        """Authenticate a client at the token endpoint (RFC 6749, section 2.3).

        A public client has no secret: PKCE binds its codes to it.

        Args:
            form: The fields of the request.
            authorization: The Authorization header; empty without one.

        Returns:
            The `client_id`; None if the client is not known, or its secret is wrong.
        """
        client_id, secret = form.get("client_id"), form.get("client_secret")
        scheme, _, encoded = authorization.partition(" ")
        if scheme.lower() == "basic":
            basic_id, secret = _parse_basic(encoded)
            if client_id not in (None, basic_id):
                return None
            client_id = basic_id
        if not client_id:
            return None
        if client_id.startswith("https:"):
            return client_id
        client = self._unseal(client_id)
        if client is None:
            return None
        if client.auth_method == "none":
            return client_id
        content = self._sealed_tokens.open("client-secret", secret)
        is_its_own = content is not None and hmac.compare_digest(str(content["client"]), client.key)
        return client_id if is_its_own else None

    def _unseal(self, client_id: str) -> Client | None:
        content = self._sealed_tokens.open("client", client_id)
        if content is None:
            return None
        return Client(client_id, content["name"], tuple(content["redirect_uris"]), content["method"])

    def _parse(self, metadata: object, client_id: str, publisher: str | None = None) -> Client:
        if not isinstance(metadata, dict):
            raise _refused("The metadata must be a JSON object.")
        uris = metadata.get("redirect_uris")
        if not isinstance(uris, list) or not uris or not all(isinstance(uri, str) for uri in uris):
            raise OAuthError("invalid_redirect_uri", "redirect_uris must be a list of addresses.")
        if len(uris) > _MAX_REDIRECT_URIS or sum(map(len, uris)) > _MAX_REDIRECT_LENGTH:
            raise OAuthError(
                "invalid_redirect_uri",
                f"redirect_uris may be {_MAX_REDIRECT_URIS} addresses, of {_MAX_REDIRECT_LENGTH} characters together.",
            )
        for number, uri in enumerate(uris, start=1):
            problem = redirects.find_problem(uri)
            if problem is None and redirects.is_at(uri, self._issuer):
                problem = "it is this server's own"
            if problem is not None:
                raise OAuthError("invalid_redirect_uri", f"Redirect address {number} can't be used: {problem}.")
        grant_types = metadata.get("grant_types")
        if isinstance(grant_types, list) and "authorization_code" not in grant_types:
            raise _refused("grant_types must have authorization_code.")
        method = metadata.get("token_endpoint_auth_method") or "none"
        if method not in AUTH_METHODS:
            raise _refused(f"token_endpoint_auth_method must be one of {', '.join(AUTH_METHODS)}.")
        return Client(client_id, _clean_name(metadata.get("client_name")), tuple(uris), method, publisher)


def _refused(description: str) -> OAuthError:
    return OAuthError("invalid_client_metadata", description)


def _publisher_of(client_id: str) -> str:
    """The host of a metadata document's URL (section 3 of the draft says which URLs are allowed)."""
    host = https_host(client_id)
    if host is None or len(client_id) > _MAX_URL_LENGTH:
        raise _refused("The app's id is not an address that can be used.")
    path = urlsplit(client_id).path
    if path in ("", "/") or any(segment in (".", "..") for segment in path.split("/")):
        raise _refused("The app's id is not the address of a metadata document.")
    return host


def _clean_name(name: object) -> str | None:
    """A client's name on one line, without control and format characters, at most `_MAX_NAME_LENGTH` characters."""
    if not isinstance(name, str):
        return None
    kept = "".join(char if unicodedata.category(char)[0] not in "CZ" else " " for char in name[: 4 * _MAX_NAME_LENGTH])
    clean = " ".join(kept.split())
    return (clean if len(clean) <= _MAX_NAME_LENGTH else f"{clean[: _MAX_NAME_LENGTH - 1]}…") or None


def _parse_basic(encoded: str) -> tuple[str, str]:
    """The user name and the password of a Basic Authorization header; both empty when it can't be decoded."""
    try:
        name, _, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return unquote_plus(name), unquote_plus(password)
