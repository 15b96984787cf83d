"""The facet of a booking that says which calls have made and moved it, for its calendar file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kallyai_mcp.calls.about_booking import about_call_id
from kallyai_mcp.calls.outcome import BOOKED
from kallyai_mcp.tools.facets.relations import ANSWERED

if TYPE_CHECKING:
    from kallyai_mcp.tools.facets.call import CallView


@dataclass(frozen=True)
class BookingHistory:
    """What became of one booking.

    Attributes:
        first_id: The `call_id` of the call that made it, which may no longer be known itself.
        versions: The known calls that have booked it or moved it, oldest first; at least one.
        canceled_by: The call after them in which the callee said that it is canceled.
    """

    first_id: str
    versions: tuple["CallView", ...]
    canceled_by: "CallView | None" = None

    @property
    def newest(self) -> "CallView":
        """The call whose calendar event counts."""
        return self.versions[-1]

    @property
    def sequence(self) -> int:
        """How many calls have moved or canceled it (RFC 5545, section 3.8.7.4)."""
        is_first_known = self.versions[0].call_id == self.first_id
        changes = len(self.versions) - int(is_first_known)
        return changes + int(self.canceled_by is not None)


@dataclass(frozen=True)
class Event:
    """The calendar event of a booking.

    Attributes:
        asked: The call whose event is asked for.
        view: The call whose event counts: that one, or the last one that has moved its booking.
    """

    asked: "CallView"
    view: "CallView"
    history: BookingHistory

    @property
    def is_moved(self) -> bool:
        """Whether another call has moved the booking of the one that is asked for."""
        return self.view.id != self.asked.id


def history_of(view: "CallView", others: Sequence["CallView"]) -> BookingHistory:
    """The history of the booking that the call `view` has made; `others` are newest first."""
    calls = _oldest_first(view, others)
    first_id = _first_id(view, {one.id: one for one in calls})
    versions: list[CallView] = []
    canceled_by = None
    for one in _calls_of(first_id, calls):
        if one.outcome in BOOKED:
            versions.append(one)
            canceled_by = None
        elif one.booking.canceled is not None:
            canceled_by = one
    return BookingHistory(first_id, tuple(versions) or (view,), canceled_by)


def _calls_of(first_id: str, calls: Sequence["CallView"]) -> list["CallView"]:
    """The first call of a booking and those about it that were answered, oldest first."""
    found: list[CallView] = []
    ids = {first_id}
    for one in calls:
        is_of_booking = one.id == first_id or about_call_id(one.submission) in ids
        if is_of_booking and one.outcome in ANSWERED:
            found.append(one)
            ids.add(one.id)
    return found


def _oldest_first(view: "CallView", others: Sequence["CallView"]) -> list["CallView"]:
    """All of these calls; `view` is not among `others` if only KallyAI has it."""
    known = [view if one.id == view.id else one for one in reversed(others)]
    if view in known:
        return known
    is_first = about_call_id(view.submission) is None
    return [view, *known] if is_first else [*known, view]


def _first_id(view: "CallView", calls: Mapping[str, "CallView"]) -> str:
    """The id of the first call of a booking, as far back as calls name the one before."""
    id_ = view.id
    before = about_call_id(view.submission)
    seen = {id_}
    while before is not None and before not in seen:
        id_ = before
        seen.add(id_)
        before = about_call_id(calls[id_].submission) if id_ in calls else None
    return id_
