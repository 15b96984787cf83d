"""What a browser visits: authorize, consent, the way back from KallyAI, and sign-out.

No error leaves for a redirect address before client and address are known to belong together. And since anybody can
register a client with any address, an error is not a way to send people there either: only a program on their own
machine is told at once; for any other address there is a link for who wants to follow it (RFC 9700, section 4.11.2).
"""

import secrets
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kallyai_mcp.auth.oauth_server import redirects, scopes
from kallyai_mcp.auth.oauth_server.clients import Client, Clients, InvalidClientError
from kallyai_mcp.auth.oauth_server.flows import Asked, Flows
from kallyai_mcp.auth.oauth_server.forms import InvalidFormError, read_form
from kallyai_mcp.auth.oauth_server.grants import Grants, Upstream, is_challenge
from kallyai_mcp.auth.oauth_server.pages import Pages
from kallyai_mcp.auth.oauth_server.revocation import RevocationUnavailableError

_LONGEST_STATE = 1_400
"""Bytes of a client's `state`: with all else of the request it must fit into one cookie."""

_NOT_TWICE = ("client_id", "redirect_uri", "response_type", "state", "scope", "code_challenge", "code_challenge_method")


class InvalidRequestError(Exception):
    """An authorization request that the client has to be told of (RFC 6749, section 4.1.2.1)."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.code = code
        self.words = words


class BrowserRoutes:
    """The endpoints.

    Args:
        issuer: Our own base URL.
        clients: Recognises clients.
        flows: Keeps a browser's way.
        grants: Makes codes.
        pages: Makes pages.
        upstream: KallyAI.
        is_ours: Whether a resource (RFC 8707) is one of this server's.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        issuer: str,
        clients: Clients,
        flows: Flows,
        grants: Grants,
        pages: Pages,
        upstream: Upstream,
        is_ours: Callable[[str], bool],
        clock: Callable[[], float],
    ) -> None:
        self._issuer = issuer
        self._clients = clients
        self._flows = flows
        self._grants = grants
        self._pages = pages
        self._upstream = upstream
        self._is_ours = is_ours
        self._clock = clock

    async def authorize(self, request: Request) -> Response:
        """`GET /oauth/authorize`: asks for consent (OAuth 2.1, section 4.1.1)."""
        query = request.query_params
        if repeated := [name for name in _NOT_TWICE if len(query.getlist(name)) > 1]:
            return self._pages.trouble(request, "client", details=f"{repeated[0]} is given twice.")
        try:
            client = await self._clients.find(query.get("client_id", ""))
        except InvalidClientError as error:
            return self._pages.trouble(request, "client", details=error.words)
        redirect_uri = client.redirect_to(query.get("redirect_uri"))
        if redirect_uri is None:
            return self._pages.trouble(request, "redirect")
        try:
            asked = self._asked(query, client, redirect_uri)
        except InvalidRequestError as error:
            return self._told(request, redirect_uri, query.get("state"), error)
        flow, cookies = self._flows.begin(request, asked)
        response = self._pages.consent(
            request,
            flow=flow,
            client=client.name,
            publisher=client.publisher,
            redirect_uri=redirect_uri,
            leads=redirects.destination(redirect_uri),
            scopes=asked.scopes,
        )
        self._flows.write(response, cookies)
        return response

    async def consent(self, request: Request) -> Response:
        """`POST /oauth/consent`: the decision; on to KallyAI, or back to the client."""
        try:
            form = await read_form(request)
        except InvalidFormError:
            return self._pages.trouble(request, "forged")
        flow = form.get("flow", "")
        asked = self._flows.read(request, "consent", flow)
        if asked is None or not self._is_own_page(request):
            return self._pages.trouble(request, "forged", status=403)
        if form.get("decision") != "allow":
            response = self._pages.onward(request, self._back(asked, error="access_denied"), upstream=False)
            self._flows.write(response, self._flows.ended(flow))
            return response
        response = self._pages.onward(request, self._upstream.authorize_url(flow, asked.scopes), upstream=True)
        self._flows.write(response, self._flows.consented(flow, asked))
        return response

    async def callback(self, request: Request) -> Response:
        """`GET /oauth/callback`: the browser comes back from KallyAI, and goes on to the client with a code of ours."""
        query = request.query_params
        flow = query.get("state", "")
        asked = self._flows.read(request, "state", flow)
        if asked is None:
            return self._pages.trouble(request, "elsewhere")
        cookies = dict(self._flows.ended(flow))
        code = query.get("code")
        if code and "error" not in query:
            url = self._back(asked, code=self._grants.code(vars(asked), code))
            cookies |= self._flows.allow(request, asked, self._clock())
        else:
            denied = query.get("error") == "access_denied"
            url = self._back(asked, error="access_denied" if denied else "server_error")
        response = self._pages.onward(request, url, upstream=False)
        self._flows.write(response, cookies)
        return response

    async def sign_out_page(self, request: Request) -> Response:
        """`GET /oauth/sign-out`: what was connected in this browser."""
        allowed = [(item.name, item.day) for item in self._flows.allowed(request)]
        ticket, cookies = self._flows.sign_out_ticket(request)
        response = self._pages.sign_out(request, ticket=ticket, allowed=allowed)
        self._flows.write(response, cookies)
        return response

    async def sign_out(self, request: Request) -> Response:
        """`POST /oauth/sign-out`: revokes it all.

        It ends what was allowed in this browser, here. It can't sign anybody out of KallyAI, and knows nothing of what
        was allowed in another browser.
        """
        try:
            form = await read_form(request)
        except InvalidFormError:
            return self._pages.trouble(request, "forged")
        if not self._is_own_page(request) or not self._flows.may_sign_out(request, form.get("ticket")):
            return self._pages.trouble(request, "forged", status=403)
        try:
            for item in self._flows.allowed(request):
                await self._grants.revoke_family(item.family)
        except RevocationUnavailableError:
            return self._pages.trouble(request, "busy", status=503, headers={"Retry-After": "5"})
        response = self._pages.signed_out(request)
        self._flows.write(response, {"allowed": None, "sign-out": None})
        return response

    def _asked(self, query: QueryParams, client: Client, redirect_uri: str) -> Asked:
        state, resource = query.get("state"), query.getlist("resource")
        if state is not None and len(state.encode("utf-8", "surrogatepass")) > _LONGEST_STATE:
            raise InvalidRequestError("invalid_request", f"state is longer than {_LONGEST_STATE} bytes")
        if query.get("response_type") != "code":
            raise InvalidRequestError("unsupported_response_type", "response_type must be code")
        if query.get("response_mode", "query") != "query":
            raise InvalidRequestError("invalid_request", "response_mode must be query")
        challenge = query.get("code_challenge")
        if challenge is None or not is_challenge(challenge) or query.get("code_challenge_method") != "S256":
            raise InvalidRequestError(
                "invalid_request", "PKCE is required: a code_challenge with code_challenge_method S256"
            )
        if not all(self._is_ours(one) for one in resource):
            raise InvalidRequestError("invalid_target", "resource is not this server")
        text = query.get("scope", "")
        asked = scopes.known(text) if text.strip() else scopes.NEEDED
        if not asked:
            raise InvalidRequestError("invalid_scope", f"the scopes are {' '.join(scopes.SCOPES)}")
        return Asked(
            family=secrets.token_urlsafe(16),
            client=client.key,
            name=client.name or client.publisher,
            redirect_uri=redirect_uri,
            state=state,
            challenge=challenge,
            resource=resource[0] if resource else self._issuer,
            scopes=asked,
        )

    def _told(self, request: Request, redirect_uri: str, state: str | None, error: InvalidRequestError) -> Response:
        state = state if state is not None and len(state) <= _LONGEST_STATE else None
        answer = {"error": error.code, "error_description": error.words, "state": state, "iss": self._issuer}
        url = redirects.answered(redirect_uri, **answer)
        leads = redirects.destination(redirect_uri)
        if leads.kind == "here":
            return RedirectResponse(url, 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
        return self._pages.trouble(request, "request", details=f"{error.code}: {error.words}", back=(url, leads))

    def _back(self, asked: Asked, **answer: str) -> str:
        """The client's address with an answer, which names us (RFC 9207)."""
        return redirects.answered(asked.redirect_uri, **answer, state=asked.state, iss=self._issuer)

    def _is_own_page(self, request: Request) -> bool:
        """Whether a form came from a page of ours, as far as the browser says."""
        origin = request.headers.get("Origin")
        site = request.headers.get("Sec-Fetch-Site", "same-origin")
        parts = urlsplit(self._issuer)
        return site == "same-origin" and origin in (None, f"{parts.scheme}://{parts.netloc}")
