"""The API client: one method for each endpoint of the reference. Every error that it raises is a `KallyAIError`.

URLs are logged, so no URL contains a token.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import httpx2

from kallyai_mcp.api.bearer import Bearer, SendRequest, TokenSource
from kallyai_mcp.api.error_responses import error_from, names_call
from kallyai_mcp.api.errors import (
    KallyAIError,
    NotSignedInError,
    ResponseLostError,
    UnavailableError,
    check_call_id,
)
from kallyai_mcp.api.models import (
    BillingPortal,
    Call,
    CallCreateRequest,
    CallPage,
    Statistics,
    Submission,
    Subscription,
    TokenGrant,
    Transcript,
)
from kallyai_mcp.api.responses import ApiResponse, Model, date_of, read_calendar, read_call, read_model
from kallyai_mcp.api.transport import InProcess, Timeouts, Transport, connection_error, connector
from kallyai_mcp.logs import api_request_ended
from kallyai_mcp.urls import check_base_url

if TYPE_CHECKING:
    from starlette.types import ASGIApp

__all__ = ["KallyAI", "Timeouts", "TokenSource"]

_log = logging.getLogger(__name__)

_parsed = lru_cache(maxsize=64)(httpx2.URL)

_SECRETS = {"refresh_token", "client_secret", "code"}


class KallyAI:
    """A client of KallyAI's API, for one event loop; `aclose` closes the connections that it keeps for the next GET.

    Every method may raise `NotConnectedError` (nothing was sent), `ResponseLostError` (KallyAI may have acted on it),
    `UnreadableResponseError`, or a subclass of `ServiceError`. Methods that need a token may raise `NotSignedInError`.
    A GET is sent again after 429, 502, 503, 504, and failed connections; a POST only after a 401, once, with a renewed
    token.

    Args:
        base_url: The base URL of the API: https, or http on a loopback address (any host with an `app`).
        tokens: The source of access tokens; None for a client that only signs in.
        user_agent: The User-Agent header, printable ASCII.
        app: An ASGI app in this process to use in place of the network.
        retry_backoff: Seconds; a GET waits a random time up to 2, 4, and 8 times this between its attempts.

    Attributes:
        server_time: The time in the `Date` header of the latest response (aware); None before the first response.

    Raises:
        ValueError: `base_url`, `user_agent` or the proxy of the environment is not valid.
    """

    def __init__(
        self,
        base_url: str,
        *,
        tokens: TokenSource | None = None,
        user_agent: str,
        app: "ASGIApp | None" = None,
        retry_backoff: float = 0.5,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
    ) -> None:
        self.base_url = base_url.rstrip("/") if app is not None else check_base_url(base_url)
        try:
            self._origin = httpx2.URL(self.base_url)
        except httpx2.InvalidURL:
            raise ValueError("not a web address; it should look like https://api.kallyai.com") from None
        self.server_time: datetime | None = None
        self._bearer = None if tokens is None else Bearer(tokens, self._send_once)
        self._timeouts = timeouts
        # An `httpx2.AsyncClient` would also extract cookies, which the reference does not have, and merge settings that
        # are the same for each request.
        connect = connector(self._origin) if app is None else partial(InProcess, app)
        self._transport = Transport(connect, retry_backoff)
        self._headers = httpx2.Headers(
            {
                "User-Agent": _header("user_agent", user_agent),
                "Accept": "application/json",
                # Encodings that every installation can decode, and that can't make a body extremely large.
                "Accept-Encoding": "gzip, deflate",
            }
        )

    async def aclose(self) -> None:
        """Close the connections that are not in use."""
        await self._transport.aclose()

    # "Call Endpoints" of the reference

    async def create_call(
        self,
        submission: Submission,
        *,
        timezone: str | None = None,
        session_id: str | None = None,
        idempotency_key: str | None = None,
        before_send: Callable[[], Awaitable[None]] | None = None,
        before_write: Callable[[], None] | None = None,
    ) -> Call:
        """Place a phone call and wait until it has ended, for minutes: at most `Timeouts.call` ("Create Call").

        Args:
            submission: Who to call and why.
            timezone: The IANA name of the time zone of dates and times, such as America/New_York.
            session_id: The session that the call belongs to ("CallCreateRequest").
            idempotency_key: A UUID. The service places one call for each key.
            before_send: Called each time when the request has its token. If it raises, nothing is sent.
            before_write: Called when there is also a connection, just before the first byte: to connect may take long,
                or the machine may have been suspended. If it raises, nothing is sent.

        Raises:
            UnreadableResponseError: The call was placed, but the response has no `call_id`, or is about a call to
                another number.
            ServiceError: The call was refused. After `UnavailableError` it may have been placed.
        """
        request = self._request(
            "POST",
            "/v1/calls",
            json=CallCreateRequest(submission=submission, timezone=timezone, session_id=session_id).as_json(),
            headers={} if idempotency_key is None else {"Idempotency-Key": _header("idempotency_key", idempotency_key)},
            read=self._timeouts.call,
        )
        request.extensions |= {"before_send": before_send, "when_connected": before_write}
        return read_call(await self._send_signed(request), number=submission.respondent_phone)

    async def list_calls(self, limit: int = 50, offset: int = 0) -> CallPage:
        """One page of the user's calls: `limit` (1-200) calls after the first `offset` ("List Calls")."""
        return await self._get(CallPage, "/v1/calls", params={"limit": limit, "offset": offset})

    async def get_call(self, call_id: str, *, number: str | None = None) -> Call:
        """One call ("Get Call Details"). The response must not contradict `number` (E.164), which may be unknown."""
        request = self._request("GET", f"/v1/calls/{check_call_id(call_id)}")
        return read_call(await self._send_signed(request), id_=call_id, number=number)

    async def get_transcript(self, call_id: str) -> Transcript:
        """The transcript of a call ("Get Transcript"); `ForbiddenError` without the scope `transcripts:read`."""
        return await self._get(Transcript, f"/v1/calls/{check_call_id(call_id)}/transcript")

    async def get_calendar(self, call_id: str) -> str:
        """The appointment of a call as the text of an .ics file (RFC 5545) ("Get Calendar Event")."""
        headers = {"Accept": "text/calendar, application/json;q=0.5"}
        request = self._request("GET", f"/v1/calls/{check_call_id(call_id)}/calendar.ics", headers=headers)
        return read_calendar(await self._send_signed(request))

    # "User Endpoints" of the reference

    async def get_subscription(self) -> Subscription:
        """The user's plan, and when it expires ("Get Subscription")."""
        return await self._get(Subscription, "/v1/users/me/subscription")

    async def get_statistics(self) -> Statistics:
        """The user's usage in the current period ("Get Statistics")."""
        return await self._get(Statistics, "/v1/users/me/statistics")

    async def get_billing_portal(self) -> BillingPortal:
        """The link to the user's billing portal, which is private to the user ("Get Billing Portal")."""
        return await self._get(BillingPortal, "/v1/stripe/billing-portal")

    async def check_reachable(self) -> bool:
        """Check without a token that the service responds; raises `UnavailableError` if it responds with 5xx.

        Returns:
            Whether the response is data, as it must be, and not a web page.
        """
        response = await self._response_to(self._request("GET", "/v1/users/me/statistics"), self._send_once, ())
        if response.status >= 500 and isinstance(error := error_from(response), UnavailableError):
            raise error
        return not response.is_web_page

    # "Authentication" of the reference

    async def refresh(self, refresh_token: str) -> TokenGrant:
        """New tokens for a refresh token ("Token Refresh"). Without a new one in the response, keep the old one."""
        return await self._grant("/v1/auth/refresh", json={"refresh_token": refresh_token})

    async def exchange_code(self, code: str, redirect_uri: str, client_id: str, client_secret: str) -> TokenGrant:
        """Tokens for an authorization code ("OAuth2 Authorization Code Flow", step 2)."""
        form = {"client_id": client_id, "client_secret": client_secret, "code": code, "redirect_uri": redirect_uri}
        return await self._grant("/v1/auth/gpt/token", form={"grant_type": "authorization_code", **form})

    async def refresh_code(self, refresh_token: str, client_id: str, client_secret: str) -> TokenGrant:
        """New tokens for a refresh token from `exchange_code` ("OAuth2 Authorization Code Flow", step 3)."""
        form = {"client_id": client_id, "client_secret": client_secret, "refresh_token": refresh_token}
        return await self._grant("/v1/auth/gpt/token", form={"grant_type": "refresh_token", **form})

    @staticmethod
    def cli_auth_url(base_url: str, redirect_uri: str, state: str | None = None) -> str:
        """The page where a user signs in for a program on their machine ("CLI Authentication").

        `redirect_uri` is `http://localhost:PORT` or `http://127.0.0.1:PORT`; it gets `state` back.
        """
        return _page(base_url, "/v1/auth/cli", redirect_uri=redirect_uri, state=state)

    @staticmethod
    def authorize_url(
        base_url: str, client_id: str, redirect_uri: str, *, state: str | None = None, scope: str | None = None
    ) -> str:
        """The page where a user authorizes a registered client ("OAuth2 Authorization Code Flow", step 1).

        `scope` has scopes separated by spaces; None for those of the client.
        """
        query = {"client_id": client_id, "redirect_uri": redirect_uri, "state": state, "scope": scope}
        return _page(base_url, "/v1/auth/authorize", response_type="code", **query)

    # Sending

    def _request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        read: float | None = None,
        **content: Any,
    ) -> httpx2.Request:
        """A request. `read` is the time-out for each part of its response; None for the usual one."""
        timeouts = {"connect": self._timeouts.connect, "read": read or self._timeouts.read, "rest": self._timeouts.rest}
        request = httpx2.Request(
            method,
            _parsed(self.base_url + path),
            headers=self._headers,
            extensions={"timeout": timeouts},
            **content,
        )
        request.headers.update(headers)
        return request

    async def _get(self, model: type[Model], path: str, **content: Any) -> Model:
        return read_model(model, await self._send_signed(self._request("GET", path, **content)))

    async def _grant(
        self, path: str, *, json: dict[str, str] | None = None, form: dict[str, str] | None = None
    ) -> TokenGrant:
        request = self._request("POST", path, json=json, data=form)
        secrets = tuple(value for name, value in (json or form or {}).items() if name in _SECRETS)
        return read_model(TokenGrant, await self._send(request, self._send_once, secrets))

    async def _send_signed(self, request: httpx2.Request) -> ApiResponse:
        if self._bearer is None:
            raise NotSignedInError("This client has no sign-in")
        return await self._send(request, self._bearer.send, ())

    async def _send(self, request: httpx2.Request, send: SendRequest, secrets: tuple[str, ...]) -> ApiResponse:
        response = await self._response_to(request, send, secrets)
        if 200 <= response.status < 300:
            return response
        raise _error_after(request, response)

    async def _response_to(self, request: httpx2.Request, send: SendRequest, secrets: tuple[str, ...]) -> ApiResponse:
        """The response to a request, whatever its status is."""
        response = await self._response_or_error(request, send)
        api_request_ended(request.method, response.status if isinstance(response, ApiResponse) else response.code)
        if isinstance(response, KallyAIError):
            raise response
        self.server_time = date_of(response.headers) or self.server_time
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return replace(response, secrets=(token, *secrets) if token else secrets)

    async def _response_or_error(self, request: httpx2.Request, send: SendRequest) -> ApiResponse | KallyAIError:
        """The response, or the error: raised here, its context would be httpx2's error, which may quote the token."""
        try:
            return await send(request)
        except httpx2.HTTPError as error:
            return connection_error(error, self._origin)

    async def _send_once(self, request: httpx2.Request) -> ApiResponse:
        response = await self._transport.send(request)
        _log.info("%s %s: %d", request.method, request.url, response.status)
        return response


def _error_after(request: httpx2.Request, response: ApiResponse) -> KallyAIError:
    """The error for a response that is not a success; `ResponseLostError` if the service may have acted on a POST.

    It has after 303, whose response is at another URL (RFC 9110, section 15.4.4), and if the body has the id of a call.
    """
    error = error_from(response)
    if request.method == "POST" and (error.status == httpx2.codes.SEE_OTHER or names_call(response)):
        return error.restated(ResponseLostError)
    return error


def _page(base_url: str, path: str, **query: str | None) -> str:
    given = {name: value for name, value in query.items() if value is not None}
    # As in the reference, `:` and `/` are not encoded and a space is %20, which RFC 3986, section 3.4, allows.
    return f"{base_url.rstrip('/')}{path}?{urlencode(given, safe=':/', quote_via=quote)}"


def _header(name: str, value: str) -> str:
    if not value or not value.isascii() or not value.isprintable():
        raise ValueError(f"{name}: only printable ASCII can be sent in a header")
    return value
