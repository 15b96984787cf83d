"""Playing a call: from a submission to a conversation, its outcome and its appointment."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from kallyai_mcp.sandbox.simulator import booking, inquiry
from kallyai_mcp.sandbox.simulator.call_context import CallContext
from kallyai_mcp.sandbox.simulator.dialogue import Dialogue, SimulatedCall
from kallyai_mcp.sandbox.simulator.incomplete_calls import INCOMPLETE_CALLS
from kallyai_mcp.sandbox.simulator.numbers import lookup
from kallyai_mcp.sandbox.simulator.phrasebook import Phrasebook
from kallyai_mcp.sandbox.simulator.request import read
from kallyai_mcp.sandbox.simulator.submission import Submission


def simulate(submission: Submission, *, now: datetime, timezone: str | None, call_id: str) -> SimulatedCall:
    """Play the call that `submission` asks for.

    The number dialled decides what happens (`numbers`), the submission decides the words: the same submission always
    makes the same conversation, except that dates in another year than the present one are said with their year and
    that an offer "on the next day" counts from `now`.

    Args:
        submission: What to do; its rules (number, language, date) have been checked before. `language` is English if
            it is not given, `call_language` the same as `language`.
        now: The moment of the call, aware.
        timezone: The caller's IANA time zone; UTC if None.
        call_id: The call; written into the appointment's description.

    Raises:
        ValueError: The submission has no number or one that refuses calls, an unsupported language or an impossible
            time, or `timezone` does not exist (`zoneinfo.ZoneInfoNotFoundError` is a KeyError and is raised as it is).
    """
    request = read(submission)
    test_number = lookup(submission.respondent_phone or "")
    if test_number is not None and test_number.refusal is not None:
        raise ValueError(f"calls to {test_number.number} are refused with {test_number.refusal}")
    language = submission.language or "en"
    seed = submission.model_dump_json()
    context = CallContext(
        request=request,
        outcome=test_number.outcome if test_number is not None else "success",
        spoken=Phrasebook(submission.call_language or language, seed),
        written=Phrasebook(language, seed),
        dialogue=Dialogue(),
        now=now.astimezone(ZoneInfo(timezone) if timezone is not None else UTC),
        call_id=call_id,
    )
    if mishap := INCOMPLETE_CALLS.get(context.outcome):
        ending = mishap(context)
    else:
        ending = inquiry.run(context) if request.is_inquiry else booking.book(context)
    return SimulatedCall(
        status=ending.status,
        highlights=ending.highlights,
        next_steps=ending.next_steps,
        duration_seconds=context.dialogue.duration_seconds,
        entries=() if context.outcome == "no_transcript" else context.dialogue.entries,
        event=ending.event,
    )
