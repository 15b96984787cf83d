"""Whether the user must be asked before a call, and how they are asked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Statistics, Submission
from kallyai_mcp.calls.numbers import local_time, local_times
from kallyai_mcp.calls.policy import Consent, RiskFlag, risk_flags
from kallyai_mcp.calls.records import CallRequest, fingerprint
from kallyai_mcp.calls.schedule import AT_ONCE, Schedule, next_attempt
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.elicitation import Elicitation, form
from kallyai_mcp.tools.results import MadeCallAnswer, ToolResult
from kallyai_mcp.tools.text import consent as texts
from kallyai_mcp.tools.text.plain import one_line, zone_of
from kallyai_mcp.tools.text.words import Words

Flags = Sequence[RiskFlag]


@dataclass(frozen=True)
class Question:
    """What a user is asked before a call, or before the calls of a list.

    A confirmation is valid for exactly the facts `about`, and until one of the numbers is called. `agreed` is the
    consent, without how it was given. `preview` describes the calls by the risks of each and what is left of the plan;
    `structure` is that of the result for a client that can't show a form. `risks` are reasons to ask that the
    submissions don't show.
    """

    tool: Literal["make_call", "call_around"]
    about: tuple[str, ...]
    agreed: Consent
    submissions: Sequence[Submission]
    preview: Callable[[Sequence[Flags], Statistics | None, Words], str]
    structure: MadeCallAnswer
    schedule: Schedule = AT_ONCE
    risks: tuple[RiskFlag, ...] = ()

    @property
    def phone(self) -> str:
        """The number of the first call."""
        return self.submissions[0].respondent_phone


async def check(
    request: CallRequest,
    *,
    risks: tuple[RiskFlag, ...],
    confirmation: str | None,
    ctx: Context[AppContext, Any],
) -> Consent | CallToolResult:
    """Get the consent for a call, or the result that tells the agent to ask the user. The ledger is read once.

    The arguments are those of `ask_user` and of its question.
    """
    app_context, submission, schedule = ctx.request_context.lifespan_context, request.submission, request.schedule
    asked_by, number = client_name(ctx), request.submission.respondent_phone
    found = await app_context.calls.precheck(request, asked_by=asked_by)
    if found.duplicate is not None:
        return Consent(asked_by, "not_needed", joins=True)
    account, reader = (await app_context.calls.account_of_request()).account, app_context.reader()
    when = str(request.redial), str(schedule.not_before), str(schedule.attempts)
    question = Question(
        "make_call",
        (account, fingerprint(submission), request.timezone, *when),
        Consent(asked_by, "form", last_calls=(found.last_call,)),
        [submission],
        lambda flags, usage, words: texts.preview(submission, flags[0], usage, schedule, reader, words),
        MadeCallAnswer(
            local_times=[moment.isoformat(timespec="minutes") for moment in local_times(number, reader.now)],
            respondent_phone=number,
            business_name=submission.business_name,
        ),
        schedule,
        risks,
    )
    return await ask_user(question, confirmation=confirmation, timezone=request.timezone, ctx=ctx)


async def ask_user(
    question: Question,
    *,
    confirmation: str | None,
    timezone: str | None = None,
    ctx: Context[AppContext, Any],
) -> Consent | CallToolResult:
    """Get the consent, or the result that tells the agent to ask the user; raises `KallyAIError` after a no.

    The user is asked if a call is risky, or always, unless the agent sent a `confirmation` that is valid for this
    question. At night, the user is offered the next ordinary hour of a callee in `timezone`; None where no call can be
    placed later.
    """
    app_context = ctx.request_context.lifespan_context
    if app_context.confirm == "never":
        return replace(question.agreed, how="never_asks")
    now, usage = app_context.now(), await app_context.usage()
    flags = _risks_of(question, usage, now)
    every = tuple(flag for flag in RiskFlag if any(flag in each for each in flags))
    if not every and app_context.confirm == "auto":
        return replace(question.agreed, how="not_needed")
    agreed = replace(question.agreed, risk_flags=every)
    about = (*question.about, *map(str, question.agreed.last_calls))
    id_ = app_context.confirmations.verify(confirmation, now, *about) if confirmation is not None else None
    if id_ is not None:
        return replace(agreed, how="confirmation", confirmation_id=id_)
    at_night = RiskFlag.LOCAL_HOUR in every and question.schedule.not_before is None
    later = None
    if at_night and timezone is not None and app_context.calls.places_due:
        later = next_attempt(now, question.phone, timezone).astimezone(zone_of(timezone))
    structure = question.structure.model_copy(update={"status": "needs_confirmation", "placed_now": False})
    if usage is not None and question.tool == "make_call":
        structure.minutes_remaining = usage.minutes_remaining
    elicitation = Elicitation(ctx, question.submissions[0].language)
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
            tool=question.tool,
            at_night=at_night,
            later=later,
        )
        return ToolResult(text, structure).for_client()
    if reply.content.get("call_now") is True:
        return replace(agreed, how="form", confirmation_id=reply.id)
    if later is not None and reply.content.get("call_later") is True:
        return ToolResult(texts.wanted_later(later), structure).for_client()
    raise KallyAIError("the user was asked and did not agree", code="not_agreed")


def _risks_of(question: Question, usage: Statistics | None, now: datetime) -> list[Flags]:
    """The reasons to ask, for each call of a question."""
    due = question.schedule.not_before or now
    return [
        (*risk_flags(submission, usage, now=due, last_call=last), *question.risks)
        for submission, last in zip(question.submissions, question.agreed.last_calls, strict=True)
    ]


def _fields(question: Question, later: datetime | None, words: Words) -> dict[str, dict[str, Any]]:
    """The fields of the form: whether to call now, or when it is due; and whether to call `later` instead."""
    key = "call_now" if question.schedule.not_before is None else "call_then"
    fields: dict[str, dict[str, Any]] = {"call_now": {"type": "boolean"} | words.field(key)}
    if later is not None:
        hour = words.hour(local_time(question.phone, later) or later, question.phone)
        fields["call_later"] = {"type": "boolean", "default": False} | words.field("call_later", hour=hour)
    return fields


def client_name(ctx: Context[AppContext, Any]) -> str | None:
    """The client's name and version, as it calls itself."""
    params = ctx.request_context.session.client_params
    if params is None or params.client_info is None:
        return None
    return one_line(f"{params.client_info.name} {params.client_info.version}", 100)
