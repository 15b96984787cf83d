"""The endpoints that a browser opens, and their pages: authorize, consent, callback, sign-out, and the home page.

A browser is sent to a redirect URI only if the URI is the client's. Anybody can register a client with any URI, so an
error does not send the user there either. Only a program on the user's own machine gets the error at once. For any
other URI, the page has a link that the user may follow (RFC 9700, section 4.11.2).
"""

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from mcp.server.auth.handlers.authorize import AuthorizationHandler
from pydantic import AnyUrl
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from kallyai_mcp.auth.oauth_server.clients import Client, destination_of
from kallyai_mcp.auth.oauth_server.cookies import Cookies
from kallyai_mcp.auth.oauth_server.metadata_documents import DocumentError
from kallyai_mcp.auth.oauth_server.provider import Provider
from kallyai_mcp.auth.pages import document, fill, page_headers, texts
from kallyai_mcp.cards.texts import Language, preferred_language

_HERE = "kallyai_mcp.auth.oauth_server"


@dataclass(frozen=True, repr=False)
class Consent:
    """The endpoints. `api_host` is KallyAI's host, for the pages."""

    provider: Provider
    cookies: Cookies
    api_host: str

    async def home(self, request: Request) -> Response:
        """`GET /`: what this server is, how to connect an app, and how to disconnect apps."""
        url = f"{self.provider.issuer}/mcp"
        cursor = quote(base64.b64encode(json.dumps({"url": url}).encode()))
        vs_code = quote(json.dumps({"type": "http", "url": url}))
        return self._page(request, "home", url=url, host=self.api_host, cursor=cursor, vs_code=vs_code)

    async def authorize(self, request: Request) -> Response:
        """`GET /oauth/authorize`: the SDK checks the request; shows the consent page, or why there is none."""
        query, provider = request.query_params, self.provider
        try:
            client = await provider.find_client(query.get("client_id", ""))
        except DocumentError as error:
            return self.problem(request, "client", f"The app's client_id can't be used: {error}.")
        if (uri := client.redirect_uri_for(query.get("redirect_uri"), provider.issuer)) is None:
            return self.problem(request, "redirect")
        found = client.model_copy(update={"redirect_uris": [AnyUrl(uri)]})

        async def get_client(_: str) -> Client:
            return found

        asked: Any = SimpleNamespace(get_client=get_client, authorize=provider.authorize)
        answer = (await AuthorizationHandler(asked).handle(request)).headers.get("location", "")
        sealed = answer.removeprefix(provider.consent_url)
        if not answer:
            return self.problem(request, "redirect")
        if sealed == answer:
            return self._refuse(request, uri, answer)
        flow = secrets.token_urlsafe(16)
        response = self._ask(request, flow, provider.sealed_tokens.open("consent", sealed) or {})
        self.cookies.begin(request, response, flow, sealed)
        return response

    async def decide(self, request: Request) -> Response:
        """`POST /oauth/consent`: takes the user's decision, and sends the browser to KallyAI or back to the client."""
        form = await request.form()
        flow = str(form.get("flow"))
        authorization = self.cookies.read(request, "consent", flow)
        if authorization is None or not self._is_own_page(request):
            return self.problem(request, "forged", status=403)
        if form.get("decision") == "allow":
            response = self._forward(request, "to_kallyai", self.provider.kallyai_url(flow, authorization["scopes"]))
            self.cookies.go_on(response, flow, authorization)
        else:
            response = self._back(request, authorization, error="access_denied")
            self.cookies.end(response, flow)
        return response

    async def callback(self, request: Request) -> Response:
        """`GET /oauth/callback`: gets the browser from KallyAI, and sends it to the client with our code."""
        flow, code, error = (request.query_params.get(name, "") for name in ("state", "code", "error"))
        authorization = self.cookies.read(request, "state", flow)
        if authorization is None:
            return self.problem(request, "elsewhere")
        if code and not error:
            response = self._back(request, authorization, code=self.provider.code(authorization, code))
            app = (authorization["name"], authorization["family"], int(self.provider.clock()))
            self.cookies.set_apps(response, [*self.cookies.apps(request), app])
        else:
            error = error if error == "access_denied" else "server_error"
            response = self._back(request, authorization, error=error)
        self.cookies.end(response, flow)
        return response

    async def apps(self, request: Request) -> Response:
        """`GET /oauth/sign-out`: the apps that were connected in this browser, and a button to disconnect them."""
        words = texts(_HERE, "apps", _language(request))
        items = [
            f'<li class="plain"><bdi>{escape(name or words["unnamed"])}</bdi> <span class="soft">'
            f"{words['since'].format(day=datetime.fromtimestamp(since, UTC).date())}</span></li>"
            for name, _, since in self.cookies.apps(request)
        ]
        if not items:
            return self._page(request, "apps", {"text": "none"}, "end")
        return self._page(request, "apps", html_items="".join(items))

    async def sign_out(self, request: Request) -> Response:
        """`POST /oauth/sign-out`: revokes the tokens of all apps that were connected in this browser.

        The user stays signed in at KallyAI, and apps that were connected in another browser keep their tokens.
        """
        apps = self.cookies.apps(request)
        if not apps or not self._is_own_page(request):
            return self.problem(request, "forged", status=403)
        for _, family, _ in apps:
            await self.provider.revoke_family(family)
        response = self._page(request, "apps", {"heading": "gone", "text": "gone_text"}, "end")
        self.cookies.set_apps(response, [])
        return response

    def problem(self, request: Request, kind: str, details: str = "", *, status: int = 400, url: str = "") -> Response:
        """The page that says why the sign-in can't go on, with `details` for the client's developer.

        With a `url`, the user may follow it back to the client.
        """
        words = {"heading": kind, "text": f"{kind}_text"}
        template, name = ("refused", destination_of(url)[1]) if url else ("html", "")
        response = self._page(request, "problem", words, template, details=details, url=url, name=name)
        response.status_code = status
        return response

    def _ask(self, request: Request, flow: str, asked: Mapping[str, Any]) -> Response:
        may = texts(_HERE, "scopes", _language(request))
        kind, destination = destination_of(asked["redirect_uri"])
        words = {
            "heading": "heading" if asked["name"] else "heading_unnamed",
            "origin": "published" if asked["publisher"] else "unchecked" if asked["name"] else "",
            "sent": f"sent_{kind}",
        }
        values = {name: asked[name] or "" for name in ("name", "publisher", "redirect_uri")}
        scopes = "".join(f"<li>{may[scope]}</li>" for scope in may if scope in asked["scopes"])
        facts = {"host": self.api_host, "destination": destination, "flow": flow, "html_scopes": scopes}
        return self._page(request, "consent", words, **values, **facts)

    def _refuse(self, request: Request, uri: str, answer: str) -> Response:
        """Give a client the SDK's error, with our issuer URL (RFC 9207)."""
        url = f"{answer}&{urlencode({'iss': self.provider.issuer})}"
        if destination_of(uri)[0] == "here":
            return _redirect(url)
        error = dict(parse_qsl(urlsplit(answer).query))
        return self.problem(request, "request", f"{error.get('error')}: {error.get('error_description')}", url=url)

    def _back(self, request: Request, authorization: Mapping[str, Any], **answer: str) -> Response:
        """Send the browser to the client with an answer, the client's state, and our issuer URL (RFC 9207)."""
        uri, state = authorization["redirect_uri"], authorization["state"]
        given = answer | ({} if state is None else {"state": state}) | {"iss": self.provider.issuer}
        return self._forward(request, "to_client", f"{uri}{'&' if '?' in uri else '?'}{urlencode(given)}")

    def _forward(self, request: Request, to: str, url: str) -> Response:
        """A redirect; for a browser, a page that opens `url` by itself, with a link in case that does not work.

        A browser gets no redirect. Chromium applies the form-action policy of a page to all redirects after its form,
        and we can't know those of KallyAI or the client. Browsers are known by their Fetch Metadata headers.
        """
        if "Sec-Fetch-Mode" not in request.headers:
            return _redirect(url)
        return self._page(request, "forward", {"heading": to, "note": f"after_{to}"}, url=url)

    def _is_own_page(self, request: Request) -> bool:
        """Whether a form was sent from one of our own pages, by the headers of the browser."""
        site = request.headers.get("Sec-Fetch-Site", "same-origin")
        return site == "same-origin" and request.headers.get("Origin") in (None, self.provider.issuer)

    def _page(
        self, request: Request, page: str, words: Mapping[str, str] | None = None, template: str = "html", **values: str
    ) -> Response:
        """A page with `values`, and with the texts that are named by `words`."""
        language, brand = _language(request), urlsplit(self.provider.issuer).netloc
        filled = fill(_HERE, page, language, values, words)
        parts = {name: filled[name] for name in ("heading", "head", "footer")}
        html = document(language, brand=brand, body=filled[template], **parts)
        # Without an opener policy, which would separate the page from a client that opened it as a pop-up.
        own = {"Content-Language": language, "Vary": "Accept-Language, Cookie"}
        return HTMLResponse(html, headers={**page_headers(forms="<form" in html), **own})


def _language(request: Request) -> Language:
    return preferred_language(request.headers.get("Accept-Language", ""))


def _redirect(url: str) -> Response:
    return RedirectResponse(url, 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
