"""One sandbox over HTTP for each module, and agents that use the tools against it."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from kallyai_mcp.api.client import KallyAI
from kallyai_mcp.auth.session import StaticTokens
from kallyai_mcp.sandbox import browser_client
from kallyai_mcp.sandbox.accounts import Provider
from kallyai_mcp.sandbox.app import SandboxApp, create_app
from kallyai_mcp.sandbox.serve import running
from tests.agent import Agent, Answer, open_agent, settings_in
from tests.sandbox.auth.requests import listening
from tests.sandbox.manual_clock import ManualClock

EXAMPLE = {
    "task_category": "restaurant",
    "task_description": "Reserve table for 4",
    "respondent_phone": "+14155551234",
    "business_name": "Italian Bistro",
    "user_name": "Sample Guest",
    "appointment_date": "2026-01-28",
    "appointment_time": "19:00",
    "party_size": 4,
}
ACCOUNT = "acct-business"
"""The account with minutes for hundreds of calls."""


def example(name: str) -> Any:
    """A payload of the reference."""
    return json.loads((Path(__file__).parent / f"{name}.json").read_text(encoding="utf-8"))


class Service:
    """The sandbox over HTTP, and the tools.

    Attributes:
        url: The base URL.
        http: A client of that URL, without a token.
        app: The sandbox.
    """

    def __init__(self, portal: BlockingPortal, stack: ExitStack, home: Callable[[], Path]) -> None:
        self._portal, self._stack, self._home = portal, stack, home
        self._clock = ManualClock(datetime(2026, 1, 25, 15, 30, tzinfo=UTC))
        self.app: SandboxApp = create_app(clock=self._clock, speed=1_000_000)  # the calls take no time
        stack.callback(self.app.state.sandbox.close)
        self.url: str = stack.enter_context(portal.wrap_async_context_manager(running(self.app)))
        self.http = stack.enter_context(httpx2.Client(base_url=self.url, trust_env=False))
        self._agents: dict[str, Agent] = {}
        self._tokens: dict[tuple[str, ...], str] = {}

    def token(self, account: str = ACCOUNT, *scopes: str) -> str:
        """An access token of a first-party sign-in, with all scopes unless some are given."""
        key = (account, *scopes)
        if key not in self._tokens:
            self._tokens[key] = self.app.state.sandbox.issue_tokens(account, list(scopes) or None)["access_token"]
        return self._tokens[key]

    def get(self, path: str, token: str | None = None, **params: Any) -> httpx2.Response:
        return self.http.get(path, params=params, headers=bearer(token or self.token()))

    def json(self, path: str, token: str | None = None, **params: Any) -> Any:
        response = self.get(path, token, **params)
        assert response.status_code == 200, response.text
        return response.json()

    def post_call(
        self, changes: dict[str, Any] | None = None, *, token: str | None = None, key: str | None = None, **request: Any
    ) -> httpx2.Response:
        """`POST /v1/calls` with the example, and `changes` to its submission; None leaves a field out."""
        body = {"submission": changed(changes), "timezone": "America/New_York", **request}
        headers = bearer(token or self.token()) | ({"Idempotency-Key": key} if key else {})
        return self.http.post("/v1/calls", json=body, headers=headers)

    def use(
        self, tool: str, arguments: dict[str, Any] | None = None, *, token: str | None = None, user: str = ""
    ) -> Answer:
        """Use a tool with this token; with "" nobody is signed in, until this user has done so."""
        token = self.token() if token is None else token
        key = token + user
        if key not in self._agents:
            settings = settings_in(self._home(), API_URL=self.url, ACCESS_TOKEN=token)
            opened = open_agent(settings, mode="auto", clock=self._clock)
            self._agents[key] = self._stack.enter_context(self._portal.wrap_async_context_manager(opened))
        answer: Answer = self._portal.call(self._agents[key].use, tool, arguments)
        return answer

    def make_call(self, changes: dict[str, Any] | None = None, *, token: str | None = None, **more: Any) -> Answer:
        """`make_call` with the example."""
        arguments = {"timezone": "America/New_York", **changed(changes), **more}
        return self.use("make_call", arguments, token=token)

    def authorize(self, *, provider: Provider = "google", **changes: str | None) -> tuple[dict[str, str], str]:
        """Let an OAuth client act for `ACCOUNT` in a browser; returns the query of the redirect, and where it went."""
        with listening() as listener:
            redirect_uri = f"{listener.redirect_uri}/callback"
            asked = {"response_type": "code", "client_id": "sandbox-client", "redirect_uri": redirect_uri, **changes}
            query = {name: value for name, value in asked.items() if value is not None}
            browser_client.sign_in(
                str(httpx2.URL(f"{self.url}/v1/auth/authorize", params=query)), account=ACCOUNT, provider=provider
            )
            return listener.received, redirect_uri

    def exchange(self, **changes: str) -> dict[str, Any]:
        """The tokens of the code flow, or of `changes` to its form."""
        if "refresh_token" not in changes:
            received, redirect_uri = self.authorize(scope=changes.pop("scope", None))
            changes = {"code": received["code"], "redirect_uri": redirect_uri, **changes}
        form = {"grant_type": "authorization_code", "client_id": "sandbox-client", "client_secret": "sandbox-secret"}
        response = self.http.post("/v1/auth/gpt/token", data=form | changes)
        assert response.status_code == 200, response.text
        tokens: dict[str, Any] = response.json()
        return tokens

    def client(self, token: str | None = None) -> KallyAI:
        """The API client that the tools use."""
        tokens = StaticTokens(token or self.token())
        return KallyAI(self.url, tokens=tokens, user_agent="tests", retry_backoff=0)

    def call(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Call an async function."""
        return self._portal.call(partial(function, *arguments, **named))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def changed(changes: dict[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (EXAMPLE | (changes or {})).items() if value is not None}


def code_of(response: httpx2.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with start_blocking_portal("asyncio") as portal, ExitStack() as stack:
        yield Service(portal, stack, lambda: tmp_path_factory.mktemp("home"))
