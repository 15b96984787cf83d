"""Bearer tokens on requests ("Authentication" of the reference)."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Protocol

from kallyai_mcp.api.error_responses import error_from
from kallyai_mcp.api.errors import KallyAIError, NotConnectedError, NotSignedInError, is_token, not_signed_in
from kallyai_mcp.api.responses import ApiResponse
from kallyai_mcp.api.transport import ApiRequest, LastCheck, Transport


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

    def __init__(self, tokens: TokenSource, transport: Transport) -> None:
        self._tokens = tokens
        self._transport = transport

    async def send(
        self,
        request: ApiRequest,
        *,
        before_send: LastCheck | None = None,
        before_write: Callable[[], None] | None = None,
    ) -> ApiResponse:
        """Send a request with the token. After a 401, renew the token and send the request once more.

        This is safe for a POST too, because a 401 says that the service did not act on it. Neither did it after
        `NotSignedInError`, and `NotConnectedError` for a renewal that failed. `before_send` and `before_write` are
        those of `KallyAI.create_call`.
        """

        async def send_with(token: str) -> ApiResponse:
            signed = replace(request, headers=request.headers | {"Authorization": f"Bearer {token}"}, secrets=(token,))
            if before_send is None:
                return await self._transport.send(signed)
            await before_send()
            return await self._transport.send(signed, partial(self._last_check, token, before_write))

        token = await _checked_token(self._tokens.access_token())
        response = await send_with(token)
        if response.status != HTTPStatus.UNAUTHORIZED:
            return response
        try:
            fresh = await _checked_token(self._tokens.renew(token))
        except NotSignedInError as error:
            raise not_signed_in(error_from(response, request.method), error.message) from None
        return response if fresh == token else await send_with(fresh)

    async def _last_check(self, token: str, before_write: Callable[[], None] | None) -> None:
        """Check that the sign-in is still the same when there is a connection, which may take seconds to make."""
        if await _checked_token(self._tokens.access_token()) != token:
            raise NotConnectedError("The sign-in changed just before the request was sent; nothing was sent")
        if before_write is not None:
            before_write()


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
