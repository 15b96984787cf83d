"""The Idempotency-Key: one call for one key."""

import anyio
import httpx2

from tests.sandbox.auth.requests import exchange, new_code
from tests.sandbox.conftest import PlaceCall, RequestBody, SignIn
from tests.sandbox.manual_clock import ManualClock

KEY = "5b0e1d52-0a4f-4e57-9d0e-8f0f4d1f6a11"


async def test_a_repeated_key_waits_for_its_call(
    client: httpx2.AsyncClient, place_call: PlaceCall, clock: ManualClock, sign_in: SignIn
) -> None:
    clock.hold()
    answers: list[httpx2.Response] = []

    async def call() -> None:
        answers.append(await place_call(key=KEY))

    with anyio.fail_after(60):
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


async def test_a_keys_body_is_compared_by_its_fields(
    client: httpx2.AsyncClient, body: RequestBody, sign_in: SignIn, clock: ManualClock
) -> None:
    headers = sign_in() | {"Idempotency-Key": KEY}
    first = (await client.post("/v1/calls", headers=headers, json=body())).json()
    clock.advance(minutes=59)
    for change in ({"timezone": "Europe/Madrid"}, {"session_id": "another"}):
        assert (
            await client.post("/v1/calls", headers=headers, json=body() | change)
        ).status_code == 409
    turned = dict(reversed(body(user_phone=None)["submission"].items()))
    again = await client.post(
        "/v1/calls",
        headers=headers,
        json={"timezone": "America/New_York", "session_id": None, "submission": turned},
    )
    assert again.json() == first


async def oauth_headers(client: httpx2.AsyncClient) -> dict[str, str]:
    """Return headers with an access token of an OAuth client for `acct-personal`."""
    tokens = (await exchange(client, await new_code(client))).json()
    return {"Authorization": f"Bearer {tokens['access_token']}"}


async def test_an_oauth_clients_equal_requests_are_one_call(
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
    clock.advance(minutes=60)
    headers = await oauth_headers(client)
    later = await client.post("/v1/calls", headers=headers, json=body())
    assert later.json()["call_id"] != first.json()["call_id"]
    placed = (await client.get("/_sandbox/calls")).json()["calls"]
    keys = [call["idempotency_key"] for call in placed]
    assert (len(keys), keys[0]) == (3, keys[2])


async def test_keys_belong_to_their_account(
    place_call: PlaceCall,
) -> None:
    assert (await place_call(key="twice")).json()["error"]["code"] == "validation_error"
    assert (await place_call(key=KEY, respondent_phone="911")).status_code == 422
    mine = await place_call(key=KEY)
    theirs = await place_call("acct-business", key=KEY, party_size=2)
    assert (mine.status_code, theirs.status_code) == (201, 201)
    assert mine.json()["call_id"] != theirs.json()["call_id"]
