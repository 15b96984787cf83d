"""The endpoints that a browser opens: authorize, consent, callback, and sign-out.

A browser is sent to a redirect URI only if the URI is the client's. Anybody can register a client with any URI, so an
error does not send the user there either. Only a program on the user's own machine gets the error at once. For any
other URI, the page has a link that the user may follow (RFC 9700, section 4.11.2).

The SDK's `AuthorizationHandler` is not used, because it

* sends errors to any redirect URI, and without `iss` (RFC 9207);
* takes a request without code_challenge_method for S256, where RFC 7636 says plain;
* compares the port of a redirect URI, so that a program can't choose its port (RFC 8252, section 7.3);
* checks neither the form of the challenge, nor the length of the state, nor repeated parameters;
* can't set the cookie that binds a flow to a browser.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.auth.oauth_server import pkce, redirects, scopes
from kallyai_mcp.auth.oauth_server.client_registry import Client, ClientRegistry
from kallyai_mcp.auth.oauth_server.errors import OAuthError
from kallyai_mcp.auth.oauth_server.flow_cookies import AuthorizationRequest, FlowCookies
from kallyai_mcp.auth.oauth_server.forms import read_form
from kallyai_mcp.auth.oauth_server.pages import Pages
from kallyai_mcp.auth.oauth_server.token_issuer import TokenIssuer
from kallyai_mcp.auth.oauth_server.upstream import Upstream

_MAX_STATE_BYTES = 1_400
"""The most bytes of a client's `state`: the whole request must fit into one cookie."""

_ONLY_ONCE = ("client_id", "redirect_uri", "response_type", "state", "scope", "code_challenge", "code_challenge_method")


@dataclass(frozen=True, repr=False)
class BrowserRoutes:
    """The endpoints.

    Attributes:
        issuer: Our own base URL.
        clients: Finds the clients.
        cookies: Reads and writes the state of each sign-in.
        tokens: Makes the codes, and revokes the tokens.
        pages: Makes the pages.
        upstream: Our OAuth client at KallyAI.
        is_ours: Returns whether a resource (RFC 8707) is this server.
        default_scopes: The scopes of a client that asks for none.
        clock: Returns seconds since the epoch.
    """

    issuer: str
    clients: ClientRegistry
    cookies: FlowCookies
    tokens: TokenIssuer
    pages: Pages
    upstream: Upstream
    is_ours: Callable[[str], bool]
    default_scopes: tuple[str, ...]
    clock: Callable[[], float]

    async def authorize(self, request: Request) -> Response:
        """`GET /oauth/authorize`: shows the consent page (OAuth 2.1, section 4.1.1)."""
        query = request.query_params
        if repeated := [name for name in _ONLY_ONCE if len(query.getlist(name)) > 1]:
            return self.pages.problem(request, "client", details=f"{repeated[0]} is given twice.")
        try:
            client = await self.clients.find(query.get("client_id", ""))
        except OAuthError as error:
            return self.pages.problem(request, "client", details=error.description)
        redirect_uri = client.redirect_uri_for(query.get("redirect_uri"))
        if redirect_uri is None or redirects.is_at(redirect_uri, self.issuer):
            return self.pages.problem(request, "redirect")
        try:
            authorization = self._parse(query, client, redirect_uri)
        except OAuthError as error:
            return self._error_response(request, redirect_uri, query.get("state"), error)
        flow, changes = self.cookies.begin(request, authorization)
        response = self.pages.consent(
            request,
            flow=flow,
            client=client.name,
            publisher=client.publisher,
            redirect_uri=redirect_uri,
            scopes=authorization.scopes,
        )
        self.cookies.write(response, changes)
        return response

    async def consent(self, request: Request) -> Response:
        """`POST /oauth/consent`: takes the user's decision, and sends the browser to KallyAI or back to the client."""
        try:
            form = await read_form(request)
        except OAuthError:
            return self.pages.problem(request, "forged")
        flow = form.get("flow", "")
        authorization = self.cookies.read(request, "consent", flow)
        if authorization is None or not self._is_own_page(request):
            return self.pages.problem(request, "forged", status=403)
        if form.get("decision") != "allow":
            url = self._redirect_url(authorization, error="access_denied")
            response = self.pages.forward_to_client(request, url)
            self.cookies.write(response, self.cookies.ended(flow))
            return response
        url = self.upstream.authorize_url(flow, authorization.scopes)
        response = self.pages.forward_to_kallyai(request, url)
        self.cookies.write(response, self.cookies.consented(flow, authorization))
        return response

    async def callback(self, request: Request) -> Response:
        """`GET /oauth/callback`: gets the browser from KallyAI, and sends it to the client with our code."""
        query = request.query_params
        flow = query.get("state", "")
        authorization = self.cookies.read(request, "state", flow)
        if authorization is None:
            return self.pages.problem(request, "elsewhere")
        changes = dict(self.cookies.ended(flow))
        code = query.get("code")
        if code and "error" not in query:
            url = self._redirect_url(authorization, code=self.tokens.code(authorization, code))
            changes |= self.cookies.connect(request, authorization, self.clock())
        else:
            denied = query.get("error") == "access_denied"
            url = self._redirect_url(authorization, error="access_denied" if denied else "server_error")
        response = self.pages.forward_to_client(request, url)
        self.cookies.write(response, changes)
        return response

    async def sign_out_page(self, request: Request) -> Response:
        """`GET /oauth/sign-out`: shows the apps that were connected in this browser."""
        apps = [(app.name, app.day) for app in self.cookies.connected_apps(request)]
        ticket, changes = self.cookies.sign_out_ticket(request)
        response = self.pages.sign_out(request, ticket=ticket, apps=apps)
        self.cookies.write(response, changes)
        return response

    async def sign_out(self, request: Request) -> Response:
        """`POST /oauth/sign-out`: revokes the tokens of all apps that were connected in this browser.

        The user stays signed in at KallyAI, and apps that were connected in another browser keep their tokens.
        """
        try:
            form = await read_form(request)
        except OAuthError:
            return self.pages.problem(request, "forged")
        if not self._is_own_page(request) or not self.cookies.may_sign_out(request, form.get("ticket")):
            return self.pages.problem(request, "forged", status=403)
        try:
            for app in self.cookies.connected_apps(request):
                await self.tokens.revoke_family(app.family)
        except KallyAIError:
            return self.pages.problem(request, "busy", status=503, headers={"Retry-After": "5"})
        response = self.pages.signed_out(request)
        self.cookies.write(response, {"apps": None, "sign-out": None})
        return response

    def _parse(self, query: QueryParams, client: Client, redirect_uri: str) -> AuthorizationRequest:
        state, resources = query.get("state"), query.getlist("resource")
        if state is not None and len(state.encode("utf-8", "surrogatepass")) > _MAX_STATE_BYTES:
            raise OAuthError("invalid_request", f"state is longer than {_MAX_STATE_BYTES} bytes")
        if query.get("response_type") != "code":
            raise OAuthError("unsupported_response_type", "response_type must be code")
        if query.get("response_mode", "query") != "query":
            raise OAuthError("invalid_request", "response_mode must be query")
        challenge = query.get("code_challenge")
        if challenge is None or not pkce.is_challenge(challenge) or query.get("code_challenge_method") != "S256":
            raise OAuthError("invalid_request", "PKCE is required: a code_challenge with code_challenge_method S256")
        if not all(self.is_ours(resource) for resource in resources):
            raise OAuthError("invalid_target", "resource is not this server")
        text = query.get("scope", "")
        requested = scopes.parse(text) if text.strip() else self.default_scopes
        if not requested:
            raise OAuthError("invalid_scope", f"the scopes are {' '.join(scopes.SCOPES)}")
        return AuthorizationRequest(
            family=secrets.token_urlsafe(16),
            client=client.key,
            name=client.name or client.publisher,
            redirect_uri=redirect_uri,
            state=state,
            challenge=challenge,
            resource=resources[0] if resources else self.issuer,
            scopes=requested,
        )

    def _error_response(self, request: Request, redirect_uri: str, state: str | None, error: OAuthError) -> Response:
        state = state if state is not None and len(state) <= _MAX_STATE_BYTES else None
        answer = {"error": error.code, "error_description": error.description, "state": state, "iss": self.issuer}
        url = redirects.add_parameters(redirect_uri, **answer)
        destination = redirects.destination_of(redirect_uri)
        if destination.kind == "here":
            return RedirectResponse(url, 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
        details = f"{error.code}: {error.description}"
        return self.pages.problem(request, "request", details=details, back=(url, destination))

    def _redirect_url(self, authorization: AuthorizationRequest, **answer: str) -> str:
        """The client's redirect URI with an answer, the client's state, and our issuer URL (RFC 9207)."""
        return redirects.add_parameters(
            authorization.redirect_uri, **answer, state=authorization.state, iss=self.issuer
        )

    def _is_own_page(self, request: Request) -> bool:
        """Whether a form was sent from one of our own pages, by the headers of the browser."""
        site = request.headers.get("Sec-Fetch-Site", "same-origin")
        return site == "same-origin" and request.headers.get("Origin") in (None, self.issuer)
