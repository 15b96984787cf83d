"""Simulates a call: from a submission, and what the callee says, to a transcript, an outcome, and an appointment."""

from collections.abc import Iterable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from kallyai_mcp.sandbox.simulator.agreement import Agreement
from kallyai_mcp.sandbox.simulator.call_context import CallContext, Ending
from kallyai_mcp.sandbox.simulator.callee import Callee
from kallyai_mcp.sandbox.simulator.caller import Caller
from kallyai_mcp.sandbox.simulator.dialogue import Dialogue
from kallyai_mcp.sandbox.simulator.endings import ending_of
from kallyai_mcp.sandbox.simulator.incomplete_calls import INCOMPLETE_CALLS
from kallyai_mcp.sandbox.simulator.phrasebook import Phrasebook
from kallyai_mcp.sandbox.simulator.request import parse_request
from kallyai_mcp.sandbox.simulator.scenario import Scenario, Turn, TurnKind
from kallyai_mcp.sandbox.simulator.simulated_call import SimulatedCall
from kallyai_mcp.sandbox.simulator.submission import Submission


def simulate(
    submission: Submission,
    scenario: Scenario,
    *,
    now: datetime,
    timezone: str | None,
    call_id: str,
    agreements: tuple[Agreement, ...] = (),
) -> SimulatedCall:
    """Simulate the call that `submission` asks for, with the callee of a scenario.

    The scenario decides what happens; the submission decides what the assistant says; the number decides how the callee
    words it, and its facts, such as when it opens. The same arguments always make the same conversation.

    Args:
        submission: What to do; `validation.check` has accepted it. `language` is `en` if it is None, and
            `call_language` is `language` if it is None.
        scenario: What happens on the line that is called.
        now: The time of the call, aware.
        timezone: The user's IANA time zone; UTC if None.
        call_id: The call's id, for the appointment's description.
        agreements: The bookings that were agreed in earlier calls to the number, oldest first.

    Raises:
        ValueError: The submission has no number, or its time is not HH:MM.
    """
    context = _context(submission, scenario, now=now, timezone=timezone, call_id=call_id, agreements=agreements)
    if simulate_incomplete := INCOMPLETE_CALLS.get(scenario.does):
        return _finished(context, simulate_incomplete(context))
    caller = Caller(context)
    callee = Callee(context, caller)
    for turn in callee.turns():
        caller.reply(turn)
        if caller.is_over:
            break
    return _finished(context, ending_of(context, caller, callee))


def play(
    submission: Submission,
    turns: Iterable[Turn],
    *,
    now: datetime,
    timezone: str | None,
    call_id: str,
    agreements: tuple[Agreement, ...] = (),
) -> tuple[SimulatedCall, bool]:
    """Simulate the call with a callee that has said `turns` so far.

    Args:
        submission: As for `simulate`.
        turns: What the callee has said.
        now: As for `simulate`.
        timezone: As for `simulate`.
        call_id: As for `simulate`.
        agreements: As for `simulate`.

    Returns:
        The call as if it ended now, and whether it has ended. The same arguments always make the same call.
    """
    context = _context(submission, Scenario(), now=now, timezone=timezone, call_id=call_id, agreements=agreements)
    caller = _caller_after(context, turns)
    return _finished(context, ending_of(context, caller, None)), caller.is_over


def expected_turn(
    submission: Submission, turns: Iterable[Turn], *, now: datetime, timezone: str | None, call_id: str
) -> TurnKind:
    """Return what the callee of a call that is played would likely do next; the arguments are those of `play`."""
    context = _context(submission, Scenario(), now=now, timezone=timezone, call_id=call_id, agreements=())
    return _caller_after(context, turns).expects


def _caller_after(context: CallContext, turns: Iterable[Turn]) -> Caller:
    caller = Caller(context)
    for turn in turns:
        caller.reply(turn)
        if caller.is_over:
            break
    return caller


def greeting(submission: Submission, *, now: datetime, timezone: str | None, call_id: str) -> Turn:
    """Return what the callee of a call says when it picks up, for `play`; the arguments are those of `simulate`."""
    context = _context(submission, Scenario(), now=now, timezone=timezone, call_id=call_id, agreements=())
    return Callee(context, Caller(context)).greeting()


def _context(
    submission: Submission,
    scenario: Scenario,
    *,
    now: datetime,
    timezone: str | None,
    call_id: str,
    agreements: tuple[Agreement, ...],
) -> CallContext:
    language = submission.language or "en"
    spoken = submission.call_language or language
    seed = submission.model_dump_json()
    local = now.astimezone(ZoneInfo(timezone) if timezone is not None else UTC)
    number = submission.respondent_phone or ""
    return CallContext(
        request=parse_request(submission, local.date(), ignores_instructions=scenario.ignores_instructions),
        number=number,
        scenario=scenario,
        agreements=agreements,
        spoken=Phrasebook(spoken, seed, phone=number, aloud=True),
        callee_spoken=Phrasebook(spoken, number, phone=number, aloud=True),
        written=Phrasebook(language, seed, phone=number),
        dialogue=Dialogue(),
        now=local,
        call_id=call_id,
    )


def _finished(context: CallContext, ending: Ending) -> SimulatedCall:
    return SimulatedCall(
        status=ending.status,
        highlights=ending.highlights,
        next_steps=ending.next_steps,
        duration_seconds=context.dialogue.duration_seconds,
        entries=context.dialogue.entries if context.scenario.has_transcript else (),
        event=ending.event,
        agreement=ending.agreement,
        ends=ending.ends,
    )
