"""The reference's "Call Endpoints", on the sandbox."""

import uuid
from datetime import timedelta
from typing import Any

import anyio
import httpx2
import icalendar
import pytest

from kallyai_mcp.sandbox.app import SandboxApp, create_app
from tests.sandbox.fixture_types import PlaceCall, Reference, RequestBody, SameShape, SignIn
from tests.sandbox.manual_clock import ManualClock


async def test_a_call_answers_201_with_its_outcome(place_call: PlaceCall, body: RequestBody) -> None:
    answer = await place_call()
    assert answer.status_code == 201
    call = answer.json()
    assert str(uuid.UUID(call["call_id"])) == call["call_id"]
    assert call["status"] == "success"
    assert call["highlights"]
    assert call["next_steps"]
    assert call["duration_seconds"] > 10
    assert call["metadata"] == {"created_at": "2026-01-25T15:30:00Z"}
    assert call["submission"] == body()["submission"]


async def test_details_of_a_call_are_what_creating_it_answered(
    client: httpx2.AsyncClient,
    place_call: PlaceCall,
    sign_in: SignIn,
    reference: Reference,
    assert_same_shape: SameShape,
) -> None:
    created = (await place_call()).json()
    details = (await client.get(f"/v1/calls/{created['call_id']}", headers=sign_in())).json()
    assert details == created
    example = reference("call_details")
    shown = {key: details["submission"][key] for key in example["submission"]}
    assert_same_shape(details | {"submission": shown}, example)


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


@pytest.mark.parametrize(
    ("number", "status"),
    [
        ("+12025550103", "busy"),
        ("+12025550104", "no_answer"),
        ("+12025550105", "voicemail"),
        ("+12025550106", "failed"),
        ("+12025550107", "cancelled"),
        ("+12025550108", "terminated"),
    ],
)
async def test_a_test_number_decides_how_the_call_ends(place_call: PlaceCall, number: str, status: str) -> None:
    answer = await place_call(respondent_phone=number)
    assert (answer.status_code, answer.json()["status"]) == (201, status)


async def test_the_list_is_newest_first_and_has_the_shape_of_the_reference(
    client: httpx2.AsyncClient,
    place_call: PlaceCall,
    sign_in: SignIn,
    reference: Reference,
    assert_same_shape: SameShape,
) -> None:
    ids = [(await place_call()).json()["call_id"] for _ in range(3)]
    listed = (await client.get("/v1/calls", headers=sign_in())).json()
    assert [call["call_id"] for call in listed["calls"]] == ids[::-1]
    assert_same_shape(listed, reference("call_list"))


async def test_calls_placed_at_the_same_moment_are_listed_newest_first_too(
    client: httpx2.AsyncClient, clock: ManualClock, body: RequestBody, sign_in: SignIn
) -> None:
    clock.hold()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for number in range(3):
                request = body(task_description=f"Task {number}")
                tasks.start_soon(lambda json: client.post("/v1/calls", headers=sign_in(), json=json), request)
                await clock.sleepers(number + 1)
            clock.advance(hours=1)
    listed = (await client.get("/v1/calls", headers=sign_in())).json()["calls"]
    details = [(await client.get(f"/v1/calls/{c['call_id']}", headers=sign_in())).json() for c in listed]
    assert [call["submission"]["task_description"] for call in details] == ["Task 2", "Task 1", "Task 0"]


async def test_pages_of_the_list_meet_without_gap_or_overlap(
    client: httpx2.AsyncClient, place_call: PlaceCall, sign_in: SignIn
) -> None:
    ids = [(await place_call()).json()["call_id"] for _ in range(5)][::-1]
    seen = []
    for offset in (0, 2, 4, 6):
        page = (await client.get("/v1/calls", headers=sign_in(), params={"limit": 2, "offset": offset})).json()
        assert page["total"] == 5
        seen += [call["call_id"] for call in page["calls"]]
    assert seen == ids


@pytest.mark.parametrize(
    "params", [{"limit": 0}, {"limit": 201}, {"limit": "x"}, {"offset": -1}, {"offset": 2**63}, {"offset": ""}]
)
async def test_a_page_out_of_range_is_refused(
    client: httpx2.AsyncClient, sign_in: SignIn, params: dict[str, Any]
) -> None:
    answer = await client.get("/v1/calls", headers=sign_in(), params=params)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "validation_error")


async def test_the_list_takes_limit_200_and_defaults_to_50(
    client: httpx2.AsyncClient, sign_in: SignIn, place_call: PlaceCall
) -> None:
    for _ in range(51):
        await place_call("acct-business", respondent_phone="+12025550103")
    headers = sign_in("acct-business")
    assert len((await client.get("/v1/calls", headers=headers)).json()["calls"]) == 50
    assert len((await client.get("/v1/calls?limit=200", headers=headers)).json()["calls"]) == 51


async def test_a_call_without_a_business_name_is_listed_without_one(
    client: httpx2.AsyncClient, place_call: PlaceCall, sign_in: SignIn
) -> None:
    await place_call(business_name=None)
    (call,) = (await client.get("/v1/calls", headers=sign_in())).json()["calls"]
    assert call["submission"] == {"respondent_phone": "+14155551234"}


async def test_other_accounts_calls_do_not_exist(
    client: httpx2.AsyncClient, place_call: PlaceCall, sign_in: SignIn
) -> None:
    call_id = (await place_call()).json()["call_id"]
    other = sign_in("acct-business")
    for path in ("", "/transcript", "/calendar.ics"):
        answer = await client.get(f"/v1/calls/{call_id}{path}", headers=other)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "call_not_found")
    assert (await client.get("/v1/calls", headers=other)).json() == {"calls": [], "total": 0}


@pytest.mark.parametrize("call_id", ["nonsense", "5b0e1d52-0a4f-4e57-9d0e-8f0f4d1f6a11", "%00", "%ff", "'--"])
async def test_an_unknown_call_is_call_not_found(client: httpx2.AsyncClient, sign_in: SignIn, call_id: str) -> None:
    answer = await client.get(f"/v1/calls/{call_id}", headers=sign_in())
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "call_not_found")


async def test_the_transcript_has_the_shape_of_the_reference_and_runs_forward(
    client: httpx2.AsyncClient,
    place_call: PlaceCall,
    sign_in: SignIn,
    reference: Reference,
    assert_same_shape: SameShape,
) -> None:
    call_id = (await place_call()).json()["call_id"]
    transcript = (await client.get(f"/v1/calls/{call_id}/transcript", headers=sign_in())).json()
    assert_same_shape(transcript, reference("transcript"))
    times = [entry["timestamp"] for entry in transcript["entries"]]
    assert times == sorted(times)
    assert {entry["speaker"] for entry in transcript["entries"]} == {"AI", "HUMAN"}


@pytest.mark.parametrize("number", ["+12025550104", "+12025550114"])
async def test_a_call_without_words_has_no_transcript(
    client: httpx2.AsyncClient, place_call: PlaceCall, sign_in: SignIn, number: str
) -> None:
    call_id = (await place_call(respondent_phone=number)).json()["call_id"]
    answer = await client.get(f"/v1/calls/{call_id}/transcript", headers=sign_in())
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "transcript_not_found")


async def test_the_calendar_event_is_the_appointment(
    client: httpx2.AsyncClient, place_call: PlaceCall, sign_in: SignIn
) -> None:
    call_id = (await place_call()).json()["call_id"]
    answer = await client.get(f"/v1/calls/{call_id}/calendar.ics", headers=sign_in())
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    assert answer.headers["content-disposition"] == f'attachment; filename="{call_id}.ics"'
    (event,) = icalendar.Calendar.from_ical(answer.text).walk("VEVENT")
    assert event.decoded("DTSTART").isoformat() == "2026-01-28T19:00:00-05:00"


async def test_a_call_without_an_agreement_has_no_calendar_event(
    client: httpx2.AsyncClient, place_call: PlaceCall, sign_in: SignIn
) -> None:
    call_id = (await place_call(respondent_phone="+12025550115")).json()["call_id"]
    answer = await client.get(f"/v1/calls/{call_id}/calendar.ics", headers=sign_in())
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", "/v1/calls", "calls:write"),
        ("GET", "/v1/calls", "calls:read"),
        ("GET", "/v1/calls/some-id", "calls:read"),
        ("GET", "/v1/calls/some-id/transcript", "transcripts:read"),
        ("GET", "/v1/calls/some-id/calendar.ics", "calls:read"),
        ("GET", "/v1/users/me/subscription", "subscription:read"),
        ("GET", "/v1/users/me/statistics", "subscription:read"),
        ("GET", "/v1/stripe/billing-portal", "billing:manage"),
    ],
)
async def test_each_endpoint_requires_its_scope(
    client: httpx2.AsyncClient, sign_in: SignIn, app: SandboxApp, method: str, path: str, scope: str
) -> None:
    every = app.state.sandbox.issue_tokens()["scope"].split()
    without = sign_in(scopes=[other for other in every if other != scope])
    refused = await client.request(method, path, headers=without)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")
    assert scope in refused.json()["error"]["details"]["reason"]
    anonymous = await client.request(method, path)
    assert (anonymous.status_code, anonymous.json()["error"]["code"]) == (401, "missing_token")
    allowed = await client.request(method, path, headers=sign_in(scopes=[scope]))
    assert allowed.status_code not in {401, 403}
