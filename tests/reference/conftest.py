"""One sandbox over HTTP for the whole of the reference."""

from collections.abc import Iterator
from datetime import UTC, datetime

import httpx2
import pytest
from anyio.from_thread import start_blocking_portal

from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.sandbox.serve import running
from tests.reference.cases import ACCOUNT, SCOPES, Ask
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
            scopes = {
                "only": [who[5:]],
                "but": [scope for scope in SCOPES if scope != who[4:]],
            }.get(who.split()[0])
            self._tokens[who] = self.app.state.sandbox.issue_tokens(account, scopes)["access_token"]
        return self._tokens[who]

    def send(self, ask: Ask) -> httpx2.Response:
        """Send a request, with the token it needs, and with the ids of calls in its path."""
        path = ask.path
        if "{" in path:
            number = path[path.index("{") + 1 : path.index("}")]
            path = path.replace(f"{{{number}}}", self._id(number))
        headers = {} if ask.token is None else {"Authorization": f"Bearer {self.token(ask.token)}"}
        return self.http.request(
            ask.method, path, json=ask.body, params=ask.params, headers=headers | ask.headers
        )

    def _id(self, number: str) -> str:
        """The id of a call to a number."""
        if number not in self._ids:
            self._ids[number] = self.send(Ask.call(respondent_phone=number)).json()["call_id"]
        return self._ids[number]


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    with (
        sandbox_app(
            clock=ManualClock(datetime(2026, 1, 25, 15, 30, tzinfo=UTC)), speed=1_000_000
        ) as app,
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(running(app)) as url,
        httpx2.Client(base_url=url, trust_env=False) as http,
    ):
        yield Service(app, url, http)
