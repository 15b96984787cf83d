"""What the sandbox's endpoints share: database, tokens, clock, speed, lines, faults, and the wait for a call's end."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import anyio
from fastapi import Depends, Request

from kallyai_mcp.sandbox.auth.tokens import Tokens
from kallyai_mcp.sandbox.clock import Clock
from kallyai_mcp.sandbox.errors import ApiError
from kallyai_mcp.sandbox.faults import Faults
from kallyai_mcp.sandbox.lines import Lines
from kallyai_mcp.sandbox.schemas import RefusedCall
from kallyai_mcp.sandbox.simulator.scenario import BilingualText, Line, LineScript
from kallyai_mcp.sandbox.store import Store

_KEPT_REFUSALS = 1000


@dataclass(eq=False)
class _Wait:
    """A request that waits; if `call_id` is not None, it waits for the end of that call."""

    call_id: str | None
    scope: anyio.CancelScope
    is_woken: bool = False


class Sandbox:
    """The state of one local KallyAI: `app.state.sandbox` of its application. The arguments are those of `create_app`.

    Attributes:
        refused: The newest calls that were refused.
        report: Called with a line for people when a call is placed, is refused, or has ended.

    Raises:
        ValueError: `speed` is not a finite number above 0.
    """

    def __init__(
        self, data: Path | None, speed: float, clock: Clock, lines: Iterable[Line] = (), *, plays: bool = False
    ) -> None:
        if not (math.isfinite(speed) and speed > 0):
            raise ValueError(f"speed must be a number above 0, not {speed}")
        self.store = Store(data)
        self.tokens = Tokens(self.store, clock)
        self.clock = clock
        self.speed = speed
        self.faults = Faults()
        self.lines = Lines(lines, LineScript(does="is_played") if plays else None)
        self.refused: deque[RefusedCall] = deque(maxlen=_KEPT_REFUSALS)
        self.report: Callable[[BilingualText], object] = lambda _: None
        self._waits: set[_Wait] = set()
        self._stopped = False

    def issue_tokens(self, account_id: str = "acct-personal", scopes: Sequence[str] | None = None) -> dict[str, Any]:
        """Sign an account in without a browser: the reference's token response; see `Tokens.issue`."""
        return self.tokens.issue(account_id, scopes).model_dump()

    async def wait_until(self, moment: datetime, call_id: str | None = None) -> None:
        """Wait until `moment` (aware), or until `wake` is called for a call.

        Raises:
            ApiError: 503 `service_unavailable`: the sandbox is shutting down. Calls in progress continue.
        """
        with anyio.CancelScope() as scope:
            if self._stopped:
                scope.cancel()
            wait = _Wait(call_id, scope)
            self._waits.add(wait)
            try:
                await self.clock.sleep_until(moment)
            finally:
                self._waits.discard(wait)
        if scope.cancelled_caught and not wait.is_woken:
            raise ApiError(
                503,
                "service_unavailable",
                "The sandbox is shutting down; the call continues",
                "Send the same request with the same Idempotency-Key when it is up again, or look in GET /v1/calls",
                {"Retry-After": "1"},
            )

    def stop(self) -> None:
        """Answer all requests that wait with 503. Call it on their event loop."""
        self._stopped = True
        for wait in self._waits:
            wait.scope.cancel()

    def wake(self, call_id: str) -> None:
        """Wake the requests that wait for the end of a call, because it has changed. Call it on their event loop."""
        for wait in self._waits:
            if wait.call_id == call_id:
                wait.is_woken = True
                wait.scope.cancel()

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
