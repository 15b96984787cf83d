"""The reference's "Call Endpoints", on the sandbox."""

from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import anyio
import httpx2
import pytest

from tests.sandbox.conftest import PlaceCall, RequestBody, SignIn
from tests.sandbox.manual_clock import ManualClock
from tests.sandbox.sandbox_app import client_of, sandbox_app


async def test_the_speed_divides_a_calls_length(clock: ManualClock, body: RequestBody) -> None:
    before = clock.now()
    with sandbox_app(clock=clock, speed=10) as app:
        headers = {"Authorization": f"Bearer {app.state.sandbox.issue_tokens()['access_token']}"}
        async with client_of(app) as client:
            answer = await client.post("/v1/calls", headers=headers, json=body())
    assert clock.now() - before == timedelta(seconds=answer.json()["duration_seconds"] / 10)


@pytest.fixture
async def in_progress(
    client: httpx2.AsyncClient, clock: ManualClock, place_call: PlaceCall, sign_in: SignIn
) -> AsyncIterator[str]:
    """The path of a call that has begun two seconds ago, and ends with the test."""
    clock.hold()
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(place_call)
            await clock.sleepers(1)
            clock.advance(seconds=2)
            (call,) = (await client.get("/v1/calls", headers=sign_in())).json()["calls"]
            yield f"/v1/calls/{call['call_id']}"
            clock.advance(hours=1)


async def test_a_call_in_progress_has_no_outcome(
    client: httpx2.AsyncClient, in_progress: str, sign_in: SignIn
) -> None:
    listed = (await client.get("/v1/calls", headers=sign_in())).json()
    call = (await client.get(in_progress, headers=sign_in())).json()

    assert listed["total"] == 1
    assert listed["calls"][0]["status"] == call["status"] == "in_progress"
    assert call["highlights"] is call["next_steps"] is call["duration_seconds"] is None


@pytest.mark.parametrize(
    ("part", "code"), [("transcript", "transcript_not_found"), ("calendar.ics", "not_found")]
)
async def test_a_call_in_progress_has_no_parts(
    client: httpx2.AsyncClient, in_progress: str, sign_in: SignIn, part: str, code: str
) -> None:
    answer = await client.get(f"{in_progress}/{part}", headers=sign_in())

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, code)


@pytest.mark.usefixtures("in_progress")
async def test_a_call_in_progress_counts(client: httpx2.AsyncClient, sign_in: SignIn) -> None:
    statistics = (await client.get("/v1/users/me/statistics", headers=sign_in())).json()

    assert statistics["calls_used"] == 9
    assert statistics["minutes_used"] > 45


async def test_a_call_is_answered_when_it_ends(clock: ManualClock, place_call: PlaceCall) -> None:
    clock.hold()
    answers: list[httpx2.Response] = []

    async def call() -> None:
        answers.append(await place_call())

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            await clock.sleepers(1)
            before = list(answers)
            clock.advance(hours=1)

    assert before == []
    assert answers[0].json()["status"] == "success"


async def test_a_call_outlasts_its_client_and_its_process(
    tmp_path: Path, clock: ManualClock, body: RequestBody
) -> None:
    clock.hold()
    headers = {"Idempotency-Key": "5b0e1d52-0a4f-4e57-9d0e-8f0f4d1f6a11"}
    data = tmp_path / "sandbox.db"
    # Which is never closed in order.
    with sandbox_app(data=data, clock=clock) as killed, anyio.fail_after(60):
        headers["Authorization"] = f"Bearer {killed.state.sandbox.issue_tokens()['access_token']}"
        async with client_of(killed) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(partial(client.post, "/v1/calls", headers=headers, json=body()))
            await clock.sleepers(1)
            tasks.cancel_scope.cancel()
        with sandbox_app(data=data, clock=clock) as next_:
            async with client_of(next_) as client:
                other = await client.post("/v1/calls", headers=headers, json=body(party_size=2))
                (call,) = (await client.get("/v1/calls", headers=headers)).json()["calls"]
                clock.advance(minutes=30)
                ended = (await client.post("/v1/calls", headers=headers, json=body())).json()
                listed = (await client.get("/v1/calls", headers=headers)).json()
    assert (other.status_code, call["status"]) == (409, "in_progress")
    assert (ended["call_id"], ended["status"], listed["total"]) == (call["call_id"], "success", 1)
