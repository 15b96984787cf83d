"""The state that the sandbox's endpoints share: database, clock, speed, faults, and the wait for a call's end."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import anyio
from fastapi import Depends, Request

from kallyai_mcp.sandbox import auth
from kallyai_mcp.sandbox.call_table import CALLS_SCHEMA
from kallyai_mcp.sandbox.clock import Clock
from kallyai_mcp.sandbox.errors import ApiError
from kallyai_mcp.sandbox.faults import Faults
from kallyai_mcp.sandbox.lines import Lines
from kallyai_mcp.sandbox.simulator.scenario import Line
from kallyai_mcp.sandbox.store import Store

_KEPT_REFUSALS = 1000


@dataclass(frozen=True)
class RefusedCall:
    """A call that was asked for and not placed.

    Attributes:
        number: As it was sent; None if there was none.
        code: The code of the error.
        at: When it was asked for, aware.
        submission: As it was sent.
    """

    number: str | None
    code: str
    at: datetime
    submission: dict[str, Any]


class Sandbox:
    """The state of one local KallyAI: `app.state.sandbox` of its application.

    Args:
        data: The SQLite file that stores everything; None stores everything in memory.
        speed: Calls run this many times faster than a real conversation; above 0.
        clock: The source of time.
        lines: What happens on the lines of these numbers; the test numbers are there without them.

    Attributes:
        lines: What happens on each line.
        refused: The newest calls that were refused.
        report: Called with a line for people when a call is placed, is refused, or has ended.

    Raises:
        ValueError: `speed` is not a finite number above 0.
    """

    def __init__(self, data: Path | None, speed: float, clock: Clock, lines: Iterable[Line] = ()) -> None:
        if not (math.isfinite(speed) and speed > 0):
            raise ValueError(f"speed must be a number above 0, not {speed}")
        self.store = Store(data, auth.AUTH_SCHEMA, CALLS_SCHEMA)
        self.clock = clock
        self.speed = speed
        self.faults = Faults()
        self.lines = Lines(lines)
        self.refused: deque[RefusedCall] = deque(maxlen=_KEPT_REFUSALS)
        self.report: Callable[[str], object] = lambda _: None
        self._waits: set[anyio.CancelScope] = set()
        self._stopped = False

    def issue_tokens(self, account_id: str = "acct-personal", scopes: Sequence[str] | None = None) -> dict[str, Any]:
        """Sign an account in without a browser; see `auth.issue_tokens`."""
        return auth.issue_tokens(self, account_id, scopes)

    async def wait_until(self, moment: datetime) -> None:
        """Wait until `moment` (aware).

        Raises:
            ApiError: 503 `service_unavailable`: the sandbox is shutting down. Calls in progress continue.
        """
        with anyio.CancelScope() as scope:
            if self._stopped:
                scope.cancel()
            self._waits.add(scope)
            try:
                await self.clock.sleep_until(moment)
            finally:
                self._waits.discard(scope)
        if scope.cancelled_caught:
            raise ApiError(
                503,
                "service_unavailable",
                "The sandbox is shutting down; the call continues",
                "Send the same request with the same Idempotency-Key when it is up again, or look in GET /v1/calls",
                {"Retry-After": "1"},
            )

    def stop(self) -> None:
        """Answer all requests that wait for a call's end with 503. To be called on their event loop."""
        self._stopped = True
        for scope in self._waits:
            scope.cancel()

    def resume(self) -> None:
        """Allow requests to wait again after `stop`."""
        self._stopped = False

    def close(self) -> None:
        """Close the database; a later `Sandbox` with the same `data` continues with its content."""
        self.store.close()


async def _sandbox_of(request: Request) -> Sandbox:
    sandbox: Sandbox = request.app.state.sandbox
    return sandbox


SandboxDep = Annotated[Sandbox, Depends(_sandbox_of)]
"""A FastAPI dependency: the sandbox that serves the request."""
