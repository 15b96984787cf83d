"""Simulates a call: from a submission to a conversation, its outcome, and its appointment."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from kallyai_mcp.sandbox.simulator import booking, inquiry
from kallyai_mcp.sandbox.simulator.call_context import CallContext
from kallyai_mcp.sandbox.simulator.dialogue import Dialogue
from kallyai_mcp.sandbox.simulator.incomplete_calls import INCOMPLETE_CALLS
from kallyai_mcp.sandbox.simulator.phrasebook import Phrasebook
from kallyai_mcp.sandbox.simulator.request import parse_request
from kallyai_mcp.sandbox.simulator.scenario import Scenario
from kallyai_mcp.sandbox.simulator.simulated_call import SimulatedCall
from kallyai_mcp.sandbox.simulator.submission import Submission


def simulate(
    submission: Submission, scenario: Scenario, *, now: datetime, timezone: str | None, call_id: str
) -> SimulatedCall:
    """Simulate the call that `submission` asks for.

    The scenario decides what happens; the submission decides the wording. The same submission always
    makes the same conversation, except that dates outside of the current year include their year, and that an offer
    "on the next day" depends on `now`.

    Args:
        submission: What to do; `validation.check` has accepted it. `language` is `en` if it is None, and
            `call_language` is `language` if it is None.
        scenario: What happens on the line that is called.
        now: The time of the call, aware.
        timezone: The user's IANA time zone; UTC if None.
        call_id: The call's id, for the appointment's description.

    Raises:
        ValueError: The submission has no number, or its time is not HH:MM.
    """
    request = parse_request(submission)
    language = submission.language or "en"
    seed, number = submission.model_dump_json(), submission.respondent_phone or ""
    context = CallContext(
        request=request,
        scenario=scenario,
        spoken=Phrasebook(submission.call_language or language, seed, phone=number, aloud=True),
        written=Phrasebook(language, seed, phone=number),
        dialogue=Dialogue(),
        now=now.astimezone(ZoneInfo(timezone) if timezone is not None else UTC),
        call_id=call_id,
    )
    if simulate_incomplete := INCOMPLETE_CALLS.get(scenario.does):
        ending = simulate_incomplete(context)
    else:
        is_inquiry = request.is_inquiry or scenario.does == "answers"
        ending = inquiry.run(context) if is_inquiry else booking.book(context)
    return SimulatedCall(
        status=ending.status,
        highlights=ending.highlights,
        next_steps=ending.next_steps,
        duration_seconds=context.dialogue.duration_seconds,
        entries=context.dialogue.entries if scenario.has_transcript else (),
        event=ending.event,
    )
