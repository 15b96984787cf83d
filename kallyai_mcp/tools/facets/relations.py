"""The facet of a call that says what it has to do with other calls of the account."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from kallyai_mcp.calls.about_booking import about_call_id
from kallyai_mcp.calls.appointment import lies_before
from kallyai_mcp.calls.outcome import BOOKED, Outcome

if TYPE_CHECKING:
    from kallyai_mcp.tools.facets.call import CallView

ANSWERED = (Outcome.ANSWERED, *BOOKED)
"""The outcomes of a call that may have changed the booking that it was about."""

_WITH_OTHERS = (Outcome.NOT_REACHED, *BOOKED)
"""The outcomes that other calls say more about: the next attempt, or a change of the booking."""


@dataclass(frozen=True)
class Relations:
    """What a call has to do with other calls of the account.

    Attributes:
        before: The earlier call whose booking the call was about.
        later: The last answered call about the booking of this call, or rather the last one that
            has moved or canceled it.
        ahead: An earlier call to the same number, whose booking lies ahead.
        planned: The next attempt of this call, which reached nobody.
    """

    before: "CallView | None" = None
    later: "CallView | None" = None
    ahead: "CallView | None" = None
    planned: "CallView | None" = None

    @property
    def is_moved(self) -> bool:
        """Whether the later call has booked another time."""
        return self.later is not None and self.later.outcome in BOOKED

    @property
    def is_canceled(self) -> bool:
        """Whether the callee said in the later call that the booking is canceled."""
        return self.later is not None and self.later.booking.canceled is not None

    @property
    def is_past(self) -> bool:
        """Whether the booking of this call is one that was moved or canceled."""
        return self.is_moved or self.is_canceled


UNRELATED = Relations()
"""What is known of a call whose relations were not read, or that has none."""


def may_have_relations(view: "CallView", *, is_new: bool) -> bool:
    """Whether other calls may say more about this one.

    `is_new`: the agent has just asked for it.
    """
    if view.call_id is None:
        return False
    if about_call_id(view.submission) is not None:
        return True
    if view.is_first_to_number:
        return False
    return is_new or view.outcome in _WITH_OTHERS


def relations_of(
    view: "CallView",
    others: Sequence["CallView"],
    before: "CallView | None",
    *,
    now: datetime,
    is_new: bool,
) -> Relations:
    """What a call has to do with `others`, newest first.

    It was about the booking of the one `before`.
    """
    changes = changed_by(others)
    later = changes.get(view.id) if view.outcome in BOOKED else None
    ahead = None
    if is_new and about_call_id(view.submission) is None:
        others_than_this = [one for one in others if one.call_id != view.call_id]
        ahead = booking_ahead(view.submission.respondent_phone, others_than_this, now)
    return Relations(before, later, ahead, _planned(view, others))


def changed_by(views: Sequence["CallView"]) -> dict[str, "CallView"]:
    """The last call that was about each booking, by the `call_id` of the booking; one that has
    moved or canceled it comes before others.

    `views` are newest first.
    """
    changes: dict[str, CallView] = {}
    for one in reversed(views):
        booking = about_call_id(one.submission)
        if booking is None or one.outcome not in ANSWERED:
            continue
        if _has_changed_booking(one) or not _has_changed_booking(changes.get(booking)):
            changes[booking] = one
    return changes


def _has_changed_booking(about: "CallView | None") -> bool:
    """Whether a call about a booking has moved it, or the callee said that it is canceled."""
    return Relations(later=about).is_past


def _planned(view: "CallView", others: Iterable["CallView"]) -> "CallView | None":
    """The call among `others` that is open and has `view` as an earlier attempt."""
    for one in others:
        if one.is_open and view.call_id in one.earlier_ids:
            return one
    return None


def booking_ahead(
    number: str | None, calls: Sequence["CallView"], now: datetime
) -> "CallView | None":
    """The newest booking at this number (E.164) that lies ahead, and was neither moved nor
    canceled, with the last call about it; `calls` are newest first.
    """
    changes = changed_by(calls)
    past = {about_call_id(one.submission) for one in calls if _has_changed_booking(one)}
    for one in calls:
        if one.call_id in past or not _is_booked_at(number, one):
            continue
        if _lies_ahead(one, now):
            return replace(one, related=Relations(later=_last_about(one, changes)))
    return None


def _is_booked_at(number: str | None, call: "CallView") -> bool:
    return call.outcome in BOOKED and call.submission.respondent_phone == number


def _lies_ahead(view: "CallView", now: datetime) -> bool:
    made = view.booking.appointment
    return made is not None and not lies_before(made, now, view.zone_name)


def _last_about(view: "CallView", changes: Mapping[str, "CallView"]) -> "CallView | None":
    """The last other call about the booking of `view`, or about the one that it has replaced."""
    about_this = changes.get(view.id)
    about_replaced = changes.get(about_call_id(view.submission) or "")
    last = about_this or about_replaced
    return None if last is view else last
