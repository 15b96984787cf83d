"""What a message about the progress of a tool says: how far the call or the list is that it waits
for.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from kallyai_mcp.calls.call_lists import CallList
from kallyai_mcp.calls.records import CallRecord
from kallyai_mcp.tools.facets.call import CallView
from kallyai_mcp.tools.facets.live import NOT_LIVE, Live
from kallyai_mcp.tools.facets.progress import Phase, progress_of
from kallyai_mcp.tools.text.calls import reason, state_in_words
from kallyai_mcp.tools.text.plain import duration, party_of

_SAY = {
    Phase.OVER: "",
    Phase.DUE_LATER: "Waiting until the call is due",
    Phase.REACHING: "Trying to reach KallyAI",
    Phase.CHECKING: "Checking whether it was placed",
    Phase.PLACING: "Placing the call",
    Phase.CALLING: "Calling, {time}",
    Phase.RINGING: "Ringing, {time}",
    Phase.TALKING: "Talking, {time}",
}

_NOTHING: Mapping[str, Live] = MappingProxyType({})


def progress_message(
    found: CallRecord | CallList, now: datetime, lives: Mapping[str, Live] = _NOTHING
) -> str:
    """How far a call or a list is: "Calling, 1 min 30 s"; "2 of 5 called: Bistro, busy".

    It speaks of ringing and talking only where KallyAI reports that before the call has ended:
    `lives` by the record's `tracking_id`. "" if there is nothing to say.
    """
    if isinstance(found, CallList):
        return _progress_of_list(found, now, lives)
    return _progress_of_call(found, now, lives)


def _progress_of_call(record: CallRecord, now: datetime, lives: Mapping[str, Live]) -> str:
    progress = progress_of(record, now, lives.get(record.tracking_id, NOT_LIVE))
    return _SAY[progress.phase].format(time=duration(progress.seconds))


def _progress_of_list(found: CallList, now: datetime, lives: Mapping[str, Live]) -> str:
    called = [record for record in found.records if record.has_outcome]
    counted = f"{len(called)} of {len(found.submissions)} called"
    if called:
        counted = f"{counted}: {_end_in_words(called[-1])}"
    going_on = [
        f"{party_of(record.submission)}: {_progress_of_call(record, now, lives)}"
        for record in found.records
        if record.is_active
    ]
    return ". ".join([counted, *going_on])


def _end_in_words(record: CallRecord) -> str:
    """Who was called, and how that ended: "Bistro (+1 415-555-1234), not reached, busy"."""
    view = CallView.of_record(record)
    facts = (party_of(record.submission), state_in_words(view).rstrip("*"), reason(view))
    return ", ".join(filter(None, facts))
