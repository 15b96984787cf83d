"""The client: one method for each endpoint of the reference. Everything it raises is a `KallyAIError`.

No URL it requests holds a token, so httpx's own log lines, which print URLs, are harmless.
"""

from functools import lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from kallyai_mcp.api import sign_in_urls
from kallyai_mcp.api.bearer import Bearer, TokenSource, same_origin
from kallyai_mcp.api.error_responses import refusal
from kallyai_mcp.api.errors import (
    KallyAIError,
    NotFoundError,
    NotSignedInError,
    ResponseLostError,
    ServiceError,
    UnavailableError,
)
from kallyai_mcp.api.models import (
    BillingPortal,
    Call,
    CallCreateRequest,
    CallList,
    Statistics,
    Submission,
    Subscription,
    TokenGrant,
    Transcript,
)
from kallyai_mcp.api.responses import Answer, read_calendar, read_model
from kallyai_mcp.api.transport import (
    ASGIApp,
    RetryTooLongError,
    Timeouts,
    broken,
    in_process,
    over_network,
    with_retries,
)
from kallyai_mcp.telemetry import api_request
from kallyai_mcp.urls import check_base_url

__all__ = ["KallyAI", "Timeouts", "TokenSource"]

MAX_REDIRECTS = 3

_parsed = lru_cache(maxsize=64)(httpx.URL)

_LONGEST_ID = 1000

_SECRETS = {"refresh_token", "client_secret", "code", "id_token", "identity_token"}


class KallyAI:
    """KallyAI's service, as the reference describes it. Close it with `aclose`, or use it as an async context manager.

    Any method may raise `NotConnectedError` (nothing was sent), `ResponseLostError` (it may have been acted on),
    `UnreadableResponseError`, or a class of `ServiceError`; those that need a sign-in also `NotSignedInError`. A GET is
    tried again on 429, 502, 503, 504 and broken connections; a POST only once, after a 401, with a renewed token.

    Args:
        base_url: Where KallyAI answers: https, or http on a loopback address (any name for an `app`).
        tokens: Signs the requests; None for one that only signs in.
        user_agent: The User-Agent header, printable ASCII.
        app: An ASGI app in this process that takes the place of the network.
        transport: Sends single requests in place of httpx's own; it is closed with the client.
        retry_backoff: Seconds that the waits between tries are multiples of.
        timeouts: How long to wait for what.

    Raises:
        ValueError: `base_url`, `user_agent` or a proxy of the environment can't be used, or both `app` and `transport`
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
        self._bearer = None if tokens is None else Bearer(tokens, self._origin)
        self._timeouts = timeouts
        if app is not None:
            transport = in_process(app)
        self._http = httpx.AsyncClient(
            transport=with_retries(transport or over_network(self._origin), retry_backoff),
            headers={
                "User-Agent": _header("user_agent", user_agent),
                "Accept": "application/json",
                # The two that every install can decode, and that can't blow up a body beyond measure.
                "Accept-Encoding": "gzip, deflate",
            },
            timeout=timeouts.ordinary(),
            # The reference knows no cookies, and one client may serve for long.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes all connections."""
        await self._http.aclose()

    # "Call Endpoints" of the reference

    async def create_call(
        self,
        submission: Submission,
        *,
        timezone: str | None = None,
        session_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Call:
        """Has a phone call made, and waits until it has ended: minutes, at most `Timeouts.call`.

        Args:
            submission: Whom to ring and what for.
            timezone: IANA name of the zone that dates and times are in, such as America/New_York.
            session_id: Joins calls of one session.
            idempotency_key: A UUID; the service makes one call for one key, however often it comes.

        Returns:
            The call with its outcome; `is_final` says whether it really has one.

        Raises:
            UnreadableResponseError: The call was made, but the answer has no `call_id`.
            ServiceError: It was refused; with `UnavailableError` it may have been made.
        """
        body = CallCreateRequest(submission=submission, timezone=timezone, session_id=session_id)
        headers = {} if idempotency_key is None else {"Idempotency-Key": _header("idempotency_key", idempotency_key)}
        request = self._request(
            "POST", "/v1/calls", json=body.as_json(), headers=headers, timeout=self._timeouts.calling()
        )
        return read_model(Call, await self._signed(request))

    async def list_calls(self, limit: int = 50, offset: int = 0) -> CallList:
        """The user's calls, a page of `limit` (1-200) from `offset` on."""
        request = self._request("GET", "/v1/calls", params={"limit": limit, "offset": offset})
        return read_model(CallList, await self._signed(request))

    async def get_call(self, call_id: str) -> Call:
        """One call; `NotFoundError` when there is none of this id."""
        return read_model(Call, await self._signed(self._request("GET", _call_path(call_id))))

    async def get_transcript(self, call_id: str) -> Transcript:
        """What was said in a call; `NotFoundError` when nothing was, `ForbiddenError` without `transcripts:read`."""
        return read_model(Transcript, await self._signed(self._request("GET", f"{_call_path(call_id)}/transcript")))

    async def get_calendar(self, call_id: str) -> str:
        """The appointment of a call as the text of an .ics file (RFC 5545); `NotFoundError` when it made none."""
        headers = {"Accept": "text/calendar, application/json;q=0.5"}
        request = self._request("GET", f"{_call_path(call_id)}/calendar.ics", headers=headers)
        return read_calendar(await self._signed(request))

    # "User Endpoints" of the reference

    async def get_subscription(self) -> Subscription:
        """The user's plan, and until when it runs."""
        return read_model(Subscription, await self._signed(self._request("GET", "/v1/users/me/subscription")))

    async def get_statistics(self) -> Statistics:
        """What the user has used and has left in the current period."""
        return read_model(Statistics, await self._signed(self._request("GET", "/v1/users/me/statistics")))

    async def get_billing_portal(self) -> BillingPortal:
        """Where the user sees and changes their plan; the link is theirs alone."""
        return read_model(BillingPortal, await self._signed(self._request("GET", "/v1/stripe/billing-portal")))

    async def reach(self) -> None:
        """Returns if the service answers at all, whatever it answers below 500; nobody needs to be signed in.

        Raises:
            KallyAIError: It does not, or has trouble of its own.
        """
        try:
            await self._send(self._request("GET", "/"), None, ())
        except UnavailableError:
            raise
        except ServiceError:
            return

    # "Authentication" of the reference

    async def refresh(self, refresh_token: str) -> TokenGrant:
        """New tokens for a refresh token ("Token Refresh"). The answer may leave `refresh_token` out: keep the old."""
        return await self._grant("/v1/auth/refresh", json={"refresh_token": refresh_token})

    async def exchange_code(self, code: str, redirect_uri: str, client_id: str, client_secret: str) -> TokenGrant:
        """Tokens for an authorization code ("OAuth2 Authorization Code Flow", step 2)."""
        form = {
            "grant_type": "authorization_code",
            "client_id": client_id,
            "client_secret": client_secret,
            "code": code,
            "redirect_uri": redirect_uri,
        }
        return await self._grant("/v1/auth/gpt/token", form=form)

    async def refresh_code(self, refresh_token: str, client_id: str, client_secret: str) -> TokenGrant:
        """New tokens for a refresh token that came with a code ("OAuth2 Authorization Code Flow", step 3)."""
        form = {
            "grant_type": "refresh_token",
            "client_id": client_id,
            "client_secret": client_secret,
            "refresh_token": refresh_token,
        }
        return await self._grant("/v1/auth/gpt/token", form=form)

    async def validate_google(self, id_token: str) -> TokenGrant:
        """Tokens for an ID token of Google's ("Google Sign-In")."""
        return await self._grant("/v1/auth/google/validate", json={"id_token": id_token})

    async def apple_token(self, identity_token: str) -> TokenGrant:
        """Tokens for an identity token of Apple's ("Apple Sign-In")."""
        return await self._grant("/v1/auth/apple/token", json={"identity_token": identity_token})

    cli_auth_url = staticmethod(sign_in_urls.cli_auth_url)
    authorize_url = staticmethod(sign_in_urls.authorize_url)

    # The way there and back

    def _request(self, method: str, path: str, **content: Any) -> httpx.Request:
        return self._http.build_request(method, _parsed(self.base_url + path), **content)

    async def _grant(
        self, path: str, *, json: dict[str, str] | None = None, form: dict[str, str] | None = None
    ) -> TokenGrant:
        request = self._request("POST", path, json=json, data=form)
        secrets = tuple(value for name, value in (json or form or {}).items() if name in _SECRETS)
        return read_model(TokenGrant, await self._send(request, None, secrets))

    async def _signed(self, request: httpx.Request) -> Answer:
        if self._bearer is None:
            raise NotSignedInError("This client has no sign-in")
        return await self._send(request, self._bearer, ())

    async def _send(self, request: httpx.Request, auth: Bearer | None, secrets: tuple[str, ...]) -> Answer:
        with api_request(request.method, request.url.path) as measured:
            response = await self._exchange(request, auth)
            measured.status = response.code if isinstance(response, KallyAIError) else response.status_code
        if isinstance(response, KallyAIError):
            raise response
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        answer = Answer(
            status=response.status_code,
            headers=response.headers,
            body=response.content,
            whole=response.extensions.get("whole", True),
            secrets=(token, *secrets) if token else secrets,
        )
        if response.is_success:
            return answer
        raise _seen_from(request, refusal(answer))

    async def _exchange(self, request: httpx.Request, auth: Bearer | None) -> httpx.Response | KallyAIError:
        """An answer, or why there is none: to be raised outside, since what httpx raised can quote the header."""
        try:
            return await self._follow(request, auth)
        except RetryTooLongError as given_up:
            return given_up.response
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return broken(error, self._origin.netloc.decode("ascii"), answered="answered" in request.extensions)

    async def _follow(self, request: httpx.Request, auth: Bearer | None) -> httpx.Response:
        """Sends a request, and follows a GET where it is sent on within the origin."""
        for _ in range(MAX_REDIRECTS):
            response = await self._http.send(request, auth=auth, follow_redirects=False)
            onward = response.next_request
            if onward is None or request.method != "GET" or not same_origin(onward.url, self._origin):
                return response
            request = onward
        return await self._http.send(request, auth=auth, follow_redirects=False)


def _seen_from(request: httpx.Request, error: KallyAIError) -> KallyAIError:
    """A POST that is answered with 303 was acted on; only its answer is elsewhere (RFC 9110, 15.4.4)."""
    if request.method == "POST" and error.status == httpx.codes.SEE_OTHER:
        return ResponseLostError(
            error.message,
            code=error.code,
            status=error.status,
            reason=error.reason,
            correlation_id=error.correlation_id,
        )
    return error


def _call_path(call_id: str) -> str:
    # As a path the first three would lead to another endpoint; httpx takes no URL of over 64 kB.
    if call_id in {"", ".", ".."} or len(call_id) > _LONGEST_ID:
        raise NotFoundError("There is no call of such an id", code="call_not_found")
    return f"/v1/calls/{quote(call_id, safe='', errors='replace')}"


def _header(name: str, value: str) -> str:
    if not value or not value.isascii() or not value.isprintable():
        raise ValueError(f"{name}: only printable ASCII can be sent in a header")
    return value
