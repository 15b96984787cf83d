"""Sign-in from a running server: returns a link at once, and waits in the background for the user."""

import logging
import time
from collections.abc import Callable

import anyio
from anyio.abc import TaskGroup, TaskStatus

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.auth.loopback import SIGN_IN_SECONDS, LoopbackSignIn
from kallyai_mcp.auth.session import Session

_log = logging.getLogger(__name__)


class SignIn:
    """Returns links for signing in, and signs `session` in when the user has used one.

    `auth_url` returns the URL of the sign-in page for a redirect URI and a state. `tasks` is the task group that waits
    for the user, such as that of a server's lifespan.
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
        self._session, self._auth_url, self._tasks = session, auth_url, tasks
        self._timeout, self._clock = timeout, clock
        self._lock = anyio.Lock()
        self._link, self._expires_at = "", 0.0
        self._ended = anyio.Event()
        self._ended.set()
        self._is_signed_in = False

    async def begin(self) -> tuple[str, float]:
        """The link of the sign-in that waits for its user, or else of a new one; and when it stops working.

        That is in seconds since the epoch. Raises `TokenStoreError` if a sign-in could not be stored, and `OSError`
        when there is no free port.
        """
        async with self._lock:
            if self._ended.is_set():
                await self._session.check()
                await self._tasks.start(self._wait)
            return self._link, self._expires_at

    async def arrived(self, seconds: float) -> bool:
        """Wait for the end of the newest sign-in, at most `seconds`; returns whether the user has signed in."""
        with anyio.move_on_after(seconds):
            await self._ended.wait()
        return self._is_signed_in

    async def _wait(self, *, task_status: TaskStatus[None]) -> None:
        async with LoopbackSignIn(self._auth_url, self._timeout) as flow:
            self._link, self._expires_at = flow.link, self._clock() + self._timeout
            self._ended, self._is_signed_in = anyio.Event(), False
            task_status.started()
            try:
                await self._session.sign_in(await flow.grant())
                self._is_signed_in = True
            except KallyAIError as error:
                _log.info("sign-in: %s", error.code)
            finally:
                self._ended.set()
