"""An OAuth server on a real socket with the sandbox as KallyAI, MCP clients that sign in, and users
with browsers.
"""

import base64
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import unescape
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import httpx2
from starlette.requests import Request

from kallyai_mcp.auth.oauth_server.sealed_tokens import SealedTokens
from kallyai_mcp.cli.serve_http import build_app
from tests.processes import free_port
from tests.sandbox.auth.browser_client import submission
from tests.transports.http_server import LIMIT, RunningSandbox, running_app

OLD_KEY = hashlib.sha256(b"old").hexdigest()
KEY = hashlib.sha256(b"new").hexdigest()
OAUTH = {"CLIENT_ID": "sandbox-client", "CLIENT_SECRET": "sandbox-secret", "SECRET_KEYS": KEY}
"""Settings of the command for the hosted sign-in with the sandbox as KallyAI."""

REDIRECT = "http://127.0.0.1:5123/back"
"""The redirect URI of the tests' clients.

Nothing listens there, because a `User` does not open it.
"""

READ_SCOPES = "calls:read subscription:read"
VERIFIER = "v" * 43
"""The PKCE verifier of the tests' clients."""


@dataclass
class Deployment:
    """One worker: its URL and its issuer. The methods are what clients do."""

    url: str
    issuer: str
    http: httpx2.AsyncClient = field(repr=False)

    async def register(self, **metadata: Any) -> dict[str, Any]:
        """Register a client; unless `metadata` says otherwise it is public, with `REDIRECT`."""
        defaults = {
            "redirect_uris": [REDIRECT],
            "client_name": "Test Client",
            "token_endpoint_auth_method": "none",
        }
        answer = await self.http.post(f"{self.url}/oauth/register", json=defaults | metadata)
        assert answer.status_code == 201, answer.text
        registered: dict[str, Any] = answer.json()
        return registered

    async def new_client(self) -> str:
        """The client_id of a new client."""
        client_id: str = (await self.register())["client_id"]
        return client_id

    def authorize_url(self, client_id: str, **changes: str | None) -> str:
        """A correct authorization request with `changes` to its parameters; None leaves a parameter
        out.
        """
        challenge = hashlib.sha256(VERIFIER.encode()).digest()
        given: dict[str, str | None] = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": REDIRECT,
            "state": "the client's own",
            "scope": READ_SCOPES,
            "code_challenge": base64.urlsafe_b64encode(challenge).decode().rstrip("="),
            "code_challenge_method": "S256",
            "resource": f"{self.issuer}/mcp",
        }
        query = {name: value for name, value in (given | changes).items() if value is not None}
        return f"{self.url}/oauth/authorize?{urlencode(query)}"

    async def redeem(self, client_id: str, code: str, /, **changes: str) -> httpx2.Response:
        """Send a correct token request for a code, with `changes`."""
        form = {
            "grant_type": "authorization_code",
            "client_id": client_id,
            "code": code,
            "redirect_uri": REDIRECT,
        }
        return await self.post("token", form | {"code_verifier": VERIFIER} | changes)

    async def renew(self, tokens: Mapping[str, Any], **changes: str) -> httpx2.Response:
        """Send a correct token request for the refresh token of a sign-in (`sign_in`), with
        `changes`.
        """
        form = {name: tokens[name] for name in ("client_id", "refresh_token")} | {
            "grant_type": "refresh_token"
        }
        return await self.post("token", form | changes)

    async def post(self, name: str, form: Mapping[str, str]) -> httpx2.Response:
        return await self.http.post(f"{self.url}/oauth/{name}", data=dict(form))

    async def use(self, token: str, tool: str = "check_quota", **arguments: Any) -> httpx2.Response:
        """Call a tool in one request without a session."""
        params = {"name": tool, "arguments": arguments}
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/json, text/event-stream",
        }
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        return await self.http.post(f"{self.url}/mcp", json=message, headers=headers)


@asynccontextmanager
async def deploy(
    sandbox: RunningSandbox,
    *,
    fetch: Callable[[str], Awaitable[bytes]] | None = None,
    port: int | None = None,
    **changes: str,
) -> AsyncIterator[Deployment]:
    """Run one worker in this process, with the sandbox's clock and `changes` to the settings.

    All workers without a `DATABASE_URL` share an SQLite file in the sandbox's home.
    """
    port = port or free_port()
    own = {"AUTH": "oauth", "PUBLIC_URL": f"http://127.0.0.1:{port}", "RATE_LIMIT": "10000/minute"}
    settings = sandbox.settings(**OAUTH | own | changes)
    app = build_app(
        settings, "127.0.0.1", clock=lambda: sandbox.clock.now().timestamp(), fetch=fetch
    )
    async with running_app(app, port=port) as url, httpx2.AsyncClient(timeout=LIMIT) as http:
        yield Deployment(url, settings.public_url or url, http)


def seals(server: Deployment) -> SealedTokens:
    """What seals and opens a server's tokens."""
    return SealedTokens([bytes.fromhex(KEY)], server.issuer, lambda: 0)


def opened(server: Deployment, access_token: str) -> dict[str, Any]:
    """What is sealed in an access token."""
    return seals(server).open(access_token, "access") or {}


def answer_in(url: str) -> dict[str, str]:
    """The parameters of an authorization response."""
    return dict(parse_qsl(urlsplit(url).query))


def flow_in(page: httpx2.Response) -> str:
    """The name of the flow of a consent page."""
    return page.text.partition('name="flow" value="')[2].partition('"')[0]


class User:
    """A user with a browser: it has cookies, submits forms, and opens the URLs of pages that
    refresh themselves.
    """

    def __init__(self, account: str = "acct-personal", language: str = "en") -> None:
        self.account = account
        headers = {"Accept": "text/html", "Accept-Language": language}
        self.http = httpx2.AsyncClient(headers=headers, timeout=LIMIT)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    async def open(self, url: str) -> httpx2.Response:
        """The page at `url`, or the consent page that it leads to."""
        page = await self.http.get(url)
        location = page.headers.get("location", "")
        return (
            await self.http.get(urljoin(url, location))
            if location.startswith("/oauth/consent?")
            else page
        )

    async def press(self, page: httpx2.Response, value: str) -> httpx2.Response:
        """Press the button with that value, or the only button, and submit its form as a browser
        does.
        """
        return await self.http.request(**submission(page, value))

    async def sign_in(self, url: str) -> str:
        """Sign in at KallyAI and allow us; returns our callback URL with its answer."""
        page = await self.press(await self.press(await self.open(url), "google"), self.account)
        consent = await self.http.get(urljoin(str(page.url), page.headers["location"]))
        sent_back = await self.press(consent, "allow")
        return sent_back.headers["location"]

    async def callback_url(self, url: str) -> str:
        """Allow the authorization request at `url`, and sign in; returns our callback URL with
        KallyAI's answer.
        """
        allowed = await self.press(await self.open(url), "allow")
        return await self.sign_in(next_url(allowed))

    async def allow(self, url: str) -> str:
        """The whole sign-in; returns the client's redirect URI with the authorization response."""
        return next_url(await self.open(await self.callback_url(url)))

    async def code(self, url: str) -> str:
        """The whole sign-in; returns the code."""
        return answer_in(await self.allow(url))["code"]


def next_url(page: httpx2.Response) -> str:
    """The URL that a page opens by itself."""
    found = re.search(r'<meta http-equiv="refresh" content="0;url=([^"]*)">', page.text)
    assert page.status_code == 200, page.text
    assert found is not None, page.text
    return unescape(found[1])


async def sign_in(
    deployment: Deployment, user: User, client_id: str | None = None, **changes: str
) -> dict[str, Any]:
    """The whole sign-in and the token request; returns the token response, with the `client_id`."""
    client_id = client_id or await deployment.new_client()
    answer = await deployment.redeem(
        client_id, await user.code(deployment.authorize_url(client_id, **changes))
    )
    assert answer.status_code == 200, answer.text
    return {**answer.json(), "client_id": client_id}


class OddKallyAI:
    """A service whose tokens name no account, and which accepts its codes and refresh tokens more
    than once.
    """

    def __init__(self) -> None:
        self.scope: str | None = None
        self.refresh_token: str | None = "kept"
        self.given = 0

    def __call__(self, _: Request) -> tuple[int, Any]:
        self.given += 1
        answer = {
            "access_token": f"opaque-{self.given}",
            "refresh_token": self.refresh_token,
            "scope": self.scope,
        }
        return 200, {name: value for name, value in answer.items() if value is not None}

    async def code(self, server: Deployment, user: User, client_id: str) -> str:
        """The code for an authorization request, with the service's own pages left out."""
        allowed = await user.press(await user.open(server.authorize_url(client_id)), "allow")
        state = answer_in(next_url(allowed))["state"]
        return answer_in(
            next_url(await user.open(f"{server.url}/oauth/callback?code=its-own&state={state}"))
        )["code"]
