"""The tools that place and follow a call: make_call, get_call."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from mcp.server.apps import client_supports_apps
from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS
from pydantic import Field

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Call, TimeOfDay
from kallyai_mcp.calls.call_lists import CallList
from kallyai_mcp.calls.calls import Placed, place_with_consent
from kallyai_mcp.calls.policy import Consent
from kallyai_mcp.calls.records import CallRecord
from kallyai_mcp.tools import consent, progress
from kallyai_mcp.tools.argument_types import (
    AppointmentDate,
    CallId,
    NotBefore,
    PartySize,
    PhoneNumber,
    Retries,
    TaskDescription,
    TimeZoneName,
    WaitSeconds,
)
from kallyai_mcp.tools.around import follow_list
from kallyai_mcp.tools.call_results import find_any, to_result, unrecorded_result
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.results import CallAnswer, CallOrListAnswer
from kallyai_mcp.tools.scheduling import schedule_of
from kallyai_mcp.tools.submissions import callee_zone, submission_of
from kallyai_mcp.tools.tasks import seconds_to_wait
from kallyai_mcp.tools.text.calls import so_far
from kallyai_mcp.tools.tool_errors import tool_error


async def make_call(
    *,
    task_category: Annotated[
        Literal["restaurant", "clinic", "hotel", "general"], Field(description="restaurant, clinic, hotel, or general")
    ],
    task_description: TaskDescription,
    respondent_phone: Annotated[PhoneNumber, Field(description="Number to call, E.164: +14155551234")],
    business_name: Annotated[str | None, Field(description="Name of the callee")] = None,
    user_name: Annotated[str | None, Field(description="Who the booking is for")] = None,
    user_phone: Annotated[PhoneNumber | None, Field(description="The user's callback number, E.164")] = None,
    appointment_date: AppointmentDate | None = None,
    appointment_time: Annotated[TimeOfDay | None, Field(description="HH:MM, 24-hour")] = None,
    time_preference_text: Annotated[str | None, Field(description='Preference in words: "after 5pm"')] = None,
    party_size: PartySize | None = None,
    language: Annotated[Literal["en", "es"] | None, Field(description="en or es: of the summary")] = None,
    call_language: Annotated[Literal["en", "es"] | None, Field(description="en or es: spoken in the call")] = None,
    is_urgent: bool | None = None,
    additional_instructions: Annotated[list[str] | None, Field(description="Wishes and limits, one per item")] = None,
    accept_other_time: Annotated[bool, Field(description="KallyAI may agree to another day or time")] = False,
    timezone: Annotated[TimeZoneName | None, Field(description="IANA zone of all times; default: callee's")] = None,
    session_id: Annotated[str | None, Field(description="One for all calls of a session")] = None,
    wait_seconds: WaitSeconds | None = None,
    not_before: Annotated[
        NotBefore | None, Field(description="To call later: ISO 8601; in timezone if no offset")
    ] = None,
    retries: Annotated[Retries, Field(description="0 to 3, if busy or no answer")] = 0,
    redial: Annotated[bool, Field(description="Place it again on purpose")] = False,
    confirmation: Annotated[str | None, Field(description="From the result that asked for consent")] = None,
    ctx: Context[AppContext, Any],
) -> Annotated[CallToolResult, CallAnswer]:
    """Place a phone call through KallyAI to book, ask, change, or cancel something.

    This is a real call to another person: it costs minutes and cannot be undone. Make sure of the number and of what
    the user wants. Give all details: KallyAI knows nothing else. A call takes 1 to 3 minutes. If the result is
    in_progress, follow the call with get_call; never place it again. Report only the outcome that the result states.
    """
    submission, app_context = submission_of(locals()), ctx.request_context.lifespan_context
    zone = callee_zone(timezone, respondent_phone, app_context)
    schedule = schedule_of(not_before, retries, submission, timezone=zone, app_context=app_context)

    async def ask(outdated: Sequence[Consent]) -> Consent | CallToolResult:
        return await consent.check(
            submission, outdated, schedule=schedule, timezone=zone, redial=redial, confirmation=confirmation, ctx=ctx
        )

    async def place(agreed: Consent) -> Placed:
        return await app_context.calls.place(
            submission, timezone=zone, session_id=session_id, redial=redial, consent=agreed, schedule=schedule
        )

    placed = await place_with_consent(ask, place)
    if not isinstance(placed, Placed):
        return placed
    return await _follow(placed.record, wait_seconds, ctx, placed_now=placed.is_new)


async def get_call(
    *,
    call_id: Annotated[CallId, Field(description="Or tracking_id")],
    wait_seconds: WaitSeconds = 0,
    ctx: Context[AppContext, Any],
) -> Annotated[CallToolResult, CallOrListAnswer]:
    """Get a call's outcome. With wait_seconds, wait for a call in progress to end."""
    app_context = ctx.request_context.lifespan_context
    found = await find_any(app_context, call_id)
    if isinstance(found, CallList):
        return await follow_list(found, wait_seconds, ctx, placed_now=None)
    if isinstance(found, Call):
        return await unrecorded_result(app_context, found, with_links=client_supports_apps(ctx))
    try:
        return await _follow(found, wait_seconds, ctx, placed_now=None)
    except KallyAIError as error:  # its text must say that the call was not placed, as errors of make_call do
        return await tool_error(error, app_context, tool="make_call", places_calls=True)


async def _follow(
    record: CallRecord, wait_seconds: float | None, ctx: Context[AppContext, Any], *, placed_now: bool | None
) -> CallToolResult:
    """Wait for the end of `record`, and return the result."""
    app_context = ctx.request_context.lifespan_context
    seconds = seconds_to_wait(wait_seconds, ctx.request_context, placed_now=placed_now)
    progress.say(lambda: so_far(record, app_context.now()))
    followed = await app_context.calls.wait(record, seconds)
    return await to_result(
        app_context,
        followed,
        placed_now=placed_now,
        was_active=record.is_active,
        client_is_there=_client_is_there(record, ctx),
        with_links=client_supports_apps(ctx),
    )


def _client_is_there(record: CallRecord, ctx: Context[AppContext, Any]) -> bool:
    """Whether it is certain that the client still waits, because this worker would know if it had given up.

    It is not certain for a client of the 2025 versions over `/mcp` that waited for a call in progress. If such a client
    gives up, it leaves its request open. It cancels by another request, which may reach another worker, because there
    are no sessions (`stateless_http`). A client of 2026-07-28 closes its request.
    """
    request = ctx.request_context
    is_old = request.protocol_version in HANDSHAKE_PROTOCOL_VERSIONS
    is_stateless = request.request is not None and request.request.url.path.endswith("/mcp")
    return not (record.is_active and is_old and is_stateless)
