"""The sign-in on a request: the bearer token, to KallyAI's own origin and nowhere else ("Authentication")."""

from collections.abc import AsyncGenerator, Awaitable
from http import HTTPStatus
from typing import Protocol

import httpx

from kallyai_mcp.api.errors import KallyAIError, NotConnectedError, NotSignedInError


class TokenSource(Protocol):
    """Where access tokens come from; the auth room's sessions are such."""

    async def access_token(self) -> str:
        """A token that is good for the next minute at least, renewed first where necessary.

        Raises:
            NotSignedInError: There is none, and none can be had without the user.
        """
        ...

    async def renew(self, rejected: str) -> str:
        """A token other than `rejected`, which the service has just refused with 401.

        Raises:
            NotSignedInError: There is none, and none can be had without the user.
        """
        ...


def same_origin(one: httpx.URL, other: httpx.URL) -> bool:
    """Whether two URLs have the same scheme, host and port."""
    return (one.scheme, one.host, one.port) == (other.scheme, other.host, other.port)


class Bearer(httpx.Auth):
    """Signs requests to one origin, and renews the token once when the service answers 401.

    The request is then sent a second time: a 401 says that the service did not act on it, so this is safe for a POST
    too.

    Args:
        tokens: Where tokens come from.
        origin: A URL of the service; only requests to its scheme, host and port are signed.
    """

    def __init__(self, tokens: TokenSource, origin: httpx.URL) -> None:
        self._tokens = tokens
        self._origin = origin

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Called by httpx for each request.

        Raises:
            NotSignedInError: There is no token that could be sent.
            NotConnectedError: The token had to be renewed first, and that failed: this request was not acted on.
        """
        if not same_origin(request.url, self._origin):
            request.headers.pop("Authorization", None)
            yield request
            return
        token = await _obtain(self._tokens.access_token())
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code != HTTPStatus.UNAUTHORIZED:
            return
        fresh = await _obtain(self._tokens.renew(token))
        if fresh != token:
            request.headers["Authorization"] = f"Bearer {fresh}"
            yield request


async def _obtain(pending: Awaitable[str]) -> str:
    try:
        token = await pending
    except (NotSignedInError, NotConnectedError):
        raise
    except KallyAIError as error:
        # An answer lost while renewing says nothing about the request that waits for the token: that one never left.
        raise NotConnectedError(
            f"The sign-in could not be renewed, so the request was not sent: {error.message}",
            reason=error.code,
            correlation_id=error.correlation_id,
            retry_after=error.retry_after,
        ) from error
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        # The HTTP library would refuse it too, and quote it in its error.
        raise NotSignedInError("The access token at hand is damaged and can't be sent; sign in again")
    return token
