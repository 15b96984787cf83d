"""The steps of played calls, in which a person or a program plays the callee.

As for other calls, there is no background task. The table always has the outcome that a call will have if nobody does
anything more: `no_answer` until somebody picks up, and then that of the conversation so far. Each step writes the
outcome again, and moves the call's end. So a call ends in a bounded time, even if the player goes away. No call is lost
if the sandbox is killed.
"""

import sqlite3
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, Literal

from kallyai_mcp.sandbox import call_table, played_call_table
from kallyai_mcp.sandbox.call_outcome import outcome_of, remember
from kallyai_mcp.sandbox.errors import ApiError
from kallyai_mcp.sandbox.played_call_table import PlayedCall
from kallyai_mcp.sandbox.simulator import simulation
from kallyai_mcp.sandbox.simulator.agreement import Agreement
from kallyai_mcp.sandbox.simulator.scenario import BilingualText, Line, Scenario, Turn, TurnKind
from kallyai_mcp.sandbox.simulator.simulated_call import SimulatedCall
from kallyai_mcp.sandbox.simulator.simulation import CallFacts, greeting, play, simulate
from kallyai_mcp.sandbox.simulator.submission import Submission

SILENCE: Final = timedelta(minutes=3)
"""How long the assistant waits for the callee's next words, by the clock, before the call ends."""

State = Literal["incoming", "in_progress", "ended"]
"""`incoming`: nobody has picked up yet; `in_progress`: somebody has; `ended`: the call has ended."""


def state_of(played: PlayedCall, now: datetime) -> State:
    """Return the state of a call at `now` (aware)."""
    if played.call.has_ended(now):
        return "ended"
    return "in_progress" if played.turns else "incoming"


def spoken_language(played: PlayedCall) -> str:
    """Return the language of the conversation, `en` or `es`."""
    return _facts(played).submission.spoken_language


def expected_turn(played: PlayedCall) -> TurnKind:
    """Return what the callee would likely do next in a call in progress."""
    return simulation.expected_turn(_facts(played), played.turns)


def pick_up(db: sqlite3.Connection, call_id: str, words: BilingualText | None, now: datetime) -> PlayedCall:
    """Pick up an incoming call; return it with the assistant's answer.

    `words` is the greeting; None for the greeting of the number.

    Raises:
        ApiError: 404: there is no such call; 409: it is not incoming.
    """
    played = _find(db, call_id, now, "incoming")
    first = greeting(_facts(played)) if words is None else Turn(does="greets", says=words)
    return _continue(db, replace(played, turns=(first,)), now)


def say(db: sqlite3.Connection, call_id: str, turn: Turn, now: datetime) -> PlayedCall:
    """Add a turn of the callee to a call in progress; return it with the assistant's reply.

    Raises:
        ApiError: 404: there is no such call; 409: it is not in progress.
    """
    played = _find(db, call_id, now, "in_progress")
    return _continue(db, replace(played, turns=(*played.turns, turn)), now)


def hang_up(db: sqlite3.Connection, call_id: str, now: datetime) -> PlayedCall:
    """End a call. A call in progress ends as it is; an incoming call ends with `busy`.

    Raises:
        ApiError: 404: there is no such call; 409: it has ended.
    """
    played = _find(db, call_id, now, "incoming", "in_progress")
    if played.turns:
        return _continue(db, replace(played, turns=(*played.turns, Turn(does="hangs_up"))), now)
    return _continue(db, replace(played, is_rejected=True), now)


def settle(db: sqlite3.Connection, now: datetime) -> None:
    """Store what the callees remember of the played calls that have ended by `now`.

    It is called before a callee has to remember something, because a call may end without a step.
    """
    for played in played_call_table.not_settled(db):
        if not played.call.has_ended(now):
            continue
        result, _ = _simulated(db, played)
        remember(db, played.number, result)
        played_call_table.change(db, replace(played, is_settled=True))


def line_of(db: sqlite3.Connection, call_id: str, now: datetime) -> Line:
    """Return a line that repeats a call that has ended, for a scenario file.

    Raises:
        ApiError: 404: there is no such call; 409: it has not ended.
    """
    played = _find(db, call_id, now, "ended")
    scenario = _scenario(played)
    if played.turns and played.turns[-1].does not in ("hangs_up", "says_goodbye"):
        scenario = Scenario(turns=(*played.turns, Turn(does="hangs_up")))  # nothing more was said
    at = played.call.started_at
    description = BilingualText(en=f"As in a call of {at:%Y-%m-%d}", es=f"Como en una llamada del {at:%Y-%m-%d}")
    return Line(number=played.number, description=description, does=scenario.does, turns=scenario.turns)


def _find(db: sqlite3.Connection, call_id: str, now: datetime, *states: State) -> PlayedCall:
    played = played_call_table.by_id(db, call_id)
    if played is None:
        raise ApiError(404, "not_found", "There is no such call", "Nobody plays the callee in a call with this id")
    state = state_of(played, now)
    if state not in states:
        raise ApiError(409, "conflict", "The call is in another state", f"It is {state}, not {' or '.join(states)}")
    return played


def _facts(played: PlayedCall, agreements: tuple[Agreement, ...] = ()) -> CallFacts:
    call = played.call
    submission = Submission.model_validate(call.submission)
    return CallFacts(submission, call.started_at, played.timezone, call.call_id, agreements)


def _scenario(played: PlayedCall) -> Scenario:
    if played.turns:
        return Scenario(turns=played.turns)
    return Scenario(does="is_busy" if played.is_rejected else "does_not_answer")


def _simulated(db: sqlite3.Connection, played: PlayedCall) -> tuple[SimulatedCall, bool]:
    """Return the call as if it ended now, and whether it has ended."""
    if played.turns:
        return play(_facts(played, call_table.agreements_with(db, played.number)), played.turns)
    return simulate(_facts(played), _scenario(played)), played.is_rejected


def _continue(db: sqlite3.Connection, played: PlayedCall, now: datetime) -> PlayedCall:
    """Write a changed call, with its new outcome and its new end."""
    result, is_over = _simulated(db, played)
    outcome = outcome_of(result, call_id=played.call.call_id, placed_at=played.call.started_at)
    ends_at = now if is_over else now + SILENCE
    changed = replace(played, call=replace(played.call, ends_at=ends_at, **outcome))
    played_call_table.change(db, changed)
    return changed
