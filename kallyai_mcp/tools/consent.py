"""Whether the user must be asked before a call, and how they are asked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Literal

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from pydantic import Field, create_model

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Statistics, Submission
from kallyai_mcp.calls.ledger.reservation import Precheck
from kallyai_mcp.calls.numbers import local_time, local_times
from kallyai_mcp.calls.policy import Consent, RiskFlag, risk_flags
from kallyai_mcp.calls.records import CallRequest, fingerprint
from kallyai_mcp.calls.schedule import NOW, Schedule, next_attempt
from kallyai_mcp.tools.confirmations import LIFETIME
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.elicitation import Elicitation
from kallyai_mcp.tools.results import CallAnswer, ListAnswer, ToolResult
from kallyai_mcp.tools.text import consent as texts
from kallyai_mcp.tools.text.plain import cut, one_line, zone_of
from kallyai_mcp.tools.text.words import Words


async def check(
    request: CallRequest,
    outdated: Sequence[Consent],
    *,
    risks: tuple[RiskFlag, ...] = (),
    confirmation: str | None,
    ctx: Context[AppContext, Any],
) -> Consent | CallToolResult:
    """Get the consent for a call, or the result that tells the agent to ask the user. The ledger is read once.

    `outdated` are the consents that the ledger has refused, because something changed after the user gave them. Their
    confirmations are not accepted again. `risks` are reasons to ask that the submission does not show.
    """
    app_context = ctx.request_context.lifespan_context
    asked_by, submission, schedule = client_name(ctx), request.submission, request.schedule
    found = await app_context.calls.precheck(request, asked_by=asked_by)
    if found.duplicate is not None:
        return Consent(asked_by, "not_needed", joins=True)
    if app_context.confirm == "never":
        return Consent(asked_by, "never_asks")
    now = app_context.now()
    flags, usage = await risks_of(submission, app_context, found, schedule)
    flags += risks
    if not flags and app_context.confirm == "auto":
        return Consent(asked_by, "not_needed", last_call=found.last_call)
    last_call = found.last_call.isoformat() if found.last_call is not None else ""
    due = schedule.not_before.isoformat() if schedule.not_before is not None else ""
    zone, redial = request.timezone, str(request.redial)
    account = (await app_context.calls.account()).account
    about = (account, fingerprint(submission), zone, redial, last_call, due, str(schedule.attempts))
    structure = CallAnswer(
        local_times=[moment.isoformat(timespec="minutes") for moment in local_times(submission.respondent_phone, now)],
        minutes_remaining=usage.minutes_remaining if usage else None,
        respondent_phone=submission.respondent_phone,
        business_name=submission.business_name,
    )
    show = partial(texts.preview, submission, flags, usage, schedule, app_context.reader())
    later = None
    if RiskFlag.LOCAL_HOUR in flags and schedule.not_before is None and app_context.calls.places_due:
        later = next_attempt(now, submission.respondent_phone, zone).astimezone(zone_of(zone))
    question = Question("make_call", about, show, structure, submission, schedule, later)
    agreed = Consent(asked_by, "form", flags, last_call=found.last_call)
    return await ask_user(question, agreed, outdated, confirmation=confirmation, ctx=ctx)


@dataclass(frozen=True)
class Question:
    """What a user is asked before a call, or before the calls of a list.

    A confirmation is valid for exactly the facts `about`. `preview` describes the calls; `structure` is that of the
    result for a client that can't show a form. `later` is the next ordinary hour, if it is night at the callee.
    """

    tool: Literal["make_call", "call_around"]
    about: tuple[str, ...]
    preview: Callable[[Words], str]
    structure: CallAnswer | ListAnswer
    submission: Submission
    schedule: Schedule = NOW
    later: datetime | None = None


async def ask_user(
    question: Question,
    agreed: Consent,
    outdated: Sequence[Consent],
    *,
    confirmation: str | None,
    ctx: Context[AppContext, Any],
) -> Consent | CallToolResult:
    """Ask the user, unless the agent sent a confirmation that is valid for this question.

    `agreed` is the consent to return if the user agrees. The other arguments, the result, and the errors are those of
    `check`.
    """
    app_context, about = ctx.request_context.lifespan_context, question.about
    now, used = app_context.now(), [one.confirmation_id for one in outdated if one.confirmation_id is not None]
    if confirmation is not None:
        id_ = app_context.confirmations.verify(confirmation, now, *about)
        if id_ is not None and id_ not in used:
            return replace(agreed, how="confirmation", confirmation_id=id_)
    elicitation = Elicitation(ctx, question.submission.language)
    if elicitation.shows_forms:
        words, key = elicitation.words, "call_then" if question.schedule.not_before is not None else "call_now"
        agree = Field(title=words.say(key), description=words.say(f"{key}_help"))
        fields: dict[str, Any] = {"call_now": (bool, agree)}
        if question.later is not None:
            phone = question.submission.respondent_phone
            there = local_time(phone, question.later) or question.later
            title = words.say("call_later", hour=words.hour(there.hour, there.minute, phone))
            fields["call_later"] = (bool, Field(default=False, title=title, description=words.say("call_later_help")))
        form = create_model("Consent", **fields)
        asked = " ".join((*about, *agreed.risk_flags, *used))
        reply = await elicitation.ask("consent", question.preview(words), form, about=asked)
        if reply is not None:
            if reply.action == "accept" and reply.content.get("call_now") is True:
                return replace(agreed, how="form", confirmation_id=reply.id)
            if question.later is not None and reply.action == "accept" and reply.content.get("call_later") is True:
                structure = question.structure.model_copy(update={"status": "needs_confirmation", "placed_now": False})
                return ToolResult(texts.wanted_later(question.later), structure).for_client()
            raise KallyAIError("the user was asked and did not agree", code="not_agreed")
    token = app_context.confirmations.issue(now, *about)
    structure = question.structure.model_copy(
        update={
            "status": "needs_confirmation",
            "confirmation": token,
            "reasons": [str(flag) for flag in agreed.risk_flags],
            "placed_now": False,
        }
    )
    minutes, is_wrong = round(LIFETIME.total_seconds() / 60), confirmation is not None
    shown = question.preview(Words())
    at_night = RiskFlag.LOCAL_HOUR in agreed.risk_flags and question.schedule.not_before is None
    text = texts.to_be_confirmed(
        shown, token, minutes, wrong=is_wrong, tool=question.tool, at_night=at_night, later=question.later
    )
    return ToolResult(text, structure).for_client()


async def risks_of(
    submission: Submission, app_context: AppContext, found: Precheck, schedule: Schedule
) -> tuple[tuple[RiskFlag, ...], Statistics | None]:
    """The reasons to ask the user before a call, and the account's statistics; None when KallyAI gave none in time."""
    usage, due = await app_context.usage(), schedule.not_before or app_context.now()
    return risk_flags(submission, usage, now=due, last_call=found.last_call), usage


def client_name(ctx: Context[AppContext, Any]) -> str | None:
    """The client's name and version, as it calls itself."""
    params = ctx.request_context.session.client_params
    if params is None or params.client_info is None:
        return None
    return cut(one_line(f"{params.client_info.name} {params.client_info.version}"), 100)
