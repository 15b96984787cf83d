"""The tool call_around: calls candidates one after another, until one of them is booked or answers."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from kallyai_mcp.api.models import TimeOfDay
from kallyai_mcp.calls.call_lists import CallList
from kallyai_mcp.calls.calls import place_with_consent
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
from kallyai_mcp.tools.consent import Question, ask_user, client_name
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.list_results import candidates_of, list_result
from kallyai_mcp.tools.results import ListAnswer
from kallyai_mcp.tools.submissions import submission_of
from kallyai_mcp.tools.tasks import seconds_to_wait
from kallyai_mcp.tools.text.call_lists import calling
from kallyai_mcp.tools.text.consent import list_preview
from kallyai_mcp.tools.usage_cache import usage_of

FEWEST, MOST = 2, 10
"""How many candidates a list has."""

_AS_IN_MAKE_CALL = WithJsonSchema({"type": "string"})


class Candidate(BaseModel):
    """A person or business that call_around may call."""

    model_config = ConfigDict(str_strip_whitespace=True)

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
    given, app_context = locals(), ctx.request_context.lifespan_context
    numbers = [candidate.respondent_phone for candidate in candidates]
    if len(set(numbers)) < len(numbers):
        raise InvalidArgumentsError([Problem("candidates", "twice")])
    submissions = [submission_of(given | candidate.model_dump()) for candidate in candidates]
    asked = CallList.new(
        await app_context.calls.account(),
        submissions,
        until,
        app_context.now(),
        accept_other_time=accept_other_time,
        timezone=timezone or app_context.timezone,
        own_zones=timezone is None,
    )
    known = await app_context.calls.ledger.find_same_list(asked, ever=continue_after is not None)
    if known is None and continue_after is not None:  # a new list would call the earlier candidates again
        raise InvalidArgumentsError([Problem("continue_after", "no_list", continue_after)])
    after = _passed(known, continue_after) if known is not None else None
    placed: tuple[CallList, bool] | CallToolResult
    if known is None:
        placed = await _place(asked, None, after, confirmation, ctx)
    elif known.may_go_on(after):
        placed = await _place(known, known.consent or Consent(None, "not_needed"), after, confirmation, ctx)
    else:
        placed = known, False
    if isinstance(placed, CallToolResult):
        return placed
    found, placed_now = placed
    return await follow_list(found, wait_seconds, ctx, placed_now=placed_now)


def _passed(found: CallList, continue_after: str | None) -> int | None:
    """How many candidates a list skips when it goes on; None if it goes on with the one that was not called yet.

    Raises:
        InvalidArgumentsError: `continue_after` is no call of this list.
    """
    if continue_after is None:
        return len(found.records) if found.was_found_unreached else None
    for position, record in enumerate(found.records, 1):
        if continue_after in (record.call_id, record.tracking_id):
            return position
    raise InvalidArgumentsError([Problem("continue_after", "no_call_of_list", continue_after)])


async def _place(
    asked: CallList, before: Consent | None, after: int | None, confirmation: str | None, ctx: Context[AppContext, Any]
) -> tuple[CallList, bool] | CallToolResult:
    """Start a list, or let it go on, with the user's consent.

    Args:
        asked: The list.
        before: The consent that a list already has, which may be too old; None for a new list.
        after: How many candidates are skipped, as `_passed` returns it.
        confirmation: The confirmation that the agent sent.
        ctx: The request.

    Returns:
        The list, and whether this request places its calls (and not the same request before it). Or, when the client
        can't show a form, the result that tells the agent to ask the user.
    """
    calls = ctx.request_context.lifespan_context.calls
    last_calls: tuple[datetime | None, ...] = ()

    async def ask(outdated: Sequence[Consent]) -> Consent | CallToolResult:
        nonlocal last_calls
        if before is not None and not outdated:
            return before
        last_calls = await calls.ledger.last_calls(asked)
        return await _consent(asked, last_calls, outdated, confirmation, ctx)

    async def place(consent: Consent) -> tuple[CallList, bool]:
        if before is None:
            return await calls.place_list(asked, replace(consent, last_calls=last_calls))
        agreed = None if consent is before else replace(consent, last_calls=last_calls)
        return await calls.continue_list(asked, after=after, agreed=agreed)

    return await place_with_consent(ask, place)


async def follow_list(
    found: CallList, wait_seconds: float | None, ctx: Context[AppContext, Any], *, placed_now: bool | None
) -> CallToolResult:
    """Wait for a list and return its result; the outcomes in it count as delivered.

    While it waits, progress messages say which candidate is being called. The arguments are those of `seconds_to_wait`.
    """
    app_context, latest = ctx.request_context.lifespan_context, found
    seconds = seconds_to_wait(wait_seconds, ctx.request_context, placed_now=placed_now)
    progress.say(lambda: calling(latest))

    def changed(newer: CallList) -> None:
        nonlocal latest
        latest = newer

    found = await app_context.calls.wait_for_list(found, seconds, changed)
    return await list_result(app_context, found, placed_now=placed_now)


async def _consent(
    asked: CallList,
    last_calls: Sequence[datetime | None],
    outdated: Sequence[Consent],
    confirmation: str | None,
    ctx: Context[AppContext, Any],
) -> Consent | CallToolResult:
    app_context, asked_by = ctx.request_context.lifespan_context, client_name(ctx)
    if app_context.confirm == "never":
        return Consent(asked_by, "never_asks")
    read = await usage_of(app_context, asked.account.account)
    usage, reader = read[0] if read is not None else None, app_context.reader()
    flags = [
        risk_flags(submission, usage, now=reader.now, last_call=last)
        for submission, last in zip(asked.to_come, last_calls, strict=True)
    ]
    every = tuple(flag for flag in RiskFlag if any(flag in each for each in flags))
    if not every and app_context.confirm == "auto":
        return Consent(asked_by, "not_needed")
    goes_on = asked.stop_reason is not None
    last = [moment.isoformat() if moment is not None else "" for moment in last_calls]
    begun = (asked.list_id, str(len(asked.records))) if goes_on else ()
    about = (asked.account.account, asked.fingerprint, asked.timezone, *begun, *last)
    left = candidates_of(asked.to_come) if goes_on else []
    show = partial(list_preview, asked.to_come, flags, asked.until, reader, goes_on=goes_on)
    question = Question("call_around", about, show, ListAnswer(not_called=left), language=asked.language)
    return await ask_user(question, Consent(asked_by, "form", every), outdated, confirmation=confirmation, ctx=ctx)
