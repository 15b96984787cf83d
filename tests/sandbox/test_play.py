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


def part(call: dict[str, Any], **expected: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of a call beside what they should be."""
    return {name: call[name] for name in expected}, expected


async def test_a_program_sees_a_call_that_comes_in(incoming: Any) -> None:
    async with incoming() as (player, _):
        found, expected = part(
            player.call,
            state="incoming",
            number=NUMBER,
            business_name="Italian Bistro",
            language="en",
            said=[],
            status=None,
            highlights=None,
        )

    assert found == expected


async def test_a_program_that_picks_up_hears_the_request(incoming: Any) -> None:
    async with incoming() as (player, _):
        call = await player.pick_up()

    assert (call["state"], call["expects"]) == ("in_progress", "agrees")
    greeting, request = call["said"]
    assert [greeting["speaker"], request["speaker"]] == ["HUMAN", "AI"]
    assert "Italian Bistro" in greeting["content"]
    assert "table for 4" in request["content"]


async def test_a_program_asks_and_is_answered(incoming: Any) -> None:
    async with incoming() as (player, _):
        await player.pick_up()
        call = await player.say("asks", "What name?", about="name")

    assert "Sample Guest" in call["said"][-1]["content"]


async def test_agreeing_alone_does_not_end_the_call(
    incoming: Any, client: httpx2.AsyncClient, sign_in: SignIn
) -> None:
    async with incoming() as (player, answer):
        path = f"/v1/calls/{player.call['call_id']}"
        await player.pick_up()
        await player.say("agrees", "That is booked.")
        is_answered = answer.done()
        shown = (await client.get(path, headers=sign_in())).json()
        transcript = await client.get(f"{path}/transcript", headers=sign_in())

    assert not is_answered
    assert (player.call["status"], player.call["highlights"]) == (None, None)
    assert shown["status"] == "in_progress"
    assert transcript.status_code == 404


async def test_a_program_that_says_goodbye_ends_the_call(incoming: Any) -> None:
    async with incoming() as (player, answer):
        await player.pick_up()
        await player.say("agrees", "That is booked.")
        call = await player.say("says_goodbye", "See you then!")
        outcome = (await answer).json()

    assert [call["state"], call["status"], outcome["status"]] == ["ended", "success", "success"]
    assert "Reserved a table for 4" in outcome["highlights"]
    assert call["highlights"] == outcome["highlights"]


async def test_a_played_call_is_shown_like_another(
    incoming: Any, client: httpx2.AsyncClient, sign_in: SignIn
) -> None:
    async with incoming() as (player, answer):
        path = f"/v1/calls/{player.call['call_id']}"
        await player.pick_up()
        await player.say("agrees", "That is booked.")
        call = await player.say("says_goodbye", "See you then!")
        outcome = (await answer).json()
    transcript = (await client.get(f"{path}/transcript", headers=sign_in())).json()

    assert (await client.get(path, headers=sign_in())).json() == outcome
    assert transcript["entries"] == call["said"]
    assert "DTSTART" in (await client.get(f"{path}/calendar.ics", headers=sign_in())).text


async def test_hanging_up_before_answering_is_busy(incoming: Any) -> None:
    async with incoming() as (player, answer):
        await player.hang_up()
        outcome = (await answer).json()

    assert (player.call["state"], outcome["status"]) == ("ended", "busy")


async def test_a_call_nobody_picks_up_ends(incoming: Any, clock: ManualClock) -> None:
    async with incoming() as (_, answer):
        clock.advance(seconds=29)
        is_early = answer.done()
        clock.advance(seconds=1)
        outcome = (await answer).json()

    assert not is_early
    assert outcome["status"] == "no_answer"


async def test_a_call_that_ended_cannot_be_answered(incoming: Any, clock: ManualClock) -> None:
    async with incoming() as (player, answer):
        clock.advance(seconds=30)
        await answer
        late = await player.post("pick-up")

    assert (late.status_code, late.json()["error"]["code"]) == (409, "conflict")
    assert late.json()["error"]["details"]["reason"] == "It is ended, not incoming"


async def test_a_callee_who_goes_silent_ends_the_call(incoming: Any, clock: ManualClock) -> None:
    async with incoming() as (player, answer):
        await player.pick_up()
        clock.advance(seconds=179)
        await player.say("agrees", "Yes.")
        clock.advance(seconds=180)

        assert (await answer).json()["status"] == "success"


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


@pytest.fixture
def other_app(clock: ManualClock) -> Iterator[SandboxApp]:
    """A sandbox in which nobody plays the callee, unless a line is set so."""
    clock.hold()
    with sandbox_app(clock=clock, speed=1e9) as app:
        yield app


@pytest.mark.parametrize(
    ("number", "line", "reason"),
    [
        (NUMBER, {"does": "is_played", "turns": ["Hello"]}, "can have only `seconds`"),
        (
            "202",
            {"does": "is_busy"},
            "number: must be a number in E.164, such as +12025550142",
        ),
    ],
    ids=["turns of a played line", "no number"],
)
async def test_a_line_that_cannot_be_is_refused(
    other_app: SandboxApp, number: str, line: dict[str, Any], reason: str
) -> None:
    async with client_of(other_app) as client:
        refused = await client.put(f"/_sandbox/line/{number}", json=line)

    assert reason in refused.json()["error"]["details"]["reason"]


async def test_one_line_is_played_among_others(other_app: SandboxApp, clock: ManualClock) -> None:
    token = other_app.state.sandbox.issue_tokens()["access_token"]
    submission = {"task_category": "general", "task_description": "Ask when they open"}
    asked = {"submission": submission | {"respondent_phone": NUMBER}, "timezone": "UTC"}
    async with client_of(other_app, headers={"Authorization": f"Bearer {token}"}) as client:
        played = {"does": "is_played", "seconds": 300}
        await client.put(f"/_sandbox/line/{NUMBER}", json=played)
        answer = asyncio.create_task(client.post("/v1/calls", json=asked))
        await clock.sleepers(1)
        clock.advance(seconds=299)
        (call,) = (await client.get(CALLS)).json()["calls"]
        await client.delete("/_sandbox/calls")
        outcome = (await answer).json()
        left = (await client.get(CALLS)).json()["calls"]

    assert call["state"] == "incoming"
    assert (outcome["status"], left) == ("no_answer", [])


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
