"""Placing a call and following it: make_call, get_call."""

from datetime import datetime
from typing import Annotated, Any, Literal

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from pydantic import Field

from kallyai_mcp.api.models import Call, Submission, TimeOfDay
from kallyai_mcp.calls.ledger.base import ConsentOutdatedError, LedgerUnavailableError
from kallyai_mcp.calls.policy import Consent
from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.tools.argument_types import AppointmentDate, CallId, PartySize, PhoneNumber, TimeZoneName, WaitSeconds
from kallyai_mcp.tools.consent import consent_to
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.links import links
from kallyai_mcp.tools.results import CallAnswer, answer
from kallyai_mcp.tools.text.calls import already_placed, call_in_progress, in_progress, outcome, record_party, unknown
from kallyai_mcp.tools.text.plain import duration, visible


async def make_call(
    *,
    task_category: Literal["restaurant", "clinic", "hotel", "general"],
    task_description: Annotated[str, Field(description="What the call should achieve, with all details that matter")],
    respondent_phone: Annotated[PhoneNumber, Field(description="Number to call, E.164: +14155551234")],
    business_name: Annotated[str | None, Field(description="Who is called")] = None,
    user_name: Annotated[str | None, Field(description="Who the booking is for")] = None,
    user_phone: Annotated[PhoneNumber | None, Field(description="The user's callback number, E.164")] = None,
    appointment_date: AppointmentDate | None = None,
    appointment_time: Annotated[TimeOfDay | None, Field(description="HH:MM, 24 hours")] = None,
    time_preference_text: Annotated[str | None, Field(description='Leeway in words: "after 5pm"')] = None,
    party_size: PartySize | None = None,
    language: Annotated[Literal["en", "es"] | None, Field(description="Of the summary")] = None,
    call_language: Annotated[Literal["en", "es"] | None, Field(description="Spoken on the phone")] = None,
    is_urgent: bool | None = None,
    additional_instructions: Annotated[list[str] | None, Field(description="Wishes and limits, one each")] = None,
    timezone: Annotated[TimeZoneName | None, Field(description="The user's IANA zone; default: this machine's")] = None,
    wait_seconds: WaitSeconds | None = None,
    redial: Annotated[bool, Field(description="Call again although this very call was just made")] = False,
    confirmation: Annotated[str | None, Field(description="From an answer that asked for the user's consent")] = None,
    ctx: Context[AppContext, Any],
) -> Annotated[CallToolResult, CallAnswer]:
    """Have KallyAI call a business or a person and do a task by phone: book, ask, change, cancel.

    A real call to another person: it costs minutes and can't be undone. Be sure of the number and of what the user
    wants. Give all you know; the voice on the phone knows nothing else. A call takes 1 to 3 minutes. If the answer is
    in_progress, it goes on: follow it with get_call and never place it again.
    """
    app_context = ctx.request_context.lifespan_context
    submission = Submission(
        task_category=task_category,
        task_description=task_description,
        respondent_phone=respondent_phone,
        business_name=business_name,
        user_name=user_name,
        user_phone=user_phone,
        appointment_date=appointment_date,
        appointment_time=appointment_time,
        time_preference_text=time_preference_text,
        party_size=party_size,
        language=language,
        call_language=call_language,
        is_urgent=is_urgent,
        additional_instructions=tuple(additional_instructions) if additional_instructions else None,
    )
    zone = timezone or app_context.timezone
    while True:
        consent = await consent_to(submission, timezone=zone, redial=redial, confirmation=confirmation, ctx=ctx)
        if not isinstance(consent, Consent):
            return consent
        try:
            placed = await app_context.calls.place(submission, timezone=zone, redial=redial, consent=consent)
        except ConsentOutdatedError:  # the number was called meanwhile, or the confirmation used: ask again
            confirmation = None if consent.confirmation_id else confirmation
            continue
        break
    record = await _followed(app_context, placed.record, wait_seconds, ctx)
    return await to_result(
        app_context, record, is_new=placed.is_new, heard=_is_heard(placed.record, ctx), linked=_knows_links(ctx)
    )


async def get_call(
    *,
    call_id: Annotated[CallId, Field(description="call_id, or the tracking_id of a call in progress")],
    wait_seconds: WaitSeconds = 0,
    ctx: Context[AppContext, Any],
) -> Annotated[CallToolResult, CallAnswer]:
    """Get a call's outcome; with wait_seconds, wait for one that is in progress."""
    app_context = ctx.request_context.lifespan_context
    try:
        record = await app_context.calls.find(call_id)
    except LedgerUnavailableError:
        if call_id.startswith("t-"):  # the ledger alone knows whose that is
            raise
        record = None
    if record is not None:
        followed = await _followed(app_context, record, wait_seconds, ctx)
        return await to_result(
            app_context, followed, is_new=None, heard=_is_heard(record, ctx), linked=_knows_links(ctx)
        )
    call = await app_context.api().get_call(call_id)
    return _of_the_service(call, app_context, linked=_knows_links(ctx))


async def _followed(
    app_context: AppContext, record: CallRecord, wait_seconds: float | None, ctx: Context[AppContext, Any]
) -> CallRecord:
    """Wait for the end of `record`, telling the client how long it has been."""
    seconds = app_context.wait_seconds if wait_seconds is None else wait_seconds
    party = str(record_party(record))

    async def tell(elapsed: float) -> None:
        await ctx.report_progress(elapsed, message=f"{party}: {duration(elapsed)} so far")

    return await app_context.calls.wait(record, seconds, tell)


def _knows_links(ctx: Context[AppContext, Any]) -> bool:
    """Whether a link to a resource is of use to this client.

    No capability says so. Frameworks of the 2025 era hand whatever is no text on to their model, some as a file that
    the model's API then refuses, after the phone has rung.
    """
    return ctx.protocol_version in MODERN_PROTOCOL_VERSIONS


def _is_heard(record: CallRecord, ctx: Context[AppContext, Any]) -> bool:
    """Whether a client that had to wait for the end of `record` is sure to be there still, or has said that it is not.

    Over Streamable HTTP a client of the 2025 era that gives up leaves its request open and says so in another one,
    which may reach another worker and in any case knows of no session (`stateless_http`). In 2026-07-28 it ends the
    request.
    """
    request = ctx.request_context
    has_no_session = request.request is not None and request.request.url.path.endswith("/mcp")
    return not (record.is_active and has_no_session and request.protocol_version in HANDSHAKE_PROTOCOL_VERSIONS)


async def to_result(
    app_context: AppContext, record: CallRecord, *, is_new: bool | None, heard: bool = True, linked: bool = False
) -> CallToolResult:
    """What there is to say of `record`.

    Args:
        app_context: The server's.
        record: The call.
        is_new: None when it was asked about, not asked for.
        heard: False when the client may have given up unnoticed: the outcome then counts as not handed out, so that
            the same call asked for next is told it, not placed again.
        linked: The client knows what to do with a link to a resource.

    Raises:
        KallyAIError: It was refused: no call was placed.
    """
    now = app_context.now()
    further = links(record) if linked else []
    await app_context.calls.delivery.note(record, certain=heard)
    if record.state is CallState.REFUSED and record.error is not None:
        raise record.error
    if record.call is not None:
        structure = call_answer(record.call, record.tracking_id, placed_now=is_new)
        repeated = already_placed(record, now) if is_new is False else ""
        return answer(repeated + outcome(record.call, now), structure, *further)
    structure = record_answer(record, now)
    structure.placed_now = is_new
    if record.state is CallState.UNKNOWN:
        return answer(unknown(record), structure)
    words = in_progress(record, now, is_duplicate=is_new is False, wait=app_context.wait_seconds)
    return answer(words, structure, *further)


def record_answer(record: CallRecord, now: datetime) -> CallAnswer:
    """A record that has no outcome yet, as structured content."""
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


def _of_the_service(call: Call, app_context: AppContext, *, linked: bool) -> CallToolResult:
    """A call that the ledger knows nothing of: the service's word alone."""
    now, structure, further = app_context.now(), call_answer(call), links(call) if linked else []
    if call.is_final:
        return answer(outcome(call, now), structure, *further)
    elapsed = max(0.0, (now - call.created_at).total_seconds()) if call.created_at else 0.0
    structure.elapsed_seconds = round(elapsed, 1)
    return answer(call_in_progress(call, elapsed, wait=app_context.wait_seconds), structure, *further)


def call_answer(call: Call, tracking_id: str | None = None, *, placed_now: bool | None = None) -> CallAnswer:
    """`call` as structured content."""
    return CallAnswer(
        status=call.status if call.is_final else "in_progress",
        call_id=call.call_id,
        tracking_id=tracking_id,
        highlights=visible(call.highlights) if call.highlights else None,
        next_steps=visible(call.next_steps) if call.next_steps else None,
        duration_seconds=call.duration_seconds,
        created_at=call.created_at,
        respondent_phone=call.submission.respondent_phone,
        business_name=visible(call.submission.business_name) if call.submission.business_name else None,
        credits_used=call.credits_used,
        placed_now=placed_now,
    )
