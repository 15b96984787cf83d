"""The text of list_calls: one line for each call."""

from collections.abc import Sequence
from datetime import datetime

from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.calls.search_words import Search
from kallyai_mcp.tools.facets.call import CallView
from kallyai_mcp.tools.structure.models import CallPageAnswer
from kallyai_mcp.tools.text.calendar import booked_time, thing
from kallyai_mcp.tools.text.calls import NOT_LOOKED_UP, reason, state_in_words
from kallyai_mcp.tools.text.consent_words import Words
from kallyai_mcp.tools.text.plain import (
    Reader,
    city,
    day,
    duration,
    hour,
    named,
    one_line,
    part,
    party_in_row,
    quoted,
    when,
    word,
)
from kallyai_mcp.tools.text.report import ROOM, answer_of, report_of

_SAY = {
    "none": "No calls to show.",
    "count": "{calls}, newest first{page}. Times in {place}.",
    "lists": (
        "get_call with the id of a list says what to do next; do not call its candidates yourself."
    ),
    "unsettled": "Follow calls without an outcome with get_call; do not place them again.",
    "more": "More: offset={offset}.",
    "looked_back": (
        "Many calls have one of these words, so only those since {at} were searched. Earlier ones: "
        'until "{until}".'
    ),
    "searched": "Searched for {about}, only in calls that this program has a record of.",
}

PURPOSE = 60
"""The most characters of what a call was for, in its row."""

NO_LEDGER = (
    "This program's record of calls can't be read now, so calls in progress and bookings "
    "may be missing here."
)


def listing(
    page: CallPageAnswer,
    lists: Sequence[str],
    above: Sequence[CallView],
    below: Sequence[CallView],
    reader: Reader,
    *,
    offset: int,
    is_ledger_read: bool,
    searched_for: Search | None = None,
    looked_back_to: datetime | None = None,
) -> str:
    """A page of calls: `lists` of call_around, calls `above` that are not settled, those `below`.

    `offset` calls come before this page. If the ledger was not read, or was searched, perhaps not
    before `looked_back_to`, the text says what may be missing.
    """
    missing = _missing(searched_for, is_ledger_read=is_ledger_read)
    if looked_back_to is not None:
        missing.append(_looked_back(looked_back_to, reader))
    lines = [*missing, *_unfinished(lists), *_unsettled(above, reader)]
    is_empty = not below and (searched_for is not None or not lines)
    if is_empty:
        return "\n".join([*lines, _SAY["none"]])
    lines.append(_count(page, offset, len(below), reader))
    lines += _by_day(below, reader)
    if any(view.is_calendar_unread for view in below):
        lines.append(NOT_LOOKED_UP)
    if page.next_offset is not None:
        lines.append(_SAY["more"].format(offset=page.next_offset))
    return "\n".join(lines)


def _looked_back(to: datetime, reader: Reader) -> str:
    """That only the calls since this moment were searched, and how earlier ones are."""
    until = reader.local(to).isoformat(timespec="seconds")
    return _SAY["looked_back"].format(at=when(to, reader), until=until)


def _missing(searched_for: Search | None, *, is_ledger_read: bool) -> list[str]:
    """What says that a page may lack calls."""
    if searched_for is not None:
        return [_SAY["searched"].format(about=quoted(searched_for.about, ROOM))]
    return [] if is_ledger_read else [NO_LEDGER]


def _unfinished(lists: Sequence[str]) -> list[str]:
    """The lists of call_around, and how they are followed."""
    return [*lists, _SAY["lists"]] if lists else []


def _unsettled(views: Sequence[CallView], reader: Reader) -> list[str]:
    """A line for each call that is not settled, and what to do about those that go on."""
    lines = []
    for view in views:
        is_planned = view.status == CallState.SCHEDULED  # then the row says when it is due
        asked_at = "" if is_planned else _asked_at(view, reader)
        lines.append(_row(view, asked_at, reader))
    if any(view.is_open for view in views):
        lines.append(_SAY["unsettled"])
    return lines


def _asked_at(view: CallView, reader: Reader) -> str:
    return when(view.placed_at, reader) if view.placed_at is not None else ""


def _count(page: CallPageAnswer, offset: int, count: int, reader: Reader) -> str:
    """How many calls there are, and which of them are shown, unless all are."""
    is_first_and_last = offset == 0 and page.next_offset is None
    shown = ""
    if count and not is_first_and_last:
        last = page.next_offset or offset + count
        shown = f" ({offset + 1}–{last})"  # noqa: RUF001 - between numbers
    return _SAY["count"].format(calls=_total(page.total), page=shown, place=city(reader.timezone))


def _total(count: int | None) -> str:
    match count:
        case None:
            return "Calls"
        case 1:
            return "1 call"
    return f"{count} calls"


def _by_day(views: Sequence[CallView], reader: Reader) -> list[str]:
    """A line for each call, below its day."""
    lines: list[str] = []
    last_day = ""
    for view in views:
        if view.placed_at is None:
            lines.append(_row(view, "?", reader))
            continue
        at = reader.local(view.placed_at)
        if day(at, reader.now) != last_day:
            last_day = day(at, reader.now)
            lines.append(last_day)
        lines.append(_row(view, hour(at), reader))
    return lines


def _row(view: CallView, at: str, reader: Reader) -> str:
    elsewhere = part(" (another call: {})", named(view.name_elsewhere or ""))
    party = f"{party_in_row(view.submission)}{elsewhere}"
    said = part("They said: {}", view.found_quote and quoted(view.found_quote))
    row = (
        at,
        state_in_words(view),
        party,
        purpose(view),
        detail(view, reader),
        said,
        word(view.id),
    )
    return "  ".join(filter(None, row))


def purpose(view: CallView) -> str:
    """What a call was for, in few words."""
    return one_line(view.submission.task_description or "", PURPOSE)


def detail(view: CallView, reader: Reader) -> str:
    """What a row says of a call besides its state."""
    record = view.record
    if view.booking.appointment is not None:
        return _booked(view, reader)
    if view.call is not None:
        return reason(view) or _answer(view)
    if view.may_have_been_called:
        return "may have been called"
    if record is None:
        return ""
    if record.schedule.not_before is not None and not record.is_active:
        return _due(view, record, reader)
    return f"{duration(record.elapsed(reader.now))} so far"


def _answer(view: CallView) -> str:
    return quoted(answer_of(view), ROOM) if view.report else ""


def _booked(view: CallView, reader: Reader) -> str:
    """What was booked and when, and what a later call has done with it."""
    later = view.related.later
    text = ", ".join(filter(None, (thing(view), booked_time(view, reader, in_row=True))))
    if later is None:
        return text
    if view.related.is_moved:
        return f"{text}; moved, now {word(later.id)}"
    if view.related.is_canceled:
        return f"{text}; they say it is canceled {word(later.id)}"
    return f"{text}; a later call was about it{report_of(later)} {word(later.id)}"


def _due(view: CallView, record: CallRecord, reader: Reader) -> str:
    """When a call is due; or was due, and why it was not placed."""
    number = record.submission.respondent_phone
    due = Words().due(record.schedule, number, record.timezone, reader)
    if record.state is CallState.SCHEDULED:
        return f"due {due}{_attempts(record)}"
    return f"{part('{}; ', reason(view))}was due {due}"


def _attempts(record: CallRecord) -> str:
    """How many attempts of a planned call are left, if there may be several."""
    if record.schedule.attempts == 1:
        return ""
    left = record.schedule.attempts_left
    return ", 1 attempt left" if left == 1 else f", {left} attempts left"
