"""The sign-in as the API client uses it: a token that is always fresh, renewed once however many ask."""

import logging
import math
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import anyio
from anyio import to_thread

from kallyai_mcp.api.errors import BadRequestError, KallyAIError, NotSignedInError, ResponseLostError, UnauthorizedError
from kallyai_mcp.api.models import TokenGrant
from kallyai_mcp.auth.errors import SignInBusyError, TokenStoreError
from kallyai_mcp.auth.process_lock import Stamp, one_process
from kallyai_mcp.auth.token_store import TokenStore
from kallyai_mcp.auth.tokens import Tokens

_log = logging.getLogger(__name__)

EARLY = 60.0
"""Seconds before its end at which an access token is renewed, so that none ends on the way."""

RENEWAL_SECONDS = 55.0
"""The most that one renewal may take: the service may need 30 s to wake up."""

LOCK_SECONDS = 60.0
"""How long to wait for another process: longer than its renewal can take."""

_PASSING = {408, 425, 429}
_SIGN_IN = "Sign in with the sign_in tool or with `kallyai-mcp login`."


class Session:
    """One account's sign-in, shared by every task of this process and every process of this user.

    It is the API client's token source. The rules it keeps:

    * A token is renewed a minute before it ends, and once when the service turns it away; one renewal at a time in the
      process and, by a lock file, in all processes; whoever waited uses what the first one got.
    * A refresh token that the service may have replaced is never lost: once a renewal has been sent, its answer is
      waited for and kept, even if the caller is cancelled meanwhile.
    * A refused renewal deletes nothing. What another process has renewed in the meantime is used; otherwise the user
      has to sign in again.
    * When the service can't be reached, the old token is used as long as it lasts.

    Args:
        store: Where the sign-in is kept.
        refresh: Sends a refresh token to the service ("Token Refresh") and returns its answer.
        lock_path: The lock file that all processes with this `store` share; a stamp file is kept beside it.
        clock: The time in seconds since the epoch.
        lock_wait: How long to wait for another process, in seconds.
    """

    def __init__(
        self,
        store: TokenStore,
        refresh: Callable[[str], Awaitable[TokenGrant]],
        lock_path: Path,
        clock: Callable[[], float] = time.time,
        *,
        lock_wait: float = LOCK_SECONDS,
    ) -> None:
        self._store = store
        self._refresh = refresh
        self._one_process = partial(one_process, lock_path, lock_wait)
        self._clock = clock
        self._stamp = Stamp(lock_path.with_suffix(".stamp"))
        self._one_task = anyio.Lock()
        self._store_lock = anyio.Lock()  # a slow read must not end after a write and bring back what it replaced
        # What the store had when it was last read or written. `_tokens` differs from it only when a renewal could not
        # be saved: then memory has the only copy.
        self._stored: Tokens | None = None
        self._tokens: Tokens | None = None
        self._seen: bytes | None = None
        self._renewals = 0
        self._failure: KallyAIError | None = None

    async def access_token(self) -> str:
        """A token for the next request, renewed if it ends within a minute.

        Raises:
            NotSignedInError: Nobody is signed in, or the sign-in has ended and can't be renewed.
            KallyAIError: It has ended, and the service could not be reached to renew it.
        """
        tokens = await self.current()
        if tokens is None:
            raise NotSignedInError(f"Not signed in to KallyAI. {_SIGN_IN}")
        if tokens.expires_within(EARLY, self._clock()):
            tokens = await self._renewed_in_time(tokens)
        return tokens.access_token.get_secret_value()

    async def renew(self, rejected: str) -> str:
        """A token other than `rejected`, which the service has turned away with 401.

        Raises:
            NotSignedInError: The sign-in can't be renewed.
            KallyAIError: The service could not be reached to renew it.
        """
        tokens = await self.current()
        if tokens is None:
            raise NotSignedInError(f"Not signed in to KallyAI. {_SIGN_IN}")
        if not self._replaces(tokens, rejected):
            tokens = await self._renewed(rejected)
        return tokens.access_token.get_secret_value()

    async def current(self) -> Tokens | None:
        """The tokens of whoever is signed in, as they are now, perhaps expired; None when nobody is.

        Raises:
            TokenStoreError: That can't be told.
        """
        if self._tokens is None or self._stamp.read() != self._seen:
            await self._reread()
        return self._tokens

    async def adopt(self, grant: TokenGrant) -> Tokens:
        """Sign in with what the sign-in page gave, in place of whoever was signed in; returns the tokens.

        Raises:
            TokenStoreError: They can't be kept; nothing has changed.
        """
        tokens = Tokens.from_grant(grant, self._clock())
        async with self._one_task, self._one_process():
            await self._save(tokens)
        return tokens

    async def sign_out(self) -> None:
        """Forget the sign-in, here and in every other process.

        Raises:
            TokenStoreError: It may still be where it was kept.
        """
        async with self._one_task, self._one_process():
            with anyio.CancelScope(shield=True):
                async with self._store_lock:
                    await to_thread.run_sync(self._store.delete)
                    self._now_stored(None)

    async def _renewed_in_time(self, tokens: Tokens) -> Tokens:
        ended = tokens.expires_within(0, self._clock())
        if tokens.refresh_token is None and not ended:
            return tokens
        try:
            return await self._renewed(tokens.access_token.get_secret_value())
        except NotSignedInError:
            raise
        except KallyAIError as error:
            if tokens.expires_within(0, self._clock()):
                raise
            _log.warning("the sign-in could not be renewed yet (%s); the old token still lasts", error.code)
            return tokens

    async def _renewed(self, stale: str) -> Tokens:
        """Tokens other than `stale`; those who wait for a renewal share its result, be it an error."""
        before = self._renewals
        async with self._one_task:
            if self._renewals != before and self._failure is not None:
                raise self._failure
            if self._tokens is not None and self._replaces(self._tokens, stale):
                return self._tokens
            try:
                tokens = await self._renewed_alone(stale)
            except KallyAIError as error:
                self._failure = error
                self._renewals += 1
                raise
            self._failure = None
            self._renewals += 1
            return tokens

    async def _renewed_alone(self, stale: str) -> Tokens:
        async with self._one_process() as alone:
            tokens = await self._reread()
            if tokens is None:
                raise NotSignedInError(f"Signed out of KallyAI. {_SIGN_IN}")
            if self._replaces(tokens, stale):
                return tokens
            if tokens.refresh_token is None:
                raise NotSignedInError(f"The sign-in has ended and can't be renewed. {_SIGN_IN}")
            if not alone:
                raise SignInBusyError
            return await self._exchanged_to_the_end(tokens, tokens.refresh_token.get_secret_value())

    async def _exchanged_to_the_end(self, tokens: Tokens, refresh_token: str) -> Tokens:
        # In a task of its own, since a shield alone does not hold off asyncio's own cancellation, as after Ctrl+C.
        outcome: list[Tokens | Exception] = []

        async def exchange() -> None:
            with anyio.CancelScope(shield=True):
                try:
                    outcome.append(await self._exchanged(tokens, refresh_token))
                except Exception as error:  # noqa: BLE001 - to come out as itself, and not in an exception group
                    outcome.append(error)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(exchange)
        if isinstance(outcome[0], Exception):
            raise outcome[0]
        return outcome[0]

    async def _exchanged(self, tokens: Tokens, refresh_token: str) -> Tokens:
        try:
            with anyio.fail_after(RENEWAL_SECONDS):
                grant = await self._refresh(refresh_token)
        except TimeoutError:
            raise ResponseLostError("KallyAI took too long to renew the sign-in. Try again.") from None
        except (UnauthorizedError, BadRequestError) as error:
            if error.status in _PASSING:
                raise
            newer = await self._reread()
            if newer is not None and self._replaces(newer, tokens.access_token.get_secret_value()):
                return newer
            raise NotSignedInError(
                f"KallyAI no longer accepts this sign-in. {_SIGN_IN}",
                status=error.status,
                reason=error.code,
                correlation_id=error.correlation_id,
            ) from error
        renewed = Tokens.from_grant(grant, self._clock(), tokens)
        self._tokens = renewed
        try:
            await self._save(renewed)
        except TokenStoreError as error:
            _log.warning("%s The renewed sign-in lasts until this process ends.", error)
        return renewed

    def _replaces(self, tokens: Tokens, stale: str) -> bool:
        other = tokens.access_token.get_secret_value() != stale
        return other and not tokens.expires_within(0, self._clock())

    async def _reread(self) -> Tokens | None:
        async with self._store_lock:
            seen = self._stamp.read()
            stored = await to_thread.run_sync(self._store.load, abandon_on_cancel=True)
            if stored != self._stored:
                self._tokens = self._stored = stored
            self._seen = seen
            return self._tokens

    async def _save(self, tokens: Tokens) -> None:
        with anyio.CancelScope(shield=True):
            async with self._store_lock:
                await to_thread.run_sync(self._store.save, tokens)
                self._now_stored(tokens)

    def _now_stored(self, tokens: Tokens | None) -> None:
        self._tokens = self._stored = tokens
        self._seen = self._stamp.renew()


class StaticTokens:
    """The token of the setting `ACCESS_TOKEN`: used as it is, never stored, never renewed.

    Args:
        token: The access token.
    """

    def __init__(self, token: str) -> None:
        self._token = token

    async def access_token(self) -> str:
        """The token."""
        return self._token

    async def renew(self, rejected: str) -> str:  # noqa: ARG002 - it can't be renewed, whichever it was
        """Always raises `NotSignedInError`, which names the setting."""
        raise NotSignedInError(
            "KallyAI does not accept the token in KALLYAI_ACCESS_TOKEN. Put a new one there, or remove the setting and "
            "sign in with `kallyai-mcp login`."
        )

    async def current(self) -> Tokens:
        """The token as `Tokens`; when it ends is not known."""
        return Tokens.from_document({"access_token": self._token, "expires_at": math.inf})

    def __repr__(self) -> str:
        return "StaticTokens()"
