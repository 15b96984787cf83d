"""The Idempotency-Key: one call for one key."""

import anyio
import httpx2

from tests.sandbox.auth.requests import exchange, new_code
from tests.sandbox.fixture_types import PlaceCall, RequestBody, SignIn
from tests.sandbox.manual_clock import ManualClock

KEY = "5b0e1d52-0a4f-4e57-9d0e-8f0f4d1f6a11"


async def test_the_same_key_waits_for_a_call_in_progress(
    client: httpx2.AsyncClient, place_call: PlaceCall, clock: ManualClock, sign_in: SignIn
) -> None:
    clock.hold()
    answers: list[httpx2.Response] = []

    async def call() -> None:
        answers.append(await place_call(key=KEY))

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for waiting in (1, 2, 3):
                tasks.start_soon(call)
                await clock.sleepers(waiting)
                clock.advance(seconds=1)
            assert not answers
            assert (await client.get("/v1/calls", headers=sign_in())).json()["total"] == 1
            clock.advance(hours=1)
    assert len({answer.json()["call_id"] for answer in answers}) == 1
    assert [answer.status_code for answer in answers] == [201] * 3


async def test_every_field_of_the_body_counts_and_not_how_it_is_written(
    client: httpx2.AsyncClient, body: RequestBody, sign_in: SignIn, clock: ManualClock
) -> None:
    headers = sign_in() | {"Idempotency-Key": KEY}
    first = (await client.post("/v1/calls", headers=headers, json=body())).json()
    clock.advance(minutes=59)
    for change in ({"timezone": "Europe/Madrid"}, {"session_id": "another"}):
        assert (await client.post("/v1/calls", headers=headers, json=body() | change)).status_code == 409
    turned = dict(reversed(body(user_phone=None)["submission"].items()))
    again = await client.post(
        "/v1/calls", headers=headers, json={"timezone": "America/New_York", "session_id": None, "submission": turned}
    )
    assert again.json() == first


async def oauth_headers(client: httpx2.AsyncClient, **credentials: str) -> dict[str, str]:
    """Return headers with an access token of an OAuth client, by default `sandbox-client`, for `acct-personal`."""
    redirect_uri = "http://127.0.0.1:8765/callback"
    authorize = {"redirect_uri": redirect_uri} | {key: credentials[key] for key in credentials if key == "client_id"}
    code = await new_code(client, **authorize)
    tokens = (await exchange(client, code, redirect_uri=redirect_uri, **credentials)).json()
    return {"Authorization": f"Bearer {tokens['access_token']}"}


async def test_an_oauth_clients_identical_requests_without_a_key_are_one_call(
    client: httpx2.AsyncClient, body: RequestBody, clock: ManualClock
) -> None:
    headers = await oauth_headers(client)
    first = await client.post("/v1/calls", headers=headers, json=body())
    clock.advance(minutes=59)
    headers = await oauth_headers(client)
    again = await client.post("/v1/calls", headers=headers, json=body(user_phone=None))
    assert (again.status_code, again.json()) == (201, first.json())
    other = await client.post("/v1/calls", headers=headers, json=body(party_size=2))
    assert other.json()["call_id"] != first.json()["call_id"]
    assert (await client.get("/v1/calls", headers=headers)).json()["total"] == 2


async def test_a_generated_key_is_forgotten_an_hour_after_its_call_has_ended(
    client: httpx2.AsyncClient, body: RequestBody, clock: ManualClock
) -> None:
    headers = await oauth_headers(client)
    first = (await client.post("/v1/calls", headers=headers, json=body())).json()
    clock.advance(minutes=60)
    headers = await oauth_headers(client)
    second = (await client.post("/v1/calls", headers=headers, json=body())).json()
    assert first["call_id"] != second["call_id"]
    placed = (await client.get("/_sandbox/calls")).json()["calls"]
    assert placed[0]["idempotency_key"] == placed[1]["idempotency_key"] is not None


async def test_keys_belong_to_their_account(place_call: PlaceCall) -> None:
    mine = await place_call(key=KEY)
    theirs = await place_call("acct-business", key=KEY, party_size=2)
    assert (mine.status_code, theirs.status_code) == (201, 201)
    assert mine.json()["call_id"] != theirs.json()["call_id"]


async def test_a_refused_request_leaves_its_key_free(place_call: PlaceCall) -> None:
    assert (await place_call(key=KEY, respondent_phone="911")).status_code == 422
    assert (await place_call(key=KEY)).status_code == 201


async def test_a_key_that_is_not_a_uuid_is_refused(place_call: PlaceCall) -> None:
    answer = await place_call(key="twice")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "validation_error")
    assert "idempotency-key" in answer.json()["error"]["details"]["reason"].lower()
