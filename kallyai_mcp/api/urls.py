"""Addresses: which may be KallyAI, and the pages a person signs in on.

A leaf and cheap to import, since the settings are checked before anything is served.
"""

import ipaddress
from collections.abc import Mapping
from urllib.parse import quote, urlencode, urlsplit

_DEFAULT_PORTS = {"https": 443, "http": 80}


def is_loopback(host: str | None) -> bool:
    """Whether `host` (a name or an IP address, without port) can only be this machine."""
    if host is None:
        return False
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_api_url(url: str) -> str:
    """Checks that tokens may be sent to `url`.

    Args:
        url: Where KallyAI answers, such as https://api.kallyai.com; a path in front of `/v1` is allowed.

    Returns:
        The URL with its scheme and host in lower case, without a default port and without slashes at the end.

    Raises:
        ValueError: It is neither https nor on a loopback address, or it carries a user, a query or a fragment; the
            message is one line and does not repeat the URL, which may hold a password.
    """
    if any(not char.isprintable() or char in " \\" for char in url):
        raise ValueError("white space, control characters and backslashes have no place in it")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("not a URL; it should look like https://api.kallyai.com") from None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError("not a web address; it should look like https://api.kallyai.com")
    if "@" in parts.netloc or "?" in url or "#" in url:
        raise ValueError("a user name, a query or a fragment has no place in it")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("http would send the sign-in in the clear; use https (http only for this machine)")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    where = host if port in (None, _DEFAULT_PORTS[parts.scheme]) else f"{host}:{port}"
    return f"{parts.scheme}://{where}{parts.path}".rstrip("/")


def cli_auth_url(base_url: str, redirect_uri: str, state: str | None = None) -> str:
    """The page a person opens to sign in for a program on their machine ("CLI Authentication").

    Args:
        base_url: Where KallyAI answers.
        redirect_uri: Exactly `http://localhost:PORT` or `http://127.0.0.1:PORT`.
        state: Comes back in the redirect.
    """
    return _page(base_url, "/v1/auth/cli", {"redirect_uri": redirect_uri, "state": state})


def authorize_url(
    base_url: str, client_id: str, redirect_uri: str, *, state: str | None = None, scope: str | None = None
) -> str:
    """The page a person opens to let a registered client act for them ("OAuth2 Authorization Code Flow").

    Args:
        base_url: Where KallyAI answers.
        client_id: The registered client.
        redirect_uri: Where the code goes; one that is registered for the client.
        state: Comes back in the redirect.
        scope: Scopes with spaces between them, such as `calls:read calls:write`.
    """
    query = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "state": state,
        "scope": scope,
    }
    return _page(base_url, "/v1/auth/authorize", query)


def _page(base_url: str, path: str, query: Mapping[str, str | None]) -> str:
    given = {name: value for name, value in query.items() if value is not None}
    # The reference prints `:` and `/` as they are and a space as %20; a query may hold all three so.
    return f"{base_url.rstrip('/')}{path}?{urlencode(given, safe=':/', quote_via=quote)}"
