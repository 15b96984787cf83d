"""What the sandbox's endpoints share: database, tokens, clock, speed, lines, faults, and the wait
for a call's end.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import anyio
from fastapi import Depends, Request

from kallyai_mcp.sandbox import call_table, faults
from kallyai_mcp.sandbox.auth.tokens import Tokens
from kallyai_mcp.sandbox.clock import Clock
from kallyai_mcp.sandbox.errors import ApiError
from kallyai_mcp.sandbox.faults import FaultPlan, FaultState
from kallyai_mcp.sandbox.lines import Lines
from kallyai_mcp.sandbox.schemas import RefusedCall
from kallyai_mcp.sandbox.simulator.scenario import Line, LineScript
from kallyai_mcp.sandbox.store import Store


class Sandbox:
    """The state of one local KallyAI: `app.state.sandbox` of its application.

    The arguments are those of `create_app`. `report` is called with a line for people when a call
    is placed, is refused, or has ended; `watched` whenever a player asks for the calls to play.
    """

    def __init__(
        self,
        data: Path | None,
        speed: float,
        clock: Clock,
        lines: Iterable[Line] = (),
        *,
        plays: bool = False,
    ) -> None:
        if not (math.isfinite(speed) and speed > 0):
            raise ValueError(f"speed must be a number above 0, not {speed}")
        self.store = Store(data)
        self.tokens = Tokens(self.store, clock)
        self.clock = clock
        self.speed = speed
        default = LineScript(does="is_played") if plays else LineScript()
        self.lines = Lines(self.store, lines, default)
        self.report: Callable[[str], object] = lambda _: None
        self.watched: Callable[[], object] = lambda: None
        self._waits: set[anyio.CancelScope] = set()
        self._stopped = False

    def issue_tokens(
        self, account_id: str = "acct-personal", scopes: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """Sign an account in without a browser: the reference's token response; see
        `Tokens.issue`.
        """
        return self.tokens.issue(account_id, scopes).model_dump()

    def set_faults(self, plan: FaultPlan) -> FaultState:
        """Replace all faults by those of `plan`, and return them."""
        with self.store.transaction() as db:
            faults.replace(db, plan)
            return faults.state(db)

    def refused_calls(self) -> list[RefusedCall]:
        """Return the newest 1,000 calls that were refused, oldest first."""
        with self.store.transaction() as db:
            return call_table.refused_calls(db)

    async def wait_until(self, moment: datetime) -> None:
        """Wait until `moment` (aware), or until a call has changed: look again what it is that you
        wait for.

        Raises:
            ApiError: 503 `service_unavailable`: the sandbox is shutting down. Calls in progress
                continue.
        """
        with anyio.CancelScope() as scope:
            self._waits.add(scope)
            try:
                if not self._stopped:
                    await self.clock.sleep_until(moment)
            finally:
                self._waits.discard(scope)
        if self._stopped:
            raise ApiError(
                503,
                "service_unavailable",
                "The sandbox is shutting down; the call continues",
                "Send the same request with the same Idempotency-Key when it is up again, or look "
                "in GET /v1/calls",
                {"Retry-After": "1"},
            )

    def stop(self) -> None:
        """Answer all requests that wait with 503. Call it on their event loop."""
        self._stopped = True
        self.wake()

    def wake(self) -> None:
        """Let the requests that wait look again, because a call has changed.

        Call it on their event loop.
        """
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
