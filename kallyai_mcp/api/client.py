"""The API client: one method per endpoint of the reference. Every error it raises is a `KallyAIError`.

No URL contains a token, because URLs are logged.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Self

import httpx

from kallyai_mcp.api import sign_in_urls
from kallyai_mcp.api.bearer import Bearer, Send, TokenSource
from kallyai_mcp.api.call_ids import check_call_id
from kallyai_mcp.api.error_responses import error_from, http_date, names_call
from kallyai_mcp.api.errors import KallyAIError, NotSignedInError, ResponseLostError, UnavailableError
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
from kallyai_mcp.api.responses import ApiResponse, Model, read_calendar, read_call, read_model
from kallyai_mcp.api.transport import (
    ASGIApp,
    RetryTooLongError,
    Timeouts,
    connection_error,
    in_process,
    over_network,
    with_retries,
)
from kallyai_mcp.telemetry import api_request
from kallyai_mcp.urls import check_base_url

__all__ = ["KallyAI", "Timeouts", "TokenSource"]

_log = logging.getLogger(__name__)

MAX_REDIRECTS = 3

_parsed = lru_cache(maxsize=64)(httpx.URL)

_SECRETS = {"refresh_token", "client_secret", "code", "id_token", "identity_token"}


class KallyAI:
    """A client of KallyAI's API. Close it with `aclose`, or use it as an async context manager.

    Every method may raise `NotConnectedError` (nothing was sent), `ResponseLostError` (KallyAI may have acted on it),
    `UnreadableResponseError`, or a subclass of `ServiceError`; those that need a token also `NotSignedInError`. A GET
    is retried on 429, 502, 503, 504 and failed connections; a POST only once, after a 401, with a renewed token.

    Args:
        base_url: The API: https, or http on a loopback address (any host with an `app`).
        tokens: Access tokens; None for a client that only signs in.
        user_agent: The User-Agent header, printable ASCII.
        app: An ASGI app in this process to use instead of the network.
        transport: A transport to use instead of the network; it is closed with the client.
        retry_backoff: See `with_retries`.
        timeouts: The time-outs.

    Attributes:
        server_time: The service's clock, by the `Date` header of its latest response; None before the first one.

    Raises:
        ValueError: `base_url`, `user_agent` or the proxy of the environment is not valid, or both `app` and `transport`
            are given.
    """

    def __init__(
        self,
        base_url: str,
        *,
        tokens: TokenSource | None = None,
        user_agent: str,
        app: ASGIApp | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        retry_backoff: float = 0.5,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
    ) -> None:
        if app is not None and transport is not None:
            raise ValueError("app and transport exclude each other")
        self.base_url = base_url.rstrip("/") if app is not None else check_base_url(base_url)
        try:
            self._origin = httpx.URL(self.base_url)
        except httpx.InvalidURL:
            raise ValueError("not a web address; it should look like https://api.kallyai.com") from None
        self.server_time: datetime | None = None
        self._bearer = None if tokens is None else Bearer(tokens, self._send_once)
        self._timeouts = timeouts
        if app is not None:
            transport = in_process(app)
        # Not an `httpx.AsyncClient`, which extracts cookies that the reference does not have, and merges settings that
        # are the same for each request.
        self._transport = with_retries(transport or over_network(self._origin), retry_backoff)
        self._headers = httpx.Headers(
            {
                "User-Agent": _header("user_agent", user_agent),
                "Accept": "application/json",
                # Those that every installation can decode, and that can't make a body extremely large.
                "Accept-Encoding": "gzip, deflate",
            }
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes all connections."""
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
        """Places a phone call and waits until it has ended: minutes, at most `Timeouts.call`.

        Args:
            submission: Who to call and why.
            timezone: The IANA name of the time zone of dates and times, such as America/New_York.
            session_id: The same for all calls of a session.
            idempotency_key: A UUID. The service places one call per key.
            before_send: Called when the request has its token and is about to leave, each time that it does; nothing is
                sent if it raises.
            before_write: Called after that, when there is a connection and the next step writes the request; nothing
                is sent if it raises. To connect may take long, and the machine may be suspended meanwhile.

        Returns:
            The call. `is_final` says whether it has an outcome.

        Raises:
            UnreadableResponseError: The call was placed, but the response has no `call_id`, or is about a call to
                another number.
            ServiceError: It was refused. After `UnavailableError` it may have been placed.
        """
        body = CallCreateRequest(submission=submission, timezone=timezone, session_id=session_id)
        headers = {} if idempotency_key is None else {"Idempotency-Key": _header("idempotency_key", idempotency_key)}
        read = self._timeouts.call
        request = self._request("POST", "/v1/calls", json=body.as_json(), headers=headers, read=read)
        request.extensions |= {"before_send": before_send, "before_write": before_write}
        return read_call(await self._send_signed(request), number=submission.respondent_phone)

    async def list_calls(self, limit: int = 50, offset: int = 0) -> CallPage:
        """One page of the user's calls: `limit` (1-200) calls after the first `offset`."""
        return await self._get(CallPage, "/v1/calls", params={"limit": limit, "offset": offset})

    async def get_call(self, call_id: str, *, number: str | None = None) -> Call:
        """One call, which was to `number`, if that is known; `NotFoundError` if there is none with this id."""
        request = self._request("GET", f"/v1/calls/{check_call_id(call_id)}")
        return read_call(await self._send_signed(request), id_=call_id, number=number)

    async def get_transcript(self, call_id: str) -> Transcript:
        """The transcript of a call; `NotFoundError` if it has none, `ForbiddenError` without `transcripts:read`."""
        return await self._get(Transcript, f"/v1/calls/{check_call_id(call_id)}/transcript")

    async def get_calendar(self, call_id: str) -> str:
        """The appointment of a call as the text of an .ics file (RFC 5545); `NotFoundError` if it has none."""
        headers = {"Accept": "text/calendar, application/json;q=0.5"}
        request = self._request("GET", f"/v1/calls/{check_call_id(call_id)}/calendar.ics", headers=headers)
        return read_calendar(await self._send_signed(request))

    # "User Endpoints" of the reference

    async def get_subscription(self) -> Subscription:
        """The user's plan and when it expires."""
        return await self._get(Subscription, "/v1/users/me/subscription")

    async def get_statistics(self) -> Statistics:
        """The user's usage in the current period."""
        return await self._get(Statistics, "/v1/users/me/statistics")

    async def get_billing_portal(self) -> BillingPortal:
        """The link to the user's billing portal. It is private to the user."""
        return await self._get(BillingPortal, "/v1/stripe/billing-portal")

    async def check_reachable(self) -> bool:
        """Checks, without a token, that the service responds with a status below 500.

        Returns whether it responds with data, as it does without a token, and not with a web page.
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

    async def validate_google(self, id_token: str) -> TokenGrant:
        """Tokens for an ID token of Google ("Google Sign-In")."""
        return await self._grant("/v1/auth/google/validate", json={"id_token": id_token})

    async def apple_token(self, identity_token: str) -> TokenGrant:
        """Tokens for an identity token of Apple ("Apple Sign-In")."""
        return await self._grant("/v1/auth/apple/token", json={"identity_token": identity_token})

    cli_auth_url = staticmethod(sign_in_urls.cli_auth_url)
    authorize_url = staticmethod(sign_in_urls.authorize_url)

    # Sending

    def _request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        read: float | None = None,
        **content: Any,
    ) -> httpx.Request:
        """A request; `read` is the time-out for each part of its response, if it is another one than usual."""
        timeouts = {"connect": self._timeouts.connect, "read": read or self._timeouts.read, "rest": self._timeouts.rest}
        request = httpx.Request(
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

    async def _send_signed(self, request: httpx.Request) -> ApiResponse:
        if self._bearer is None:
            raise NotSignedInError("This client has no sign-in")
        return await self._send(request, self._bearer.send, ())

    async def _send(self, request: httpx.Request, send: Send, secrets: tuple[str, ...]) -> ApiResponse:
        response = await self._response_to(request, send, secrets)
        if 200 <= response.status < 300:
            return response
        raise _error_after(request, response)

    async def _response_to(self, request: httpx.Request, send: Send, secrets: tuple[str, ...]) -> ApiResponse:
        """The response to a request, whatever its status is."""
        with api_request(request.method, request.url.path) as measurement:
            response = await self._response_or_error(request, send)
            if isinstance(response, httpx.Response):
                self.server_time = _date_of(response.headers) or self.server_time
            measurement.status = response.code if isinstance(response, KallyAIError) else response.status_code
        if isinstance(response, KallyAIError):
            raise response
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return ApiResponse(
            status=response.status_code,
            headers=response.headers,
            body=response.extensions["body"],
            is_complete=response.extensions["is_complete"],
            secrets=(token, *secrets) if token else secrets,
        )

    async def _response_or_error(self, request: httpx.Request, send: Send) -> httpx.Response | KallyAIError:
        """Returns the error, so that the caller raises it without the context of httpx's, which may quote the token."""
        try:
            return await self._follow(request, send)
        except RetryTooLongError as error:
            return error.response
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            host = self._origin.netloc.decode("ascii")
            return connection_error(error, host, has_response="has_response" in request.extensions)

    async def _follow(self, request: httpx.Request, send: Send) -> httpx.Response:
        """Sends a request; follows the redirects of a GET, but only within the origin, which alone gets the token."""
        for _ in range(MAX_REDIRECTS):
            response = await send(request)
            if request.method != "GET" or not response.has_redirect_location:
                return response
            url = _location(request, response)
            if (url.scheme, url.host, url.port) != (self._origin.scheme, self._origin.host, self._origin.port):
                return response
            headers = {name: value for name, value in request.headers.items() if name != "host"}
            request = httpx.Request("GET", url, headers=headers, extensions=request.extensions)
        return await send(request)

    async def _send_once(self, request: httpx.Request) -> httpx.Response:
        response = await self._transport.handle_async_request(request)
        _log.info("%s %s: %d", request.method, request.url, response.status_code)
        return response


def _date_of(headers: Mapping[str, str]) -> datetime | None:
    """The `Date` of a response; None for one that a cache kept (RFC 9111, section 5.1), whose `Date` is old."""
    return http_date(headers.get("date", "")) if headers.get("age", "0").strip() in ("", "0") else None


def _location(request: httpx.Request, response: httpx.Response) -> httpx.URL:
    """Where a response redirects to."""
    try:
        return request.url.join(response.headers["Location"])
    except httpx.InvalidURL:
        raise httpx.RemoteProtocolError("invalid URL in Location", request=request) from None


def _error_after(request: httpx.Request, response: ApiResponse) -> KallyAIError:
    """The error for a response that is not a success; `ResponseLostError` if the service has acted on a POST.

    After 303 the response is elsewhere (RFC 9110, section 15.4.4). An error that names a call came after that call.
    """
    error = error_from(response)
    if request.method == "POST" and (error.status == httpx.codes.SEE_OTHER or names_call(response)):
        return error.restated(ResponseLostError, error.message, error.reason)
    return error


def _header(name: str, value: str) -> str:
    if not value or not value.isascii() or not value.isprintable():
        raise ValueError(f"{name}: only printable ASCII can be sent in a header")
    return value
