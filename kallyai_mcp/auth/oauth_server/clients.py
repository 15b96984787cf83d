"""Clients: registered dynamically, with all we know of them sealed in their own id, or known by a metadata document.

RFC 7591, and draft-ietf-oauth-client-id-metadata-document.
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
from kallyai_mcp.auth.oauth_server.sealed_tokens import SealedTokens

Method = Literal["none", "client_secret_post", "client_secret_basic"]
METHODS: tuple[Method, ...] = ("none", "client_secret_post", "client_secret_basic")
"""How a client may authenticate at the token endpoint."""

DOCUMENT_SECONDS = 300.0
"""For how long a metadata document is believed."""

_MOST_DOCUMENTS = 256
_MOST_REDIRECTS = 10
_MOST_CHARACTERS = 2_000
"""Of all redirect addresses together: they travel in each of the client's URLs."""

_LONGEST_NAME = 64
_LONGEST_URL = 512

Fetch = Callable[[str], Awaitable[bytes]]
"""Fetches a metadata document, from the open internet only; raises `KallyAIError` with words for anybody."""


class InvalidClientError(Exception):
    """A client can't be registered or recognised.

    Args:
        words: Why, for whoever made the client.
        code: RFC 7591's, section 3.2.2.
    """

    def __init__(self, words: str, code: str = "invalid_client_metadata") -> None:
        super().__init__(words)
        self.words = words
        self.code = code


@dataclass(frozen=True)
class Client:
    """An MCP client.

    Attributes:
        id: Its `client_id`.
        name: What it calls itself; None when it doesn't. Nobody has checked it.
        redirect_uris: Where its users may be sent.
        method: How it authenticates.
        publisher: The host of its metadata document; None when it was registered.
    """

    id: str
    name: str | None
    redirect_uris: tuple[str, ...]
    method: Method
    publisher: str | None = None

    @property
    def key(self) -> str:
        """Names the client in what is sealed."""
        return key_of(self.id)

    def redirect_to(self, given: str | None) -> str | None:
        """The address to send its user to; None when `given` is not its own, or it has several and gave none."""
        if given is None:
            return self.redirect_uris[0] if len(self.redirect_uris) == 1 else None
        return given if any(redirects.matches(given, uri) for uri in self.redirect_uris) else None


def key_of(client_id: str) -> str:
    """A short name for a `client_id`."""
    return hashlib.sha256(client_id.encode()).hexdigest()[:32]


class Clients:
    """Registers clients and recognises them.

    Args:
        seals: Seals what we know of a client into its id.
        fetch: Fetches metadata documents.
        own_host: Our own host and port, which is nobody's to be sent to.
        clock: A clock that only goes forward, in seconds.
    """

    def __init__(
        self, seals: SealedTokens, fetch: Fetch, own_host: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seals = seals
        self._fetch = fetch
        self._own_host = own_host
        self._clock = clock
        self._documents: dict[str, tuple[Client, float]] = {}

    def register(self, asked: object, now: float) -> dict[str, Any]:
        """Register a client (RFC 7591, section 3).

        Args:
            asked: The metadata that it sent, as JSON.
            now: Seconds since the epoch.

        Returns:
            The answer (section 3.2.1). A client that names no way to authenticate needs none.

        Raises:
            InvalidClientError: It can't be registered.
        """
        client = self._described(asked, "")
        content = {"name": client.name, "redirect_uris": client.redirect_uris, "method": client.method}
        client_id = self._seals.seal("client", content)
        answer: dict[str, Any] = {
            "client_id": client_id,
            "client_id_issued_at": int(now),
            "redirect_uris": list(client.redirect_uris),
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": client.method,
        }
        if client.name is not None:
            answer["client_name"] = client.name
        if client.method != "none":
            answer["client_secret"] = self._seals.seal("client-secret", {"client": key_of(client_id)})
            answer["client_secret_expires_at"] = 0
        return answer

    async def find(self, client_id: str) -> Client:
        """The client of that id; a metadata document is fetched, or remembered for `DOCUMENT_SECONDS`.

        Raises:
            InvalidClientError: There is none, or its document can't be had or used; the words are for a person.
        """
        if not client_id.startswith("https:"):
            client = self._opened(client_id)
            if client is None:
                raise InvalidClientError("This app is not registered here, or it was long ago. It can register again.")
            return client
        known, until = self._documents.get(client_id, (None, 0.0))
        if known is not None and until > self._clock():
            return known
        publisher = _publisher(client_id)
        try:
            document = json.loads(await self._fetch(client_id))
        except KallyAIError as error:
            raise InvalidClientError(f"The app's metadata document can't be read: {error.message}.") from None
        except (ValueError, RecursionError):
            raise InvalidClientError("The app's metadata document is not JSON.") from None
        if not isinstance(document, dict) or document.get("client_id") != client_id:
            raise InvalidClientError("The app's metadata document is not about this app: its client_id is another.")
        client = self._described(document, client_id, publisher)
        if client.method != "none":
            raise InvalidClientError(
                "The app's metadata document asks for a client secret, which nobody can have given it."
            )
        if len(self._documents) >= _MOST_DOCUMENTS:
            self._documents.pop(next(iter(self._documents)))
        self._documents[client_id] = (client, self._clock() + DOCUMENT_SECONDS)
        return client

    def authenticate(self, form: Mapping[str, str], authorization: str) -> str | None:
        """Who asks at the token endpoint (RFC 6749, section 2.3); a public client is believed, since PKCE binds it.

        Args:
            form: The parameters.
            authorization: The Authorization header, or "".

        Returns:
            The client's `client_id`; None when it is not known or its secret is wrong.
        """
        client_id, secret = form.get("client_id"), form.get("client_secret")
        scheme, _, encoded = authorization.partition(" ")
        if scheme.lower() == "basic":
            basic_id, secret = _basic(encoded)
            if client_id not in (None, basic_id):
                return None
            client_id = basic_id
        if not client_id:
            return None
        if client_id.startswith("https:"):
            return client_id
        client = self._opened(client_id)
        if client is None:
            return None
        if client.method == "none":
            return client_id
        opened = self._seals.open("client-secret", secret)
        is_its_own = opened is not None and hmac.compare_digest(str(opened["client"]), client.key)
        return client_id if is_its_own else None

    def _opened(self, client_id: str) -> Client | None:
        content = self._seals.open("client", client_id)
        if content is None:
            return None
        return Client(client_id, content["name"], tuple(content["redirect_uris"]), content["method"])

    def _described(self, asked: object, client_id: str, publisher: str | None = None) -> Client:
        if not isinstance(asked, dict):
            raise InvalidClientError("The metadata must be a JSON object.")
        uris = asked.get("redirect_uris")
        if not isinstance(uris, list) or not uris or not all(isinstance(uri, str) for uri in uris):
            raise InvalidClientError("redirect_uris must be a list of addresses.", "invalid_redirect_uri")
        if len(uris) > _MOST_REDIRECTS or sum(map(len, uris)) > _MOST_CHARACTERS:
            raise InvalidClientError(
                f"redirect_uris may be {_MOST_REDIRECTS} addresses, of {_MOST_CHARACTERS} characters together.",
                "invalid_redirect_uri",
            )
        for place, uri in enumerate(uris, start=1):
            wrong = redirects.check(uri)
            if wrong is None and redirects.destination(uri).name == self._own_host:
                wrong = "it is this server's own"
            if wrong is not None:
                raise InvalidClientError(f"Redirect address {place} can't be used: {wrong}.", "invalid_redirect_uri")
        grants = asked.get("grant_types")
        if isinstance(grants, list) and "authorization_code" not in grants:
            raise InvalidClientError("grant_types must have authorization_code.")
        method = asked.get("token_endpoint_auth_method") or "none"
        if method not in METHODS:
            raise InvalidClientError(f"token_endpoint_auth_method must be one of {', '.join(METHODS)}.")
        return Client(client_id, _plain(asked.get("client_name")), tuple(uris), method, publisher)


def _publisher(client_id: str) -> str:
    """The host of a metadata document's URL, which must be plain (the draft's section 3)."""
    try:
        parts = urlsplit(client_id)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    is_plain = client_id.isascii() and client_id.isprintable() and not set(client_id) & set(' #\\"<>')
    if not host or not is_plain or len(client_id) > _LONGEST_URL or "@" in parts.netloc or port not in (None, 443):
        raise InvalidClientError("The app's id is not an address that can be used.")
    if parts.path in ("", "/") or any(step in (".", "..") for step in parts.path.split("/")):
        raise InvalidClientError("The app's id is not the address of a metadata document.")
    return host


def _plain(name: object) -> str | None:
    """A name without anything that could make it look like more than a name."""
    if not isinstance(name, str):
        return None
    kept = "".join(char if unicodedata.category(char)[0] not in "CZ" else " " for char in name[: 4 * _LONGEST_NAME])
    plain = " ".join(kept.split())
    return (plain if len(plain) <= _LONGEST_NAME else f"{plain[: _LONGEST_NAME - 1]}…") or None


def _basic(encoded: str) -> tuple[str, str]:
    try:
        name, _, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return unquote_plus(name), unquote_plus(password)
