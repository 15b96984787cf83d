"""The sandbox in separate processes: `kill -9`, races on one file, and signals."""

import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import httpx2
import pytest

from kallyai_mcp.sandbox.clock import Clock
from tests.sandbox.fixture_types import RequestBody
from tests.sandbox.manual_clock import ManualClock
from tests.sandbox.sandbox_app import sandbox_app

KEY = "5b0e1d52-0a4f-4e57-9d0e-8f0f4d1f6a11"


@contextlib.asynccontextmanager
async def server_process(data: Path, *, speed: float) -> AsyncIterator[tuple[anyio.abc.Process, str]]:
    """Run a sandbox in a separate process, killed at the end of the block; yield the process and its base URL."""
    command = [sys.executable, "-m", "tests.sandbox.server_process", str(data), str(speed)]
    async with await anyio.open_process(command, stdin=subprocess.DEVNULL, stderr=None) as process:
        assert process.stdout is not None
        line = b""
        while not line.endswith(b"\n"):
            line += await process.stdout.receive()
        try:
            yield process, line.decode().strip()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()


async def first_call(url: str, headers: dict[str, str]) -> dict[str, Any]:
    """Wait for a call and return the newest one."""
    async with httpx2.AsyncClient(base_url=url, headers=headers) as client:
        while not (calls := (await client.get("/v1/calls")).json()["calls"]):
            await anyio.lowlevel.checkpoint()
    call: dict[str, Any] = calls[0]
    return call


async def test_a_kill_9_during_a_call_loses_nothing(tmp_path: Path, body: RequestBody) -> None:
    data = tmp_path / "sandbox.sqlite"
    with sandbox_app(data=data) as app:
        token = app.state.sandbox.issue_tokens()["access_token"]
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": KEY}

    with anyio.fail_after(60):
        async with (
            server_process(data, speed=1) as (process, url),
            httpx2.AsyncClient(timeout=60) as client,
            anyio.create_task_group() as tasks,
        ):

            async def call() -> None:
                with pytest.raises(httpx2.HTTPError):
                    await client.post(f"{url}/v1/calls", headers=headers, json=body(appointment_date=None))

            tasks.start_soon(call)
            in_progress = await first_call(url, headers)
            process.kill()
            await process.wait()
        assert in_progress["status"] == "in_progress"

        async with server_process(data, speed=1) as (_, url), httpx2.AsyncClient(base_url=url) as client:
            details = (await client.get(f"/v1/calls/{in_progress['call_id']}", headers=headers)).json()
            other = await client.post("/v1/calls", headers=headers, json=body(appointment_date=None, party_size=2))
    assert details["status"] == "in_progress"
    assert other.status_code == 409

    later = ManualClock(Clock().now())
    later.advance(hours=0.5)
    with sandbox_app(data=data, clock=later) as app:
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://sandbox.test", headers=headers) as client:
            finished = (await client.post("/v1/calls", json=body(appointment_date=None))).json()
            listed = (await client.get("/v1/calls")).json()
    assert (finished["call_id"], finished["status"]) == (in_progress["call_id"], "success")
    assert listed["total"] == 1
