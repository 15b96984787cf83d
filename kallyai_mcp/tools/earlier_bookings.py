"""Bookings of earlier calls: those that a call is to move or cancel, and those that lie ahead at the same number."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from kallyai_mcp.calls.appointment import lies_before
from kallyai_mcp.calls.ledger.base import LedgerUnavailableError
from kallyai_mcp.calls.outcome import Outcome
from kallyai_mcp.tools.call_view import CallView
from kallyai_mcp.tools.instructions import changes_in

if TYPE_CHECKING:
    from kallyai_mcp.tools.context import AppContext

_BOOKED = (Outcome.BOOKED, Outcome.BOOKED_OTHER_TIME)

NEWEST = 200
"""How many of the newest records are looked through."""


@dataclass(frozen=True)
class Bookings:
    """What a call has to do with other bookings of the account.

    Attributes:
        before: The booking that the call was about.
        later: The last call that was about the booking of this call, and was answered.
        ahead: A booking at the same number that lies ahead.
    """

    before: CallView | None = None
    later: CallView | None = None
    ahead: CallView | None = None


async def bookings_of(app_context: "AppContext", view: CallView, *, is_new: bool) -> Bookings:
    """What a call has to do with other bookings; `is_new`: the agent has just asked for it."""
    before_id = changes_in(view.submission)
    if view.call is None or (before_id is None and not is_new and view.outcome not in _BOOKED):
        return Bookings()
    try:
        records = await app_context.calls.ledger.list_newest(await app_context.calls.account(), NEWEST)
    except LedgerUnavailableError:
        return Bookings()
    views = [CallView.of_record(record) for record in records]
    before = next((one for one in views if one.call_id == before_id), None) if before_id is not None else None
    later = changed_by(views).get(view.call_id or "") if view.outcome in _BOOKED else None
    return Bookings(before, later, _ahead(views, view, app_context.now()) if is_new and before_id is None else None)


def changed_by(views: Sequence[CallView]) -> dict[str, CallView]:
    """The last call that was about each booking, by the `call_id` of the booking; `views` are newest first."""
    answered = (Outcome.ANSWERED, *_BOOKED)
    return {id_: one for one in reversed(views) if one.outcome in answered and (id_ := changes_in(one.submission))}


def has_moved(view: CallView) -> bool:
    """Whether the later call of a booking has booked another time; if not, it may have canceled the booking."""
    return view.outcome in _BOOKED


def _ahead(views: Sequence[CallView], view: CallView, now: datetime) -> CallView | None:
    """The newest booking at the number of `view` that lies ahead; the newest call about a booking stands for it."""
    number = view.submission.respondent_phone
    before = {one.call_id: changes_in(one.submission) for one in views}
    known: set[str | None] = {view.call_id}
    for one in views:
        first, seen = one.call_id, set[str | None]()
        while first not in seen and (earlier := before.get(first)) is not None:
            seen.add(first)
            first = earlier
        if first in known or one.outcome not in (Outcome.ANSWERED, *_BOOKED):
            continue
        known.add(first)
        made, is_there = one.appointment, one.submission.respondent_phone == number
        if made is not None and is_there and not lies_before(made, now, number=number, zone_name=one.zone_name):
            return one
    return None
