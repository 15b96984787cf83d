"""Simulates a call: makes a transcript, an outcome, and an appointment from a submission and what
the callee does.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from kallyai_mcp.sandbox.simulator.call_context import CallContext
from kallyai_mcp.sandbox.simulator.callee import Callee
from kallyai_mcp.sandbox.simulator.caller import Caller
from kallyai_mcp.sandbox.simulator.endings import ending_of, incomplete
from kallyai_mcp.sandbox.simulator.phrasebook import Phrasebook
from kallyai_mcp.sandbox.simulator.request import parse_request
from kallyai_mcp.sandbox.simulator.scenario import BilingualText, Scenario, Turn
from kallyai_mcp.sandbox.simulator.simulated_call import (
    Booking,
    Dialogue,
    Ending,
    Report,
    SimulatedCall,
)
from kallyai_mcp.sandbox.simulator.submission import Submission


@dataclass(frozen=True)
class CallFacts:
    """The facts on which a simulation depends, in addition to what the callee does.

    `now` is aware; `timezone` is the user's, None for UTC. `bookings` are those of earlier calls to
    the number, oldest first.
    """

    submission: Submission
    now: datetime
    timezone: str | None
    call_id: str
    bookings: tuple[Booking, ...] = ()


def simulate(facts: CallFacts, scenario: Scenario) -> SimulatedCall:
    """Simulate a call with the callee of a scenario.

    The same arguments always make the same conversation.
    """
    context = _context(facts, scenario)
    caller = Caller(context)
    callee = Callee(context, caller)
    ending = incomplete(context, callee.greeting().words(context.spoken.language))
    if ending is None:
        _converse(caller, callee.turns())
        ending = ending_of(context, caller)
    return _finished(context, ending)


def play(facts: CallFacts, turns: Iterable[Turn]) -> tuple[SimulatedCall, Caller]:
    """Simulate a call with a callee that has said `turns` so far; the result is the call as if it
    ended now.
    """
    context = _context(facts, Scenario())
    caller = Caller(context)
    _converse(caller, turns)
    return _finished(context, ending_of(context, caller)), caller


def greeting(facts: CallFacts) -> Turn:
    """Return what the callee of a call says when it picks up, for `play`."""
    context = _context(facts, Scenario())
    return Callee(context, Caller(context)).greeting()


def _converse(caller: Caller, turns: Iterable[Turn]) -> None:
    for turn in turns:
        caller.reply(turn)
        if caller.is_over:
            break


def _context(facts: CallFacts, scenario: Scenario) -> CallContext:
    submission = facts.submission
    local = facts.now.astimezone(ZoneInfo(facts.timezone) if facts.timezone is not None else UTC)
    request = parse_request(
        submission,
        facts.bookings,
        ignores_instructions=scenario.ignores_instructions,
        is_booked=scenario.names_slot,
    )
    number = submission.number
    today = local.date()
    return CallContext(
        request=request,
        scenario=scenario,
        spoken=Phrasebook(submission.spoken_language, phone=number, today=today),
        written=Phrasebook(submission.written_language, phone=number, today=today),
        dialogue=Dialogue(),
        now=local,
        call_id=facts.call_id,
    )


def _finished(context: CallContext, ending: Ending) -> SimulatedCall:
    scenario = context.scenario
    language = context.written.language
    highlights = _in_place_of(ending.highlights, scenario.highlights, language)
    event = None
    if ending.slot is not None and scenario.has_event:
        event = context.event(ending.slot, highlights)
    return SimulatedCall(
        status=ending.status,
        report=Report(
            highlights=highlights,
            next_steps=_in_place_of(ending.next_steps, scenario.next_steps, language),
            duration_seconds=context.dialogue.duration_seconds,
        ),
        event=event,
        booking=ending.booking,
        seconds=context.dialogue.duration_seconds,
        entries=context.dialogue.entries if scenario.has_transcript else (),
    )


def _in_place_of(text: str, given: BilingualText | None, language: str) -> str:
    """The sandbox's own text, or the one that a scenario gives in its place."""
    return text if given is None else given.in_language(language)
