"""Signing in from within a running program: the link now, the sign-in whenever the user has followed it."""

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


class Pending:
    """A sign-in that waits for its user.

    Attributes:
        link: What the user opens.
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
        """Whether it has come to an end, good or bad."""
        return self._finished.is_set()

    async def outcome(self) -> Tokens:
        """Wait for the end; the tokens are then already kept.

        Raises:
            SignInTimeoutError: Nobody followed the link in time.
            SignInRefusedError: The sign-in page refused.
            KallyAIError: The sign-in came, but it can't be kept; or the program ended first.
        """
        await self._finished.wait()
        if not isinstance(self._outcome, Tokens):
            raise self._outcome or KallyAIError("The sign-in was given up, as the program is ending.")
        return self._outcome

    def accept(self, pasted: str) -> None:
        """Take the address that the browser was sent to, pasted by the user.

        Raises:
            WrongAddressError: It is another address; the sign-in goes on waiting.
        """
        self._flow.accept(pasted)

    async def _run(self, session: Session) -> None:
        try:
            self._outcome = await session.adopt(await self._flow.grant())
        except KallyAIError as error:
            _log.info("sign-in: %s", error.code)
            self._outcome = error
        finally:
            self._finished.set()


class SignIn:
    """Gives out links to sign in with, and signs `session` in when one has been followed.

    Args:
        session: Who gets signed in.
        auth_url: Makes the address of the sign-in page from a redirect URI and a state.
        tasks: A task group in which the waiting is done, such as that of a server's lifespan; its end ends the waiting.
        timeout: How long a link works, in seconds.
        clock: The time in seconds since the epoch, for `Pending.expires_at`.
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
        self._one_task = anyio.Lock()
        self._pending: Pending | None = None

    async def begin(self) -> Pending:
        """The sign-in that is waiting; a new one when there is none.

        Raises:
            OSError: There is no port to listen on.
        """
        async with self._one_task:
            if self._pending is None or self._pending.finished:
                self._pending = await self._tasks.start(self._wait)
            return self._pending

    async def arrived(self, seconds: float) -> bool:
        """Whether the user of the link that was given out last has signed in, within `seconds` at the latest."""
        if self._pending is None:
            return False
        with anyio.move_on_after(seconds):
            try:
                await self._pending.outcome()
            except KallyAIError:
                return False
            return True
        return False

    async def _wait(self, *, task_status: TaskStatus[Pending]) -> None:
        async with LoopbackSignIn(self._auth_url, self._timeout) as flow:
            pending = Pending(flow, self._clock() + self._timeout)
            task_status.started(pending)
            await pending._run(self._session)  # noqa: SLF001 - the other half of this class
