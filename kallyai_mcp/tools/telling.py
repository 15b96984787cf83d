"""What is told about one call or one list: its progress, outcome, transcript, and end.

The tools, the tasks, the resources, and the terminal use it; the terminal without the MCP SDK.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from kallyai_mcp.api.errors import ForbiddenError, KallyAIError
from kallyai_mcp.api.models import Call, Transcript
from kallyai_mcp.calls.call_lists import CallList, StopReason
from kallyai_mcp.calls.news import NO_NEWS
from kallyai_mcp.calls.records import CallRecord, CallState, PlacedFor
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.facets.call import CallView
from kallyai_mcp.tools.lookup import (
    Found,
    find,
    find_call_id,
    note_what_was_said,
    view_of,
    views_of_list,
)
from kallyai_mcp.tools.structure.calls import call_answer, list_answer, without_live_words
from kallyai_mcp.tools.structure.models import (
    Answer,
    CallAnswer,
    CancelAnswer,
    RefusedRetryAnswer,
    ToolResult,
    TranscriptAnswer,
)
from kallyai_mcp.tools.text.account import last_ones, little_left
from kallyai_mcp.tools.text.call_lists import call_list
from kallyai_mcp.tools.text.calls import call_text, cancel_text, refused_again
from kallyai_mcp.tools.text.conversation import conversation, entries_shown
from kallyai_mcp.tools.text.news import news_line
from kallyai_mcp.tools.text.plain import Reader
from kallyai_mcp.tools.tool_errors import error_result, tool_error

if TYPE_CHECKING:
    from mcp.types import CallToolResult

_SAID = 500
"""Characters of each of KallyAI's texts about one call; a list may have ten."""


@dataclass(frozen=True)
class CallResult(ToolResult[CallAnswer]):
    """What is told of a call or a list, with the `views` it was made of: the call's, or those of
    the list's calls.
    """

    views: Sequence[CallView] = ()


@dataclass(frozen=True)
class CancelResult(ToolResult[CancelAnswer]):
    """Whether a call was canceled, with what is known of it; `view` is None for a list."""

    view: CallView | None = None


@dataclass(frozen=True, kw_only=True)
class TranscriptResult(ToolResult[TranscriptAnswer]):
    """Who said what; `call` is None if the sign-in may not read calls."""

    transcript: Transcript
    call: Call | None = None


async def result_of(
    app_context: AppContext, found: Found, *, placed_now: bool | None, client_is_there: bool = True
) -> "CallToolResult":
    """What `call_result` says, as MCP has it, also about a call that was refused or canceled."""
    try:
        result = await call_result(
            app_context,
            found,
            placed_now=placed_now,
            client_is_there=client_is_there,
        )
        # Late: the terminal tells of calls without the MCP SDK.
        from kallyai_mcp.tools.granted import may_read_transcripts

        if not may_read_transcripts():
            without_live_words(result.structure)
        if client_is_there:
            result = await with_news(app_context, result, result.views)
        return result.for_client()
    except KallyAIError as error:
        # Whichever tool asked, the text must say that the call was not placed.
        return await tool_error(error, app_context, tool="make_call", places_calls=True)


_Result = TypeVar("_Result", bound=ToolResult[Answer])


async def with_news(app_context: AppContext, result: _Result, views: Sequence[CallView]) -> _Result:
    """A result about the calls of `views`, with what nobody was told yet of planned calls.

    They count as delivered with it.
    """
    ids = [view.tracking_id for view in views if view.tracking_id is not None]
    news = NO_NEWS
    with suppress(KallyAIError):  # the result counts without it
        news = await app_context.calls.news(ids)
    if not news.calls:
        return result
    for record in news.calls:
        await app_context.calls.delivery.deliver(record)
    line = news_line(news, app_context.reader())
    if isinstance(result.structure, CallAnswer):
        result.structure.since_then = line
    return replace(result, text=f"{result.text}\n{line}")


async def call_result(
    app_context: AppContext, found: Found, *, placed_now: bool | None, client_is_there: bool = True
) -> CallResult:
    """What to answer about a call or a list in its present state.

    The outcomes in it count as delivered.

    `placed_now` is True if this request placed the call, or let the list go on, False if the same
    had been asked for before, and None if the request only asked about it. Unless it is certain
    that the `client_is_there` still, the outcome does not count as delivered, and the next request
    for the same call gets it instead of placing a call.

    Raises:
        KallyAIError: The call was refused or canceled.
    """
    if isinstance(found, CallList):
        return await _list_result(
            app_context,
            found,
            placed_now=placed_now,
            client_is_there=client_is_there,
        )
    if isinstance(found, CallRecord):
        return await _record_result(
            app_context,
            found,
            placed_now=placed_now,
            client_is_there=client_is_there,
        )
    view = await view_of(app_context, found, is_new=placed_now is True)
    return _call_result(view, app_context.reader(), placed_now)


async def _record_result(
    app_context: AppContext, record: CallRecord, *, placed_now: bool | None, client_is_there: bool
) -> CallResult:
    if placed_now and record.is_earlier_call:
        placed_now = False
    view = await view_of(app_context, record, is_new=placed_now is True)
    reader = app_context.reader()
    few_left = ""
    if placed_now:
        few_left = await _what_is_left(app_context, record, reader)
    # Last, after everything that takes time: a client that has given up by then does not get
    # the outcome.
    await app_context.calls.delivery.deliver(record, certain=client_is_there)
    if view.refusal is not None:
        if not view.is_retry:
            raise view.refusal
        structure = call_answer(view, reader.now, is_request=placed_now is not None)
        return await _refused_again(app_context, view, view.refusal, structure)
    result = _call_result(view, reader, placed_now)
    return replace(result, text="\n".join(filter(None, (result.text, few_left))))


async def _what_is_left(
    app_context: AppContext, found: CallRecord | CallList, reader: Reader
) -> str:
    """What is left of the plan after calls that were placed now, or before one that is scheduled;
    "" if it is not little.

    Where nobody is ever asked about a call, a program reads the result, and only a scheduled call
    is worth the request.
    """
    if isinstance(found, CallRecord) and found.state is CallState.SCHEDULED:
        return little_left(await app_context.usage(), reader.now)
    if found.is_open or app_context.settings.asks == "never":
        return ""
    return last_ones(await app_context.usage(), reader.now)


def _call_result(view: CallView, reader: Reader, placed_now: bool | None) -> CallResult:
    """The text and the structure of a call that was not refused."""
    structure = call_answer(view, reader.now, is_request=placed_now is not None)
    structure.placed_now = placed_now
    if placed_now and not _is_surely_placed(view, reader.now):
        structure.placed_now = None
    # Where nothing was known yet when it was asked for, the client that follows it is told.
    answers_earlier = view.record is not None and view.record.is_earlier_call
    text = call_text(view, reader, is_duplicate=placed_now is False or answers_earlier)
    return CallResult(text, structure, views=(view,))


def _is_surely_placed(view: CallView, now: datetime) -> bool:
    """Whether KallyAI has placed a call that was just asked for, and for no earlier request."""
    record = view.record
    if record is None:
        return True
    if record.placed_for is PlacedFor.UNKNOWN:
        return False
    is_scheduled = record.state is CallState.SCHEDULED
    waits = is_scheduled or view.is_not_placed_yet(now) or view.is_being_checked
    return view.is_retry or not waits


async def _refused_again(
    app_context: AppContext, view: CallView, refusal: KallyAIError, structure: CallAnswer
) -> CallResult:
    """The result about a call that reached nobody, and whose next attempt was refused."""
    text, error = await error_result(refusal, app_context, places_calls=True, since=view.ended_at)
    known = {name: value for name, value in structure if value is not None}
    answer = RefusedRetryAnswer(**dict(error) | known)
    if view.record is not None:
        text = refused_again(text, view.record, app_context.reader())
    return CallResult(text, answer, is_error=True, views=(view,))


async def _list_result(
    app_context: AppContext, found: CallList, *, placed_now: bool | None, client_is_there: bool
) -> CallResult:
    usage = None
    if found.stop_reason is StopReason.REFUSED:
        usage = await app_context.usage()
    views = await views_of_list(app_context, found)
    reader = app_context.reader()
    few_left = ""
    if placed_now and found.stop_reason is not StopReason.REFUSED:  # else the text says it
        few_left = await _what_is_left(app_context, found, reader)
    for record in found.records:
        await app_context.calls.delivery.deliver(record, certain=client_is_there)
    text = call_list(
        found,
        reader,
        views,
        is_duplicate=placed_now is False,
        is_poll=placed_now is None,
        usage=usage,
    )
    structure = list_answer(found)
    structure.calls = [call_answer(view, reader.now, limit=_SAID) for view in views]
    structure.placed_now = placed_now
    return CallResult("\n".join(filter(None, (text, few_left))), structure, views=views)


async def text_of(app_context: AppContext, id_: str) -> str:
    """A call or a list in words.

    It does not count as delivered: who reads it may be a program, not the agent.
    """
    found = await find(app_context, id_)
    if isinstance(found, CallList):
        return call_list(found, app_context.reader(), await views_of_list(app_context, found))
    return call_text(await view_of(app_context, found), app_context.reader())


async def transcript(app_context: AppContext, id_: str) -> TranscriptResult:
    """The transcript of a call; in the text, what was said is between delimiters."""
    call_id = await find_call_id(app_context, id_)
    spoken = await app_context.api().get_transcript(call_id)
    try:
        call = await app_context.api().get_call(call_id)
    except ForbiddenError:  # transcripts:read alone is enough for a transcript
        call = None
    await note_what_was_said(app_context, spoken, call_id, call)
    shown = list(spoken.entries[: entries_shown(spoken)])
    text = conversation(call, spoken, app_context.reader())
    answer = TranscriptAnswer(call_id=call_id, entries=shown)
    return TranscriptResult(text, answer, transcript=spoken, call=call)


async def cancel(app_context: AppContext, id_: str) -> CancelResult:
    """Cancel a list, or a call whose request was not sent yet.

    The text says whether it was canceled.
    """
    found = await find(app_context, id_)
    if isinstance(found, CallList):
        return await _cancel_list(app_context, found, id_)
    if isinstance(found, CallRecord):
        view = await _cancel_call(app_context, found)
    else:
        view = await view_of(app_context, found)
    structure = _cancel_answer(view)
    text = cancel_text(view, structure.status, app_context.reader())
    return CancelResult(text, structure, view=view)


async def _cancel_list(
    app_context: AppContext,
    found: CallList,
    id_: str,
) -> CancelResult:
    found = await app_context.calls.cancel_list(found)
    if found.stop_reason is not StopReason.CANCELED:
        return CancelResult(
            "Not canceled: the list is over.",
            CancelAnswer(status="over", tracking_id=id_),
        )
    views = [CallView.of_record(record) for record in found.records]
    text = call_list(found, app_context.reader(), views)
    return CancelResult(text, CancelAnswer(status="canceled", tracking_id=id_))


async def _cancel_call(app_context: AppContext, record: CallRecord) -> CallView:
    """Cancel a call if it is open; if it has ended, its next attempt.

    Returns what is known of it then.
    """
    if not record.is_open:
        view = await view_of(app_context, record)
        planned = view.related.planned
        if planned is None or planned.record is None:
            return view
        record = planned.record
    return CallView.of_record(await app_context.calls.cancel(record))


def _cancel_answer(view: CallView) -> CancelAnswer:
    structure = CancelAnswer(status="in_progress", call_id=view.call_id)
    if view.call_id is None:
        structure.tracking_id = view.tracking_id
    if view.status == CallState.CANCELED:
        structure.status = "canceled"
        structure.placed = "no"
    elif view.outcome is not None or view.refusal is not None:
        structure.status = "over"
    return structure
