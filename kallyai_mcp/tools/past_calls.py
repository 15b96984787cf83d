"""Past and planned calls: a page of them, one's transcript and appointment, and how one is canceled.

The tools, the resources, and the terminal use it; the terminal without the MCP SDK.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import quote

from kallyai_mcp.api.errors import ForbiddenError, KallyAIError, NotFoundError
from kallyai_mcp.api.models import Call
from kallyai_mcp.calls.appointment import Appointment, Calendar, lies_before, read_appointment
from kallyai_mcp.calls.call_lists import CallList, StopReason
from kallyai_mcp.calls.ledger import rows
from kallyai_mcp.calls.ledger.base import LedgerUnavailableError
from kallyai_mcp.calls.ledger.follow_up import list_unfinished
from kallyai_mcp.calls.records import DATED_EARLIER, CallRecord, CallState, is_tracking_id
from kallyai_mcp.tools.call_results import event_facts, list_answer, related_calls, row_answer
from kallyai_mcp.tools.call_view import CallView, Related, changed_by, find_any, find_call, related_to, view_of
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.results import CallPageAnswer, CancelAnswer, EventAnswer, ToolResult, TranscriptAnswer
from kallyai_mcp.tools.text.call_lists import call_list, listed
from kallyai_mcp.tools.text.calls import cancel_text
from kallyai_mcp.tools.text.listing import conversation, entries_shown, listing
from kallyai_mcp.tools.text.plain import visible

CALENDAR = "kallyai://calls/{call_id}/calendar.ics"
"""The URI template (RFC 6570) of the calendar file of a call."""

_PAGE, _SEARCHED = 200, 1000
"""How many calls are read at once, and at most, to find those that a filter shows."""

_NEWEST = 200
"""How many of the newest records are searched for names of numbers, and for calls about earlier bookings."""


@dataclass(frozen=True)
class ListedCalls(ToolResult[CallPageAnswer]):
    """A page of calls, with what is known of each of its `calls`."""

    views: Sequence[CallView] = ()


class NotThereError(KallyAIError):
    """A call or a list has no transcript or no appointment, or not yet; `code` says why."""


@dataclass(frozen=True)
class Filter:
    """Which calls a list shows: those for which everything that is given is true."""

    number: str | None = None
    business: str | None = None
    since: datetime | None = None
    status: str | None = None

    def shows(self, view: CallView) -> bool:
        """Whether this call is shown. The beginning of a status is enough: "booked" is also "booked_other_time"."""
        name, at = view.submission.business_name or "", view.placed_at
        states = (view.status, view.outcome or "", "moved" if view.related.is_moved else "")
        return (
            (self.number is None or view.submission.respondent_phone == self.number)
            and (self.business is None or self.business.casefold() in name.casefold())
            and (self.since is None or at is None or at >= self.since)
            and (self.status is None or any(one.startswith(self.status) for one in states))
        )


_ALL = Filter()


async def list_page(app_context: AppContext, *, limit: int, offset: int, wanted: Filter = _ALL) -> ListedCalls:
    """A page of calls: planned and unsettled ones first, then the others, newest first."""
    reader, total = app_context.reader(), None
    if wanted == _ALL:
        page = await app_context.api().list_calls(limit=limit, offset=offset)
        found, total = page.calls, page.total
    else:
        found = await _newest_calls(app_context, wanted.since)
    unsettled: list[CallRecord] = []
    newest: list[CallRecord] = []
    lists: list[CallList] = []
    known: dict[str, CallRecord] = {}
    is_ledger_read = True
    try:
        ledger, account = app_context.calls.context.ledger, await app_context.calls.account_of_request()
        newest = await ledger.read(rows.list_newest, account, _NEWEST)
        known = await ledger.read(rows.find_ended, account, [call.call_id for call in found])
        if offset == 0:
            unsettled = sorted(await ledger.read(rows.list_unsettled, account), key=_planned_first)
            lists = await ledger.read(list_unfinished, account) if wanted == _ALL else []
    except LedgerUnavailableError:  # KallyAI's list can still be shown
        is_ledger_read = False
    changes, names = changed_by([CallView.of_record(record) for record in newest]), _names(newest)

    def shown(calls: Iterable[CallRecord | Call]) -> list[CallView]:
        views = (CallView.of(call, timezone=app_context.timezone).named(names) for call in calls)
        related = (replace(one, related=Related(later=changes.get(one.call_id or ""))) for one in views)
        return [view for view in related if wanted.shows(view)]

    above = shown(unsettled)
    below = shown(
        known.get(call.call_id, call)
        for call in found
        if call.call_id in known or not _is_listed_above(call, unsettled)
    )
    seen = offset + len(found)
    more = bool(found) and (seen < total if total is not None else len(found) == limit)
    if wanted != _ALL:
        seen, more, below = offset + limit, len(below) > offset + limit, below[offset : offset + limit]
    structure = CallPageAnswer(
        lists=[list_answer(one) for one in lists] or None,
        calls=[row_answer(view, reader.now) for view in (*above, *below)],
        total=total,
        next_offset=seen if more else None,
    )
    rows_of_lists = [listed(one, reader) for one in lists]
    text = listing(structure, rows_of_lists, above, below, reader, offset=offset, is_ledger_read=is_ledger_read)
    return ListedCalls(text, structure, views=(*above, *below))


async def _newest_calls(app_context: AppContext, since: datetime | None) -> tuple[Call, ...]:
    """KallyAI's newest calls, at most `_SEARCHED`, as far back as `since`."""
    found: list[Call] = []
    while len(found) < _SEARCHED:
        page = await app_context.api().list_calls(limit=_PAGE, offset=len(found))
        found += page.calls
        oldest = page.calls[-1].created_at if page.calls else None
        if len(page.calls) < _PAGE or (since is not None and oldest is not None and oldest < since):
            break
    return tuple(found)


def _names(records: Sequence[CallRecord]) -> dict[str, str]:
    """The newest name under which each number was called."""
    named = (record.submission for record in reversed(records) if record.submission.business_name)
    return {one.respondent_phone: one.business_name for one in named if one.business_name}


def _planned_first(record: CallRecord) -> tuple[bool, float]:
    """Sorts records: scheduled calls first, the next one at the top; then the others, newest first."""
    due = record.schedule.not_before
    if record.state is CallState.SCHEDULED and due is not None:
        return False, due.timestamp()
    return True, -record.placed_at.timestamp()


def _is_listed_above(call: Call, unsettled: list[CallRecord]) -> bool:
    """Whether a call that no record has may be one of the `unsettled` calls, whose end the ledger does not have yet."""
    at = call.created_at
    return any(
        record.is_active
        and call.submission.respondent_phone == record.submission.respondent_phone
        and (not call.is_final or (at is not None and at >= record.placed_at - DATED_EARLIER))
        for record in unsettled
    )


async def transcript(app_context: AppContext, call_id: str) -> ToolResult[TranscriptAnswer]:
    """The transcript of a call; in the text, what was said is between delimiters."""
    call_id = await service_id(app_context, call_id)
    spoken = await app_context.api().get_transcript(call_id)
    try:
        call = await app_context.api().get_call(call_id)
    except ForbiddenError:  # transcripts:read alone is enough for a transcript
        call = None
    structure = TranscriptAnswer(call_id=call_id, entries=list(spoken.entries[: entries_shown(spoken)]))
    return ToolResult(conversation(call, spoken, app_context.reader()), structure)


async def appointment(app_context: AppContext, id_: str) -> CallView:
    """A call with the appointment that it made, in the zone of the request.

    It raises `NotThereError` if the call made none, or as `service_id` does.
    """
    call_id = await service_id(app_context, id_)
    view = CallView.of(await find_call(app_context, call_id), timezone=app_context.timezone)
    try:
        made = read_appointment(await app_context.api().get_calendar(call_id))
    except NotFoundError:
        made = None
    at = view.record.called_at if view.record is not None else view.placed_at
    if made is None or lies_before(made, at, view.zone_name):
        raise NotThereError("KallyAI has no confirmed calendar event for that call.", code="no_calendar_event")
    return replace(view, calendar=Calendar(made))


def event_answer(view: CallView) -> EventAnswer:
    """The structure of the event that a call made."""
    event = view.appointment or Appointment()
    facts = event_facts(event, view.zone_name) | {"location": event.location} | related_calls(view.related)
    uri = CALENDAR.replace("{call_id}", quote(view.call_id or "", safe=""))
    return EventAnswer(call_id=view.call_id, calendar_uri=uri, **facts)


def booking_facts(view: CallView) -> str:
    """What KallyAI has to know of the booking of an earlier call, beginning with its `call_id`."""
    event = view.appointment or Appointment()
    facts = [visible(event.summary or "a booking", 120)]
    if event.start is not None:
        facts.append(f"{event.start:%Y-%m-%d %H:%M}" if isinstance(event.start, datetime) else f"{event.start}")
    return f"{view.call_id}: {', '.join(facts)}"


async def service_id(app_context: AppContext, id_: str) -> str:
    """KallyAI's id of a call, from its `call_id` or its `tracking_id`.

    It raises `NotThereError` if KallyAI has none; a call that was refused raises its refusal.
    """
    if not is_tracking_id(id_):  # a call_id already
        return id_
    found = await find_any(app_context, id_)
    if isinstance(found, CallList):
        raise NotThereError("This is a list of calls.", code="is_a_list")
    view = CallView.of(found, timezone=app_context.timezone)
    if view.call_id is not None and view.outcome is not None:
        return view.call_id
    if view.refusal is not None:
        raise view.refusal
    if view.status == CallState.SCHEDULED:
        raise NotThereError("The call has not been placed yet.", code="call_scheduled")
    if view.outcome is None and not view.is_being_checked:
        raise NotThereError("The call is still in progress.", code="call_in_progress")
    raise NotThereError("The outcome of the call is unknown.", code="outcome_unknown")


async def cancel(app_context: AppContext, id_: str) -> ToolResult[CancelAnswer]:
    """Cancel a list, or a call whose request was not sent yet; the text says whether it was canceled."""
    found = await find_any(app_context, id_)
    if isinstance(found, CallList):
        found = await app_context.calls.cancel_list(found)
        if found.stop_reason is not StopReason.CANCELED:
            return ToolResult("Not canceled: the list is over.", CancelAnswer(status="over", tracking_id=id_))
        views = [CallView.of_record(record) for record in found.records]
        text = call_list(found, app_context.reader(), views)
        return ToolResult(text, CancelAnswer(status="canceled", tracking_id=id_))
    if isinstance(found, CallRecord):
        planned = None if found.is_open else (await related_to(app_context, CallView.of_record(found))).planned
        record = planned or found
        view = CallView.of_record(await app_context.calls.cancel(record) if record.is_open else record)
    else:
        view = await view_of(app_context, found)
    structure = CancelAnswer(status="in_progress", call_id=view.call_id)
    if view.record is not None and view.call_id is None:
        structure.tracking_id = view.record.tracking_id
    if view.status == CallState.CANCELED:
        structure.status, structure.placed = "canceled", "no"
    elif view.outcome is not None or view.refusal is not None:
        structure.status = "over"
    return ToolResult(cancel_text(view, structure.status, app_context.reader()), structure)
