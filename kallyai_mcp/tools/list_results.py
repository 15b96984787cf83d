"""The results about a list of candidates: those of call_around, get_call, cancel_call, and tasks."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.call_lists import CallList, StopReason
from kallyai_mcp.tools.call_results import call_answer
from kallyai_mcp.tools.call_view import CallView
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.results import CancelAnswer, ListAnswer, ListState, OneCallAnswer, answer
from kallyai_mcp.tools.said import read_said
from kallyai_mcp.tools.text.call_lists import call_list, list_canceled, quota_error
from kallyai_mcp.tools.text.plain import visible

if TYPE_CHECKING:
    from mcp.types import CallToolResult

_SAID = 500
"""Characters of each of KallyAI's texts about one call; a list may have ten."""

_SHOWN = {
    *("respondent_phone", "business_name", "status", "outcome", "call_id", "tracking_id"),
    *("highlights", "next_steps", "appointment", "calendar_checked", "timezone"),
    *("evidence", "answers", "asked"),
}
"""The fields of a candidate, beside the code of a refusal."""


async def list_result(app_context: AppContext, found: CallList, *, placed_now: bool | None) -> "CallToolResult":
    """The result for a list in its present state; as `list_words`."""
    return answer(*await list_words(app_context, found, placed_now=placed_now))


async def list_words(app_context: AppContext, found: CallList, *, placed_now: bool | None) -> tuple[str, ListAnswer]:
    """The text and the structure for a list in its present state; the outcomes in it count as delivered.

    `placed_now` is True if this request started the list or let it go on, False if the list is a duplicate of an
    earlier one, and None if the request only asked about the list.
    """
    usage = await app_context.usage() if quota_error(found) is not None else None
    views, reader = await views_of_list(app_context, found), app_context.reader()
    for record in found.records:
        await app_context.calls.delivery.note(record, placed_now=None)
    text = call_list(found, reader, views, is_duplicate=placed_now is False, usage=usage)
    return text, ListAnswer(**dict(list_state(found, reader.now, views)), placed_now=placed_now)


async def views_of_list(app_context: AppContext, found: CallList) -> list[CallView]:
    """The calls of a list so far, with what was said in each."""
    views = [CallView.of_record(record) for record in found.records]
    said = await asyncio.gather(*(read_said(app_context, view) for view in views))
    return [replace(view, said=each) for view, each in zip(views, said, strict=True)]


def list_state(found: CallList, now: datetime, views: Sequence[CallView] | None = None) -> ListState:
    """The structure for a list; `views` are its calls, if what was said in them was read."""
    return ListState(
        status="in_progress" if found.stop_reason is None else found.stop_reason.value,
        tracking_id=found.list_id,
        until=found.until,
        calls=[_candidate(view, now) for view in views or map(CallView.of_record, found.records)],
        not_called=candidates_of(found.not_called),
    )


def candidates_of(submissions: Sequence[Submission]) -> list[OneCallAnswer]:
    """The callees of these submissions, as results name them."""
    return [
        OneCallAnswer(respondent_phone=one.respondent_phone, business_name=one.business_name) for one in submissions
    ]


async def cancel_list(app_context: AppContext, found: CallList) -> tuple[str, CancelAnswer]:
    """Stop a list for good; the text says which of its candidates are not called."""
    id_ = found.list_id
    await app_context.calls.cancel_list(id_)
    found = await app_context.calls.find_list(id_) or found  # the next call may have been reserved since
    last = found.records[-1] if found.records else None
    if last is not None and last.is_active and await app_context.calls.cancel(last.tracking_id):
        found = await app_context.calls.find_list(id_) or found
    is_canceled = found.stop_reason is StopReason.CANCELED
    return list_canceled(found), CancelAnswer(status="canceled" if is_canceled else "over", tracking_id=id_)


def _candidate(view: CallView, now: datetime) -> OneCallAnswer:
    candidate = OneCallAnswer(**call_answer(view, now).model_dump(include=_SHOWN))
    if candidate.status == "refused" and view.record is not None and view.record.error is not None:
        candidate.code = view.record.error.code
    if candidate.appointment is None:
        candidate.timezone = None
    if candidate.highlights:
        candidate.highlights = visible(candidate.highlights, _SAID)
    if candidate.next_steps:
        candidate.next_steps = visible(candidate.next_steps, _SAID)
    return candidate
