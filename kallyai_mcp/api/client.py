"""The API client: one method for each endpoint of the reference.

Every error that it raises is a `KallyAIError`. URLs are logged, so no URL contains a token.
"""

import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, urlencode

from kallyai_mcp.api.error_responses import error_from
from kallyai_mcp.api.errors import (
    KallyAIError,
    NotConnectedError,
    NotSignedInError,
    check_call_id,
    not_signed_in,
)
from kallyai_mcp.api.models import (
    BillingPortal,
    Call,
    CallPage,
    Statistics,
    Submission,
    Subscription,
    TokenGrant,
    Transcript,
)
from kallyai_mcp.api.responses import ApiResponse, Model, date_of, read_call, read_model
from kallyai_mcp.api.transport import ApiRequest, Transport
from kallyai_mcp.urls import check_base_url

if TYPE_CHECKING:
    from starlette.types import ASGIApp

RESPONSE_SECONDS = 45.0
"""The most seconds from a request to the end of its response.

A cold start of the service takes up to 30 s.
"""

CALL_SECONDS = 1800.0
"""The same for `POST /v1/calls`, which is answered when the phone call has ended."""


class TokenSource(Protocol):
    """A source of access tokens, such as a session of `kallyai_mcp.auth`.

    Its methods raise `NotSignedInError`.
    """

    async def access_token(self) -> str:
        """A token that is valid for at least one more minute; refreshed if necessary."""
        ...

    async def renew(self, rejected: str) -> str:
        """A token other than `rejected`, which the service has refused with 401."""
        ...


class KallyAI:
    """A client of KallyAI's API, for one event loop; `aclose` closes the connections that it keeps
    for the next GET.

    Every method may raise `NotConnectedError` (nothing was sent), `ResponseLostError` (KallyAI may
    have acted on it), `UnreadableResponseError`, or a subclass of `ServiceError`. Methods that need
    a token may raise `NotSignedInError`. A GET is sent again after 429, 502, 503, 504, and failed
    connections; a POST only after a 401, once, with a renewed token.

    Args:
        base_url: The base URL of the API: https, or http on a loopback address (any host with an
            `app`).
        tokens: The source of access tokens; None for a client that only signs in.
        user_agent: The User-Agent header, printable ASCII.
        app: An ASGI app in this process to use in place of the network.
        retry_backoff: Seconds; a GET waits a random time up to 2, 4, and 8 times this between its
            attempts.

    Attributes:
        server_time: The time in the `Date` header of the latest response (aware); None before the
            first response.

    Raises:
        ValueError: `base_url` or the proxy of the environment is not valid.
    """

    def __init__(
        self,
        base_url: str,
        *,
        tokens: TokenSource | None = None,
        user_agent: str,
        app: "ASGIApp | None" = None,
        retry_backoff: float = 0.5,
    ) -> None:
        self.base_url = base_url.rstrip("/") if app is not None else check_base_url(base_url)
        self.server_time: datetime | None = None
        self._transport = Transport(self.base_url, app=app, backoff=retry_backoff)
        self._tokens = tokens
        accept = {"Accept": "application/json, text/calendar", "Accept-Encoding": "gzip"}
        self._headers = {"User-Agent": user_agent, **accept}

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
        last_check: Callable[[], Awaitable[None]] | None = None,
    ) -> Call:
        """Place a phone call and wait until it has ended, for minutes: at most `CALL_SECONDS`
        ("Create Call").

        `timezone` is the IANA name of the time zone of dates and times. The service places one call
        for each `idempotency_key`, a UUID. `last_check` is awaited each time when the request has
        its token and a connection, just before the first byte. If it raises an error, nothing is
        sent.

        Raises:
            UnreadableResponseError: The call was placed, but the response has no `call_id`, or is
                about a call to another number.
            ServiceError: The call was refused. After `UnavailableError` it may have been placed.
        """
        more = {"timezone": timezone, "session_id": session_id}
        body = {"submission": submission.as_json()} | {
            name: value for name, value in more.items() if value is not None
        }
        request = self._post("/v1/calls", json.dumps(body))
        if idempotency_key is not None:
            request.headers["Idempotency-Key"] = idempotency_key
        request.seconds = CALL_SECONDS
        response = await self._send_signed(request, last_check=last_check)
        return read_call(response, number=submission.respondent_phone)

    async def list_calls(self, limit: int = 50, offset: int = 0) -> CallPage:
        """One page of the user's calls: `limit` (1-200) calls after the first `offset` ("List
        Calls").
        """
        return await self._read(CallPage, f"/v1/calls?limit={limit}&offset={offset}")

    async def get_call(self, call_id: str, *, number: str | None = None) -> Call:
        """One call ("Get Call Details").

        The response must not contradict `number` (E.164), which may be unknown.
        """
        response = await self._send_signed(self._get(f"/v1/calls/{check_call_id(call_id)}"))
        return read_call(response, id_=call_id, number=number)

    async def get_transcript(self, call_id: str) -> Transcript:
        """The transcript of a call ("Get Transcript"); `ForbiddenError` without the scope
        `transcripts:read`.
        """
        return await self._read(Transcript, f"/v1/calls/{check_call_id(call_id)}/transcript")

    async def get_calendar(self, call_id: str) -> str:
        """The appointment of a call as the text of an .ics file (RFC 5545), unchecked ("Get
        Calendar Event").
        """
        response = await self._send_signed(
            self._get(f"/v1/calls/{check_call_id(call_id)}/calendar.ics")
        )
        return response.body.decode("utf-8-sig", "replace")

    # "User Endpoints" of the reference

    async def get_subscription(self) -> Subscription:
        """The user's plan, and when it expires ("Get Subscription")."""
        return await self._read(Subscription, "/v1/users/me/subscription")

    async def get_statistics(self) -> Statistics:
        """The user's usage in the current period ("Get Statistics")."""
        return await self._read(Statistics, "/v1/users/me/statistics")

    async def get_billing_portal(self) -> BillingPortal:
        """The link to the user's billing portal, which is private to the user ("Get Billing
        Portal").
        """
        return await self._read(BillingPortal, "/v1/stripe/billing-portal")

    async def check_reachable(self) -> bool:
        """Whether the service responds without a token, and with data, not a web page; raises the
        error of a 5xx.
        """
        request = self._get("/v1/users/me/statistics")
        response = self._noted(await self._transport.send(request))
        if response.status >= 500:
            raise error_from(request, response)
        return not response.is_web_page

    # "Authentication" of the reference

    async def refresh(self, refresh_token: str) -> TokenGrant:
        """New tokens for a refresh token ("Token Refresh").

        Without a new one in the response, keep the old one.
        """
        request = self._post("/v1/auth/refresh", json.dumps({"refresh_token": refresh_token}))
        return await self._grant(request, refresh_token)

    async def exchange_code(
        self, code: str, redirect_uri: str, client_id: str, client_secret: str
    ) -> TokenGrant:
        """Tokens for an authorization code ("OAuth2 Authorization Code Flow", step 2)."""
        form = {
            "client_id": client_id,
            "client_secret": client_secret,
            "code": code,
            "redirect_uri": redirect_uri,
        }
        return await self._grant(
            self._form(grant_type="authorization_code", **form), code, client_secret
        )

    async def refresh_code(
        self, refresh_token: str, client_id: str, client_secret: str
    ) -> TokenGrant:
        """New tokens for a refresh token from `exchange_code` ("OAuth2 Authorization Code Flow",
        step 3).
        """
        form = {
            "client_id": client_id,
            "client_secret": client_secret,
            "refresh_token": refresh_token,
        }
        return await self._grant(
            self._form(grant_type="refresh_token", **form), refresh_token, client_secret
        )

    def cli_auth_url(self, redirect_uri: str, state: str) -> str:
        """The page where a user signs in for a program on their machine ("CLI Authentication").

        `redirect_uri` is `http://localhost:PORT` or `http://127.0.0.1:PORT`; it gets `state` back.
        """
        return self._page("/v1/auth/cli", redirect_uri=redirect_uri, state=state)

    def authorize_url(self, client_id: str, redirect_uri: str, *, state: str, scope: str) -> str:
        """The page where a user authorizes a registered client ("OAuth2 Authorization Code Flow",
        step 1).

        `scope` has scopes separated by spaces.
        """
        query = {
            "client_id": client_id,
            "redirect_uri": redirect_uri,
            "state": state,
            "scope": scope,
        }
        return self._page("/v1/auth/authorize", response_type="code", **query)

    def _page(self, path: str, **query: str) -> str:
        # As in the reference, `:` and `/` are not encoded and a space is %20, which RFC 3986,
        # section 3.4, allows.
        return f"{self.base_url}{path}?{urlencode(query, safe=':/', quote_via=quote)}"

    # Sending

    def _get(self, path: str) -> ApiRequest:
        return ApiRequest("GET", path, self._headers.copy(), RESPONSE_SECONDS)

    def _post(self, path: str, body: str, content_type: str = "application/json") -> ApiRequest:
        headers = self._headers | {"Content-Type": content_type}
        return ApiRequest("POST", path, headers, RESPONSE_SECONDS, body.encode())

    def _form(self, **fields: str) -> ApiRequest:
        # Whatever its name says, this is the address for every registered OAuth client.
        return self._post(
            "/v1/auth/gpt/token", urlencode(fields), "application/x-www-form-urlencoded"
        )

    async def _grant(self, request: ApiRequest, *secrets: str) -> TokenGrant:
        request.secrets = secrets
        return read_model(TokenGrant, self._success(request, await self._transport.send(request)))

    async def _read(self, model: type[Model], path: str) -> Model:
        return read_model(model, await self._send_signed(self._get(path)))

    async def _send_signed(
        self,
        request: ApiRequest,
        *,
        last_check: Callable[[], Awaitable[None]] | None = None,
    ) -> ApiResponse:
        """Send a request with the token.

        After a 401, renew the token and send the request once more. This is safe for a POST too,
        because a 401 says that the service did not act on it. Neither did it after
        `NotSignedInError`, and `NotConnectedError` for a renewal that failed. `last_check` is as
        for `create_call`.
        """
        if self._tokens is None:
            raise NotSignedInError("This client has no sign-in")
        token = await _checked(self._tokens.access_token())
        response = await self._send_with(token, request, last_check)
        if response.status == HTTPStatus.UNAUTHORIZED:
            try:
                fresh = await _checked(self._tokens.renew(token))
            except NotSignedInError as error:
                raise not_signed_in(error_from(request, response), error.message) from None
            if fresh != token:
                response = await self._send_with(fresh, request, last_check)
        return self._success(request, response)

    async def _send_with(
        self,
        token: str,
        request: ApiRequest,
        last_check: Callable[[], Awaitable[None]] | None,
    ) -> ApiResponse:
        """Send a request with this token."""
        request.headers["Authorization"] = f"Bearer {token}"
        request.secrets = (token,)
        if last_check is None:
            return await self._transport.send(request)

        async def check_sign_in_first() -> None:
            # Another account may have signed in while the connection was made.
            await self._check_signed_in_with(token)
            await last_check()

        return await self._transport.send(request, check_sign_in_first)

    async def _check_signed_in_with(self, token: str) -> None:
        """Raise `NotConnectedError` if the sign-in has another token now."""
        if self._tokens is None or await _checked(self._tokens.access_token()) != token:
            raise NotConnectedError(
                "The sign-in changed just before the request was sent; nothing was sent"
            )

    def _success(self, request: ApiRequest, response: ApiResponse) -> ApiResponse:
        """The response if it is a success; else raises its error."""
        if 200 <= self._noted(response).status < 300:
            return response
        raise error_from(request, response)

    def _noted(self, response: ApiResponse) -> ApiResponse:
        self.server_time = date_of(response.headers) or self.server_time
        return response


async def _checked(pending: Awaitable[str]) -> str:
    """The token; raises `NotSignedInError` or `NotConnectedError`."""
    try:
        return await pending
    except (NotSignedInError, NotConnectedError):
        raise
    except KallyAIError as error:
        # A response may be lost during the renewal. But the request that needs the token was
        # certainly not sent.
        raise NotConnectedError(
            f"The sign-in could not be renewed, so the request was not sent: {error.message}",
            reason=error.code,
            correlation_id=error.correlation_id,
            retry_after=error.retry_after,
        ) from error
