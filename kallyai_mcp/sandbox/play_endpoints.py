"""`/_sandbox/play/calls/…`: a person or a program plays the callee of the lines that are set to `is_played`."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from pydantic import BaseModel, Field

from kallyai_mcp.sandbox import played_calls
from kallyai_mcp.sandbox.local_access import REMOTE_CLIENT, only_from_this_machine
from kallyai_mcp.sandbox.played_calls import PlayedCall, State
from kallyai_mcp.sandbox.schemas import Status, TranscriptEntry, errors
from kallyai_mcp.sandbox.simulator.phrasebook import phone_in_words
from kallyai_mcp.sandbox.simulator.scenario import Turn, TurnKind
from kallyai_mcp.sandbox.simulator.scenario_file import write_scenario
from kallyai_mcp.sandbox.state import Sandbox, SandboxDep

router = APIRouter(
    prefix="/_sandbox/play/calls",
    tags=["Sandbox"],
    dependencies=[Depends(only_from_this_machine)],
    responses=REMOTE_CLIENT,
)

_SHOWN_CALLS = 100


class CallToPlay(BaseModel):
    """A call, with the facts that its callee would know."""

    call_id: str
    number: str = Field(description="The number that is called, in E.164")
    formatted_number: str = Field(description="The same in the format of its country")
    business_name: str | None
    language: Literal["en", "es"] = Field(description="The language of the conversation")
    state: State = Field(description="Nobody has picked up; somebody has; the call has ended")
    seconds_left: float = Field(
        description="`incoming`: for how long somebody can pick up; `in_progress`: after how long the call ends if the"
        " callee says nothing more; `ended`: 0"
    )
    said: list[TranscriptEntry] = Field(description="The conversation so far")
    expects: TurnKind | None = Field(
        description="`in_progress`: what the callee would likely do next, such as `answers` a question; else null"
    )
    status: Status | None = Field(description="How the call ended; null before that")
    highlights: str | None = Field(description="What the user is told; null before the call has ended")


class CallsToPlay(BaseModel):
    """The newest 100 calls, newest first."""

    calls: list[CallToPlay]
    can_come: bool = Field(description="Whether a call can come: the sandbox was started with --play, or a line is set")


def _view(played: PlayedCall, now: datetime) -> CallToPlay:
    state, call = played.state_at(now), played.call
    return CallToPlay(
        call_id=call.call_id,
        number=played.number,
        formatted_number=phone_in_words(played.number),
        business_name=call.submission.get("business_name"),
        language="es" if played.facts.submission.spoken_language == "es" else "en",
        state=state,
        seconds_left=max(0, (call.ends_at - now).total_seconds()),
        said=[TranscriptEntry.model_validate(entry) for entry in call.transcript or ()],
        expects=played.expects() if state == "in_progress" else None,
        status=call.status if state == "ended" else None,
        highlights=call.highlights if state == "ended" else None,
    )


def _step(sandbox: Sandbox, call_id: str, change: Callable[..., PlayedCall], *what: object) -> CallToPlay:
    """Change a call with a function of `played_calls`, and wake the request that waits for its end."""
    now = sandbox.clock.now()
    with sandbox.store.transaction() as db:
        played = change(db, call_id, *what, now)
    sandbox.wake()
    return _view(played, now)


@router.get("", summary="Get Calls to Play", response_description="The calls")
async def get_calls(sandbox: SandboxDep) -> CallsToPlay:
    """The calls to lines that are set to `is_played`, and what was said in them; ask again every half second or so."""
    with sandbox.store.transaction() as db:
        calls = played_calls.newest(db, _SHOWN_CALLS)
    now = sandbox.clock.now()
    return CallsToPlay(calls=[_view(played, now) for played in calls], can_come=sandbox.lines.can_be_played)


@router.post("/{call_id}/pick-up", responses=errors(404, 409))
async def pick_up(call_id: str, sandbox: SandboxDep) -> CallToPlay:
    """Picks up an incoming call with the greeting of the number.

    An incoming call that nobody picks up in time ends with `no_answer`.
    """
    return _step(sandbox, call_id, played_calls.pick_up)


@router.post("/{call_id}/turns", responses=errors(400, 404, 409))
async def say_something(call_id: str, turn: Turn, sandbox: SandboxDep) -> CallToPlay:
    """Adds a turn of the callee: its words, and what they do, which decides the assistant's reply.

    A call in which the callee says nothing for 3 minutes ends.
    """
    return _step(sandbox, call_id, played_calls.say, turn)


@router.post("/{call_id}/hang-up", responses=errors(404, 409))
async def hang_up(call_id: str, sandbox: SandboxDep) -> CallToPlay:
    """Ends a call in progress; an incoming call ends with `busy`."""
    return _step(sandbox, call_id, played_calls.hang_up)


_TOML: dict[int | str, dict[str, Any]] = {
    200: {"description": "A scenario file", "content": {"application/toml": {"schema": {"type": "string"}}}}
}


@router.get("/{call_id}/scenario.toml", response_class=Response, responses=_TOML | errors(404, 409))
async def get_scenario(call_id: str, sandbox: SandboxDep) -> Response:
    """A scenario file with which the callee says the same again, for a call that has ended."""
    with sandbox.store.transaction() as db:
        line = played_calls.line_of(db, call_id, sandbox.clock.now())
    headers = {"Content-Disposition": f'attachment; filename="{call_id}.toml"'}
    return Response(write_scenario(line), media_type="application/toml; charset=utf-8", headers=headers)
