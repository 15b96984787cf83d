"""The URLs of the pages where a user signs in ("Authentication" of the reference)."""

from collections.abc import Mapping
from urllib.parse import quote, urlencode


def cli_auth_url(base_url: str, redirect_uri: str, state: str | None = None) -> str:
    """The page where a user signs in for a program on their machine ("CLI Authentication").

    The `redirect_uri` is exactly `http://localhost:PORT` or `http://127.0.0.1:PORT`; the redirect repeats the `state`.
    """
    return _page(base_url, "/v1/auth/cli", {"redirect_uri": redirect_uri, "state": state})


def authorize_url(
    base_url: str, client_id: str, redirect_uri: str, *, state: str | None = None, scope: str | None = None
) -> str:
    """The page where a user lets a registered client act for them ("OAuth2 Authorization Code Flow", step 1).

    The `redirect_uri` is one of those registered for the client; the redirect repeats the `state`.
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
    # The reference leaves `:` and `/` as they are and writes a space as %20 (RFC 3986, section 3.4 allows it).
    return f"{base_url.rstrip('/')}{path}?{urlencode(given, safe=':/', quote_via=quote)}"
