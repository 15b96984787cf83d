"""The results of make_call and get_call."""

from datetime import datetime

from mcp.types import CallToolResult

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Call, SubmissionEcho
from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.links import links
from kallyai_mcp.tools.results import CallAnswer, answer
from kallyai_mcp.tools.text.calls import already_placed, call_in_progress, in_progress, outcome, unknown
from kallyai_mcp.tools.text.plain import visible


async def to_result(
    app_context: AppContext,
    record: CallRecord,
    *,
    is_new: bool | None,
    client_is_there: bool = True,
    with_links: bool = False,
) -> CallToolResult:
    """The result for a call record; its outcome counts as delivered.

    Args:
        app_context: What the tool works with.
        record: The call.
        is_new: This request placed the call, or found it as a duplicate; None when it only asked about the call.
        client_is_there: The client surely waits for the result. If not, the outcome doesn't count as delivered, so that
            the next request for the same call gets it, and places no call.
        with_links: The client supports links to resources.

    Raises:
        KallyAIError: The call was refused or canceled: no call was placed.
    """
    now = app_context.now()
    more = links(record) if with_links else []
    await app_context.calls.delivery.note(record, is_new=is_new, certain=client_is_there)
    if record.state is CallState.REFUSED and record.error is not None:
        raise record.error
    if record.state is CallState.CANCELED:
        raise KallyAIError("the call was canceled before it was placed", code="canceled")
    if record.call is not None:
        structure = call_answer(record.call, record.tracking_id, placed_now=is_new)
        structure.submission = record.call.submission
        before = already_placed(record, now) if is_new is False else ""
        return answer(before + outcome(record.call, now), structure, *more)
    structure = record_answer(record, now)
    structure.placed_now = is_new
    structure.submission = SubmissionEcho.model_validate(record.submission.as_json())
    if record.state is CallState.UNKNOWN:
        return answer(unknown(record), structure)
    text = in_progress(record, now, is_duplicate=is_new is False, wait=app_context.wait_seconds)
    return answer(text, structure, *more)


def unrecorded_result(app_context: AppContext, call: Call, *, with_links: bool) -> CallToolResult:
    """The result for a call that only KallyAI knows: it is not in the ledger."""
    now, structure, more = app_context.now(), call_answer(call), links(call) if with_links else []
    structure.submission = call.submission
    if call.is_final:
        return answer(outcome(call, now), structure, *more)
    elapsed = max(0.0, (now - call.created_at).total_seconds()) if call.created_at else 0.0
    structure.status, structure.elapsed_seconds = "in_progress", round(elapsed, 1)
    return answer(call_in_progress(call, elapsed, wait=app_context.wait_seconds), structure, *more)


def record_answer(record: CallRecord, now: datetime) -> CallAnswer:
    """The structure for a record without an outcome."""
    is_unknown = record.state is CallState.UNKNOWN
    return CallAnswer(
        status="unknown" if is_unknown else "in_progress",
        call_id=record.call_id,
        tracking_id=record.tracking_id,
        elapsed_seconds=None if is_unknown else round(record.elapsed(now), 1),
        created_at=record.placed_at,
        respondent_phone=record.submission.respondent_phone,
        business_name=record.submission.business_name,
    )


def call_answer(call: Call, tracking_id: str | None = None, *, placed_now: bool | None = None) -> CallAnswer:
    """The structure for a call of KallyAI's; a status that is not known is the service's own word."""
    return CallAnswer(
        status="in_progress" if call.status in Call.IN_PROGRESS else call.status,
        call_id=call.call_id,
        tracking_id=tracking_id,
        highlights=visible(call.highlights) if call.highlights else None,
        next_steps=visible(call.next_steps) if call.next_steps else None,
        duration_seconds=call.duration_seconds,
        created_at=call.created_at,
        respondent_phone=call.submission.respondent_phone,
        business_name=visible(call.submission.business_name, 80) if call.submission.business_name else None,
        credits_used=call.credits_used,
        placed_now=placed_now,
    )
