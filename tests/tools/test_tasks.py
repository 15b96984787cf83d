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


async def in_progress(client: Client, clock: ManualClock) -> Json:
    """The task of a call that has just begun."""
    clock.hold()
    task = await call(client, wait_seconds=1800)
    await clock.sleepers(1)
    return task


async def test_a_task_is_returned_at_once(client: Client, clock: ManualClock) -> None:
    task = await in_progress(client, clock)

    assert task["taskId"].startswith("t-")
    assert task == WORKING | {
        "taskId": task["taskId"],
        "statusMessage": "Placing the call",
    }


async def test_the_same_request_has_the_same_task(client: Client, clock: ManualClock) -> None:
    task = await in_progress(client, clock)
    clock.advance(seconds=20)
    again = await call(client)

    assert again["resultType"] == "task"
    assert again["taskId"] == task["taskId"]
    assert again["statusMessage"] == "Asked for before; no new call was placed. Calling, 20 s"


async def test_a_task_has_its_result(client: Client, clock: ManualClock) -> None:
    task = await in_progress(client, clock)
    clock.advance(minutes=5)
    end = await ended(client.session, task["taskId"])
    result = end.pop("result")

    assert end == {name: task[name] for name in task if name != "statusMessage"} | {
        "resultType": "complete",
        "status": "completed",
        "lastUpdatedAt": "2026-01-25T15:35:00Z",
    }
    assert result["structuredContent"]["placed_now"] is True
    assert result["isError"] is False


async def test_a_canceled_task_goes_on(client: Client, clock: ManualClock) -> None:
    """KallyAI has no way to hang up."""
    id_ = (await in_progress(client, clock))["taskId"]
    replies = [
        await ask(client.session, method, id_) for method in ("tasks/update", "tasks/cancel")
    ]
    clock.advance(minutes=5)
    end = await ended(client.session, id_)

    assert replies == [{"resultType": "complete"}] * 2
    assert end["status"] == "completed"
    assert await Agent(client).calls_made() == 1


async def test_a_task_that_has_ended_stays(client: Client, clock: ManualClock) -> None:
    id_ = (await in_progress(client, clock))["taskId"]
    clock.advance(minutes=5)
    end = await ended(client.session, id_)
    clock.advance(minutes=10)

    assert await ask(client.session, "tasks/get", id_) == end


@pytest.mark.parametrize("outcome", ["success", "suppression_violation"])
async def test_a_tasks_result_is_what_make_call_answers(
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


async def test_a_task_survives_its_server(
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
    goes_on = {"resultType": "complete", "statusMessage": "Calling, 0 s"}
    assert before == created | goes_on
    assert after["result"]["structuredContent"]["status"] == "success"


@pytest.mark.parametrize(("mode", "declared"), [("auto", "com.example/other"), ("legacy", TASKS)])
async def test_a_client_without_tasks_gets_the_result(
    settings: Settings, clock: ManualClock, app: SandboxApp, mode: str, declared: str
) -> None:
    clock.hold()
    async with client_of(settings, clock, app, mode=mode, extension=declared) as client:
        answer = await Agent(client).use("make_call", BISTRO, wait_seconds=0)
        refused = await refusal(client.session, "tasks/get", answer.data["tracking_id"])

    assert answer.data["status"] == "in_progress"
    assert refused.code == (-32021 if mode == "auto" else types.METHOD_NOT_FOUND)


async def needs_decision(client: Client) -> Json:
    """The task of a list that waits for its user."""
    return await ended(client.session, (await around(client, BUSY, FULL, FREE))["taskId"])


async def goes_on(client: Client, clock: ManualClock, decide: Json) -> Json:
    """The answer when the user lets that list go on, whose next call is then in progress."""
    answered = decide["result"]["structuredContent"]["calls"][-1]["call_id"]
    clock.advance(seconds=5)
    clock.hold()
    went_on = await around(client, BUSY, FULL, FREE, continue_after=answered)
    await clock.sleepers(1)
    return went_on


async def test_a_decision_completes_the_task(client: Client) -> None:
    decide = await needs_decision(client)

    assert decide["status"] == "completed"
    assert decide["result"]["structuredContent"]["status"] == "needs_decision"
    assert decide["result"]["content"][0]["text"].startswith(
        "Stopped for the user to decide: Second (+1 202-555-0102), answered. "
    )


async def test_a_list_that_waits_is_no_task(client: Client) -> None:
    await needs_decision(client)
    told = await around(client, BUSY, FULL, FREE)

    assert told["resultType"] == "complete"
    assert told["structuredContent"]["status"] == "needs_decision"


async def test_get_call_follows_a_list_that_goes_on(client: Client, clock: ManualClock) -> None:
    decide = await needs_decision(client)
    id_ = decide["taskId"]
    went_on = await goes_on(client, clock, decide)
    clock.advance(minutes=5)
    booked = await call(client, {"call_id": id_, "wait_seconds": 25}, "get_call")

    assert went_on["resultType"] == "complete"
    assert went_on["structuredContent"]["status"] == "in_progress"
    assert f'Next: get_call with call_id "{id_}"' in went_on["content"][0]["text"]
    assert booked["structuredContent"]["status"] == "booked"
    assert await Agent(client).calls_made() == 3


async def test_a_completed_task_stays_completed(client: Client, clock: ManualClock) -> None:
    decide = await needs_decision(client)
    await goes_on(client, clock, decide)
    kept = await ask(client.session, "tasks/cancel", decide["taskId"])
    during = await ask(client.session, "tasks/get", decide["taskId"])
    clock.advance(minutes=5)

    assert kept["resultType"] == "complete"
    assert during["status"] == "completed"


NONE_OF_TWO = "0 of 2 called. Third (+1 202-555-0100): "


async def list_in_progress(client: Client, clock: ManualClock) -> Json:
    """The task of a list whose first call has just begun."""
    clock.hold()
    task = await around(client, FREE, LAST, wait_seconds="600")
    await clock.sleepers(1)
    return task


async def test_a_list_is_a_task(client: Client, clock: ManualClock) -> None:
    task = await list_in_progress(client, clock)
    again = await around(client, FREE, LAST)

    assert task == WORKING | {
        "taskId": task["taskId"],
        "statusMessage": f"{NONE_OF_TWO}Placing the call",
    }
    assert again["taskId"] == task["taskId"]
    assert again["statusMessage"] == (
        f"Asked for before; no new call was placed. {NONE_OF_TWO}Calling, 0 s"
    )


async def test_a_canceled_list_still_works(client: Client, clock: ManualClock) -> None:
    """Its call in progress can't be hung up."""
    id_ = (await list_in_progress(client, clock))["taskId"]
    acknowledged = await ask(client.session, "tasks/cancel", id_)
    during = await ask(client.session, "tasks/get", id_)

    assert acknowledged == {"resultType": "complete"}
    assert during["status"] == "working"
    assert during["statusMessage"].startswith("Canceled: nobody else is called; ")


async def test_a_canceled_list_calls_nobody_else(client: Client, clock: ManualClock) -> None:
    id_ = (await list_in_progress(client, clock))["taskId"]
    await ask(client.session, "tasks/cancel", id_)
    clock.advance(minutes=5)
    after = await ended(client.session, id_)
    result = after["result"]["structuredContent"]

    assert after["status"] == "completed"
    assert result["status"] == "canceled"
    assert [one["outcome"] for one in result["calls"]] == ["booked"]
    assert await Agent(client).calls_made() == 1
