"""What the parts of the sandbox share: its database, its clock, its speed, and the wait for a call's end."""

import math
import secrets
from collections.abc import Sequence
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
from kallyai_mcp.sandbox.store import Store

_KEYS_SCHEMA = "CREATE TABLE IF NOT EXISTS sandbox_keys (name TEXT PRIMARY KEY, value BLOB NOT NULL);"


class Sandbox:
    """One local KallyAI; `app.state.sandbox` of the application that serves it.

    Args:
        data: The SQLite file that keeps everything; None keeps it in memory.
        speed: How many times faster than a real conversation a call goes by; above 0.
        clock: Where the time comes from.

    Raises:
        ValueError: `speed` is not a finite number above 0.
    """

    def __init__(self, data: Path | None, speed: float, clock: Clock) -> None:
        if not (math.isfinite(speed) and speed > 0):
            raise ValueError(f"speed must be a number above 0, not {speed}")
        self.store = Store(data, auth.AUTH_SCHEMA, CALLS_SCHEMA, _KEYS_SCHEMA)
        self.clock = clock
        self.speed = speed
        self.faults = Faults()
        self._waits: set[anyio.CancelScope] = set()
        self._stopped = False

    def issue_tokens(self, account_id: str = "acct-personal", scopes: Sequence[str] | None = None) -> dict[str, Any]:
        """Sign an account in without a browser.

        Args:
            account_id: A key of `accounts.ACCOUNTS`.
            scopes: What the token may do; None for every scope of the reference.

        Returns:
            The reference's token response (`access_token`, `refresh_token`, `expires_in`, `scope`).

        Raises:
            ValueError: There is no such account or scope.
        """
        return auth.issue_tokens(self, account_id, scopes)

    def key(self, name: str) -> bytes:
        """The 32 secret bytes kept under `name`: made on first use, the same for each process on the same file."""
        with self.store.transaction() as db:
            db.execute("INSERT OR IGNORE INTO sandbox_keys VALUES (?, ?)", (name, secrets.token_bytes(32)))
            value: bytes = db.execute("SELECT value FROM sandbox_keys WHERE name = ?", (name,)).fetchone()["value"]
        return value

    async def until(self, moment: datetime) -> None:
        """Wait for `moment` (aware).

        Raises:
            ApiError: 503 `service_unavailable`: the sandbox is being stopped. Calls under way go on all the same.
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
                "The sandbox is being stopped; the call goes on",
                "Send the same request with the same Idempotency-Key once it is back, or look in GET /v1/calls",
                {"Retry-After": "1"},
            )

    def stop(self) -> None:
        """Answer everyone who waits for a call's end with 503; call it on their event loop."""
        self._stopped = True
        for scope in self._waits:
            scope.cancel()

    def resume(self) -> None:
        """Let requests wait again after `stop`."""
        self._stopped = False

    def close(self) -> None:
        """Close the database; with `data` everything is there again next time."""
        self.store.close()


async def _sandbox_of(request: Request) -> Sandbox:
    sandbox: Sandbox = request.app.state.sandbox
    return sandbox


SandboxDep = Annotated[Sandbox, Depends(_sandbox_of)]
"""The sandbox that the request came to, as a FastAPI dependency."""
