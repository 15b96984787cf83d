"""The sandbox over HTTP: its base URL, its shutdown, and its defects."""

import logging
import socket

import anyio
import anyio.abc
import httpx2
import pytest

from kallyai_mcp.sandbox.app import SandboxApp, create_app
from kallyai_mcp.sandbox.serve import running
from tests.sandbox.conftest import RequestBody, SignIn
from tests.sandbox.manual_clock import ManualClock

KEY = "5b0e1d52-0a4f-4e57-9d0e-8f0f4d1f6a11"


async def test_its_url_is_for_clients_on_this_machine(app: SandboxApp) -> None:
    with anyio.fail_after(60):
        for host, shown in (
            ("0.0.0.0", "127.0.0.1"),  # noqa: S104
            *([("::1", "[::1]")] * socket.has_dualstack_ipv6()),
        ):
            async with running(app, host=host) as url, httpx2.AsyncClient(base_url=url) as client:
                assert url.startswith(f"http://{shown}:")
                assert (await client.get("/")).status_code == 200


async def test_a_shutdown_answers_requests_that_wait(
    app: SandboxApp, clock: ManualClock, sign_in: SignIn, body: RequestBody
) -> None:
    clock.hold()
    headers = sign_in() | {"Idempotency-Key": KEY}
    answers: list[httpx2.Response] = []
    async with httpx2.AsyncClient() as client:

        async def call(url: str) -> None:
            answers.append(await client.post(f"{url}/v1/calls", headers=headers, json=body()))

        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks, running(app) as url:
                tasks.start_soon(call, url)
                await clock.sleepers(1)
            clock.advance(minutes=30)
            async with running(app) as url:
                await call(url)
    interrupted, finished = answers
    assert (interrupted.status_code, interrupted.json()["error"]["code"]) == (
        503,
        "service_unavailable",
    )
    assert interrupted.headers["retry-after"] == "1"
    assert (finished.status_code, finished.json()["status"]) == (201, "success")
    assert finished.json()["metadata"]["created_at"] == "2026-01-25T15:30:00Z"


async def test_a_defect_is_answered_without_internals(
    app: SandboxApp, client: httpx2.AsyncClient, sign_in: SignIn, caplog: pytest.LogCaptureFixture
) -> None:
    headers = sign_in()
    app.state.sandbox.close()
    with caplog.at_level(logging.ERROR):
        answer = await client.get("/v1/calls", headers=headers)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (500, "internal_error")
    assert "sqlite" not in answer.text.lower()
    assert error["correlation_id"] in caplog.text
    assert headers["Authorization"].removeprefix("Bearer ") not in caplog.text


def test_an_invalid_speed_is_refused() -> None:
    for speed in (0, -1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="speed"):
            create_app(speed=speed)
