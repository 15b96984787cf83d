"""Phone calls as tasks, for a client that declares the extension: from make_call to the result."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from starlette.requests import Request

from kallyai_mcp.auth.token_store import TokenStore
from kallyai_mcp.auth.tokens import Tokens
from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.settings import Settings
from tests.agent import BISTRO, open_agent, settings_in
from tests.fake_service import fake_service
from tests.sandbox.manual_clock import ManualClock
from tests.sandbox.sandbox_app import sandbox_app
from tests.tools.task_client import (
    NUMBERS,
    START,
    TTL,
    ask,
    call,
    calls_made,
    client_of,
    ended,
    with_equal_ids,
)


@pytest.fixture
async def client(settings: Settings, clock: ManualClock, app: SandboxApp) -> AsyncIterator[Client]:
    """A client of the sandbox that declares the Tasks extension."""
    async with client_of(settings, clock, app) as client:
        yield client


async def test_a_task_is_returned_at_once_in_the_form_of_the_specification(client: Client, clock: ManualClock) -> None:
    clock.hold()

    task = await call(client, wait_seconds=1800)

    assert task.pop("taskId").startswith("t-")
    assert task == {
        "resultType": "task",
        "status": "working",
        "statusMessage": (
            "In progress: the call to Italian Bistro (+1 415-555-1234) has lasted 0 s. It continues without you; do "
            "not place it again."
        ),
        "createdAt": "2026-01-25T15:30:00Z",
        "lastUpdatedAt": "2026-01-25T15:30:00Z",
        "ttlMs": TTL,
        "pollIntervalMs": 5000,
    }


async def test_a_task_that_has_ended_holds_its_result(client: Client, clock: ManualClock) -> None:
    clock.hold()
    created = await call(client)
    await clock.sleepers(1)
    clock.advance(minutes=5)

    task = await ended(client.session, created["taskId"])
    clock.advance(minutes=10)
    later = await ask(client.session, "tasks/get", created["taskId"])

    assert later == task
    result = task.pop("result")
    assert task == {
        "resultType": "complete",
        "taskId": created["taskId"],
        "status": "completed",
        "createdAt": "2026-01-25T15:30:00Z",
        "lastUpdatedAt": "2026-01-25T15:35:00Z",
        "ttlMs": TTL,
        "pollIntervalMs": 5000,
    }
    assert result["structuredContent"]["placed_now"] is True
    assert result["isError"] is False


@pytest.mark.parametrize("outcome", ["success", "voicemail", "suppression_violation"])
async def test_the_result_is_what_make_call_would_have_answered(
    tmp_path: Path, clock: ManualClock, app: SandboxApp, outcome: str
) -> None:
    arguments = BISTRO | {"respondent_phone": NUMBERS[outcome]}
    async with client_of(settings_in(tmp_path / "tasks"), clock, app) as client:
        task = await ended(client.session, (await call(client, arguments))["taskId"])
    plainly, another = settings_in(tmp_path / "plain"), ManualClock(START)
    with sandbox_app(clock=another) as served:
        async with open_agent(plainly, mode="auto", clock=another, app=served) as agent:
            answered = await call(agent.client, arguments)

    assert task["status"] == "completed"
    assert with_equal_ids(task["result"]) == with_equal_ids(answered)


async def test_a_call_with_an_unknown_outcome_completes_with_that(tmp_path: Path, clock: ManualClock) -> None:
    def answer(request: Request) -> tuple[int, Any]:
        return (500, {"detail": "boom"}) if request.method == "POST" else (200, {"calls": [], "total": 0})

    async with fake_service(answer) as url:
        names = {"API_URL": url, "ACCESS_TOKEN": "some-token", "SETTLE_SECONDS": "0.2"}
        async with client_of(settings_in(tmp_path / "tasks", **names), clock) as client:
            task = await ended(client.session, (await call(client))["taskId"])
            duplicate = await call(client)
        async with open_agent(settings_in(tmp_path / "plain", **names), mode="auto", clock=clock) as agent:
            answered = await call(agent.client)

    assert task["status"] == "completed"
    assert task["result"]["content"][0]["text"].startswith("Unknown: no usable answer came")
    assert with_equal_ids(task["result"]) == with_equal_ids(answered)
    assert duplicate["resultType"] == "complete"
    assert duplicate["structuredContent"]["tracking_id"] == task["taskId"]


async def test_a_task_refused_without_a_sign_in_has_the_link(tmp_path: Path, clock: ManualClock) -> None:
    async with fake_service(lambda _: (401, {"error": {"code": "token_expired"}})) as url:
        settings = settings_in(tmp_path, API_URL=url)
        tokens = Tokens.from_document({"access_token": "some-token", "expires_at": 4e9})
        TokenStore("file", settings.home, url).save(tokens)
        async with client_of(settings, clock) as client:
            task = await ended(client.session, (await call(client))["taskId"])

    assert task["status"] == "completed"
    assert task["result"]["isError"] is True
    text = task["result"]["content"][0]["text"]
    assert text.startswith("Not called: not signed in to KallyAI. Give the user this link (valid for 5 minutes): http")
    assert "When they have signed in, call make_call again with the same arguments.\nKallyAI:" in text


async def test_a_duplicate_of_a_call_in_progress_is_the_same_task(client: Client, clock: ManualClock) -> None:
    clock.hold()
    created = await call(client)
    await clock.sleepers(1)
    clock.advance(seconds=20)

    again = await call(client)

    assert again["resultType"] == "task"
    assert again["taskId"] == created["taskId"]
    assert again["createdAt"] == created["createdAt"]
    assert again["statusMessage"].startswith(
        "In progress already; no new call was placed. The call to Italian Bistro (+1 415-555-1234) has lasted 20 s."
    )
    assert await calls_made(client) == 1


@pytest.mark.parametrize("method", ["tasks/cancel", "tasks/update"])
async def test_canceling_changes_nothing_and_the_message_says_why(
    client: Client, clock: ManualClock, method: str
) -> None:
    clock.hold()
    created = await call(client)
    await clock.sleepers(1)

    acknowledged = await ask(client.session, method, created["taskId"])
    then = await ask(client.session, "tasks/get", created["taskId"])
    clock.advance(minutes=5)
    task = await ended(client.session, created["taskId"])
    acknowledged_late = await ask(client.session, method, created["taskId"])

    assert acknowledged == acknowledged_late == {"resultType": "complete"}
    assert then["status"] == "working"
    assert "It continues without you" in then["statusMessage"]
    assert task["result"]["structuredContent"]["status"] == "success"
