"""Bearer tokens on requests, only to KallyAI's own origin ("Authentication" of the reference)."""

from collections.abc import AsyncGenerator, Awaitable
from http import HTTPStatus
from typing import Protocol

import httpx

from kallyai_mcp.api.error_responses import error_from
from kallyai_mcp.api.errors import KallyAIError, NotConnectedError, NotSignedInError
from kallyai_mcp.api.responses import ApiResponse
from kallyai_mcp.common_types import is_token


class TokenSource(Protocol):
    """A source of access tokens, such as a session of `kallyai_mcp.auth`."""

    async def access_token(self) -> str:
        """A token that is valid for at least one more minute, if necessary a new one; raises `NotSignedInError`."""
        ...

    async def renew(self, rejected: str) -> str:
        """A token other than `rejected`, which the service refused with 401; raises `NotSignedInError`."""
        ...


def same_origin(one: httpx.URL, other: httpx.URL) -> bool:
    """Whether two URLs have the same scheme, host and port."""
    return (one.scheme, one.host, one.port) == (other.scheme, other.host, other.port)


class BearerAuth(httpx.Auth):
    """Adds the token to requests to one origin. After a 401, it renews the token and sends the request once more.

    This is safe for a POST too, because after a 401 the service did not act on it. Only requests to the scheme, host,
    and port of `origin` get the token.
    """

    def __init__(self, tokens: TokenSource, origin: httpx.URL) -> None:
        self._tokens = tokens
        self._origin = origin

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Called for each request; yields it each time that it is to be sent.

        Raises:
            NotSignedInError: There is no valid token. After a 401 it has the code, the message (as `reason`), and the
                correlation id of that response.
            NotConnectedError: The renewal of the token failed. The service did not act on this request.
        """
        if not same_origin(request.url, self._origin):
            request.headers.pop("Authorization", None)
            yield request
            return
        token = await _checked_token(self._tokens.access_token())
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code != HTTPStatus.UNAUTHORIZED:
            return
        try:
            fresh = await _checked_token(self._tokens.renew(token))
        except NotSignedInError as error:
            body = response.extensions["body"]
            refused = ApiResponse(response.status_code, response.headers, body, secrets=(token,))
            refusal = error_from(refused)
            raise refusal.restated(NotSignedInError, error.message, refusal.message) from None
        if fresh != token:
            request.headers["Authorization"] = f"Bearer {fresh}"
            yield request

    async def check_current(self, request: httpx.Request) -> None:
        """Check that a signed request has the token of the present sign-in.

        Raises:
            NotConnectedError: It has another one: someone signed in since, or the token was renewed.
        """
        token = await _checked_token(self._tokens.access_token())
        if request.headers.get("Authorization") != f"Bearer {token}":
            raise NotConnectedError("The sign-in changed just before the request was sent; nothing was sent")


async def _checked_token(pending: Awaitable[str]) -> str:
    try:
        token = await pending
    except (NotSignedInError, NotConnectedError):
        raise
    except KallyAIError as error:
        # A response lost during the renewal says nothing about the request that needs the token, which was not sent.
        raise NotConnectedError(
            f"The sign-in could not be renewed, so the request was not sent: {error.message}",
            reason=error.code,
            correlation_id=error.correlation_id,
            retry_after=error.retry_after,
        ) from error
    if not is_token(token):
        # The HTTP library would quote it in its error.
        raise NotSignedInError("The access token at hand is damaged and can't be sent; sign in again")
    return token
