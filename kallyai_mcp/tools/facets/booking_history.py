"""The facet of a booking that says which calls have made and moved it, for its calendar file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kallyai_mcp.calls.about_booking import about_call_id
from kallyai_mcp.tools.facets.relations import ANSWERED, BOOKED

if TYPE_CHECKING:
    from kallyai_mcp.tools.facets.call import CallView


@dataclass(frozen=True)
class BookingHistory:
    """What became of one booking.

    Attributes:
        first_id: The `call_id` of the call that made it, which may no longer be known itself.
        versions: The known calls that have booked it or moved it, oldest first; at least one.
    """

    first_id: str
    versions: tuple["CallView", ...]

    @property
    def newest(self) -> "CallView":
        """The call whose calendar event counts."""
        return self.versions[-1]

    @property
    def sequence(self) -> int:
        """How many calls have moved it (RFC 5545, section 3.8.7.4)."""
        is_first_known = self.versions[0].call_id == self.first_id
        return len(self.versions) - 1 if is_first_known else len(self.versions)


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
    of_booking = {first_id}
    versions = []
    for one in calls:
        is_about_it = one.id == first_id or about_call_id(one.submission) in of_booking
        if is_about_it and one.outcome in ANSWERED:
            of_booking.add(one.id)
        if is_about_it and one.outcome in BOOKED:
            versions.append(one)
    return BookingHistory(first_id, tuple(versions) or (view,))


def _oldest_first(view: "CallView", others: Sequence["CallView"]) -> list["CallView"]:
    """All of these calls; `view` is not among `others` if only KallyAI has it."""
    known = [view if one.id == view.id else one for one in reversed(others)]
    if view in known:
        return known
    is_first = about_call_id(view.submission) is None
    return [view, *known] if is_first else [*known, view]


def _first_id(view: "CallView", calls: Mapping[str, "CallView"]) -> str:
    """The id of the first call of a booking, as far back as calls name the one before."""
    id_, before = view.id, about_call_id(view.submission)
    seen = {id_}
    while before is not None and before not in seen:
        id_ = before
        seen.add(id_)
        before = about_call_id(calls[id_].submission) if id_ in calls else None
    return id_
