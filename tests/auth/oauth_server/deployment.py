"""An OAuth server on a real socket with the sandbox as KallyAI, MCP clients that sign in, and users with browsers."""

import base64
import hashlib
import re
import secrets
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from html.parser import HTMLParser
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import anyio
import httpx2
from mcp.server.auth.provider import AccessToken
from starlette.middleware import Middleware

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.auth.oauth_server.metadata_documents import DocumentError
from kallyai_mcp.auth.oauth_server.provider import Provider, check_public_url
from kallyai_mcp.auth.oauth_server.routes import RateLimit, oauth_routes
from kallyai_mcp.auth.oauth_server.scopes import ScopeMiddleware
from kallyai_mcp.auth.oauth_server.sealed_tokens import SealedTokens
from kallyai_mcp.cli.app_context import open_app_context
from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.server.build import build_server
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools.catalog import tools
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.transports.access_policy import AccessPolicy
from kallyai_mcp.transports.asgi_app import http_app
from kallyai_mcp.transports.limits import VerificationUnavailableError
from kallyai_mcp.transports.status_routes import Readiness
from kallyai_mcp.transports.uvicorn_server import serve_app
from tests.processes import free_port
from tests.transports.http_server import LIMIT, RunningSandbox

OLD_KEY = hashlib.sha256(b"old").hexdigest()
KEY = hashlib.sha256(b"new").hexdigest()
REDIRECT = "http://127.0.0.1:5123/back"
"""The redirect URI of the tests' clients. Nothing listens there, because a `User` does not open it."""

READ_SCOPES = "calls:read subscription:read"


async def fetch_nothing(_: str) -> bytes:
    raise DocumentError("there are no documents in this test")


async def unknown(_: str) -> AccessToken | None:
    raise AssertionError("this worker is in another process")


@dataclass
class Deployment:
    """One worker: its URL, its issuer, and (if it is in this process) its verifier of bearers."""

    url: str
    issuer: str
    http: httpx2.AsyncClient = field(repr=False)
    verify: Callable[[str], Awaitable[AccessToken | None]] = field(repr=False, default=unknown)

    async def register(self, **metadata: Any) -> dict[str, Any]:
        """Register a client; unless `metadata` says otherwise it is public, with `REDIRECT`."""
        defaults = {"redirect_uris": [REDIRECT], "client_name": "Test Client", "token_endpoint_auth_method": "none"}
        answer = await self.http.post(f"{self.url}/oauth/register", json=defaults | metadata)
        assert answer.status_code == 201, answer.text
        registered: dict[str, Any] = answer.json()
        return registered

    async def post(self, name: str, form: Mapping[str, str], **more: Any) -> httpx2.Response:
        return await self.http.post(f"{self.url}/oauth/{name}", data=dict(form), **more)

    async def use(self, token: str, tool: str, **arguments: Any) -> httpx2.Response:
        """Call a tool in one request without a session."""
        params = {"name": tool, "arguments": arguments}
        return await self.send(token, {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})

    async def send(self, token: str, message: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream"}
        return await self.http.post(f"{self.url}/mcp", json=message, headers=headers)


@asynccontextmanager
async def deploy(
    sandbox: RunningSandbox,
    *,
    keys: str = KEY,
    public_url: str | None = None,
    database_url: str | None = None,
    rate: RateLimit | None = None,
    fetch: Callable[[str], Awaitable[bytes]] = fetch_nothing,
    client_secret: str = "sandbox-secret",
    port: int | None = None,
    api_url: str | None = None,
) -> AsyncIterator[Deployment]:
    """Run one worker in this process, with the sandbox's clock.

    `rate` limits each endpoint, `public_url` is that of a proxy before the worker, and `api_url` another service in
    place of the sandbox. All workers without `database_url` share an SQLite file in the sandbox's home.
    """
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    api_url = api_url or sandbox.url
    database = {"DATABASE_URL": database_url, "SECRET_KEYS": keys} if database_url is not None else {}
    connection = Connection(sandbox.settings(API_URL=api_url, **database), callers=True)
    issuer = check_public_url(public_url or url)

    def clock() -> float:
        return sandbox.clock.now().timestamp()

    provider = Provider(
        issuer=issuer,
        sealed_tokens=SealedTokens(Settings.from_env({"KALLYAI_SECRET_KEYS": keys}).secret_keys, clock),
        shared_state=connection.shared_state(),
        fetch=fetch,
        api=connection.api,
        client_id="sandbox-client",
        client_secret=client_secret,
        tool_scopes={tool.name: tool.spec.scopes for tool in tools()},
        clock=clock,
    )
    routes = oauth_routes(provider, urlsplit(api_url).netloc, rate)
    contexts: list[AppContext] = []

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with open_app_context(connection, links=False) as app_context:
            contexts.append(app_context)
            yield

    @asynccontextmanager
    async def open_context() -> AsyncIterator[AppContext]:
        yield contexts[0]

    async def verify(bearer: str) -> AccessToken | None:
        try:
            return await provider.load_access_token(bearer)
        except KallyAIError as error:
            raise VerificationUnavailableError(error.retry_after or 5) from error

    access_policy = AccessPolicy(
        hosts=None,
        origins=(issuer,),
        verifier=verify,
        is_known=provider.is_known,
        issuer=issuer,
        scopes=provider.default_scopes,
        public_url=issuer,
        open_paths=frozenset(route.path for route in routes),
    )
    app = http_app(
        build_server(open_context),
        access_policy,
        readiness=Readiness({}),
        lifespan=lifespan(),
        routes=routes,
        middleware=[Middleware(ScopeMiddleware, issuer=issuer, tool_scopes=provider.tool_scopes)],
    )
    up = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(serve_app, app, "127.0.0.1", port, ready=lambda _: up.set()))
        with anyio.fail_after(LIMIT):
            await up.wait()
        async with httpx2.AsyncClient(timeout=LIMIT) as http:
            yield Deployment(url, issuer, http, provider.load_access_token)
        tasks.cancel_scope.cancel()


@dataclass(frozen=True)
class AuthRequest:
    """An authorization request, and the verifier of its challenge."""

    url: str
    verifier: str
    client_id: str

    @classmethod
    def to(cls, deployment: Deployment, client_id: str, **changes: str | None) -> "AuthRequest":
        """A correct request with `changes` to its parameters; None leaves a parameter out."""
        verifier = secrets.token_urlsafe(48)
        given: dict[str, str | None] = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": REDIRECT,
            "state": "the client's own",
            "scope": READ_SCOPES,
            "code_challenge": challenge_of(verifier),
            "code_challenge_method": "S256",
            "resource": f"{deployment.issuer}/mcp",
        }
        query = {name: value for name, value in (given | changes).items() if value is not None}
        return cls(f"{deployment.url}/oauth/authorize?{urlencode(query)}", verifier, client_id)

    def form(self, code: str, **changes: str) -> dict[str, str]:
        """The token request for its code."""
        given = {
            "grant_type": "authorization_code",
            "code": code,
            "client_id": self.client_id,
            "redirect_uri": REDIRECT,
            "code_verifier": self.verifier,
        }
        return given | changes


def challenge_of(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def answer_in(url: str) -> dict[str, str]:
    """The parameters of an authorization response."""
    return dict(parse_qsl(urlsplit(url).query))


class _Forms(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.forms: list[dict[str, Any]] = []
        self.buttons: list[tuple[dict[str, Any], dict[str, str]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append({"action": given["action"], "method": given["method"], "fields": {}})
        elif tag == "input":
            self.forms[-1]["fields"][given["name"]] = given["value"]
        elif tag == "button":
            pressed = {given["name"]: given["value"]} if "name" in given else {}
            self.buttons.append((self.forms[-1], pressed))


class User:
    """A user with a browser: it has cookies, submits forms, and opens the URLs of pages that refresh themselves."""

    def __init__(
        self, account: str = "acct-personal", language: str = "en", verify: ssl.SSLContext | bool = True
    ) -> None:
        self.account = account
        headers = {"Accept": "text/html", "Accept-Language": language, "Sec-Fetch-Mode": "navigate"}
        self.http = httpx2.AsyncClient(headers=headers, timeout=LIMIT, verify=verify)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    async def open(self, url: str) -> httpx2.Response:
        return await self.http.get(url)

    async def press(self, page: httpx2.Response, value: str, **fields: str) -> httpx2.Response:
        """Press the button with that value, or the only button, and submit its form as a browser does."""
        form, pressed = next(
            (form, pressed) for form, pressed in _Forms(page.text).buttons if value in pressed.values() or not pressed
        )
        target, filled = urljoin(str(page.url), form["action"]), form["fields"] | pressed | fields
        if form["method"] == "get":
            return await self.http.get(target, params=filled)
        parts = urlsplit(target)
        headers = {"Origin": f"{parts.scheme}://{parts.netloc}", "Sec-Fetch-Site": "same-origin"}
        return await self.http.post(target, data=filled, headers=headers)

    async def sign_in(self, url: str) -> str:
        """Sign in at KallyAI and allow us; returns our callback URL with its answer."""
        page = await self.press(await self.press(await self.open(url), "google"), self.account)
        consent = await self.http.get(urljoin(str(page.url), page.headers["location"]))
        sent_back = await self.press(consent, "allow")
        return sent_back.headers["location"]

    async def callback_url(self, url: str) -> str:
        """Allow the authorization request at `url`, and sign in; returns our callback URL with KallyAI's answer."""
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
    assert page.status_code == 200, page.text
    found = re.search(r'<meta http-equiv="refresh" content="0;url=([^"]*)">', page.text)
    assert found is not None, page.text
    return found[1].replace("&amp;", "&").replace("&#x27;", "'")


async def sign_in(deployment: Deployment, user: User, client_id: str | None = None, **changes: str) -> dict[str, Any]:
    """The whole sign-in and the token request; returns the token response, with the `client_id`."""
    client_id = client_id or (await deployment.register())["client_id"]
    auth_request = AuthRequest.to(deployment, client_id, **changes)
    answer = await deployment.post("token", auth_request.form(await user.code(auth_request.url)))
    assert answer.status_code == 200, answer.text
    return {**answer.json(), "client_id": client_id}
