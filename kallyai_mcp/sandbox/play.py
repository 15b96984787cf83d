"""`/_sandbox/play/calls/…`: a person or a program plays the callee of the lines that are set to
`is_played`.

The table of calls always has the outcome that a played call will have if nobody does anything more:
`no_answer` until somebody picks up, and then that of the conversation so far. Each step writes it
again, and moves the call's end. So a call ends in a bounded time, even if the player goes away or
the sandbox is killed.
"""

import sqlite3
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field, TypeAdapter

from kallyai_mcp.sandbox import call_table
from kallyai_mcp.sandbox.call_table import Call
from kallyai_mcp.sandbox.errors import ApiError
from kallyai_mcp.sandbox.local_access import REMOTE_CLIENT, only_from_this_machine
from kallyai_mcp.sandbox.schemas import Status, TranscriptEntry, errors
from kallyai_mcp.sandbox.simulator.phrasebook import phone_in_words
from kallyai_mcp.sandbox.simulator.scenario import Scenario, Turn, TurnKind
from kallyai_mcp.sandbox.simulator.simulation import CallFacts, greeting, play, simulate
from kallyai_mcp.sandbox.simulator.submission import Submission
from kallyai_mcp.sandbox.state import Sandbox, SandboxDep

_SELECT = (
    "SELECT placed_calls.*, number, timezone, turns FROM played_calls "
    "JOIN placed_calls USING (call_id)"
)

router = APIRouter(
    prefix="/_sandbox/play/calls",
    tags=["Sandbox"],
    dependencies=[Depends(only_from_this_machine)],
    responses=REMOTE_CLIENT,
)


State = Literal["incoming", "in_progress", "ended"]


class CallToPlay(BaseModel):
    """A call, with the facts that its callee would know."""

    call_id: str
    number: str = Field(description="The number that is called, in E.164")
    formatted_number: str = Field(description="The same in the format of its country")
    business_name: str | None
    language: Literal["en", "es"] = Field(description="The language of the conversation")
    state: State = Field(description="Nobody has picked up; somebody has; the call has ended")
    seconds_left: float = Field(
        description="`incoming`: for how long somebody can pick up; `in_progress`: after how long "
        "the call ends if the"
        " callee says nothing more; `ended`: 0"
    )
    said: list[TranscriptEntry] = Field(description="The conversation so far")
    expects: TurnKind | None = Field(
        description="`in_progress`: what the callee would likely do next, such as `answers` a "
        "question; else null"
    )
    status: Status | None = Field(description="How the call ended; null before that")
    highlights: str | None = Field(
        description="What the user is told; null before the call has ended"
    )


class CallsToPlay(BaseModel):
    """The newest 100 calls, newest first."""

    calls: list[CallToPlay]
    can_come: bool = Field(
        description="Whether a call can come: the sandbox was started with --play, or a line is set"
    )


_TURNS = TypeAdapter(list[Turn])


class _Played:
    """A call with its turns so far: none until somebody picks up, only `hangs_up` if nobody did."""

    def __init__(self, row: sqlite3.Row) -> None:
        values = dict(row)
        self.number: str = values.pop("number")
        timezone: str = values.pop("timezone")
        self.turns = _TURNS.validate_json(values.pop("turns"))
        self.call: Call = call_table.read(values)
        submission = Submission.model_validate(self.call.submission)
        self.facts = CallFacts(submission, self.call.started_at, timezone, self.call.call_id)

    def state(self, now: datetime) -> State:
        if self.call.has_ended(now):
            return "ended"
        return "in_progress" if self.turns else "incoming"

    def view(self, now: datetime) -> CallToPlay:
        call = self.call
        state = self.state(now)
        seen = call.seen_at(now)
        return CallToPlay(
            call_id=call.call_id,
            number=self.number,
            formatted_number=phone_in_words(self.number),
            business_name=call.submission.get("business_name"),
            language=self.facts.submission.spoken_language,
            state=state,
            seconds_left=max(0, (call.ends_at - now).total_seconds()),
            said=[TranscriptEntry.model_validate(entry) for entry in call.said],
            expects=play(self.facts, self.turns)[1].expects if state == "in_progress" else None,
            status=call.status if state == "ended" else None,
            highlights=seen["highlights"],
        )

    def add(self, db: sqlite3.Connection, turn: Turn, now: datetime) -> None:
        """Add a turn of the callee, and write the call with its new outcome and its new end."""
        self.turns.append(turn)
        if self.turns[0].does == "hangs_up":
            result = simulate(self.facts, Scenario(does="is_busy"))
            is_over = True
        else:
            # What this call did so far.
            db.execute("DELETE FROM bookings WHERE call_id = ?", (self.call.call_id,))
            facts = replace(self.facts, bookings=call_table.bookings_with(db, self.number))
            result, caller = play(facts, self.turns)
            is_over = caller.is_over
            call_table.remember(db, self.number, result)
        ends_at = now if is_over else now + timedelta(minutes=3)  # of silence
        self.call = replace(self.call, ends_at=ends_at, **call_table.outcome_of(result, self.facts))
        call_table.change_outcome(db, self.call)
        turns = _TURNS.dump_json(self.turns, exclude_defaults=True).decode()
        db.execute(
            "UPDATE played_calls SET turns = ? WHERE call_id = ?", (turns, self.call.call_id)
        )


def _step(sandbox: Sandbox, call_id: str, turn: Turn | None) -> CallToPlay:
    """Add a turn to a call, None: pick it up. The request that waits for its end looks again."""
    now = sandbox.clock.now()
    with sandbox.store.transaction() as db:
        row = db.execute(f"{_SELECT} WHERE call_id = ?", (call_id,)).fetchone()
        if row is None:
            raise ApiError(
                404,
                "not_found",
                "There is no such call",
                "Nobody plays the callee in a call with this id",
            )
        played = _Played(row)
        state = played.state(now)
        needed = _needed_state(turn, state)
        if state != needed:
            raise ApiError(
                409, "conflict", "The call is in another state", f"It is {state}, not {needed}"
            )
        played.add(db, turn or greeting(played.facts), now)
    sandbox.wake()
    return played.view(now)


def _needed_state(turn: Turn | None, state: State) -> State:
    """The state in which a call can take a step. An incoming call can be declined, too."""
    if turn is None:
        return "incoming"
    if turn.does == "hangs_up" and state == "incoming":
        return "incoming"
    return "in_progress"


@router.get("", summary="Get Calls to Play", response_description="The calls")
async def get_calls(sandbox: SandboxDep) -> CallsToPlay:
    """The calls to lines that are set to `is_played`, and what was said in them; ask again every
    half second or so.
    """
    sandbox.watched()
    now = sandbox.clock.now()
    with sandbox.store.transaction() as db:
        rows = db.execute(
            f"{_SELECT} ORDER BY started_at DESC, placed_calls.rowid DESC LIMIT 100"
        ).fetchall()
    return CallsToPlay(
        calls=[_Played(row).view(now) for row in rows], can_come=sandbox.lines.can_be_played
    )


@router.post("/{call_id}/pick-up", responses=errors(404, 409))
async def pick_up(call_id: str, sandbox: SandboxDep) -> CallToPlay:
    """Picks up an incoming call with the greeting of the number.

    An incoming call that nobody picks up in time ends with `no_answer`.
    """
    return _step(sandbox, call_id, None)


@router.post("/{call_id}/turns", responses=errors(400, 404, 409))
async def say_something(call_id: str, turn: Turn, sandbox: SandboxDep) -> CallToPlay:
    """Adds a turn of the callee: its words, and what they do, which decides the assistant's reply.

    `hangs_up` ends the call; an incoming call ends with `busy`. A call in which the callee says
    nothing for 3 minutes ends.
    """
    return _step(sandbox, call_id, turn)
