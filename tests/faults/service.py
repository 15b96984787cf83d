"""The KallyAI of a run: a sandbox over real HTTP, and a direct view of it that no fault affects."""

from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any, Self

import httpx2

from kallyai_mcp.sandbox.app import SandboxApp, create_app
from kallyai_mcp.sandbox.faults import FaultPlan
from kallyai_mcp.sandbox.serve import running
from tests.faults.plans import SPEED


class Service:
    """The sandbox. Use it as an async context manager.

    Attributes:
        token: The access token of the account that all servers use.
        url: The base URL for the servers, while the block runs.
    """

    url: str
    _direct: httpx2.AsyncClient

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._app: SandboxApp = create_app(speed=SPEED)
        self.token: str = self._app.state.sandbox.issue_tokens("acct-business")["access_token"]

    async def __aenter__(self) -> Self:
        self._stack.callback(self._app.state.sandbox.close)
        self._direct = await self._stack.enter_async_context(
            # In process, so that it can't fail; the servers use the network.
            httpx2.AsyncClient(transport=httpx2.ASGITransport(self._app), base_url="http://localhost", trust_env=False)
        )
        self.url = await self._stack.enter_async_context(running(self._app))
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def arm(self, faults: FaultPlan) -> None:
        """Replace the armed faults with these."""
        answer = await self._direct.put("/_sandbox/faults", json=faults.model_dump(mode="json"))
        answer.raise_for_status()

    async def fired(self) -> dict[str, int]:
        """How often each kind of fault happened since the faults were armed."""
        fired: dict[str, int] = (await self._get("/_sandbox/faults"))["happened"]
        return fired

    async def placed(self) -> list[dict[str, Any]]:
        """Every call that was placed."""
        calls: list[dict[str, Any]] = (await self._get("/_sandbox/calls"))["calls"]
        return calls

    async def wait_for_all_calls(self) -> None:
        """Wait until every call has ended."""
        ends = [datetime.fromisoformat(call["ends_at"]) for call in await self.placed()]
        await self._app.state.sandbox.clock.sleep_until(max(ends, default=datetime.now(UTC)))

    async def _get(self, path: str) -> Any:
        answer = await self._direct.get(path)
        return answer.raise_for_status().json()
