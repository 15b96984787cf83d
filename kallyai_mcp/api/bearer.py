"""Bearer tokens on requests ("Authentication" of the reference)."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Protocol

import httpx2

from kallyai_mcp.api.error_responses import error_from
from kallyai_mcp.api.errors import KallyAIError, NotConnectedError, NotSignedInError, is_token
from kallyai_mcp.api.responses import ApiResponse

SendRequest = Callable[[httpx2.Request], Awaitable[ApiResponse]]
"""Sends a request, and returns its response, whatever its status is."""


class TokenSource(Protocol):
    """A source of access tokens, such as a session of `kallyai_mcp.auth`. Its methods raise `NotSignedInError`."""

    async def access_token(self) -> str:
        """A token that is valid for at least one more minute; refreshed if necessary."""
        ...

    async def renew(self, rejected: str) -> str:
        """A token other than `rejected`, which the service has refused with 401."""
        ...


class Bearer:
    """Sends requests with the token of the user who is signed in."""

    def __init__(self, tokens: TokenSource, send: SendRequest) -> None:
        self._tokens = tokens
        self._send_once = send

    async def send(self, request: httpx2.Request) -> ApiResponse:
        """Send a request with the token. After a 401, renew the token and send the request once more.

        This is safe for a POST too, because a 401 says that the service did not act on it. Neither did it after
        `NotSignedInError`, and `NotConnectedError` for a renewal that failed.
        """
        token = await _checked_token(self._tokens.access_token())
        response = await self._send_with(token, request)
        if response.status != HTTPStatus.UNAUTHORIZED:
            return response
        try:
            fresh = await _checked_token(self._tokens.renew(token))
        except NotSignedInError as error:
            refusal = error_from(replace(response, secrets=(token,)))
            raise refusal.restated(NotSignedInError, error.message) from None
        return response if fresh == token else await self._send_with(fresh, request)

    async def _send_with(self, token: str, request: httpx2.Request) -> ApiResponse:
        request.headers["Authorization"] = f"Bearer {token}"
        if (before_send := request.extensions.get("before_send")) is not None:
            await before_send()
            request.extensions["before_write"] = partial(self._before_write, token, request)
        return await self._send_once(request)

    async def _before_write(self, token: str, request: httpx2.Request) -> None:
        """Check that the sign-in is still the same when there is a connection, which may take seconds to make."""
        if await _checked_token(self._tokens.access_token()) != token:
            raise NotConnectedError("The sign-in changed just before the request was sent; nothing was sent")
        if (when_connected := request.extensions.get("when_connected")) is not None:
            when_connected()


async def _checked_token(pending: Awaitable[str]) -> str:
    try:
        token = await pending
    except (NotSignedInError, NotConnectedError):
        raise
    except KallyAIError as error:
        # A response may be lost during the renewal. But the request that needs the token was certainly not sent.
        raise NotConnectedError(
            f"The sign-in could not be renewed, so the request was not sent: {error.message}",
            reason=error.code,
            correlation_id=error.correlation_id,
            retry_after=error.retry_after,
        ) from error
    if not is_token(token):
        # The HTTP library would quote the token in its error.
        raise NotSignedInError("The access token at hand is damaged and can't be sent; sign in again")
    return token
