"""The reference's "Call Endpoints", on the sandbox."""

from datetime import timedelta

import anyio
import httpx2

from kallyai_mcp.sandbox.app import create_app
from tests.sandbox.fixture_types import PlaceCall, RequestBody, SignIn
from tests.sandbox.manual_clock import ManualClock


async def test_a_call_lasts_as_long_as_its_conversation_divided_by_the_speed(
    clock: ManualClock, body: RequestBody
) -> None:
    app = create_app(clock=clock, speed=10)
    token = app.state.sandbox.issue_tokens()["access_token"]
    before = clock.now()
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://sandbox.test") as client:
        answer = await client.post("/v1/calls", headers={"Authorization": f"Bearer {token}"}, json=body())
    lasted = clock.now() - before
    assert lasted == timedelta(seconds=answer.json()["duration_seconds"] / 10)
    app.state.sandbox.close()


async def test_a_call_in_progress_has_no_outcome(
    client: httpx2.AsyncClient, clock: ManualClock, place_call: PlaceCall, sign_in: SignIn
) -> None:
    clock.hold()
    answers: list[httpx2.Response] = []

    async def call() -> None:
        answers.append(await place_call())

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            await clock.sleepers(1)
            clock.advance(seconds=2)
            listed = (await client.get("/v1/calls", headers=sign_in())).json()
            path = f"/v1/calls/{listed['calls'][0]['call_id']}"
            details = (await client.get(path, headers=sign_in())).json()
            transcript = await client.get(f"{path}/transcript", headers=sign_in())
            calendar = await client.get(f"{path}/calendar.ics", headers=sign_in())
            assert not answers
            clock.advance(hours=1)
    assert listed["total"] == 1
    assert listed["calls"][0]["status"] == details["status"] == "in_progress"
    assert details["highlights"] is details["next_steps"] is details["duration_seconds"] is None
    assert (transcript.status_code, transcript.json()["error"]["code"]) == (404, "transcript_not_found")
    assert (calendar.status_code, calendar.json()["error"]["code"]) == (404, "not_found")
    assert answers[0].json()["status"] == "success"


async def test_a_client_that_disconnects_does_not_end_the_call(
    client: httpx2.AsyncClient, clock: ManualClock, place_call: PlaceCall, sign_in: SignIn
) -> None:
    clock.hold()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(place_call)
            await clock.sleepers(1)
            tasks.cancel_scope.cancel()
    clock.advance(hours=1)
    (call,) = (await client.get("/v1/calls", headers=sign_in())).json()["calls"]
    assert call["status"] == "success"


async def test_other_accounts_calls_do_not_exist(
    client: httpx2.AsyncClient, place_call: PlaceCall, sign_in: SignIn
) -> None:
    call_id = (await place_call()).json()["call_id"]
    other = sign_in("acct-business")
    for path in ("", "/transcript", "/calendar.ics"):
        answer = await client.get(f"/v1/calls/{call_id}{path}", headers=other)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "call_not_found")
    assert (await client.get("/v1/calls", headers=other)).json() == {"calls": [], "total": 0}
