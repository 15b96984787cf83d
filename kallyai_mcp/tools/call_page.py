"""A page of calls for list_calls and the terminal, which uses it without the MCP SDK."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from kallyai_mcp.api.models import Call, CallPage
from kallyai_mcp.calls.call_lists import CallList
from kallyai_mcp.calls.errors import LedgerUnavailableError
from kallyai_mcp.calls.records import DATED_EARLIER, CallRecord, CallState
from kallyai_mcp.calls.search_words import Search
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.facets.call import CallView
from kallyai_mcp.tools.facets.relations import Relations, changed_by
from kallyai_mcp.tools.structure.calls import list_answer, row_answer
from kallyai_mcp.tools.structure.models import CallPageAnswer, ToolResult
from kallyai_mcp.tools.text.call_lists import listed
from kallyai_mcp.tools.text.listing import listing
from kallyai_mcp.tools.text.plain import Reader

_PAGE = 200
_SEARCHED = 1000
"""How many calls are read at once, and at most, to find those that a filter shows."""

_NEWEST = 200
"""How many of the newest records are searched for names of numbers, and for calls about earlier
bookings."""


@dataclass(frozen=True)
class ListedCalls(ToolResult[CallPageAnswer]):
    """A page of calls, with what is known of each of its `calls`."""

    views: Sequence[CallView] = ()


@dataclass(frozen=True)
class Filter:
    """Which calls a list shows: those for which everything that is given is true.

    `about` are words that a call must have, and `with_quotes` whether the callee's count; only the
    ledger can say which calls these are.
    """

    number: str | None = None
    business: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    status: str | None = None
    about: str | None = None
    with_quotes: bool = True

    def shows(self, view: CallView) -> bool:
        """Whether this call is shown."""
        return all(
            (
                self._has_number(view),
                self._names(view),
                not _is_before(view.placed_at, self.since),
                not _is_after(view.placed_at, self.until),
                self._has_status(view),
            )
        )

    def search(self, about: str, most: int) -> Search:
        """What the ledger is asked for: more than `most` calls if the rest of the filter may leave
        some out.
        """
        others = (self.number, self.business, self.status)  # the search knows none of these
        may_leave_some_out = any(one is not None for one in others)
        return Search(
            about,
            with_quotes=self.with_quotes,
            most=_SEARCHED if may_leave_some_out else most,
            since=self.since,
            until=self.until,
        )

    def _has_number(self, view: CallView) -> bool:
        return self.number in (None, view.submission.respondent_phone)

    def _names(self, view: CallView) -> bool:
        if self.business is None:
            return True
        name = view.callee_name or view.name_elsewhere or ""
        return self.business.casefold() in name.casefold()

    def _has_status(self, view: CallView) -> bool:
        """The beginning of a status is enough: "booked" is also "booked_other_time"."""
        if self.status is None:
            return True
        return any(state.startswith(self.status) for state in _states_of(view))


def _states_of(view: CallView) -> Iterator[str]:
    """All words for the state of a call: KallyAI's, and those that results have."""
    yield view.status
    if view.outcome is not None:
        yield view.outcome
    if view.related.is_moved:
        yield "moved"


_ALL = Filter()


@dataclass(frozen=True)
class _FromLedger:
    """What the ledger has for a page.

    Attributes:
        newest: The newest records, which say more about the calls of the page.
        ended: The records of the page's calls, by `call_id`.
        unsettled: Those of calls that are planned, in progress, or lost; only for the first page.
        lists: The unfinished lists; only for the first page without a filter.
        searched_for: The words that it was searched for, if it was.
        looked_back_to: As in `SearchResult`.
    """

    newest: Sequence[CallRecord] = ()
    ended: Mapping[str, CallRecord] = field(default_factory=dict)
    unsettled: Sequence[CallRecord] = ()
    lists: Sequence[CallList] = ()
    is_read: bool = True
    searched_for: Search | None = None
    looked_back_to: datetime | None = None


@dataclass(frozen=True)
class _Page:
    """The calls of a page, `above` those that are not settled, and where the next page begins."""

    known: _FromLedger
    above: Sequence[CallView]
    below: Sequence[CallView]
    total: int | None
    next_offset: int | None


async def list_page(
    app_context: AppContext,
    *,
    limit: int,
    offset: int,
    wanted: Filter = _ALL,
) -> ListedCalls:
    """A page of calls: planned and unsettled ones first, then the others, newest first."""
    reader = app_context.reader()
    if wanted.about is not None:
        page = await _page_about(app_context, limit, offset, wanted, wanted.about)
    elif wanted == _ALL:
        page = await _page_of_all(app_context, limit, offset)
    else:
        page = await _page_of_wanted(app_context, limit, offset, wanted)
    return _answer(page, reader, offset)


async def _page_of_all(app_context: AppContext, limit: int, offset: int) -> _Page:
    """A page as KallyAI divides its list."""
    found = await app_context.api().list_calls(limit=limit, offset=offset)
    is_first = offset == 0
    known = await _read_ledger(app_context, found.calls, is_first=is_first, has_lists=is_first)
    above, below = _views(known, found.calls, _ALL, app_context.timezone)
    return _Page(known, above, below, found.total, _next_offset(found, limit, offset))


def _next_offset(found: CallPage, limit: int, offset: int) -> int | None:
    """Where the next page of KallyAI's list begins; None after the last one."""
    if not found.calls:
        return None
    seen = offset + len(found.calls)
    is_full = len(found.calls) == limit
    has_more = is_full if found.total is None else seen < found.total
    return seen if has_more else None


async def _page_of_wanted(
    app_context: AppContext,
    limit: int,
    offset: int,
    wanted: Filter,
) -> _Page:
    """A page of the calls that a filter shows."""
    found = await _newest_calls(app_context, wanted.since)
    known = await _read_ledger(app_context, found, is_first=offset == 0, has_lists=False)
    above, below = _views(known, found, wanted, app_context.timezone)
    return _cut(known, above, below, limit, offset)


async def _page_about(
    app_context: AppContext, limit: int, offset: int, wanted: Filter, about: str
) -> _Page:
    """A page of the ledger's calls that have all of these words."""
    search = wanted.search(about, offset + limit + 1)
    found = await app_context.calls.calls_about(search)
    newest = (await app_context.calls.history(_NEWEST, ())).newest
    known = _FromLedger(newest, searched_for=search, looked_back_to=found.looked_back_to)
    views = _shown(found.records, known, wanted, app_context.timezone)
    return _cut(known, (), [view.found_by(search) for view in views], limit, offset)


def _cut(
    known: _FromLedger,
    above: Sequence[CallView],
    below: Sequence[CallView],
    limit: int,
    offset: int,
) -> _Page:
    """The page of these calls that begins at `offset`."""
    end = offset + limit
    next_offset = end if len(below) > end else None
    # KallyAI's total counts calls that the filter leaves out, so none is given.
    return _Page(known, above, below[offset:end], total=None, next_offset=next_offset)


async def _read_ledger(
    app_context: AppContext, found: Sequence[Call], *, is_first: bool, has_lists: bool
) -> _FromLedger:
    """What the ledger has for a page of KallyAI's calls, which can be shown without it."""
    unsettled: Sequence[CallRecord] = ()
    lists: Sequence[CallList] = ()
    try:
        calls = app_context.calls
        history = await calls.history(_NEWEST, [call.call_id for call in found])
        if is_first:
            unsettled = await calls.unsettled_calls()
        if has_lists:
            lists = await calls.unfinished_lists()
    except LedgerUnavailableError:
        return _FromLedger(is_read=False)
    return _FromLedger(history.newest, history.ended, sorted(unsettled, key=_planned_first), lists)


def _views(
    known: _FromLedger, found: Sequence[Call], wanted: Filter, timezone: str
) -> tuple[Sequence[CallView], Sequence[CallView]]:
    """The calls that are shown: unsettled ones, and those of KallyAI's list.

    One that has a record is shown as the record says.
    """
    above = _shown(known.unsettled, known, wanted, timezone)
    return above, _shown(_below(known, found), known, wanted, timezone)


def _shown(
    calls: Iterable[CallRecord | Call], known: _FromLedger, wanted: Filter, timezone: str
) -> list[CallView]:
    """Those of these calls that a filter shows, with what later calls have done."""
    changes = changed_by([CallView.of_record(record) for record in known.newest])
    names = _names(known.newest)
    views = []
    for call in calls:
        view = CallView.of(call, timezone=timezone).named(names)
        view = replace(view, related=Relations(later=changes.get(view.id)))
        if wanted.shows(view):
            views.append(view)
    return views


def _below(known: _FromLedger, found: Sequence[Call]) -> Iterable[CallRecord | Call]:
    """KallyAI's calls, except those that may be listed above."""
    for call in found:
        record = known.ended.get(call.call_id)
        if record is not None:
            yield record
        elif not _is_listed_above(call, known.unsettled):
            yield call


def _answer(page: _Page, reader: Reader, offset: int) -> ListedCalls:
    """The structure and the text of a page; `offset` calls come before it."""
    lists = page.known.lists
    views = (*page.above, *page.below)
    structure = CallPageAnswer(
        lists=[list_answer(one) for one in lists] or None,
        calls=[row_answer(view, reader.now) for view in views],
        total=page.total,
        next_offset=page.next_offset,
    )
    text = listing(
        structure,
        [listed(one, reader) for one in lists],
        page.above,
        page.below,
        reader,
        offset=offset,
        is_ledger_read=page.known.is_read,
        searched_for=page.known.searched_for,
        looked_back_to=page.known.looked_back_to,
    )
    return ListedCalls(text, structure, views=views)


async def _newest_calls(app_context: AppContext, since: datetime | None) -> Sequence[Call]:
    """KallyAI's newest calls, at most `_SEARCHED`, as far back as `since`."""
    found: list[Call] = []
    while len(found) < _SEARCHED:
        page = await app_context.api().list_calls(limit=_PAGE, offset=len(found))
        found += page.calls
        if len(page.calls) < _PAGE or _is_before(page.calls[-1].created_at, since):
            break
    return found


def _is_before(placed_at: datetime | None, since: datetime | None) -> bool:
    """Whether a call is known to be older than this; one without a time may be as new as any."""
    if since is None or placed_at is None:
        return False
    return placed_at < since


def _is_after(placed_at: datetime | None, until: datetime | None) -> bool:
    """Whether a call is known to be newer than this."""
    if until is None or placed_at is None:
        return False
    return placed_at > until


def _names(records: Sequence[CallRecord]) -> dict[str, str]:
    """The newest name under which each number was called; `records` are newest first."""
    names: dict[str, str] = {}
    for record in reversed(records):
        asked = record.submission
        if asked.business_name:
            names[asked.respondent_phone] = asked.business_name
    return names


def _planned_first(record: CallRecord) -> tuple[bool, float]:
    """Sorts records: scheduled calls first, the next one at the top.

    Then the others, newest first.
    """
    due = record.schedule.not_before
    if record.state is CallState.SCHEDULED and due is not None:
        return False, due.timestamp()
    return True, -record.asked_at.timestamp()


def _is_listed_above(call: Call, unsettled: Sequence[CallRecord]) -> bool:
    """Whether a call that no record has may be an `unsettled` one, whose end is not known yet."""
    return any(record.is_active and _may_be_of(record, call) for record in unsettled)


def _may_be_of(record: CallRecord, call: Call) -> bool:
    """Whether a call may be that of a record: it goes on, or is not older than the request."""
    if call.submission.respondent_phone != record.submission.respondent_phone:
        return False
    if not call.is_final:
        return True
    earliest = record.asked_at - DATED_EARLIER
    return call.created_at is not None and call.created_at >= earliest
