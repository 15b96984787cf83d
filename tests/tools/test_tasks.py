"""Phone calls and lists as tasks, for a client that declares the extension."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from mcp import Client, types

from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.sandbox.serve import running
from kallyai_mcp.settings import Settings
from tests.agent import BISTRO, Agent, open_agent, settings_in
from tests.sandbox.manual_clock import ManualClock
from tests.sandbox.sandbox_app import sandbox_app
from tests.tools.task_client import (
    METHODS,
    NUMBERS,
    START,
    TASKS,
    TTL,
    Json,
    ask,
    call,
    client_of,
    ended,
    refusal,
    with_equal_ids,
)
from tests.tools.test_around import BUSY, FREE, FULL, LAST, TABLE

WORKING = {
    "resultType": "task",
    "status": "working",
    "createdAt": "2026-01-25T15:30:00Z",
    "lastUpdatedAt": "2026-01-25T15:30:00Z",
    "ttlMs": TTL,
    "pollIntervalMs": 5000,
}
"""A task at the time of its request, without its id and its message."""

NO_TASK = types.ErrorData(code=types.INVALID_PARAMS, message="Task not found")


@pytest.fixture
async def client(settings: Settings, clock: ManualClock, app: SandboxApp) -> AsyncIterator[Client]:
    """A client of the sandbox that declares the Tasks extension."""
    async with client_of(settings, clock, app) as client:
        yield client


async def around(client: Client, *candidates: Json, **more: Json | str) -> Json:
    return await call(client, {**TABLE, "candidates": list(candidates)}, "call_around", **more)


async def test_a_task_is_returned_at_once(client: Client, clock: ManualClock) -> None:
    clock.hold()
    task = await call(client, wait_seconds=1800)
    await clock.sleepers(1)
    clock.advance(seconds=20)
    again = await call(client)
    canceled = [
        await ask(client.session, method, task["taskId"])
        for method in ("tasks/update", "tasks/cancel")
    ]
    clock.advance(minutes=5)
    end = await ended(client.session, task["taskId"])
    clock.advance(minutes=10)
    later = await ask(client.session, "tasks/get", task["taskId"])

    lasts = "the call to Italian Bistro (+1 415-555-1234) has lasted"
    assert task["taskId"].startswith("t-")
    assert task == WORKING | {
        "taskId": task["taskId"],
        "statusMessage": (
            f"In progress: {lasts} 0 s. It continues without you; do not place it again."
        ),
    }
    assert (again["resultType"], again["taskId"]) == ("task", task["taskId"])
    assert again["statusMessage"].startswith(
        f"Asked for before; no new call was placed. In progress: {lasts} 20 s."
    )
    assert canceled == [{"resultType": "complete"}] * 2
    assert later == end
    result = end.pop("result")
    ended_at = "2026-01-25T15:35:20Z"
    assert end == {name: task[name] for name in task if name != "statusMessage"} | {
        "resultType": "complete",
        "status": "completed",
        "lastUpdatedAt": ended_at,
    }
    assert result["structuredContent"]["placed_now"] is True
    assert result["isError"] is False
    assert await Agent(client).calls_made() == 1


@pytest.mark.parametrize("outcome", ["success", "suppression_violation"])
async def test_the_result_is_what_make_call_would_have_answered(
    tmp_path: Path, clock: ManualClock, app: SandboxApp, outcome: str
) -> None:
    arguments = BISTRO | {"respondent_phone": NUMBERS[outcome]}
    async with client_of(settings_in(tmp_path / "tasks"), clock, app) as client:
        # No task, if the refusal comes before the answer has left.
        made = await call(client, arguments)
        result = (
            (await ended(client.session, made["taskId"]))["result"] if "taskId" in made else made
        )
    plainly, another = settings_in(tmp_path / "plain"), ManualClock(START)
    with sandbox_app(clock=another) as served:
        async with open_agent(plainly, mode="auto", clock=another, app=served) as agent:
            answered = await call(agent.client, arguments)

    assert with_equal_ids(result) == with_equal_ids(answered)


async def test_a_task_survives_its_server_and_to_another_account_looks_like_one_that_does_not_exist(
    tmp_path: Path, clock: ManualClock, app: SandboxApp
) -> None:
    clock.hold()
    personal, business = (
        app.state.sandbox.issue_tokens(account)["access_token"]
        for account in ("acct-personal", "acct-business")
    )
    async with running(app) as url:
        mine = settings_in(tmp_path, API_URL=url, ACCESS_TOKEN=personal)
        async with client_of(mine, clock) as client:
            created = await call(client)
            await clock.sleepers(1)
        async with client_of(
            settings_in(tmp_path, API_URL=url, ACCESS_TOKEN=business), clock
        ) as client:
            ids = (created["taskId"], "t-none")
            refused = [
                await refusal(client.session, method, id_) for method in METHODS for id_ in ids
            ]
        async with client_of(mine, clock) as client:
            before = await ask(client.session, "tasks/get", created["taskId"])
            clock.advance(minutes=5)
            await call(client, {"call_id": created["taskId"], "wait_seconds": 25}, "get_call")
            after = await ask(client.session, "tasks/get", created["taskId"])

    assert refused == [NO_TASK] * 6
    assert before == created | {"resultType": "complete"}
    assert after["result"]["structuredContent"]["status"] == "success"


@pytest.mark.parametrize(("mode", "declared"), [("auto", "com.example/other"), ("legacy", TASKS)])
async def test_a_client_without_the_extension_gets_the_usual_result_and_may_not_ask_for_tasks(
    settings: Settings, clock: ManualClock, app: SandboxApp, mode: str, declared: str
) -> None:
    clock.hold()
    async with client_of(settings, clock, app, mode=mode, extension=declared) as client:
        answer = await Agent(client).use("make_call", BISTRO, wait_seconds=0)
        refused = await refusal(client.session, "tasks/get", answer.data["tracking_id"])

    assert answer.data["status"] == "in_progress"
    assert refused.code == (-32021 if mode == "auto" else types.METHOD_NOT_FOUND)


async def test_a_decision_completes_the_task_and_get_call_follows_the_list_that_goes_on(
    client: Client, clock: ManualClock
) -> None:
    decide = await ended(client.session, (await around(client, BUSY, FULL, FREE))["taskId"])
    structure = decide["result"]["structuredContent"]
    told = await around(client, BUSY, FULL, FREE)
    clock.advance(seconds=5)
    clock.hold()
    went_on = await around(
        client, BUSY, FULL, FREE, continue_after=structure["calls"][-1]["call_id"]
    )
    await clock.sleepers(1)
    kept = await ask(client.session, "tasks/cancel", decide["taskId"])
    during = await ask(client.session, "tasks/get", decide["taskId"])
    clock.advance(minutes=5)
    booked = await call(client, {"call_id": decide["taskId"], "wait_seconds": 25}, "get_call")

    assert decide["status"] == during["status"] == "completed"
    assert structure["status"] == "needs_decision"
    assert decide["result"]["content"][0]["text"].startswith(
        "Decide first: Second (+1 202-555-0102), answered. "
    )
    assert told["resultType"] == went_on["resultType"] == kept["resultType"] == "complete"
    assert told["structuredContent"]["status"] == "needs_decision"
    assert went_on["structuredContent"]["status"] == "in_progress"
    assert f'Next: get_call with call_id "{decide["taskId"]}"' in went_on["content"][0]["text"]
    assert booked["structuredContent"]["status"] == "booked"
    assert await Agent(client).calls_made() == 3


async def test_a_canceled_task_calls_nobody_else_and_the_call_in_progress_is_still_told(
    client: Client, clock: ManualClock
) -> None:
    clock.hold()
    task = await around(client, FREE, LAST, wait_seconds="600")
    again = await around(client, FREE, LAST)
    await clock.sleepers(1)
    acknowledged = await ask(client.session, "tasks/cancel", task["taskId"])
    during = await ask(client.session, "tasks/get", task["taskId"])
    clock.advance(minutes=5)
    after = await ended(client.session, task["taskId"])

    message = (
        "In progress: Third (+1 202-555-0100), 1 of 2. It continues without you; do not "
        "call "
        "them yourself."
    )
    assert task == WORKING | {"taskId": task["taskId"], "statusMessage": message}
    assert again["taskId"] == task["taskId"]
    assert again["statusMessage"] == f"Asked for before; no new call was placed. {message}"
    assert acknowledged == {"resultType": "complete"}
    assert during["status"] == "working"
    assert during["statusMessage"].startswith("Canceled: nobody else is called; ")
    assert after["status"] == "completed"
    result = after["result"]["structuredContent"]
    assert result["status"] == "canceled"
    assert [one["outcome"] for one in result["calls"]] == ["booked"]
    assert await Agent(client).calls_made() == 1
