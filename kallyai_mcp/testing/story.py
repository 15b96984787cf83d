"""Tells what happened on the sandbox, for the message of an assertion that failed."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from kallyai_mcp.sandbox.schemas import RefusedCall
from kallyai_mcp.testing.placed_call import PlacedCall


def tell(
    calls: Sequence[PlacedCall], refused: Sequence[RefusedCall], consents: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Yield lines that tell what happened: every call that was asked for, in order, with its outcome.

    Args:
        calls: The calls that were placed.
        refused: The calls that were refused.
        consents: How the user agreed to each call, by its id; None if that does not matter.
    """
    events: list[tuple[datetime, str]] = []
    for call in calls:
        about = f"the agent called {call.number}{_task(call.submission)}"
        ended = f"{call.status}: {call.highlights}" if call.highlights else call.status
        consent = f" Consent: {consents.get(call.call_id, 'none is recorded')}." if consents is not None else ""
        events.append((call.started_at, f"{about}. It ended with {ended}{consent}"))
    for each in refused:
        about = f"the agent asked to call {each.respondent_phone or 'no number'}{_task(each.submission)}"
        events.append((each.at, f"{about}. It was refused: {each.code} ({each.reason})."))
    if not events:
        yield "Nothing happened: the agent did not ask for any call."
        return
    events.sort(key=lambda event: event[0])
    yield "What happened:"
    for index, (at, text) in enumerate(events, start=1):
        yield f"  {index}. After {(at - events[0][0]).total_seconds():.1f} s {text}"


def _task(submission: Mapping[str, Any]) -> str:
    """Return the callee and the task of a call, in words."""
    when = " ".join(str(submission[name]) for name in ("appointment_date", "appointment_time") if name in submission)
    people = f"for {submission['party_size']}" if "party_size" in submission else ""
    business = f" ({submission['business_name']})" if "business_name" in submission else ""
    details = ", ".join(part for part in (when, people) if part)
    return f"{business} to “{submission['task_description']}”" + (f", {details}" if details else "")
