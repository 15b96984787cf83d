"""Requests of the sign-in's tests, a loopback listener of a program, and a server for one application."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx2
import uvicorn
from fastapi import FastAPI

LOOPBACK = "http://127.0.0.1:9999/callback"
CREDENTIALS = {"client_id": "sandbox-client", "client_secret": "sandbox-secret"}
PARTNER = {"client_id": "sandbox-partner", "client_secret": "partner-secret"}
SCRIPT = "\"'><script>alert(1)</script>"


class Listener:
    """A program's loopback listener: it records the query of the redirect and shows a page."""

    def __init__(self, port: int, queries: list[dict[str, str]]) -> None:
        self.redirect_uri = f"http://127.0.0.1:{port}"
        self._queries = queries

    @property
    def received(self) -> dict[str, str]:
        """The query of the only redirect."""
        (query,) = self._queries
        return query


def _answering(queries: list[dict[str, str]], location: str | None) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/done":
                self._answer(200, "<!doctype html><title>Done</title><p>You may close this page.")
            elif self.path == "/broken":
                self._answer(500, "<p>access_token=leaked")
            else:
                queries.append(dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True)))
                self._answer(303, "", location)

        def _answer(self, status: int, html: str, location: str | None = None) -> None:
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(html.encode())))
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
            """Print nothing."""

    return Handler


@contextmanager
def listening(location: str = "/done") -> Iterator[Listener]:
    """Run a listener on a free port that redirects to `location`."""
    queries: list[dict[str, str]] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), _answering(queries, location)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield Listener(server.server_port, queries)
        finally:
            server.shutdown()
            thread.join(10)


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Serve the application with uvicorn on a free port, and yield its base URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, lifespan="off", ws="none", log_config=None, access_log=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)
            assert not thread.is_alive()


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


async def consent_page(client: httpx2.AsyncClient, **changes: str) -> httpx2.Response:
    """Return the consent page of an OAuth client, after `acct-personal` was chosen."""
    query = {"response_type": "code", "client_id": "sandbox-client", "redirect_uri": LOOPBACK, "state": "s"} | changes
    first = await client.get("/v1/auth/authorize", params=query)
    chosen = await client.post(
        "/v1/auth/sign-in", data={"request": request_token_in(first), "account": "acct-personal"}
    )
    assert chosen.status_code == 303, chosen.text
    return await client.get(f"/v1/auth/{chosen.headers['location']}")


async def new_code(client: httpx2.AsyncClient, **changes: str) -> str:
    """Return a new authorization code for `sandbox-client` and `acct-personal`."""
    request_token = request_token_in(await consent_page(client, **changes))
    allowed = await client.post("/v1/auth/consent", data={"request": request_token, "decision": "allow"})
    return query_of(allowed)["code"]


async def exchange(client: httpx2.AsyncClient, code: str, **changes: str) -> httpx2.Response:
    """Exchange a code: step 2 of the reference's code flow."""
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": LOOPBACK} | CREDENTIALS | changes
    return await client.post("/v1/auth/gpt/token", data=form)


async def renew(client: httpx2.AsyncClient, refresh_token: str, **changes: str) -> httpx2.Response:
    """Refresh tokens: step 3 of the reference's code flow."""
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token} | CREDENTIALS | changes
    return await client.post("/v1/auth/gpt/token", data=form)


async def guarded(client: httpx2.AsyncClient, access_token: str) -> httpx2.Response:
    """Request an endpoint that needs `calls:read`."""
    return await client.get("/guarded", headers={"Authorization": f"Bearer {access_token}"})
