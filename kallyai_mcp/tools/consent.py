"""Whether the user must be asked before a call, and how they are asked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Statistics, Submission
from kallyai_mcp.calls.numbers import local_time, local_times
from kallyai_mcp.calls.policy import Consent, RiskFlag, risk_flags
from kallyai_mcp.calls.records import CallRequest
from kallyai_mcp.calls.schedule import AT_ONCE, Schedule, next_attempt
from kallyai_mcp.tools.confirmations import digest
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.elicitation import Elicitation, form
from kallyai_mcp.tools.results import CallAnswer, ToolResult
from kallyai_mcp.tools.text import consent as texts
from kallyai_mcp.tools.text.consent import Words
from kallyai_mcp.tools.text.plain import Reader, one_line, zone_of

Flags = Sequence[RiskFlag]

_NO_PART_OF_A_CALL = frozenset({"arrived"})
"""The fields of a request that a user's yes does not cover."""


@dataclass(frozen=True)
class Question:
    """What a user is asked before a call, or before the calls of a list.

    A confirmation is valid for exactly what the digest `about` was made of, and until one of the numbers is called,
    whose `last_calls` are given. `preview` describes the calls by the risks of each and what is left of the plan;
    `structure` is that of the result for a client that can't show a form. `risks` are reasons to ask that the
    submissions don't show. At night, the user is offered the next ordinary hour of a callee in `timezone`; None where
    no call can be placed later.
    """

    about: str
    last_calls: tuple[datetime | None, ...]
    submissions: Sequence[Submission]
    preview: Callable[[Sequence[Flags], Statistics | None, Words], str]
    structure: CallAnswer
    schedule: Schedule = AT_ONCE
    risks: tuple[RiskFlag, ...] = ()
    timezone: str | None = None


async def if_not_called_before(
    request: CallRequest, *, risks: tuple[RiskFlag, ...], ctx: Context[AppContext, Any]
) -> Consent | None:
    """The consent for a call that is no reason to ask if its number was never called; None if there is a reason.

    It needs no look into the ledger: the transaction that reserves the call refuses it if the number was called before.
    """
    app_context, due = ctx.request_context.lifespan_context, request.schedule.not_before
    agreed = Consent(_client_name(ctx), "not_needed", last_calls=(None,))
    if app_context.confirm == "never":
        return replace(agreed, how="never_asks")
    if risks or app_context.confirm == "always" or ctx.request_state:  # the user was asked, and may have said no
        return None
    usage = await app_context.usage()
    flags = risk_flags(request.submission, usage, now=due or app_context.now(), last_call=None)
    return agreed if not flags else None


async def check(
    request: CallRequest,
    *,
    risks: tuple[RiskFlag, ...],
    confirmation: str | None,
    reader: Reader,
    ctx: Context[AppContext, Any],
) -> Consent | CallToolResult:
    """Get the consent for a call, or the result that tells the agent to ask the user. It reads the ledger.

    The arguments are those of `ask_user` and of its question, whose `reader` is the user.
    """
    app_context, submission, schedule = ctx.request_context.lifespan_context, request.submission, request.schedule
    asked_by = _client_name(ctx)
    found = await app_context.calls.precheck(request, asked_by=asked_by)
    if not found.is_new:
        return Consent(asked_by, "not_needed", joins=True)
    account = (await app_context.calls.account_of_request()).account
    there = local_times(submission.respondent_phone, reader.now)
    question = Question(
        digest_of_call(account, request),
        (found.last_call,),
        [submission],
        lambda flags, usage, words: texts.preview(submission, flags[0], usage, schedule, reader, words),
        CallAnswer(local_times=[moment.isoformat(timespec="minutes") for moment in there]),
        schedule,
        risks,
        request.timezone,
    )
    return await ask_user(question, confirmation=confirmation, ctx=ctx)


async def ask_user(
    question: Question, *, confirmation: str | None, ctx: Context[AppContext, Any]
) -> Consent | CallToolResult:
    """Get the consent, or the result that tells the agent to ask the user; raises `KallyAIError` after a no.

    The user is asked if a call is risky, or always, unless the agent sent a `confirmation` that is valid for this
    question.
    """
    app_context, first = ctx.request_context.lifespan_context, question.submissions[0]
    agreed = Consent(_client_name(ctx), "form", last_calls=question.last_calls)
    if app_context.confirm == "never":
        return replace(agreed, how="never_asks")
    now, usage = app_context.now(), await app_context.usage()
    due = question.schedule.not_before
    flags: list[Flags] = [
        (*risk_flags(submission, usage, now=due or now, last_call=last), *question.risks)
        for submission, last in zip(question.submissions, question.last_calls, strict=True)
    ]
    every = tuple(flag for flag in RiskFlag if any(flag in each for each in flags))
    elicitation = Elicitation(ctx, first.language)
    if not every and app_context.confirm == "auto":
        if elicitation.lacks_yes("consent", "call_now"):  # a no counts, also if its reason has passed meanwhile
            raise _not_agreed()
        return replace(agreed, how="not_needed")
    agreed = replace(agreed, risk_flags=every)
    about = (question.about, *map(str, question.last_calls))
    id_ = app_context.confirmations.verify(confirmation, now, *about) if confirmation is not None else None
    if id_ is not None:
        return replace(agreed, how="confirmation", confirmation_id=id_)
    later, zone = None, question.timezone
    if RiskFlag.LOCAL_HOUR in every and due is None and zone is not None and app_context.calls.places_due:
        later = next_attempt(now, first.respondent_phone, zone).astimezone(zone_of(zone))
    structure = question.structure.model_copy(update={"status": "needs_confirmation", "placed_now": False})
    structure.minutes_remaining = usage.minutes_remaining if usage is not None else None
    reply = None
    if elicitation.shows_forms:
        preview = question.preview(flags, usage, elicitation.words)
        asked = form(preview, _fields(question, later, elicitation.words), required=["call_now"])
        reply = await elicitation.ask("consent", asked, about=" ".join((*about, *every)))
    if reply is None:
        structure.confirmation = app_context.confirmations.issue(now, *about)
        structure.reasons = [str(flag) for flag in every]
        text = texts.to_be_confirmed(
            question.preview(flags, usage, Words()),
            structure.confirmation,
            wrong=confirmation is not None,
            tool="make_call" if structure.until is None else "call_around",
            later=later,
        )
        return ToolResult(text, structure).for_client()
    if reply.content.get("call_now") is True:
        return replace(agreed, how="form", confirmation_id=reply.id)
    if later is not None and reply.content.get("call_later") is True:
        text = f"Not called yet: the user wants the call later. Next: {texts.call_at(later)}."
        return ToolResult(text, structure).for_client()
    raise _not_agreed()


def digest_of_call(account: str, request: CallRequest) -> str:
    """What a user agrees to who agrees to a call."""
    return digest(account, request, apart_from=_NO_PART_OF_A_CALL)


def _not_agreed() -> KallyAIError:
    return KallyAIError("the user was asked and did not agree", code="not_agreed")


def _fields(question: Question, later: datetime | None, words: Words) -> dict[str, dict[str, Any]]:
    """The fields of the form: whether to call now, or when it is due; and whether to call `later` instead."""
    key = "call_now" if question.schedule.not_before is None else "call_then"
    phone = question.submissions[0].respondent_phone
    fields: dict[str, dict[str, Any]] = {"call_now": {"type": "boolean"} | words.field(key)}
    if later is not None:
        hour = words.hour(local_time(phone, later) or later, phone)
        fields["call_later"] = {"type": "boolean", "default": False} | words.field("call_later", hour=hour)
    return fields


def _client_name(ctx: Context[AppContext, Any]) -> str | None:
    """The client's name and version, as it calls itself."""
    params = ctx.request_context.session.client_params
    if params is None or params.client_info is None:
        return None
    return one_line(f"{params.client_info.name} {params.client_info.version}", 100)
