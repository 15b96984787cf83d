"""Finds calls, and gathers what is known of them: what their callees said, and what they have to do with other calls.

Of what was said there are only quotations: a question is found by comparing its words with KallyAI's, and nothing is
interpreted.
"""

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from itertools import dropwhile, takewhile

import anyio

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Call, Transcript, TranscriptEntry
from kallyai_mcp.calls.appointment import lies_before
from kallyai_mcp.calls.call_lists import CallList
from kallyai_mcp.calls.call_search import read_findings
from kallyai_mcp.calls.ledger import rows
from kallyai_mcp.calls.ledger.base import LedgerUnavailableError
from kallyai_mcp.calls.outcome import Outcome
from kallyai_mcp.calls.records import CallRecord, is_tracking_id
from kallyai_mcp.tools.call_view import BOOKED, CallView, Quote, Related
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.submissions import CHANGES, changes_in, questions_in
from kallyai_mcp.tools.text.plain import clock, one_line

_SECONDS = 3.0
"""How many seconds to wait for a transcript, which must not delay a result for long."""

_LONGEST = 300
"""Characters of one quotation."""

_SIMILAR = 0.6
"""The share of a question's words that KallyAI's turn must have to count as asking it."""


async def find_any(app_context: AppContext, id_: str) -> CallRecord | CallList | Call:
    """Find a call or a list by its `call_id` or `tracking_id`; it raises what `find_call` raises."""
    listed = await app_context.calls.find_list(id_) if is_tracking_id(id_) else None
    return listed or await find_call(app_context, id_)


async def find_call(app_context: AppContext, id_: str) -> CallRecord | Call:
    """Find a call by its `call_id` or `tracking_id`, which only the ledger knows; KallyAI raises `NotFoundError`."""
    record = None
    try:
        record = await app_context.calls.find(id_)
    except LedgerUnavailableError:
        if is_tracking_id(id_):
            raise
    return record or await app_context.api().get_call(id_)


async def view_of(app_context: AppContext, found: CallRecord | Call, *, is_new: bool = False) -> CallView:
    """What is known of a call, with what its callee said and what it has to do with other calls."""
    calls, findings = app_context.calls, None
    if isinstance(found, Call) and found.is_final:
        findings = await read_findings(calls.context, await calls.account_of_request(), found, None)
    view = CallView.of(found, findings, timezone=app_context.timezone)
    view = await with_speech(app_context, view)
    return replace(view, related=await related_to(app_context, view, is_new=is_new))


async def views_of_list(app_context: AppContext, found: CallList) -> list[CallView]:
    """The calls of a list so far, with what was said in each."""
    views = (CallView.of_record(record) for record in found.records)
    return await asyncio.gather(*(with_speech(app_context, view) for view in views))


async def with_speech(app_context: AppContext, view: CallView) -> CallView:
    """`view` with what the callee of an ended call said, as far as its result needs it."""
    questions, call = questions_in(view.submission), view.call
    decides = (Outcome.ANSWERED, Outcome.FAILED, *(BOOKED if questions else ()))
    if call is None or view.outcome not in decides:
        return view
    transcript: Transcript | None = None
    with anyio.move_on_after(_SECONDS), suppress(KallyAIError):  # the outcome counts without it
        transcript = await app_context.api().get_transcript(call.call_id)
    if transcript is None:
        return replace(view, is_unanswered=bool(questions))
    if not questions:
        return replace(view, evidence=_evidence(transcript, call.highlights or ""))
    answers = tuple(one for question in questions for one in _answers(question, transcript.entries))
    return replace(view, answers=answers)


def _evidence(transcript: Transcript, report: str) -> Quote | None:
    """The callee's turn that has most in common with KallyAI's report; of equals, the one that has least besides.

    What the callee said before KallyAI's first words is a greeting, and decides nothing.
    """
    reported = _words(report)
    after = list(dropwhile(lambda entry: not entry.is_kallyai, transcript.entries)) or transcript.entries
    turns = [entry for entry in after if entry.content and not entry.is_kallyai]

    def fits(entry: TranscriptEntry) -> tuple[int, float, int]:
        words = _words(entry.content)
        common = len(reported & words)
        return common, common / max(1, len(words)), len(entry.content)

    best = max(turns, key=fits, default=None)
    return _quote(None, [best]) if best is not None else None


def _answers(question: str, entries: Sequence[TranscriptEntry]) -> Collection[Quote]:
    asked = _words(question)
    fits = {
        place: (len(asked & _words(entry.content)) / len(asked), "?" in entry.content)
        for place, entry in enumerate(entries)
        if asked and entry.is_kallyai
    }
    best = max(fits.values(), default=(0, False))
    places = [place for place, fit in fits.items() if fit == best and fit[0] >= _SIMILAR]
    following = (list(takewhile(lambda entry: not entry.is_kallyai, entries[place + 1 :])) for place in places)
    quotes = [_quote(question, turns) for turns in following if any(turn.content for turn in turns)]
    return {one.quote: one for one in quotes}.values() or [Quote(question, None, None)]  # of the same words, the last


def _quote(question: str | None, turns: Sequence[TranscriptEntry]) -> Quote:
    words = one_line(" ".join(turn.content for turn in turns if turn.content), _LONGEST)
    at = clock(turns[0].timestamp)
    # What is no time would stand outside of the marks.
    return Quote(question, words, at if re.fullmatch(r"[\d:]+", at) else None)


def _words(text: str) -> frozenset[str]:
    return frozenset(word for word in re.findall(r"\w+", text.casefold()) if len(word) > 2 or word.isdigit())


async def related_to(app_context: AppContext, view: CallView, *, is_new: bool = False) -> Related:
    """What a call has to do with others; `is_new`: the agent has just asked for it."""
    before_id, number = changes_in(view.submission), view.submission.respondent_phone
    has_others = is_new or before_id is not None or view.outcome in (*BOOKED, Outcome.NOT_REACHED)
    is_first = view.record is not None and view.record.is_first and before_id is None
    if view.call_id is None or not has_others or is_first:
        return Related()
    ledger = app_context.calls.ledger
    try:
        account = view.record.account if view.record is not None else await app_context.calls.account_of_request()
        records = await ledger.read(rows.list_related, account, number or "", CHANGES.values())
        before = await ledger.read(rows.find, account, before_id) if before_id is not None else None
    except LedgerUnavailableError:
        return Related()
    views = [CallView.of_record(record) for record in records]
    changes = changed_by(views)
    retries = (one for one in records if view.call_id in [attempt.call_id for attempt in one.schedule.earlier])
    return Related(
        before=CallView.of_record(before) if before is not None else None,
        later=changes.get(view.call_id) if view.outcome in BOOKED else None,
        ahead=_ahead(views, view, changes, app_context.now()) if is_new and before_id is None else None,
        planned=next((one for one in retries if one.is_open), None),
    )


def changed_by(views: Sequence[CallView]) -> dict[str, CallView]:
    """The last call that was about each booking, by the `call_id` of the booking; `views` are newest first."""
    answered = (Outcome.ANSWERED, *BOOKED)
    return {id_: one for one in reversed(views) if one.outcome in answered and (id_ := changes_in(one.submission))}


def _ahead(
    views: Sequence[CallView], view: CallView, changes: Mapping[str, CallView], now: datetime
) -> CallView | None:
    """The newest booking at the number of `view` that lies ahead and was not moved, with the last call about it."""
    moved = {changes_in(one.submission) for one in views if one.outcome in BOOKED}
    for one in views:
        later = changes.get(one.call_id or "") or changes.get(changes_in(one.submission) or "")
        made, related = one.appointment, Related(later=later if later is not one else None)
        is_here = one.submission.respondent_phone == view.submission.respondent_phone and one.call_id != view.call_id
        is_booked = one.outcome in BOOKED and is_here and one.call_id not in moved
        if is_booked and made is not None and not lies_before(made, now, one.zone_name):
            return replace(one, related=related)
    return None
