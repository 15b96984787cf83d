"""Simulates a call: makes a transcript, an outcome, and an appointment from a submission and what the callee does."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from kallyai_mcp.sandbox.simulator.agreement import Agreement
from kallyai_mcp.sandbox.simulator.call_context import CallContext
from kallyai_mcp.sandbox.simulator.callee import Callee
from kallyai_mcp.sandbox.simulator.caller import Caller
from kallyai_mcp.sandbox.simulator.dialogue import Dialogue
from kallyai_mcp.sandbox.simulator.endings import ending_of
from kallyai_mcp.sandbox.simulator.incomplete_calls import INCOMPLETE_CALLS
from kallyai_mcp.sandbox.simulator.phrasebook import Phrasebook
from kallyai_mcp.sandbox.simulator.request import parse_request
from kallyai_mcp.sandbox.simulator.scenario import Scenario, Turn, TurnKind
from kallyai_mcp.sandbox.simulator.simulated_call import Ending, SimulatedCall
from kallyai_mcp.sandbox.simulator.submission import Submission


@dataclass(frozen=True)
class CallFacts:
    """The facts on which a simulation depends, in addition to what the callee does.

    Attributes:
        submission: What to do; `validation.check` has accepted it. `language` is `en` if it is None, and
            `call_language` is `language` if it is None.
        now: The time of the call, aware.
        timezone: The user's IANA time zone; UTC if None.
        call_id: The call's id, for the appointment's description.
        agreements: The bookings that were agreed in earlier calls to the number, oldest first.
    """

    submission: Submission
    now: datetime
    timezone: str | None
    call_id: str
    agreements: tuple[Agreement, ...] = ()


def simulate(facts: CallFacts, scenario: Scenario) -> SimulatedCall:
    """Simulate a call with the callee of a scenario.

    The scenario decides what happens; the submission decides what the assistant says; the number decides how the callee
    words it, and its facts, such as when it opens. The same arguments always make the same conversation.

    Raises:
        ValueError: The submission has no number, or its time is not HH:MM.
    """
    context = _context(facts, scenario)
    if simulate_incomplete := INCOMPLETE_CALLS.get(scenario.does):
        return _finished(context, simulate_incomplete(context))
    caller = Caller(context)
    callee = Callee(context, caller)
    _converse(caller, callee.turns())
    return _finished(context, ending_of(context, caller, callee))


def play(facts: CallFacts, turns: Iterable[Turn]) -> tuple[SimulatedCall, bool]:
    """Simulate a call with a callee that has said `turns` so far.

    Returns:
        The call as if it ended now, and whether it has ended. The same arguments always make the same call.
    """
    context = _context(facts, Scenario())
    caller = Caller(context)
    _converse(caller, turns)
    return _finished(context, ending_of(context, caller, None)), caller.is_over


def expected_turn(facts: CallFacts, turns: Iterable[Turn]) -> TurnKind:
    """Return what the callee of a played call would likely do next."""
    caller = Caller(_context(facts, Scenario()))
    _converse(caller, turns)
    return caller.expects


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
    language = submission.language or "en"
    spoken = submission.spoken_language
    seed = submission.model_dump_json()
    local = facts.now.astimezone(ZoneInfo(facts.timezone) if facts.timezone is not None else UTC)
    number = submission.respondent_phone or ""
    return CallContext(
        request=parse_request(submission, local.date(), ignores_instructions=scenario.ignores_instructions),
        number=number,
        scenario=scenario,
        agreements=facts.agreements,
        spoken=Phrasebook(spoken, seed, phone=number, aloud=True),
        callee_spoken=Phrasebook(spoken, number, phone=number, aloud=True),
        written=Phrasebook(language, seed, phone=number),
        dialogue=Dialogue(),
        now=local,
        call_id=facts.call_id,
    )


def _finished(context: CallContext, ending: Ending) -> SimulatedCall:
    entries = context.dialogue.entries if context.scenario.has_transcript else ()
    return SimulatedCall(**vars(ending), duration_seconds=context.dialogue.duration_seconds, entries=entries)
