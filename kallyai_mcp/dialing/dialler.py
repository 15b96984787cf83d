"""The dialler: it places calls in tasks of its own, so that a client that gives up does not hang up."""

import uuid
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Self

import anyio

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Call, Submission

if TYPE_CHECKING:
    from kallyai_mcp.api.client import KallyAI

PROGRESS_EVERY = 5.0
"""Seconds between two words of progress while a tool waits."""


@dataclass
class Attempt:
    """One call that was asked for: under way until it has an outcome or an error.

    Attributes:
        tracking_id: What an agent asks for it by, until it has a `call_id`.
        placed_at: When it was asked for, aware.
        call: The outcome.
        error: Why there is none.
    """

    tracking_id: str
    submission: Submission
    timezone: str
    placed_at: datetime
    call: Call | None = None
    error: KallyAIError | None = None
    ended: anyio.Event = field(default_factory=anyio.Event)

    def elapsed(self, now: datetime) -> float:
        """Seconds since it was asked for."""
        return max(0.0, (now - self.placed_at).total_seconds())


@dataclass(frozen=True)
class Placed:
    """An attempt, and whether it was placed just now or had been asked for before."""

    attempt: Attempt
    is_new: bool


Progress = Callable[[float], Awaitable[None]]
"""Called with the seconds elapsed since the call was asked for."""


class Dialler:
    """Places calls and keeps what became of them.

    Use it as an async context manager; leaving it stops waiting for the calls under way, which go on at KallyAI.

    Args:
        connect: Gives the API client; called once a call is really placed.
        now: The clock.
    """

    def __init__(
        self, connect: "Callable[[], KallyAI]", now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._connect = connect
        self._now = now
        self._attempts: dict[str, Attempt] = {}
        self._stack = AsyncExitStack()
        self._tasks = anyio.create_task_group()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._tasks)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        self._tasks.cancel_scope.cancel()
        return await self._stack.__aexit__(exc_type, exc, traceback)

    def place(self, submission: Submission, *, timezone: str, redial: bool = False) -> Placed:
        """Start a call, unless this very one is under way and `redial` is not asked for.

        Args:
            submission: What to say to whom; checked already.
            timezone: IANA name of the user's time zone.
            redial: Ring again although the same call is under way.
        """
        for attempt in self._attempts.values():
            if not redial and not attempt.ended.is_set() and attempt.submission == submission:
                return Placed(attempt, is_new=False)
        attempt = Attempt(f"t-{uuid.uuid4()}", submission, timezone, self._now())
        self._attempts[attempt.tracking_id] = attempt
        self._tasks.start_soon(self._dial, attempt)
        return Placed(attempt, is_new=True)

    def find(self, id_: str) -> Attempt | None:
        """The attempt with this `tracking_id` or, once it ended, this `call_id`."""
        if id_ in self._attempts:
            return self._attempts[id_]
        return next((a for a in self._attempts.values() if a.call is not None and a.call.call_id == id_), None)

    async def wait(self, attempt: Attempt, seconds: float, progress: Progress) -> None:
        """Return when `attempt` has ended, or after `seconds`; `progress` is told every five seconds meanwhile."""
        with anyio.move_on_after(seconds):
            while not attempt.ended.is_set():
                with anyio.move_on_after(PROGRESS_EVERY):
                    await attempt.ended.wait()
                    return
                await progress(attempt.elapsed(self._now()))

    async def _dial(self, attempt: Attempt) -> None:
        try:
            attempt.call = await self._connect().create_call(
                attempt.submission, timezone=attempt.timezone, idempotency_key=str(uuid.uuid4())
            )
        except KallyAIError as error:
            attempt.error = error
        finally:
            attempt.ended.set()
