"""The tools that place and follow a call: make_call, get_call."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from mcp.server.apps import client_supports_apps
from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS
from pydantic import Field

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Call
from kallyai_mcp.calls.call_lists import CallList
from kallyai_mcp.calls.calls import place_with_consent
from kallyai_mcp.calls.clock import Stopwatch
from kallyai_mcp.calls.policy import Consent, RiskFlag
from kallyai_mcp.calls.records import CallRecord, CallRequest, Placed
from kallyai_mcp.tools import consent, progress
from kallyai_mcp.tools.argument_types import (
    AppointmentDate,
    CallId,
    NotBefore,
    PartySize,
    PhoneNumber,
    QuestionTexts,
    Retries,
    TaskDescription,
    Text,
    Texts,
    Time,
    TimeZoneName,
    UserZone,
    WaitSeconds,
)
from kallyai_mcp.tools.call_results import call_words, find_any, list_words
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.past_calls import booking_facts
from kallyai_mcp.tools.resource_links import links
from kallyai_mcp.tools.results import CallAnswer, CallOrListAnswer
from kallyai_mcp.tools.submissions import callee_zone, schedule_of, submission_of
from kallyai_mcp.tools.tasks import seconds_to_wait
from kallyai_mcp.tools.text.call_lists import calling
from kallyai_mcp.tools.text.calls import so_far
from kallyai_mcp.tools.tool_errors import tool_error


async def make_call(
    *,
    task_category: Annotated[
        Literal["restaurant", "clinic", "hotel", "general"], Field(description="restaurant, clinic, hotel, or general")
    ],
    task_description: TaskDescription,
    respondent_phone: Annotated[PhoneNumber, Field(description="E.164: +14155551234")],
    business_name: Text | None = None,
    user_name: Annotated[Text | None, Field(description="For the booking")] = None,
    user_phone: Annotated[PhoneNumber | None, Field(description="To call back")] = None,
    appointment_date: AppointmentDate | None = None,
    appointment_time: Time | None = None,
    other_times: Annotated[Text | None, Field(description='Also fine: "10:00-12:00, 15:00"')] = None,
    departure_date: Annotated[AppointmentDate | None, Field(description="Hotel, YYYY-MM-DD")] = None,
    time_preference_text: Annotated[Text | None, Field(description='"after 5pm"')] = None,
    party_size: PartySize | None = None,
    language: Annotated[Literal["en", "es"] | None, Field(description="en or es: summary")] = None,
    call_language: Annotated[Literal["en", "es"] | None, Field(description="en or es: spoken")] = None,
    is_urgent: bool | None = None,
    additional_instructions: Annotated[Texts | None, Field(description="Wishes and limits")] = None,
    questions: QuestionTexts | None = None,
    accept_other_time: Annotated[bool, Field(description="May agree to another day or time")] = False,
    timezone: Annotated[TimeZoneName | None, Field(description="IANA; default: callee's")] = None,
    changes_call_id: Annotated[CallId | None, Field(description="Booking to change or cancel")] = None,
    session_id: Text | None = None,
    wait_seconds: WaitSeconds | None = None,
    not_before: Annotated[NotBefore | None, Field(description="To call later: ISO 8601")] = None,
    retries: Retries = 0,
    redial: Annotated[bool, Field(description="Call again on purpose")] = False,
    confirmation: Annotated[Text | None, Field(description="From a result")] = None,
    ctx: Context[AppContext, Any],
) -> Annotated[CallToolResult, CallAnswer]:
    """Have KallyAI phone somebody to book, ask, change, or cancel something.

    It is a real call: it costs minutes and cannot be undone. Make sure of the number and of what the user wants. Give
    all details: KallyAI knows nothing else. If the result is in_progress, follow it with get_call; never place it
    again. Report only the outcome that the result states.
    """
    arguments, app_context = locals(), ctx.request_context.lifespan_context
    arrived = Stopwatch(app_context.calls.clock)
    risks: tuple[RiskFlag, ...] = ()
    if changes_call_id is not None:
        arguments["changes"], number = await booking_facts(app_context, changes_call_id)
        risks = (RiskFlag.OTHER_NUMBER,) if number not in (None, respondent_phone) else ()
    submission = submission_of(arguments)
    zone = callee_zone(timezone, respondent_phone, app_context)
    schedule = schedule_of(not_before, retries, submission, timezone=zone, app_context=app_context)
    request = CallRequest(submission, zone, arrived, schedule, redial, session_id)

    async def ask(outdated: Sequence[Consent]) -> Consent | CallToolResult:
        return await consent.check(request, outdated, risks=risks, confirmation=confirmation, ctx=ctx)

    async def place(agreed: Consent) -> Placed:
        return await app_context.calls.place(request, consent=agreed)

    placed = await place_with_consent(ask, place)
    if not isinstance(placed, Placed):
        return placed
    return await follow_call(app_context, placed.record, wait_seconds, ctx, placed_now=placed.is_new)


async def get_call(
    *,
    call_id: Annotated[CallId, Field(description="Or tracking_id")],
    wait_seconds: WaitSeconds = 0,
    timezone: UserZone = None,
    ctx: Context[AppContext, Any],
) -> Annotated[CallToolResult, CallOrListAnswer]:
    """Get a call's outcome. With wait_seconds, wait for a call in progress to end."""
    app_context = ctx.request_context.lifespan_context.for_user_in(timezone)
    found = await find_any(app_context, call_id)
    if isinstance(found, CallList):
        return await follow_list(app_context, found, wait_seconds, ctx, placed_now=None)
    if isinstance(found, Call):
        result = await call_words(app_context, found, placed_now=None)
        return result.for_client(*links(result, for_apps=client_supports_apps(ctx)))
    try:
        return await follow_call(app_context, found, wait_seconds, ctx, placed_now=None)
    except KallyAIError as error:  # its text must say that the call was not placed, as errors of make_call do
        return await tool_error(error, app_context, tool="make_call", places_calls=True)


async def follow_call(
    app_context: AppContext,
    record: CallRecord,
    wait_seconds: float | None,
    ctx: Context[AppContext, Any],
    *,
    placed_now: bool | None,
) -> CallToolResult:
    """Wait for the end of `record`, and return the result."""
    seconds = seconds_to_wait(wait_seconds, ctx.request_context, placed_now=placed_now)
    progress.say(lambda: so_far(record, app_context.now()))
    followed = await app_context.calls.wait(record, seconds)
    result = await call_words(
        app_context,
        followed,
        placed_now=placed_now,
        was_active=record.is_active,
        client_is_there=_client_is_there(record, ctx),
    )
    return result.for_client(*links(result, for_apps=client_supports_apps(ctx)))


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


async def follow_list(
    app_context: AppContext,
    found: CallList,
    wait_seconds: float | None,
    ctx: Context[AppContext, Any],
    *,
    placed_now: bool | None,
) -> CallToolResult:
    """Wait for a list and return its result; the outcomes in it count as delivered.

    While it waits, progress messages say which candidate is being called. The arguments are those of `seconds_to_wait`.
    """
    latest = found
    seconds = seconds_to_wait(wait_seconds, ctx.request_context, placed_now=placed_now)
    progress.say(lambda: calling(latest))

    def changed(newer: CallList) -> None:
        nonlocal latest
        latest = newer

    found = await app_context.calls.wait_for_list(found, seconds, changed)
    return (await list_words(app_context, found, placed_now=placed_now)).for_client()
