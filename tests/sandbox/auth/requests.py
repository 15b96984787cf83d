"""Requests of the sign-in's tests."""

import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import jwt

LOOPBACK = "http://127.0.0.1:9999/callback"
CREDENTIALS = {"client_id": "sandbox-client", "client_secret": "sandbox-secret"}
PARTNER = {"client_id": "sandbox-partner", "client_secret": "partner-secret"}
SCRIPT = "\"'><script>alert(1)</script>"


def request_token_in(page: httpx2.Response) -> str:
    """Return the request token in a page's forms."""
    assert page.status_code == 200, page.text
    (request_token,) = set(re.findall(r'name="request" value="([^"]+)"', page.text))
    return unescape(str(request_token))


def query_of(response: httpx2.Response) -> dict[str, str]:
    """Return the query of a redirect; a repeated parameter fails."""
    assert response.status_code == 303, response.text
    query = parse_qs(urlsplit(response.headers["location"]).query, keep_blank_values=True)
    return {name: value for name, (value,) in query.items()}


def error_of(response: httpx2.Response, status: int) -> str:
    """Return the code of an error in the reference's format with `Cache-Control: no-store`."""
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert error.keys() == {"code", "details", "correlation_id"}
    assert response.headers["cache-control"] == "no-store"
    if status == 401:
        assert response.headers["www-authenticate"].startswith(("Bearer ", "Basic "))
    return str(error["code"])


def reason_of(response: httpx2.Response) -> str:
    """Return the reason of an error."""
    return str(response.json()["error"]["details"]["reason"])


async def new_code(client: httpx2.AsyncClient, **changes: str) -> str:
    """Return a new authorization code for `sandbox-client` and `acct-personal`."""
    query = {
        "response_type": "code",
        "client_id": "sandbox-client",
        "redirect_uri": LOOPBACK,
        "state": "s",
    } | changes
    first = await client.get("/v1/auth/authorize", params=query)
    form = {"request": request_token_in(first), "account": "acct-personal"}
    chosen = await client.post("/v1/auth/sign-in", data=form)
    consent = await client.get(f"/v1/auth/{chosen.headers['location']}")
    form = {"request": request_token_in(consent), "decision": "allow"}
    return query_of(await client.post("/v1/auth/consent", data=form))["code"]


async def exchange(client: httpx2.AsyncClient, code: str, **changes: str) -> httpx2.Response:
    """Exchange a code: step 2 of the reference's code flow."""
    form = (
        {"grant_type": "authorization_code", "code": code, "redirect_uri": LOOPBACK}
        | CREDENTIALS
        | changes
    )
    return await client.post("/v1/auth/gpt/token", data=form)


async def renew(client: httpx2.AsyncClient, refresh_token: str, **changes: str) -> httpx2.Response:
    """Refresh tokens: step 3 of the reference's code flow."""
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token} | CREDENTIALS | changes
    return await client.post("/v1/auth/gpt/token", data=form)


def claims_of(token: str) -> dict[str, Any]:
    """The claims of a token, read without a check of its signature."""
    claims: dict[str, Any] = jwt.decode(
        token, options={"verify_signature": False, "verify_exp": False}
    )
    return claims


async def guarded(client: httpx2.AsyncClient, access_token: str) -> httpx2.Response:
    """Request an endpoint that needs `calls:read`."""
    return await client.get("/v1/calls", headers={"Authorization": f"Bearer {access_token}"})
