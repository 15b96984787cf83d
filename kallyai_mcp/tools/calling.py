"""Placing a call and following it: make_call, get_call."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Literal

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from pydantic import Field

from kallyai_mcp.api.models import Call, IsoDate, Submission, TimeOfDay
from kallyai_mcp.dialing.dialler import Attempt
from kallyai_mcp.dialing.numbers import normalise
from kallyai_mcp.tools.arguments import PartySize, WaitSeconds
from kallyai_mcp.tools.desk import Desk
from kallyai_mcp.tools.results import CallAnswer, answer
from kallyai_mcp.tools.words.calls import asked_again, attempt_party, outcome, party_of, under_way
from kallyai_mcp.tools.words.plain import duration


async def make_call(
    *,
    task_category: Literal["restaurant", "clinic", "hotel", "general"],
    task_description: Annotated[str, Field(description="What the call should achieve, with all details that matter")],
    respondent_phone: Annotated[str, Field(description="Number to ring, E.164: +14155551234")],
    business_name: Annotated[str | None, Field(description="Whom it rings")] = None,
    user_name: Annotated[str | None, Field(description="Whom the booking is for")] = None,
    user_phone: Annotated[str | None, Field(description="The user's callback number, E.164")] = None,
    appointment_date: IsoDate | None = None,
    appointment_time: Annotated[TimeOfDay | None, Field(description="HH:MM, 24 hours")] = None,
    time_preference_text: Annotated[str | None, Field(description='Leeway in words: "after 5pm"')] = None,
    party_size: PartySize | None = None,
    language: Annotated[Literal["en", "es"] | None, Field(description="Of the summary")] = None,
    call_language: Annotated[Literal["en", "es"] | None, Field(description="Spoken on the phone")] = None,
    is_urgent: bool | None = None,
    additional_instructions: Annotated[list[str] | None, Field(description="Wishes and limits, one each")] = None,
    timezone: Annotated[str | None, Field(description="The user's IANA zone; default: this machine's")] = None,
    wait_seconds: WaitSeconds | None = None,
    redial: Annotated[bool, Field(description="Ring again although this very call is being made already")] = False,
    ctx: Context[Desk, Any],
) -> Annotated[CallToolResult, CallAnswer]:
    """Have KallyAI ring a business or a person and do an errand by phone: book, ask, change, cancel.

    A real call to a stranger: it costs minutes and can't be undone. Be sure of the number and of what the user wants.
    Give all you know; the voice on the phone knows nothing else. A call takes 1 to 3 minutes. If the answer is
    in_progress, it goes on: follow it with get_call and never place it again.
    """
    desk = ctx.request_context.lifespan_context
    submission = Submission(
        task_category=task_category,
        task_description=task_description,
        respondent_phone=_e164(respondent_phone),
        business_name=business_name,
        user_name=user_name,
        user_phone=_e164(user_phone) if user_phone else None,
        appointment_date=appointment_date,
        appointment_time=appointment_time,
        time_preference_text=time_preference_text,
        party_size=party_size,
        language=language,
        call_language=call_language,
        is_urgent=is_urgent,
        additional_instructions=tuple(additional_instructions) if additional_instructions else None,
    )
    placed = desk.dialler.place(submission, timezone=timezone or desk.timezone, redial=redial)
    return await _follow(desk, placed.attempt, wait_seconds, ctx, is_new=placed.is_new)


async def get_call(
    *,
    call_id: Annotated[str, Field(description="call_id, or the tracking_id of a call under way")],
    wait_seconds: WaitSeconds = 0,
    ctx: Context[Desk, Any],
) -> Annotated[CallToolResult, CallAnswer]:
    """Get a call's outcome; with wait_seconds, wait for one that is under way."""
    desk = ctx.request_context.lifespan_context
    attempt = desk.dialler.find(call_id)
    if attempt is not None:
        return await _follow(desk, attempt, wait_seconds, ctx, is_new=None)
    call = await desk.api().get_call(call_id)
    return _ended_or_not(call, desk.now())


async def _follow(
    desk: Desk, attempt: Attempt, wait_seconds: float | None, ctx: Context[Desk, Any], *, is_new: bool | None
) -> CallToolResult:
    """Wait for `attempt` and say what came of it; `is_new` is None when it was asked about, not asked for."""
    await desk.dialler.wait(
        attempt,
        desk.wait_seconds if wait_seconds is None else wait_seconds,
        _progress(ctx, str(attempt_party(attempt))),
    )
    now = desk.now()
    elapsed = attempt.elapsed(now)
    if attempt.error is not None:
        raise attempt.error
    if attempt.call is None:
        return answer(
            under_way(attempt_party(attempt), elapsed, attempt.tracking_id, asked_again=is_new is False),
            CallAnswer(
                status="in_progress",
                tracking_id=attempt.tracking_id,
                elapsed_seconds=round(elapsed, 1),
                respondent_phone=attempt.submission.respondent_phone,
                business_name=attempt.submission.business_name,
                dialled_now=is_new,
            ),
        )
    if is_new is False:
        text = asked_again(attempt.call, elapsed, now)
        return answer(text, call_answer(attempt.call, attempt.tracking_id, dialled_now=False))
    return _ended_or_not(attempt.call, now, tracking_id=attempt.tracking_id, dialled_now=is_new)


def _ended_or_not(
    call: Call, now: datetime, *, tracking_id: str | None = None, dialled_now: bool | None = None
) -> CallToolResult:
    structure = call_answer(call, tracking_id, dialled_now=dialled_now)
    if call.is_final:
        return answer(outcome(call, now), structure)
    elapsed = max(0.0, (now - call.created_at).total_seconds()) if call.created_at else 0.0
    structure.elapsed_seconds = round(elapsed, 1)
    return answer(under_way(party_of(call), elapsed, call.call_id), structure)


def call_answer(call: Call, tracking_id: str | None = None, *, dialled_now: bool | None = None) -> CallAnswer:
    """`call` as structured content."""
    return CallAnswer(
        status=call.status if call.is_final else "in_progress",
        call_id=call.call_id,
        tracking_id=tracking_id,
        highlights=call.highlights,
        next_steps=call.next_steps,
        duration_seconds=call.duration_seconds,
        created_at=call.created_at,
        respondent_phone=call.submission.respondent_phone,
        business_name=call.submission.business_name,
        credits_used=call.credits_used,
        dialled_now=dialled_now,
    )


def _e164(number: str) -> str:
    normal = normalise(number)
    assert isinstance(normal, str), "the tool's arguments are checked before it runs"  # noqa: S101
    return normal


def _progress(ctx: Context[Desk, Any], party: str) -> Callable[[float], Awaitable[None]]:
    async def tell(elapsed: float) -> None:
        await ctx.report_progress(elapsed, message=f"{party}: {duration(elapsed)} so far")

    return tell
