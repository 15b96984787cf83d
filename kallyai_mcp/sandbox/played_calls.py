"""Calls in which a person or a program plays the callee, and their steps.

The table always has the outcome that a call will have if nobody does anything more: `no_answer` until somebody picks
up, and then that of the conversation so far. Each step writes the outcome again, and moves the call's end. So a call
ends in a bounded time, even if the player goes away or the sandbox is killed.

A step raises `ApiError`: 404 if there is no such call, 409 if it is in a state without this step.
"""

import json
import sqlite3
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from kallyai_mcp.sandbox import call_table
from kallyai_mcp.sandbox.call_table import Call, outcome_of, remember
from kallyai_mcp.sandbox.errors import ApiError
from kallyai_mcp.sandbox.simulator.scenario import BilingualText, Line, Scenario, Turn, TurnKind
from kallyai_mcp.sandbox.simulator.simulated_call import SimulatedCall
from kallyai_mcp.sandbox.simulator.simulation import CallFacts, greeting, play, simulate
from kallyai_mcp.sandbox.simulator.submission import Submission

SILENCE: Final = timedelta(minutes=3)
"""How long the assistant waits for the callee's next words, by the clock, before the call ends."""

State = Literal["incoming", "in_progress", "ended"]

_SELECT = "SELECT calls.*, number, timezone, turns FROM played_calls JOIN calls USING (call_id)"


@dataclass(frozen=True)
class PlayedCall:
    """A call in which somebody plays the callee, with the outcome that it will have if nobody does anything more.

    `turns` is empty until somebody picks up, and only `hangs_up` if somebody hung up without picking up.
    """

    call: Call
    number: str
    timezone: str
    turns: tuple[Turn, ...]

    @property
    def facts(self) -> CallFacts:
        """The facts of the simulation, without what the callee remembers."""
        submission = Submission.model_validate(self.call.submission)
        return CallFacts(submission, self.call.started_at, self.timezone, self.call.call_id)

    @property
    def scenario(self) -> Scenario:
        """The scenario that repeats the call so far."""
        if not self.turns:
            return Scenario(does="does_not_answer")
        return Scenario(does="is_busy") if self.turns[0].does == "hangs_up" else Scenario(turns=self.turns)

    def state_at(self, now: datetime) -> State:
        """Whether nobody has picked up yet, somebody has, or the call has ended at `now` (aware)."""
        if self.call.has_ended(now):
            return "ended"
        return "in_progress" if self.turns else "incoming"

    def expects(self) -> TurnKind:
        """Return what the callee would likely do next in a call in progress."""
        return play(self.facts, self.turns)[1].expects


def _read(row: sqlite3.Row) -> PlayedCall:
    values = dict(row)
    number, timezone, turns = (values.pop(name) for name in ("number", "timezone", "turns"))
    said = tuple(Turn.model_validate(turn) for turn in json.loads(turns))
    return PlayedCall(call_table.read(values), number, timezone, said)


def add(db: sqlite3.Connection, call_id: str, number: str, timezone: str) -> None:
    """Insert a new call that is in `calls`."""
    db.execute("INSERT INTO played_calls (call_id, number, timezone) VALUES (?, ?, ?)", (call_id, number, timezone))


def newest(db: sqlite3.Connection, limit: int) -> list[PlayedCall]:
    """Return the newest calls of all accounts, at most `limit`, newest first."""
    rows = db.execute(f"{_SELECT} ORDER BY started_at DESC, calls.rowid DESC LIMIT ?", (limit,))
    return [_read(row) for row in rows]


def pick_up(db: sqlite3.Connection, call_id: str, now: datetime) -> PlayedCall:
    """Pick up an incoming call with the greeting of the number; the assistant answers."""
    played = _find(db, call_id, now, "incoming")
    return _continue(db, replace(played, turns=(greeting(played.facts),)), now)


def say(db: sqlite3.Connection, call_id: str, turn: Turn, now: datetime) -> PlayedCall:
    """Add a turn of the callee to a call in progress; return it with the assistant's reply."""
    played = _find(db, call_id, now, "in_progress")
    return _continue(db, replace(played, turns=(*played.turns, turn)), now)


def hang_up(db: sqlite3.Connection, call_id: str, now: datetime) -> PlayedCall:
    """End a call. A call in progress ends as it is; an incoming call ends with `busy`."""
    played = _find(db, call_id, now, "incoming", "in_progress")
    return _continue(db, replace(played, turns=(*played.turns, Turn(does="hangs_up"))), now)


def settle(db: sqlite3.Connection, now: datetime) -> None:
    """Store what the callees remember of the played calls that have ended by `now`.

    It is called before a callee has to remember something, because a call may end without a step.
    """
    unsettled = db.execute(f"{_SELECT} WHERE NOT is_settled ORDER BY started_at, calls.rowid").fetchall()
    for played in map(_read, unsettled):
        if played.call.has_ended(now):
            remember(db, played.number, _simulated(db, played)[0])
            db.execute("UPDATE played_calls SET is_settled = 1 WHERE call_id = ?", (played.call.call_id,))


def line_of(db: sqlite3.Connection, call_id: str, now: datetime) -> Line:
    """Return a line that repeats a call that has ended, for a scenario file."""
    played = _find(db, call_id, now, "ended")
    scenario = played.scenario
    if played.turns and played.turns[-1].does not in ("hangs_up", "says_goodbye"):
        scenario = Scenario(turns=(*played.turns, Turn(does="hangs_up")))  # nothing more was said
    at = played.call.started_at
    description = BilingualText(en=f"As in a call of {at:%Y-%m-%d}", es=f"Como en una llamada del {at:%Y-%m-%d}")
    return Line(number=played.number, description=description, does=scenario.does, turns=scenario.turns)


def _find(db: sqlite3.Connection, call_id: str, now: datetime, *states: State) -> PlayedCall:
    row = db.execute(f"{_SELECT} WHERE call_id = ?", (call_id,)).fetchone()
    if row is None:
        raise ApiError(404, "not_found", "There is no such call", "Nobody plays the callee in a call with this id")
    played = _read(row)
    state = played.state_at(now)
    if state not in states:
        raise ApiError(409, "conflict", "The call is in another state", f"It is {state}, not {' or '.join(states)}")
    return played


def _simulated(db: sqlite3.Connection, played: PlayedCall) -> tuple[SimulatedCall, bool]:
    """Return the call as if it ended now, and whether it has ended."""
    if not played.scenario.turns:
        return simulate(played.facts, played.scenario), bool(played.turns)
    bookings = call_table.bookings_with(db, played.number)
    result, caller = play(replace(played.facts, bookings=bookings), played.turns)
    return result, caller.is_over


def _continue(db: sqlite3.Connection, played: PlayedCall, now: datetime) -> PlayedCall:
    """Write a changed call, with its new outcome and its new end."""
    result, is_over = _simulated(db, played)
    ends_at = now if is_over else now + SILENCE
    changed = replace(played, call=replace(played.call, ends_at=ends_at, **outcome_of(result, played.facts)))
    call_table.change_outcome(db, changed.call)
    turns = json.dumps([turn.model_dump(mode="json", exclude_defaults=True) for turn in changed.turns])
    db.execute("UPDATE played_calls SET turns = ? WHERE call_id = ?", (turns, changed.call.call_id))
    return changed
