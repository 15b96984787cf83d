"""How far a call is that goes on, and for how long; a model and a person read it in other words."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.tools.facets.call import CallView
from kallyai_mcp.tools.facets.live import NOT_LIVE, Line, Live


class Phase(Enum):
    """How far a call is."""

    OVER = auto()
    DUE_LATER = auto()
    REACHING = auto()
    """The request can't leave: KallyAI can't be reached, so far."""
    CHECKING = auto()
    """The answer was lost, and it is looked for whether the call was placed."""
    PLACING = auto()
    CALLING = auto()
    """The request has left. Nothing is known of ringing and talking."""
    RINGING = auto()
    TALKING = auto()


_ON_THE_LINE = {Line.RINGING: Phase.RINGING, Line.TALKING: Phase.TALKING, None: Phase.CALLING}


@dataclass(frozen=True)
class Progress:
    """How far a call is; `seconds` since its request left, or, before, since it was asked for."""

    phase: Phase
    seconds: float


def progress_of(record: CallRecord, now: datetime, live: Live = NOT_LIVE) -> Progress:
    """How far a call is at `now`; `live` is what KallyAI reports of it."""
    began = _left_at(record) or record.asked_at
    return Progress(_phase_of(record, now, live), max(0.0, (now - began).total_seconds()))


def _phase_of(record: CallRecord, now: datetime, live: Live) -> Phase:
    view = CallView.of_record(record)
    if record.state is CallState.SCHEDULED:
        return Phase.DUE_LATER
    if not record.is_active:
        return Phase.OVER
    if view.is_not_placed_yet(now):
        return Phase.REACHING
    if view.is_being_checked:
        return Phase.CHECKING
    if _left_at(record) is None:
        return Phase.PLACING
    return _ON_THE_LINE[live.line]


def _left_at(record: CallRecord) -> datetime | None:
    """When the request left, or when the earlier call was placed that KallyAI answers with."""
    return record.created_at if record.is_earlier_call else record.sent_at
