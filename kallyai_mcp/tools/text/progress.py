"""What a message about the progress of a tool says: how far the call or the list is that it waits
for.
"""

from datetime import datetime

from kallyai_mcp.calls.call_lists import CallList
from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.tools.facets.call import CallView
from kallyai_mcp.tools.text.calls import reason, state_in_words
from kallyai_mcp.tools.text.plain import duration, party_of


def progress_message(found: CallRecord | CallList, now: datetime) -> str:
    """How far a call or a list is: "Calling, 1 min 30 s"; "2 of 5 called: Bistro, busy".

    It says no more than this program knows: KallyAI answers when a call has ended, so nothing is
    said about ringing and talking. "" if there is nothing to say.
    """
    if isinstance(found, CallList):
        return _progress_of_list(found, now)
    return _progress_of_call(found, now)


def _progress_of_call(record: CallRecord, now: datetime) -> str:
    view = CallView.of_record(record)
    if record.state is CallState.SCHEDULED:
        return "Waiting until the call is due"
    if not record.is_active:
        return ""
    if view.is_not_placed_yet(now):
        return "Trying to reach KallyAI"
    if view.is_being_checked:
        return "Checking whether it was placed"
    left_at = _left_at(record)
    if left_at is None:
        return "Placing the call"
    return f"Calling, {duration(max(0.0, (now - left_at).total_seconds()))}"


def _left_at(record: CallRecord) -> datetime | None:
    """When the request left, or when the earlier call was placed that KallyAI answers with."""
    return record.created_at if record.is_earlier_call else record.sent_at


def _progress_of_list(found: CallList, now: datetime) -> str:
    called = [record for record in found.records if record.has_outcome]
    counted = f"{len(called)} of {len(found.submissions)} called"
    newest = f": {_end_in_words(called[-1])}" if called else ""
    going_on = [
        f"{party_of(record.submission)}: {_progress_of_call(record, now)}"
        for record in found.records
        if record.is_active
    ]
    return ". ".join([f"{counted}{newest}", *going_on])


def _end_in_words(record: CallRecord) -> str:
    """Who was called, and how that ended: "Bistro (+1 415-555-1234), not reached, busy"."""
    view = CallView.of_record(record)
    facts = (party_of(record.submission), state_in_words(view).rstrip("*"), reason(view))
    return ", ".join(filter(None, facts))
