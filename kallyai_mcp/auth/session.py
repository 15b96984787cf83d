"""The session: the API client's token source.

It renews tokens only once for all tasks and processes.
"""

import asyncio
import logging
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
from anyio import to_thread

from kallyai_mcp.api.errors import (
    KallyAIError,
    NotSignedInError,
    ResponseLostError,
    ServiceError,
    not_signed_in,
)
from kallyai_mcp.api.models import TokenGrant
from kallyai_mcp.auth.token_store import TokenStore, TokenStoreError, make_private, write_private
from kallyai_mcp.auth.tokens import Tokens

_log = logging.getLogger(__name__)

RENEW_BEFORE_END = 60.0
"""How many seconds before its end an access token is renewed, so that it does not expire on its way
to KallyAI.
"""

RENEWAL_SECONDS = 55.0
"""The most seconds of one renewal. A cold start of the service takes up to 30 s."""

LOCK_SECONDS = 60.0
"""How many seconds to wait for the lock: longer than the renewal of another process."""

READ_SECONDS = 30.0
"""How many seconds to wait for the store.

A keyring may wait for its user, who may not see its dialog.
"""

_SIGN_IN = "Sign in with the sign_in tool or with `kallyai-mcp login`."


class Session:
    """The tokens of one account, which all tasks of this process and all processes of this user
    share.

    Its rules:

    * A token is renewed a minute before it expires, and when the service refuses it. There is only
      one renewal at a time in this process, and, by a lock file, in all processes. All that waited
      for it use its result.
    * A new refresh token is never lost: after a renewal was sent, its response is awaited and
      stored, even if the caller is canceled.
    * A renewal that fails deletes nothing, and the old token is used until it expires; then the
      user must sign in again if it was refused.

    `lock_path` is the lock file of all processes with this `store`. Next to it is a file that each
    process rewrites when it changes the sign-in, so that the others need not ask a keyring.
    """

    def __init__(
        self,
        store: TokenStore,
        refresh: Callable[[str], Awaitable[TokenGrant]],
        lock_path: Path,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._refresh = refresh
        self._clock = clock
        self._lock_path = lock_path
        self._change_file = lock_path.with_suffix(".changed")
        # Between the tasks of this process, also where no lock file can be made.
        self._lock = anyio.Lock()
        self._renewal: asyncio.Task[Tokens] | None = None
        self._last_read: asyncio.Task[Tokens | None] | None = None
        """It goes on in its thread when it is given up: a keyring that hangs takes only one
        thread.
        """
        # So that a slow read does not bring back what a write has replaced.
        self._store_lock = anyio.Lock()
        self._stored: Tokens | None = None
        """The tokens in the store when it was last read or written."""
        self._tokens: Tokens | None = None
        """The tokens to use.

        If they could not be stored after a renewal, only this process has them.
        """
        self._seen_change: bytes | None = None

    async def access_token(self) -> str:
        """A token for the next request, renewed if it expires within a minute.

        Raises `NotSignedInError` if there are none, or if they have expired and can't be renewed;
        another `KallyAIError` if they have expired, and the service can't be reached.
        """
        tokens = await self._signed_in()
        if tokens.expires_within(RENEW_BEFORE_END, self._clock()):
            tokens = await self._renew_early(tokens)
        return tokens.access_token.get_secret_value()

    async def renew(self, rejected: str) -> str:
        """A token other than `rejected`, which the service has refused with 401; raises as
        `access_token`.
        """
        tokens = await self._signed_in()
        if not self._replaces(tokens, rejected):
            tokens = await self._renew(rejected)
        return tokens.access_token.get_secret_value()

    async def current(self) -> Tokens | None:
        """The tokens of the signed-in user, which may have expired; None if no user is signed in.

        Raises `TokenStoreError` if the store can't be read.
        """
        if self._tokens is None or self._change() != self._seen_change:
            await self._reread()
        return self._tokens

    async def sign_in(self, grant: TokenGrant) -> Tokens:
        """Sign a user in with the tokens of the sign-in page, and the user before out; returns the
        tokens.

        Raises `TokenStoreError` if the tokens can't be stored; then nothing has changed.
        """
        tokens = Tokens.from_grant(grant, self._clock())
        async with self._alone():
            await self._write(tokens)
        return tokens

    async def sign_out(self) -> None:
        """Delete the tokens for this process and all others.

        After `TokenStoreError`, they may still be stored.
        """
        async with self._alone():
            await self._write(None)

    async def check(self) -> None:
        """Raise `TokenStoreError` if it is known that a sign-in could not be stored; for before a
        user signs in.
        """
        await to_thread.run_sync(self._store.check)

    async def _signed_in(self) -> Tokens:
        if (tokens := await self.current()) is None:
            raise NotSignedInError(f"Not signed in to KallyAI. {_SIGN_IN}")
        return tokens

    async def _renew_early(self, tokens: Tokens) -> Tokens:
        try:
            return await self._renew(tokens.access_token.get_secret_value())
        except KallyAIError as error:
            if tokens.expires_within(0, self._clock()):
                raise
            _log.warning(
                "the sign-in could not be renewed yet (%s); the old token still lasts", error.code
            )
            return tokens

    async def _renew(self, stale: str) -> Tokens:
        """Tokens other than `stale`.

        All that ask during a renewal get its result, even if that is an error.
        """
        if self._renewal is None or self._renewal.done():
            # In its own task, because anyio's shield does not stop a cancellation by asyncio
            # itself, as after Ctrl+C.
            self._renewal = asyncio.create_task(self._renew_alone(stale))
        renewal = self._renewal
        try:
            return await asyncio.shield(renewal)
        finally:
            with anyio.CancelScope(shield=True):
                await asyncio.wait([renewal])

    async def _renew_alone(self, stale: str) -> Tokens:
        async with self._alone():
            tokens = await self._reread()
            if tokens is None:
                raise NotSignedInError(f"Signed out of KallyAI. {_SIGN_IN}")
            if self._replaces(tokens, stale):
                return tokens
            if tokens.refresh_token is None:
                raise NotSignedInError(f"The sign-in has ended and can't be renewed. {_SIGN_IN}")
            return await self._exchange(tokens, tokens.refresh_token.get_secret_value())

    async def _exchange(self, tokens: Tokens, refresh_token: str) -> Tokens:
        try:
            with anyio.fail_after(RENEWAL_SECONDS):
                grant = await self._refresh(refresh_token)
        except TimeoutError:
            raise ResponseLostError(
                "KallyAI took too long to renew the sign-in. Try again."
            ) from None
        except ServiceError as error:
            if error.status not in (400, 401):
                raise
            raise not_signed_in(
                error, f"KallyAI no longer accepts this sign-in. {_SIGN_IN}"
            ) from error
        renewed = tokens.renewed(grant, self._clock())
        self._tokens = renewed
        try:
            await self._write(renewed)
        except TokenStoreError as error:
            _log.warning("%s The renewed sign-in lasts until this process ends.", error)
        return renewed

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """A context that only one task of all processes is in; it holds the lock file.

        Raises `KallyAIError` (code `sign_in_busy`) if another process still has it after the wait.
        If no lock file can be created, as in a read-only folder, that is logged.
        """
        # Imported late: it takes 64 ms, and a server's first answer does not need it.
        from filelock import AsyncFileLock, Timeout

        # Not in a thread, which could get the lock after a cancellation. One attempt takes
        # microseconds.
        lock = AsyncFileLock(self._lock_path, LOCK_SECONDS, mode=0o600, run_in_executor=False)
        folder = self._lock_path.parent
        async with self._lock:
            try:
                make_private(folder)
                # On Windows, a lock file that can't be created looks like one that is locked. So
                # create another file.
                tempfile.TemporaryFile(dir=folder).close()
                await lock.acquire()
            except Timeout:
                words = (
                    "Another kallyai-mcp process holds the sign-in and has not let go. Try "
                    "again in a minute."
                )
                raise KallyAIError(words, code="sign_in_busy") from None
            except OSError:
                _log.info(
                    "no lock can be made in %s, so two processes may renew the sign-in at the "
                    "same "
                    "time",
                    folder,
                )
            try:
                yield
            finally:
                await lock.release()

    def _replaces(self, tokens: Tokens, stale: str) -> bool:
        other = tokens.access_token.get_secret_value() != stale
        return other and not tokens.expires_within(0, self._clock())

    async def _reread(self) -> Tokens | None:
        try:
            with anyio.fail_after(READ_SECONDS):
                async with self._store_lock:
                    if self._last_read is not None:
                        await asyncio.wait([self._last_read])
                    seen = self._change()
                    read = asyncio.create_task(
                        to_thread.run_sync(self._store.load, abandon_on_cancel=True)
                    )
                    # Or asyncio would log it.
                    read.add_done_callback(lambda read: read.cancelled() or read.exception())
                    self._last_read = read
                    stored = await asyncio.shield(read)
                    if stored != self._stored:
                        self._tokens = self._stored = stored
                    self._seen_change = seen
                    return self._tokens
        except TimeoutError:
            raise TokenStoreError(
                "The sign-in can't be read: what keeps it does not answer. Unlock the system's "
                "keyring, or set "
                "KALLYAI_TOKEN_STORE=file to keep the sign-in in a file that only you can read."
            ) from None

    async def _write(self, tokens: Tokens | None) -> None:
        """Save the tokens, or delete what is stored, and tell all processes."""
        with anyio.CancelScope(shield=True):
            async with self._store_lock:
                await to_thread.run_sync(
                    self._store.delete if tokens is None else partial(self._store.save, tokens)
                )
                self._tokens = self._stored = tokens
                try:
                    write_private(self._change_file, secrets.token_hex(8))
                except OSError as error:
                    place = self._change_file
                    _log.warning(
                        "%s can't be written (%s), so other processes learn of this late",
                        place,
                        error,
                    )
                self._seen_change = self._change()

    def _change(self) -> bytes:
        """The content of the change file, which is random: only its changes matter."""
        try:
            return self._change_file.read_bytes()
        except OSError:
            return b""


class StaticTokens:
    """A token source for the setting `KALLYAI_ACCESS_TOKEN`, whose token is never stored and never
    renewed.
    """

    def __init__(self, token: str) -> None:
        self._tokens = Tokens.of(token)

    async def access_token(self) -> str:
        """The token."""
        return self._tokens.access_token.get_secret_value()

    async def renew(self, rejected: str) -> str:  # noqa: ARG002 - no token can be renewed
        """Always raises `NotSignedInError`, which names the setting."""
        raise NotSignedInError(
            "KallyAI does not accept the token in KALLYAI_ACCESS_TOKEN. Put a new one there, or "
            "remove the setting and "
            "sign in with `kallyai-mcp login`."
        )

    async def current(self) -> Tokens:
        """The token as `Tokens`, whose end is not known."""
        return self._tokens
