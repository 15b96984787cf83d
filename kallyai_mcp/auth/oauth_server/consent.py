"""The endpoints that a browser opens, and their pages: authorize, consent, callback, sign-out, and the home page.

A browser is sent to a redirect URI only if the URI is the client's. Anybody can register a client with any URI, so an
error does not send the user there either: the page has a link that the user may follow (RFC 9700, section 4.11.2). The
SDK's handler of the authorization endpoint is not used, because it sends every error to the client at once, compares
normalized URIs, and refuses another port of a loopback address.
"""

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from mcp.server.auth.errors import stringify_pydantic_error
from mcp.server.auth.handlers.authorize import AuthorizationRequest
from mcp.server.auth.provider import AuthorizeError
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from kallyai_mcp.auth.oauth_server.clients import ClientError, destination_of, has_redirect_uri
from kallyai_mcp.auth.oauth_server.cookies import Cookies
from kallyai_mcp.auth.oauth_server.provider import Provider
from kallyai_mcp.auth.pages import document, fill, page_headers, texts
from kallyai_mcp.cards.texts import Language, preferred_language

_HERE = "kallyai_mcp.auth.oauth_server"


@dataclass(frozen=True, repr=False)
class Consent:
    """The endpoints."""

    provider: Provider
    cookies: Cookies

    async def home(self, request: Request) -> Response:
        """`GET /`: what this server is, how to connect an app, and how to disconnect apps."""
        url = f"{self.provider.issuer}/mcp"
        cursor = quote(base64.b64encode(json.dumps({"url": url}).encode()))
        vs_code = quote(json.dumps({"type": "http", "url": url}))
        return self._page(request, "home", url=url, host=self._api_host, cursor=cursor, vs_code=vs_code)

    async def authorize(self, request: Request) -> Response:
        """`GET /oauth/authorize`: the consent page, or why there is none."""
        query = request.query_params
        try:
            client = await self.provider.find_client(query.get("client_id", ""))
        except ClientError as error:
            return self.problem(request, "client", f"The app's client_id can't be used: {error}.")
        uri = query.get("redirect_uri", "")
        if not has_redirect_uri(client, uri, self.provider.issuer):
            return self.problem(request, "redirect")
        try:
            authorization = self.provider.authorize(client, AuthorizationRequest.model_validate(query), uri)
        except ValidationError as error:
            return self._refuse(request, uri, "invalid_request", stringify_pydantic_error(error))
        except AuthorizeError as error:
            return self._refuse(request, uri, error.error, error.error_description or "")
        response = self._ask(request, authorization)
        self.cookies.begin(request, response, authorization)
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
            self.cookies.keep(response, "state", authorization)
        else:
            response = self._back(request, authorization, error="access_denied")
            self.cookies.end(response, authorization)
        return response

    async def callback(self, request: Request) -> Response:
        """`GET /oauth/callback`: gets the browser from KallyAI, and sends it to the client with our code."""
        flow, code, error = (request.query_params.get(name, "") for name in ("state", "code", "error"))
        authorization = self.cookies.read(request, "state", flow)
        if authorization is None:
            return self.problem(request, "elsewhere")
        if code and not error:
            response = self._back(request, authorization, code=self.provider.code(authorization, code))
            app = (authorization["name"], authorization["family"], int(time.time()))
            self.cookies.set_apps(response, [*self.cookies.apps(request), app])
        else:
            error = error if error == "access_denied" else "server_error"
            response = self._back(request, authorization, error=error)
        self.cookies.end(response, authorization)
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

    def _ask(self, request: Request, asked: Mapping[str, Any]) -> Response:
        may = texts(_HERE, "scopes", _language(request))
        kind, destination = destination_of(asked["redirect_uri"])
        words = {
            "heading": "heading" if asked["name"] else "heading_unnamed",
            "origin": "published" if asked["publisher"] else "unchecked" if asked["name"] else "",
            "sent": f"sent_{kind}",
        }
        values = {name: asked[name] or "" for name in ("name", "publisher", "redirect_uri")}
        scopes = "".join(f"<li>{may[scope]}</li>" for scope in may if scope in asked["scopes"])
        facts = {"host": self._api_host, "destination": destination, "flow": asked["family"], "html_scopes": scopes}
        return self._page(request, "consent", words, **values, **facts)

    def _refuse(self, request: Request, uri: str, error: str, description: str) -> Response:
        url = self._answer(uri, request.query_params.get("state"), error=error, error_description=description)
        return self.problem(request, "request", f"{error}: {description}", url=url)

    def _back(self, request: Request, authorization: Mapping[str, Any], **answer: str) -> Response:
        url = self._answer(authorization["redirect_uri"], authorization["state"], **answer)
        return self._forward(request, "to_client", url)

    def _answer(self, uri: str, state: str | None, **answer: str) -> str:
        """The URL of an answer to the client, with its state, and our issuer URL (RFC 9207)."""
        given = answer | ({} if state is None else {"state": state}) | {"iss": self.provider.issuer}
        return f"{uri}{'&' if '?' in uri else '?'}{urlencode(given)}"

    def _forward(self, request: Request, to: str, url: str) -> Response:
        """A page that opens `url` by itself, with a link in case that does not work.

        It is no redirect: Chromium applies the form-action policy of a page to all redirects after its form, and we
        can't know those of KallyAI or the client.
        """
        return self._page(request, "forward", {"heading": to, "note": f"after_{to}"}, url=url)

    @property
    def _api_host(self) -> str:
        return urlsplit(self.provider.api().base_url).netloc

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
