"""Other calls of the account that a result names: about the same booking, at the same number, or the next attempt."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from kallyai_mcp.calls.appointment import lies_before
from kallyai_mcp.calls.ledger.base import LedgerUnavailableError
from kallyai_mcp.calls.outcome import Outcome
from kallyai_mcp.calls.records import CallRecord
from kallyai_mcp.tools.call_view import BOOKED, CallView, Related
from kallyai_mcp.tools.instructions import CHANGES, changes_in

if TYPE_CHECKING:
    from kallyai_mcp.tools.context import AppContext


async def related_to(app_context: "AppContext", view: CallView, *, is_new: bool = False) -> Related:
    """What a call has to do with others; `is_new`: the agent has just asked for it."""
    before_id, number = changes_in(view.submission), view.submission.respondent_phone
    has_others = is_new or before_id is not None or view.outcome in (*BOOKED, Outcome.NOT_REACHED)
    is_first = view.record is not None and view.record.is_first and before_id is None
    if view.call_id is None or not has_others or is_first:
        return Related()
    try:
        ledger, account = app_context.calls.ledger, await app_context.calls.account()
        records = await ledger.list_related(account, number or "", CHANGES.values())
        before = await ledger.find(account, before_id) if before_id is not None else None
    except LedgerUnavailableError:
        return Related()
    views = [CallView.of_record(record) for record in records]
    return Related(
        CallView.of_record(before) if before is not None else None,
        changed_by(views).get(view.call_id) if view.outcome in BOOKED else None,
        _ahead(views, view, app_context.now()) if is_new and before_id is None else None,
        _next_attempt(view, records),
    )


def _next_attempt(view: CallView, records: Sequence[CallRecord]) -> CallRecord | None:
    """The record of the next attempt of a call, if another attempt is planned or in progress."""
    found = (one for one in records if one.is_open and any(it.call_id == view.call_id for it in one.schedule.earlier))
    return next(found, None)


def changed_by(views: Sequence[CallView]) -> dict[str, CallView]:
    """The last call that was about each booking, by the `call_id` of the booking; `views` are newest first."""
    answered = (Outcome.ANSWERED, *BOOKED)
    return {id_: one for one in reversed(views) if one.outcome in answered and (id_ := changes_in(one.submission))}


def _ahead(views: Sequence[CallView], view: CallView, now: datetime) -> CallView | None:
    """The newest booking at the number of `view` that lies ahead, with the last call about it that booked nothing."""
    number = view.submission.respondent_phone
    before = {one.call_id: changes_in(one.submission) for one in views}
    known, later = {view.call_id}, dict[str | None, CallView]()
    for one in views:
        first, seen = one.call_id, set[str | None]()
        while first not in seen and (earlier := before.get(first)) is not None:
            seen.add(first)
            first = earlier
        if one.outcome is Outcome.ANSWERED:
            later.setdefault(first, one)
        if first in known or one.outcome not in BOOKED:
            continue
        known.add(first)
        made, is_there = one.appointment, one.submission.respondent_phone == number
        if made is not None and is_there and not lies_before(made, now, number=number, zone_name=one.zone_name):
            return replace(one, related=Related(later=later.get(first)))
    return None
