"""A list of candidates as a task: from call_around to the result, a decision, and an end for good."""

from collections.abc import AsyncIterator

import pytest
from mcp import Client, types

from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.settings import Settings
from tests.sandbox.manual_clock import ManualClock
from tests.tools.task_client import TTL, Json, ask, call, calls_made, client_of, ended, refusal
from tests.tools.test_around import BUSY, FREE, FULL, LAST, TABLE


@pytest.fixture
async def client(settings: Settings, clock: ManualClock, app: SandboxApp) -> AsyncIterator[Client]:
    """A client of the sandbox that declares the Tasks extension."""
    async with client_of(settings, clock, app) as client:
        yield client


async def around(client: Client, *candidates: Json, **more: Json | str) -> Json:
    return await call(client, {**TABLE, "candidates": list(candidates)}, "call_around", **more)


async def test_a_list_is_a_task_at_once_and_says_who_is_being_called(client: Client, clock: ManualClock) -> None:
    clock.hold()
    task = await around(client, FREE, LAST, wait_seconds="600")
    again = await around(client, FREE, LAST)
    await clock.sleepers(1)
    clock.advance(seconds=20)
    polled = await ask(client.session, "tasks/get", task["taskId"])

    message = "In progress: Third (+1 202-555-0100), 1 of 2. It continues without you; do not call them yourself."
    assert again["taskId"] == task["taskId"]
    assert again["statusMessage"] == f"Asked for before; nothing was placed twice. {message}"
    assert task.pop("taskId").startswith("t-")
    assert task == {
        "resultType": "task",
        "status": "working",
        "statusMessage": message,
        "createdAt": "2026-01-25T15:30:00Z",
        "lastUpdatedAt": "2026-01-25T15:30:00Z",
        "ttlMs": TTL,
        "pollIntervalMs": 5000,
    }
    assert polled["status"] == "working"
    assert polled["lastUpdatedAt"] == "2026-01-25T15:30:20Z"
    assert await calls_made(client) == 1


async def test_a_decision_completes_the_task_and_the_list_goes_on_as_another_one(
    client: Client, clock: ManualClock
) -> None:
    decide = await ended(client.session, (await around(client, BUSY, FULL, FREE))["taskId"])
    structure = decide["result"]["structuredContent"]
    told = await around(client, BUSY, FULL, FREE)
    clock.advance(seconds=5)
    task = await around(client, BUSY, FULL, FREE, continue_after=structure["calls"][-1]["call_id"])
    booked = await ended(client.session, task["taskId"])
    first = await ask(client.session, "tasks/get", decide["taskId"])
    kept = await ask(client.session, "tasks/cancel", decide["taskId"])

    assert decide["status"] == booked["status"] == first["status"] == "completed"
    assert structure["status"] == "needs_decision"
    assert decide["result"]["content"][0]["text"].startswith("Decide first: Second (+1 202-555-0102) answered")
    assert told["resultType"] == "complete"
    assert told["structuredContent"]["status"] == "needs_decision"
    assert task["resultType"] == "task"
    assert task["taskId"] != decide["taskId"]
    assert booked["result"]["structuredContent"]["status"] == "booked"
    assert first["result"]["structuredContent"]["status"] == "booked"
    assert kept == {"resultType": "complete"}
    assert await calls_made(client) == 3


async def test_a_canceled_task_calls_nobody_else_and_the_call_in_progress_is_still_told(
    client: Client, clock: ManualClock
) -> None:
    clock.hold()
    task = await around(client, FREE, LAST)
    await clock.sleepers(1)
    acknowledged = await ask(client.session, "tasks/cancel", task["taskId"])
    during = await ask(client.session, "tasks/get", task["taskId"])
    clock.advance(minutes=5)
    after = await ended(client.session, task["taskId"])

    assert acknowledged == {"resultType": "complete"}
    assert during["status"] == "working"
    assert during["statusMessage"] == "Canceled: nobody else is called."
    assert after["status"] == "completed"
    result = after["result"]["structuredContent"]
    assert result["status"] == "canceled"
    assert [one["outcome"] for one in result["calls"]] == ["booked"]
    assert await calls_made(client) == 1


async def test_only_ids_that_were_given_out_are_tasks(client: Client) -> None:
    task = await ended(client.session, (await around(client, BUSY, LAST))["taskId"])
    list_id, _, began = task["taskId"].rpartition(".")

    for wrong in (list_id, f"{list_id}.", f"{list_id}.x", f"{list_id}.{int(began) + 1}", f"t-none.{began}"):
        refused = await refusal(client.session, "tasks/get", wrong)
        assert refused == types.ErrorData(code=types.INVALID_PARAMS, message="Task not found")
