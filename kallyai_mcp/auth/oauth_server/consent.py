"""The endpoints that a browser opens, and their pages: authorize, consent, callback, sign-out, and
the home page.

A browser is sent to a redirect URI only if the URI is the client's. Anybody can register a client
with any URI, so an error does not send the user there (RFC 9700, section 4.11.2), as the SDK's
handler would: the page says what is wrong.
"""

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from mcp.server.auth.handlers.authorize import AuthorizationHandler
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from kallyai_mcp.auth.oauth_server.browsers import Browser, button_of, digest_of
from kallyai_mcp.auth.oauth_server.clients import ClientError
from kallyai_mcp.auth.oauth_server.forms import fields_of, form_of
from kallyai_mcp.auth.oauth_server.provider import CODE_SECONDS, Provider
from kallyai_mcp.auth.oauth_server.stored import App
from kallyai_mcp.auth.pages import document, fill, page_headers
from kallyai_mcp.cards.texts import Language, preferred_language, texts
from kallyai_mcp.urls import is_loopback

_HERE = "kallyai_mcp.auth.oauth_server"

_PROBLEM_OF = {
    "invalid_scope": "scope",
    "invalid_target": "target",
    "server_error": "trouble",
    "temporarily_unavailable": "trouble",
}
"""What a person reads about the code of a request's error; about any other: `request`."""

_HEADING_OF = dict.fromkeys(("request", "scope", "target"), "client")
"""The heading of the problems of an app; any other has its own."""


@dataclass(frozen=True, repr=False)
class Consent:
    """The endpoints. A browser keeps a `flow` for each request of a client, with its `family`.

    The family can't be guessed. It stands only in the consent page until the user allows the
    request, and then in the `state` that KallyAI sends back. So only the browser with the page can
    allow the request, and only that browser can come back from KallyAI. Then the flow ends, and the
    client is an app that was connected in that browser.
    """

    provider: Provider

    async def home(self, request: Request) -> Response:
        """`GET /`: what this server is, how to connect an app, and the apps that were connected in
        this browser.
        """
        url = f"{self.provider.issuer}/mcp"
        cursor = quote(base64.b64encode(json.dumps({"url": url}).encode()))
        vs_code = quote(json.dumps({"type": "http", "url": url}))
        browser = self._browser(request)
        apps = await browser.apps()
        language = _language(request)
        items = "".join(_row(family, app, language) for family, app in apps.items())
        shown = fill(_HERE, "apps", language, {"html_items": items})["some" if items else "none"]
        values = {"url": url, "cursor": cursor, "vs_code": vs_code, "html_apps": shown}
        response = self._page(request, "home", values, {})
        browser.stay(response)
        return response

    async def authorize(self, request: Request) -> Response:
        """`GET /oauth/authorize`: the SDK's handler sends the browser to the consent page."""
        try:
            of_request = await self.provider.of_request(request.query_params)
        except ClientError as error:
            return self._problem(request, "client", f"The app can't be used: {error}.")
        answer = await AuthorizationHandler(of_request).handle(request)
        location = answer.headers.get("Location", "")
        # The consent page: an address of a client begins with its scheme.
        if location.startswith("/"):
            return answer
        given = dict(parse_qsl(urlsplit(location).query))
        code = given.get("error", "")
        details = f"{code}: {given.get('error_description')}"
        return self._problem(request, _PROBLEM_OF.get(code, "request"), details)

    async def show(self, request: Request) -> Response:
        """`GET /oauth/consent`: the consent page."""
        asked = self.provider.sealed_tokens.open(request.query_params.get("request"), "request")
        if asked is None:
            return self._problem(request, "elsewhere")
        flow = asked | {"family": secrets.token_urlsafe(16), "generation": 0}
        may = fill(_HERE, "scopes", _language(request), {})
        kind, destination = _destination(flow["redirect_uri"])
        values = {name: flow[name] or destination for name in ("family", "name", "publisher")}
        before, after = _around(destination, flow["redirect_uri"])
        scopes = "".join(
            f"<li>{text}</li>" for scope, text in may.items() if scope in flow["scopes"]
        )
        address = {"before": before, "destination": destination, "after": after}
        words = {"origin": _origin(flow, destination), "sent": f"sent_{kind}"}
        shown = {**values, **address, "html_scopes": scopes}
        response = self._page(request, "consent", shown, words)
        browser = self._browser(request)
        browser.keep_flow(response, flow)
        browser.stay(response)
        return response

    async def decide(self, request: Request) -> Response:
        """`POST /oauth/consent`: takes the user's decision, and sends the browser to KallyAI or
        back to the client.
        """
        form = await fields_of(request)
        flow = self._browser(request).flow(form.get("flow", ""))
        if flow is None:
            return self._problem(request, "elsewhere")
        if form.get("decision") == "allow":
            return self._forward(request, "to_kallyai", self.provider.kallyai_url(flow))
        return self._back(request, flow, error="access_denied")

    async def callback(self, request: Request) -> Response:
        """`GET /oauth/callback`: gets the browser from KallyAI, and sends it to the client with our
        code.
        """
        code = request.query_params.get("code", "")
        error = request.query_params.get("error", "")
        flow = self._browser(request).flow(request.query_params.get("state", ""))
        if flow is None:
            return self._problem(request, "elsewhere")
        if code and not error:
            return await self._connect(request, flow, code)
        return self._back(
            request, flow, error=error if error == "access_denied" else "server_error"
        )

    async def sign_out(self, request: Request) -> Response:
        """`POST /oauth/sign-out`: revokes the tokens of the app whose button was pressed, or of all
        apps that were connected in this browser.

        The user stays signed in at KallyAI, and apps that were connected in another browser keep
        their tokens.
        """
        form = await form_of(request)
        if form is None:
            return self._problem(request, "elsewhere")
        browser = self._browser(request)
        if "app" in form:
            await browser.disconnect(form["app"])
        else:
            await browser.disconnect_all()
        return RedirectResponse("/#apps", 303)

    def _problem(self, request: Request, kind: str, details: str = "") -> Response:
        """The page that says why the sign-in can't go on, with `details` for the client's
        developer.
        """
        language = _language(request)
        shown = ""
        if details:
            shown = fill(_HERE, "details", language, {"details": details})["html"]
        words = {"heading": _HEADING_OF.get(kind, kind), "text": f"{kind}_text"}
        return self._page(request, "problem", {"html_details": shown}, words)

    async def _connect(self, request: Request, flow: Mapping[str, Any], code: str) -> Response:
        """The page that goes back to the client with our code, KallyAI's `code` inside."""
        browser = self._browser(request)
        sealed_id = await browser.own_id()
        name = digest_of(sealed_id)
        app = App(flow["name"] or "", self.provider.sealed_tokens.today())
        await self.provider.stored.add_app(name, flow["family"], app)
        content = {**flow, "token": code, "browser": name}
        ours = self.provider.sealed_tokens.seal("code", content, CODE_SECONDS)
        response = self._back(request, flow, code=ours)
        browser.keep_id(response, sealed_id)
        return response

    def _back(self, request: Request, flow: Mapping[str, Any], **answer: str) -> Response:
        """The page that goes back to the client, and ends the flow."""
        uri = flow["redirect_uri"]
        state = {} if flow["state"] is None else {"state": flow["state"]}
        # With our issuer URL (RFC 9207).
        query = urlencode(answer | state | {"iss": self.provider.issuer})
        separator = "&" if "?" in uri else "?"
        response = self._forward(request, "to_client", f"{uri}{separator}{query}")
        self._browser(request).end_flow(response, flow["family"])
        return response

    def _forward(self, request: Request, to: str, url: str) -> Response:
        """A page that opens `url` by itself, with a link in case that does not work.

        It is no redirect: Chromium applies the form-action policy of a page to all redirects after
        its form, and we can't know those of KallyAI or the client.
        """
        words = {"heading": to, "button": f"open_{to}", "note": f"after_{to}"}
        return self._page(request, "forward", {"url": url}, words)

    def _browser(self, request: Request) -> Browser:
        return Browser(self.provider, request)

    def _page(
        self, request: Request, page: str, values: Mapping[str, str], words: Mapping[str, str]
    ) -> Response:
        """A page with `values`, and with the texts that are named by `words`."""
        language = _language(request)
        host = urlsplit(self.provider.api().base_url).netloc
        filled = fill(_HERE, page, language, {**values, "host": host}, words)
        parts = {name: filled[name] for name in ("heading", "head", "footer")}
        brand = urlsplit(self.provider.issuer).netloc
        script = _copy_script() if page == "home" else ""
        html = document(language, brand=brand, body=filled["html"], script=script, **parts)
        status = 400 if page == "problem" else 200
        headers = page_headers(forms="<form" in html, script=script)
        return HTMLResponse(html, status, headers=headers)


@cache
def _copy_script() -> str:
    return files(_HERE).joinpath("copy.js").read_text(encoding="utf-8")


def _row(family: str, app: App, language: Language) -> str:
    """The row of a connected app: its name, the day since when, and the button that disconnects."""
    words = fill(_HERE, "app", language, {"day": _day(app.since, language)})
    since = f' <span class="soft">{words["since"]}</span>' if app.since else ""
    name = escape(app.name or "…")
    button = f'<button name="app" value="{button_of(family)}">{words["disconnect"]}</button>'
    return f'<li class="app"><span><bdi>{name}</bdi>{since}</span>{button}</li>'


def _day(day: str, language: Language) -> str:
    """A day (ISO 8601) in words: "Nov 24, 2026", "24 de noviembre de 2026"."""
    if not day:
        return ""
    at = date.fromisoformat(day)
    months = texts(language, "forms")["months"].split()
    month = months[at.month - 1]
    if language == "es":
        return f"{at.day} de {month} de {at.year}"
    return f"{month} {at.day}, {at.year}"


def _destination(redirect_uri: str) -> tuple[str, str]:
    """Where a redirect URI leads (`app`, `here`, or `web`), and the scheme or host to show."""
    parts = urlsplit(redirect_uri)
    if parts.scheme not in ("http", "https"):
        return "app", f"{parts.scheme}:"
    return "here" if is_loopback(parts.hostname) else "web", parts.netloc.lower()


def _around(destination: str, uri: str) -> tuple[str, str]:
    """What stands before and after a destination in its redirect URI."""
    start = 0 if destination.endswith(":") else uri.index("//") + 2
    return uri[:start], uri[start + len(destination) :]


def _origin(flow: Mapping[str, Any], destination: str) -> str:
    """What is known of a client's name: a web site has it, perhaps the one that is shown
    below, nobody checked it, or none.
    """
    if flow["publisher"] == destination:
        return "published_there"
    if flow["publisher"]:
        return "published"
    return "unchecked" if flow["name"] else ""


def _language(request: Request) -> Language:
    return preferred_language(request.headers.get("Accept-Language", ""))
