"""The tool call_around: candidates are called one after another, until one has what is wanted."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from pydantic import BaseModel, Field, WithJsonSchema

from kallyai_mcp.api.models import Submission, TimeOfDay
from kallyai_mcp.calls.call_lists import CallList, Why
from kallyai_mcp.calls.ledger.base import ConsentOutdatedError
from kallyai_mcp.calls.numbers import zone_of_number
from kallyai_mcp.calls.other_time import with_other_time
from kallyai_mcp.calls.policy import Consent, RiskFlag, risk_flags
from kallyai_mcp.tools import progress
from kallyai_mcp.tools.argument_types import (
    MAX_DESCRIPTION_LENGTH,
    AppointmentDate,
    PartySize,
    PhoneNumber,
    TimeZoneName,
    WaitSeconds,
)
from kallyai_mcp.tools.arguments import InvalidArgumentsError, Problem
from kallyai_mcp.tools.consent import ConsentDeclinedError, client_name, consent_form
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.elicitation import Elicitation
from kallyai_mcp.tools.list_results import list_result
from kallyai_mcp.tools.quota_state import usage_of
from kallyai_mcp.tools.results import ListAnswer, answer
from kallyai_mcp.tools.tasks import accepts_tasks
from kallyai_mcp.tools.text import consent as consent_texts
from kallyai_mcp.tools.text.call_lists import calling, party_of
from kallyai_mcp.tools.user_language import note_language, reads_spanish

_MAX_ATTEMPTS = 3
FEWEST, MOST = 2, 10
"""How many candidates a list has."""

_AS_IN_MAKE_CALL = WithJsonSchema({"type": "string"})


class Candidate(BaseModel):
    """Who may be called."""

    respondent_phone: PhoneNumber
    business_name: str | None = None


async def call_around(
    *,
    candidates: Annotated[
        list[Candidate],
        Field(min_length=FEWEST, max_length=MOST, description="2 to 10 {respondent_phone, business_name}"),
        WithJsonSchema({"type": "array", "items": {"type": "object"}}),
    ],
    until: Annotated[
        Literal["booked", "answered", "all"], Field(description="booked, answered, all"), _AS_IN_MAKE_CALL
    ],
    task_category: Annotated[Literal["restaurant", "clinic", "hotel", "general"], _AS_IN_MAKE_CALL],
    task_description: Annotated[str, Field(max_length=MAX_DESCRIPTION_LENGTH), _AS_IN_MAKE_CALL],
    user_name: Annotated[str | None, _AS_IN_MAKE_CALL] = None,
    user_phone: Annotated[PhoneNumber | None, _AS_IN_MAKE_CALL] = None,
    appointment_date: Annotated[AppointmentDate | None, _AS_IN_MAKE_CALL] = None,
    appointment_time: Annotated[TimeOfDay | None, _AS_IN_MAKE_CALL] = None,
    time_preference_text: Annotated[str | None, _AS_IN_MAKE_CALL] = None,
    party_size: Annotated[PartySize | None, WithJsonSchema({"type": "integer"})] = None,
    language: Annotated[Literal["en", "es"] | None, _AS_IN_MAKE_CALL] = None,
    call_language: Annotated[Literal["en", "es"] | None, _AS_IN_MAKE_CALL] = None,
    is_urgent: bool | None = None,
    additional_instructions: list[str] | None = None,
    accept_other_time: bool = False,
    timezone: Annotated[TimeZoneName | None, _AS_IN_MAKE_CALL] = None,
    wait_seconds: Annotated[WaitSeconds | None, WithJsonSchema({"type": "number"})] = None,
    continue_after: Annotated[str | None, Field(description="A call_id")] = None,
    confirmation: Annotated[str | None, _AS_IN_MAKE_CALL] = None,
    ctx: Context[AppContext, Any],
) -> Annotated[CallToolResult, ListAnswer]:
    """Call candidates one after another until one is booked, one answered, or all were asked.

    Other arguments: as in make_call.
    """
    app_context = ctx.request_context.lifespan_context
    numbers = [candidate.respondent_phone for candidate in candidates]
    if len(set(numbers)) < len(numbers):
        raise InvalidArgumentsError([Problem("candidates", "twice")])
    submissions = [
        with_other_time(
            Submission(
                task_category=task_category,
                task_description=task_description,
                respondent_phone=candidate.respondent_phone,
                business_name=candidate.business_name,
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
            ),
            accept=accept_other_time,
        )
        for candidate in candidates
    ]
    asked = app_context.calls.asked_list(
        await app_context.calls.account(),
        submissions,
        until,
        accept_other_time=accept_other_time,
        timezone=timezone or zone_of_number(numbers[0]) or app_context.timezone,
    )
    known = await app_context.calls.find_same_list(asked)
    if known is None and continue_after is not None:  # else the candidates before it would be called again
        raise InvalidArgumentsError([Problem("continue_after", "other", continue_after)])
    if known is None:
        started = await _start(asked, confirmation, ctx)
        if isinstance(started, CallToolResult):
            return started
        found, is_new = started
    else:
        found, is_new = await _go_on(known, continue_after, app_context), False
    note_language(app_context, found.account.account, language)
    return await follow_list(found, wait_seconds, ctx, is_new=is_new)


async def _go_on(found: CallList, continue_after: str | None, app_context: AppContext) -> CallList:
    if continue_after is None:
        is_stopped = found.why in (Why.NEEDS_SIGN_IN, Why.REFUSED)
        return await app_context.calls.go_on(found, after=None) if is_stopped else found
    for position, record in enumerate(found.records, 1):
        if continue_after in (record.call_id, record.tracking_id):
            return await app_context.calls.go_on(found, after=position)
    raise InvalidArgumentsError([Problem("continue_after", "other", continue_after)])


async def follow_list(
    found: CallList, wait_seconds: float | None, ctx: Context[AppContext, Any], *, is_new: bool | None
) -> CallToolResult:
    """Wait for a list, say in progress who is being called, and return its result; its outcomes count as delivered."""
    app_context, latest = ctx.request_context.lifespan_context, found
    seconds = app_context.wait_seconds if wait_seconds is None else wait_seconds
    if is_new is not None and accepts_tasks(ctx.request_context):
        seconds = 0  # the client polls the task
    spanish = await reads_spanish(app_context, found.language)
    progress.say(lambda: calling(latest, spanish=spanish))

    def changed(newer: CallList) -> None:
        nonlocal latest
        latest = newer

    found = await app_context.calls.wait_list(found, seconds, changed)
    return await list_result(app_context, found, is_new=is_new)


async def _start(
    asked: CallList, confirmation: str | None, ctx: Context[AppContext, Any]
) -> tuple[CallList, bool] | CallToolResult:
    """Start a list with its user's consent, or return the result that tells the agent to ask the user."""
    app_context = ctx.request_context.lifespan_context
    used: list[str] = []
    while True:
        last_calls = await app_context.calls.last_calls(asked)
        consent = await _consent(asked, last_calls, confirmation, used, ctx)
        if isinstance(consent, CallToolResult):
            return consent
        try:
            return await app_context.calls.place_list(asked, consent=consent, last_calls=last_calls)
        except ConsentOutdatedError:
            used.append(consent.confirmation_id or "")
            if len(used) == _MAX_ATTEMPTS:
                raise


async def _consent(
    asked: CallList,
    last_calls: Sequence[datetime | None],
    confirmation: str | None,
    used: Sequence[str],
    ctx: Context[AppContext, Any],
) -> Consent | CallToolResult:
    app_context, asked_by = ctx.request_context.lifespan_context, client_name(ctx)
    if app_context.confirm == "never":
        return Consent(asked_by, "never_asks")
    read = await usage_of(app_context, asked.account.account)
    usage, now = read[0] if read is not None else None, app_context.now()
    flags = [
        risk_flags(
            submission,
            now=now,
            last_call=last,
            minutes_remaining=usage.minutes_remaining if usage else None,
            calls_remaining=usage.calls_remaining if usage else None,
        )
        for submission, last in zip(asked.submissions, last_calls, strict=True)
    ]
    every = tuple(flag for flag in RiskFlag if any(flag in each for each in flags))
    if not every and app_context.confirm == "auto":
        return Consent(asked_by, "not_needed")
    last = [moment.isoformat() if moment is not None else "" for moment in last_calls]
    about = (asked.account.account, asked.fingerprint, asked.timezone, *last)
    if confirmation is not None:
        id_ = app_context.confirmations.verify(confirmation, now, *about)
        if id_ is not None and id_ not in used:
            return Consent(asked_by, "confirmation", every, confirmation_id=id_)
    spanish = await reads_spanish(app_context, asked.language)
    parties = [str(party_of(submission)) for submission in asked.submissions]
    preview = consent_texts.list_preview(asked.submissions[0], parties, flags, asked.until, now=now, spanish=spanish)
    elicitation = Elicitation(ctx)
    if elicitation.shows_forms:
        reply = await elicitation.ask("consent", preview, consent_form(spanish), about=" ".join((*about, *used)))
        if reply is not None:
            if reply.action == "accept" and reply.content.get("call_now") is True:
                return Consent(asked_by, "form", every, confirmation_id=reply.id)
            raise ConsentDeclinedError("the user was asked and did not agree to these calls", code="not_agreed")
    issued = app_context.confirmations.issue(now, *about)
    structure = ListAnswer(
        status="needs_confirmation", confirmation=issued, reasons=[str(flag) for flag in every], placed_now=False
    )
    text = consent_texts.to_be_confirmed(
        preview, issued, 10, wrong=confirmation is not None, spanish=spanish, tool="call_around"
    )
    return answer(text, structure)
