"""The URLs of the pages where a user signs in ("Authentication" of the reference)."""

from collections.abc import Mapping
from urllib.parse import quote, urlencode


def cli_auth_url(base_url: str, redirect_uri: str, state: str | None = None) -> str:
    """The URL of the page where a user signs in for a program on their machine ("CLI Authentication").

    Args:
        base_url: The base URL of the API.
        redirect_uri: `http://localhost:PORT` or `http://127.0.0.1:PORT`.
        state: A text that the redirect repeats; None for none.
    """
    return _page(base_url, "/v1/auth/cli", {"redirect_uri": redirect_uri, "state": state})


def authorize_url(
    base_url: str, client_id: str, redirect_uri: str, *, state: str | None = None, scope: str | None = None
) -> str:
    """The URL of the page where a user authorizes a registered client ("OAuth2 Authorization Code Flow", step 1).

    Args:
        base_url: The base URL of the API.
        client_id: The id of the client.
        redirect_uri: A redirect URI that is registered for the client.
        state: A text that the redirect repeats; None for none.
        scope: Scopes separated by spaces; None for those of the client.
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
    # As in the reference, `:` and `/` are not encoded and a space is %20, which RFC 3986, section 3.4, allows.
    return f"{base_url.rstrip('/')}{path}?{urlencode(given, safe=':/', quote_via=quote)}"
