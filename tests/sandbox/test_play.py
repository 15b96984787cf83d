"""A program plays the callee: it picks up, answers, proposes another time, and hangs up."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from kallyai_mcp.sandbox.app import SandboxApp
from tests.sandbox.conftest import PlaceCall, RequestBody, SignIn
from tests.sandbox.manual_clock import ManualClock
from tests.sandbox.sandbox_app import client_of, sandbox_app

CALLS = "/_sandbox/play/calls"
NUMBER = "+14155551234"


@pytest.fixture
def app(clock: ManualClock) -> Iterator[SandboxApp]:
    """A sandbox in which somebody plays the callee; its clock stands still."""
    clock.hold()
    with sandbox_app(clock=clock, plays=True) as app:
        yield app


class Player:
    """The callee of one call."""

    def __init__(self, client: httpx2.AsyncClient, call: dict[str, Any]) -> None:
        self._client = client
        self._path = f"{CALLS}/{call['call_id']}"
        self.call = call

    async def post(self, step: str, body: Any = None) -> httpx2.Response:
        response = await self._client.post(f"{self._path}/{step}", json=body)
        if response.is_success:
            self.call = response.json()
        return response

    async def pick_up(self) -> dict[str, Any]:
        assert (await self.post("pick-up")).status_code == 200
        return self.call

    async def say(self, does: str, says: str | None = None, **details: Any) -> dict[str, Any]:
        body = {"does": does, "says": says, **details}
        response = await self.post(
            "turns", {name: value for name, value in body.items() if value is not None}
        )
        assert response.status_code == 200, response.text
        return self.call

    async def hang_up(self) -> dict[str, Any]:
        return await self.say("hangs_up")


@pytest.fixture
def incoming(app: SandboxApp, client: httpx2.AsyncClient, place_call: PlaceCall) -> Any:
    """Place a call: `async with incoming(**changes) as (player, answer)`; `answer` waits for its
    end.
    """
    known: list[str] = []

    @asynccontextmanager
    async def incoming(
        **changes: Any,
    ) -> AsyncIterator[tuple[Player, asyncio.Task[httpx2.Response]]]:
        is_placed = asyncio.Event()
        app.state.sandbox.report = lambda _: is_placed.set()
        answer = asyncio.create_task(place_call(**changes))
        await asyncio.wait_for(is_placed.wait(), 10)
        (call,) = [
            each
            for each in (await client.get(CALLS)).json()["calls"]
            if each["call_id"] not in known
        ]
        known.append(call["call_id"])
        try:
            yield Player(client, call), answer
        finally:
            answer.cancel()

    return incoming


async def test_a_program_takes_a_call_and_agrees(
    incoming: Any, client: httpx2.AsyncClient, sign_in: SignIn
) -> None:
    async with incoming() as (player, answer):
        call, path = player.call, f"/v1/calls/{player.call['call_id']}"
        assert (call["state"], call["number"], call["business_name"]) == (
            "incoming",
            NUMBER,
            "Italian Bistro",
        )
        assert (call["language"], call["said"], call["status"], call["highlights"]) == (
            "en",
            [],
            None,
            None,
        )

        call = await player.pick_up()
        assert (call["state"], call["expects"]) == ("in_progress", "agrees")
        assert [entry["speaker"] for entry in call["said"]] == ["HUMAN", "AI"]
        assert "Italian Bistro" in call["said"][0]["content"]
        assert "table for 4" in call["said"][1]["content"]
        assert (
            "Sample Guest"
            in (await player.say("asks", "What name?", about="name"))["said"][-1]["content"]
        )
        await player.say("agrees", "That is booked.")
        assert (player.call["status"], player.call["highlights"], answer.done()) == (
            None,
            None,
            False,
        )
        assert (await client.get(path, headers=sign_in())).json()["status"] == "in_progress"
        assert (await client.get(f"{path}/transcript", headers=sign_in())).status_code == 404

        call = await player.say("says_goodbye", "See you then!")
        outcome = (await answer).json()
        assert (call["state"], call["status"], outcome["status"]) == ("ended", "success", "success")
        assert "Reserved a table for 4" in outcome["highlights"]
        assert call["highlights"] == outcome["highlights"]
        assert (await client.get(path, headers=sign_in())).json() == outcome
        assert (await client.get(f"{path}/transcript", headers=sign_in())).json()[
            "entries"
        ] == call["said"]
        assert "DTSTART" in (await client.get(f"{path}/calendar.ics", headers=sign_in())).text


async def test_a_call_ends_that_nobody_picks_up_or_in_which_the_callee_goes_silent(
    incoming: Any, clock: ManualClock
) -> None:
    async with incoming() as (player, answer):
        await player.hang_up()
        assert (player.call["state"], (await answer).json()["status"]) == ("ended", "busy")
    async with incoming() as (player, answer):
        clock.advance(seconds=29)
        assert not answer.done()
        clock.advance(seconds=1)

        assert (await answer).json()["status"] == "no_answer"
        late = await player.post("pick-up")
    assert (late.status_code, late.json()["error"]["code"]) == (409, "conflict")
    assert late.json()["error"]["details"]["reason"] == "It is ended, not incoming"
    async with incoming() as (player, answer):
        await player.pick_up()
        clock.advance(seconds=179)
        await player.say("agrees", "Yes.")
        clock.advance(seconds=180)
        assert (await answer).json()["status"] == "success"  # the callee went silent


async def test_a_step_that_does_not_fit_is_refused(
    incoming: Any, client: httpx2.AsyncClient
) -> None:
    async with incoming() as (player, _):
        assert (await player.post("turns", {"does": "agrees", "says": "Yes."})).status_code == 409
        path = f"{CALLS}/{player.call['call_id']}"
        await player.pick_up()
        assert (await player.post("pick-up")).status_code == 409
        for turn in ({"does": "agrees"}, {"does": "sings", "says": "La"}, {"says": ""}, 5):
            refused = await player.post("turns", turn)
            assert (refused.status_code, refused.json()["error"]["code"]) == (
                400,
                "validation_error",
            )
        json = {"Content-Type": "application/json"}
        assert (
            await client.post(f"{path}/turns", headers=json, content=b'{"says": "\\ud800"}')
        ).status_code == 400
    assert (await client.post(f"{CALLS}/nothing/pick-up")).status_code == 404


async def test_a_line_is_played_among_lines_that_are_not(clock: ManualClock) -> None:
    clock.hold()
    with sandbox_app(clock=clock, speed=1e9) as app:
        line = f"/_sandbox/line/{NUMBER}"
        async with client_of(app) as client:
            refused = await client.put(line, json={"does": "is_played", "turns": ["Hello"]})
            assert "can have only `seconds`" in refused.json()["error"]["details"]["reason"]
            short = await client.put("/_sandbox/line/202", json={"does": "is_busy"})
            reason = short.json()["error"]["details"]["reason"]
            assert reason == "number: must be a number in E.164, such as +12025550142"
            assert (
                await client.put(line, json={"does": "is_played", "seconds": 300})
            ).status_code == 200
            headers = {
                "Authorization": f"Bearer {app.state.sandbox.issue_tokens()['access_token']}"
            }
            submission = {"task_category": "general", "task_description": "Ask when they open"}
            asked = {"submission": submission | {"respondent_phone": NUMBER}, "timezone": "UTC"}
            answer = asyncio.create_task(client.post("/v1/calls", headers=headers, json=asked))
            await clock.sleepers(1)
            clock.advance(seconds=299)
            (call,) = (await client.get(CALLS)).json()["calls"]
            assert call["state"] == "incoming"
            await client.delete("/_sandbox/calls")

            assert (await answer).json()["status"] == "no_answer"
            assert (await client.get(CALLS)).json()["calls"] == []


async def test_a_call_goes_on_after_a_restart(
    tmp_path: Path, clock: ManualClock, body: RequestBody
) -> None:
    clock.hold()
    data = tmp_path / "sandbox.db"
    with sandbox_app(clock=clock, plays=True, data=data) as app:
        headers = {"Authorization": f"Bearer {app.state.sandbox.issue_tokens()['access_token']}"}
        async with client_of(app) as client:
            answer = asyncio.create_task(client.post("/v1/calls", headers=headers, json=body()))
            await clock.sleepers(1)
            (call,) = (await client.get(CALLS)).json()["calls"]
            await client.post(f"{CALLS}/{call['call_id']}/pick-up")
            await clock.sleepers(1)
            app.state.sandbox.stop()
            assert (await answer).status_code == 503
    with sandbox_app(clock=clock, plays=True, data=data) as app:
        async with client_of(app) as client:
            await client.post(
                f"{CALLS}/{call['call_id']}/turns", json={"does": "agrees", "says": "Yes."}
            )
            await client.post(f"{CALLS}/{call['call_id']}/turns", json={"does": "hangs_up"})
            outcome = (await client.get(f"/v1/calls/{call['call_id']}", headers=headers)).json()
    assert "Reserved a table for 4" in outcome["highlights"]
