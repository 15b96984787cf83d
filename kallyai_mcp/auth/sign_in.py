"""Sign-in from a running server: gives out a link at once, and waits in the background for the user."""

import logging
import time
from collections.abc import Callable

import anyio
from anyio.abc import TaskGroup, TaskStatus

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.auth.loopback import SIGN_IN_SECONDS, LoopbackSignIn
from kallyai_mcp.auth.session import Session
from kallyai_mcp.auth.tokens import Tokens

_log = logging.getLogger(__name__)


class PendingSignIn:
    """A sign-in that waits for its user.

    Attributes:
        link: The address that the user opens.
        expires_at: When the link stops working, in seconds since the epoch.
        redirect_uri: Where the browser comes back to, on this machine.
    """

    def __init__(self, flow: LoopbackSignIn, expires_at: float) -> None:
        self._flow = flow
        self.link = flow.link
        self.redirect_uri = flow.redirect_uri
        self.expires_at = expires_at
        self._finished = anyio.Event()
        self._outcome: Tokens | KallyAIError | None = None

    @property
    def finished(self) -> bool:
        """Whether it has ended, with or without success."""
        return self._finished.is_set()

    async def outcome(self) -> Tokens:
        """Wait for the end; returns the tokens, which are then already stored.

        Raises:
            SignInTimeoutError: The user did not use the link in time.
            SignInRefusedError: The sign-in page refused.
            KallyAIError: The tokens can't be stored, or the program ended first.
        """
        await self._finished.wait()
        if not isinstance(self._outcome, Tokens):
            raise self._outcome or KallyAIError("The sign-in was given up, as the program is ending.")
        return self._outcome

    def accept(self, pasted: str) -> None:
        """Sign in with the address that the browser was sent to, pasted by the user.

        Raises:
            WrongAddressError: It is another address. The sign-in still waits.
        """
        self._flow.accept(pasted)

    async def run(self, session: Session) -> None:
        """Wait for the user, and sign `session` in."""
        try:
            self._outcome = await session.sign_in(await self._flow.grant())
        except KallyAIError as error:
            _log.info("sign-in: %s", error.code)
            self._outcome = error
        finally:
            self._finished.set()


class SignIn:
    """Gives out links for signing in, and signs `session` in when the user has used one.

    Args:
        session: The session that is signed in.
        auth_url: Returns the address of the sign-in page for a redirect URI and a state.
        tasks: The task group that waits for the user, such as that of a server's lifespan.
        timeout: How long a link works, in seconds.
        clock: Returns seconds since the epoch, for `PendingSignIn.expires_at`.
    """

    def __init__(
        self,
        session: Session,
        auth_url: Callable[[str, str], str],
        tasks: TaskGroup,
        *,
        timeout: float = SIGN_IN_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._session = session
        self._auth_url = auth_url
        self._tasks = tasks
        self._timeout = timeout
        self._clock = clock
        self._lock = anyio.Lock()
        self._pending: PendingSignIn | None = None

    async def begin(self) -> PendingSignIn:
        """The sign-in that waits for its user, or a new one; raises `OSError` when there is no port to listen on."""
        async with self._lock:
            if self._pending is None or self._pending.finished:
                self._pending = await self._tasks.start(self._wait)
            return self._pending

    async def arrived(self, seconds: float) -> bool:
        """Wait at most `seconds` for the user of the last link; returns whether they have signed in."""
        if self._pending is None:
            return False
        with anyio.move_on_after(seconds):
            try:
                await self._pending.outcome()
            except KallyAIError:
                return False
            return True
        return False

    async def _wait(self, *, task_status: TaskStatus[PendingSignIn]) -> None:
        async with LoopbackSignIn(self._auth_url, self._timeout) as flow:
            pending = PendingSignIn(flow, self._clock() + self._timeout)
            task_status.started(pending)
            await pending.run(self._session)
