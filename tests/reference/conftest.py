"""One sandbox over HTTP for the whole of the reference."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from anyio.from_thread import start_blocking_portal

from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.sandbox.serve import running
from tests.reference.cases import ACCOUNT, SCOPES, Ask
from tests.sandbox.auth import browser_client
from tests.sandbox.auth.requests import CREDENTIALS
from tests.sandbox.manual_clock import ManualClock
from tests.sandbox.sandbox_app import sandbox_app


class Service:
    """The sandbox; its calls take no time. `http` is a client without a token."""

    def __init__(self, app: SandboxApp, url: str, http: httpx2.Client) -> None:
        self.app, self.url, self.http = app, url, http
        self._tokens: dict[str, str] = {}
        self._ids: dict[str, str] = {}

    def token(self, who: str = "all") -> str:
        """An access token of `Ask.token`."""
        if who not in self._tokens:
            account = who if who.startswith("acct-") else ACCOUNT
            scopes = {"only": [who[5:]], "but": [scope for scope in SCOPES if scope != who[4:]]}.get(who.split()[0])
            self._tokens[who] = self.app.state.sandbox.issue_tokens(account, scopes)["access_token"]
        return self._tokens[who]

    def send(self, ask: Ask) -> httpx2.Response:
        """Send a request, with the token it needs, and with the ids of calls in its path."""
        path = ask.path
        if "{" in path:
            number = path[path.index("{") + 1 : path.index("}")]
            path = path.replace(f"{{{number}}}", self._id(number))
        headers = {} if ask.token is None else {"Authorization": f"Bearer {self.token(ask.token)}"}
        return self.http.request(ask.method, path, json=ask.body, params=ask.params, headers=headers | ask.headers)

    def _id(self, number: str) -> str:
        """The id of a call to a number."""
        if number not in self._ids:
            self._ids[number] = self.send(Ask.call(respondent_phone=number)).json()["call_id"]
        return self._ids[number]

    def authorize(self, **changes: str | None) -> tuple[dict[str, str], str]:
        """Let an OAuth client act for `ACCOUNT` in a browser; returns the query of the redirect, and where it went."""
        redirect_uri = f"{browser_client.NOBODY}/callback"
        asked = {"response_type": "code", "client_id": "sandbox-client", "redirect_uri": redirect_uri} | changes
        query = {name: value for name, value in asked.items() if value is not None}
        url = httpx2.URL(f"{self.url}/v1/auth/authorize", params=query)
        return browser_client.answer_of(str(url), account=ACCOUNT), redirect_uri

    def exchange(self, **changes: str) -> dict[str, Any]:
        """The tokens of the code flow, or of `changes` to its form."""
        if "refresh_token" not in changes:
            received, redirect_uri = self.authorize(scope=changes.pop("scope", None))
            changes = {"code": received["code"], "redirect_uri": redirect_uri, **changes}
        form = {"grant_type": "authorization_code", **CREDENTIALS, **changes}
        response = self.http.post("/v1/auth/gpt/token", data=form)
        assert response.status_code == 200, response.text
        tokens: dict[str, Any] = response.json()
        return tokens

    def accepts(self, access_token: str, path: str = "/v1/calls") -> bool:
        """Whether a request with this token is answered."""
        return self.http.get(path, headers={"Authorization": f"Bearer {access_token}"}).status_code == 200


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    with (
        sandbox_app(clock=ManualClock(datetime(2026, 1, 25, 15, 30, tzinfo=UTC)), speed=1_000_000) as app,
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(running(app)) as url,
        httpx2.Client(base_url=url, trust_env=False) as http,
    ):
        yield Service(app, url, http)
