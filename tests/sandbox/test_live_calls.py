"""A call that shows how far it is: the answer comes at once, and its details have what was said."""

import asyncio

import httpx2

from tests.sandbox.conftest import RequestBody, SignIn
from tests.sandbox.manual_clock import ManualClock

LIVE = "+12025550116"


async def test_the_details_have_what_was_said_so_far(
    client: httpx2.AsyncClient, sign_in: SignIn, body: RequestBody, clock: ManualClock
) -> None:
    clock.hold()
    headers = sign_in()
    placed = await client.post("/v1/calls", json=body(respondent_phone=LIVE), headers=headers)
    url = f"/v1/calls/{placed.json()['call_id']}"
    clock.advance(seconds=12)
    talking = (await client.get(url, headers=headers)).json()
    clock.advance(minutes=5)
    ended = (await client.get(url, headers=headers)).json()

    assert (placed.status_code, placed.json()["status"]) == (201, "ringing")
    assert talking["status"] == "in_progress"
    assert [turn["speaker"] for turn in talking["transcript"]] == ["HUMAN", "AI"]
    assert ended["status"] == "success"
    assert "transcript" not in ended


async def test_the_same_key_is_answered_at_once_too(
    client: httpx2.AsyncClient, sign_in: SignIn, body: RequestBody, clock: ManualClock
) -> None:
    clock.hold()
    headers = sign_in() | {"Idempotency-Key": "7f4df2a5-3d0e-4f1c-8a53-0b4a4b7d1c11"}
    asked = body(respondent_phone=LIVE)
    first, second = [
        await asyncio.wait_for(client.post("/v1/calls", json=asked, headers=headers), 60)
        for _ in range(2)
    ]

    assert first.json()["call_id"] == second.json()["call_id"]
    assert second.json()["status"] == "ringing"
