"""Sign-in from a running server: returns a link at once, and waits in the background for the user."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup, TaskStatus

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.auth.loopback import SIGN_IN_SECONDS, LoopbackSignIn
from kallyai_mcp.auth.session import Session

_log = logging.getLogger(__name__)


@dataclass
class PendingSignIn:
    """A sign-in that waits for its user.

    Attributes:
        link: The URL that the user opens.
        expires_at: When the link stops working, in seconds since the epoch.
        ended: Set at the end of the sign-in, with or without success.
        is_signed_in: Whether the user has signed in and the tokens are stored.
    """

    link: str
    expires_at: float
    ended: anyio.Event = field(default_factory=anyio.Event)
    is_signed_in: bool = False


class SignIn:
    """Returns links for signing in, and signs `session` in when the user has used one.

    Args:
        session: The session that is signed in.
        auth_url: Returns the URL of the sign-in page for a redirect URI and a state.
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
        """The sign-in that waits for its user, or else a new one; raises `OSError` when there is no free port."""
        async with self._lock:
            if self._pending is None or self._pending.ended.is_set():
                self._pending = await self._tasks.start(self._wait)
            return self._pending

    async def arrived(self, seconds: float) -> bool:
        """Wait for the end of the newest sign-in, at most `seconds`; returns whether the user has signed in."""
        if self._pending is None:
            return False
        with anyio.move_on_after(seconds):
            await self._pending.ended.wait()
        return self._pending.is_signed_in

    async def _wait(self, *, task_status: TaskStatus[PendingSignIn]) -> None:
        async with LoopbackSignIn(self._auth_url, self._timeout) as flow:
            pending = PendingSignIn(flow.link, self._clock() + self._timeout)
            task_status.started(pending)
            try:
                await self._session.sign_in(await flow.grant())
                pending.is_signed_in = True
            except KallyAIError as error:
                _log.info("sign-in: %s", error.code)
            finally:
                pending.ended.set()
