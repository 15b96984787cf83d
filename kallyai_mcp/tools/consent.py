"""Whether a call may be placed without asking its user, and how they are asked."""

from datetime import datetime
from typing import Any

import anyio
from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from pydantic import BaseModel, Field, create_model

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Statistics, Submission
from kallyai_mcp.calls.numbers import local_times, place_of
from kallyai_mcp.calls.policy import Consent, risk_flags
from kallyai_mcp.tools.confirmations import LIFETIME
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.elicitation import Elicitation
from kallyai_mcp.tools.results import CallAnswer, answer
from kallyai_mcp.tools.text import consent as words
from kallyai_mcp.tools.text.plain import cut, one_line

_QUOTA_SECONDS = 3.0
"""How long the quota is waited for: it is one reason among others to ask, and none to keep a call waiting."""


class ConsentDeclinedError(KallyAIError):
    """The user was asked about a call and did not agree to it."""


async def consent_to(
    submission: Submission, *, timezone: str, redial: bool, confirmation: str | None, ctx: Context[AppContext, Any]
) -> Consent | CallToolResult:
    """How `submission` comes to be placed, or the answer that has its user asked first.

    Args:
        submission: What is to be said to whom.
        timezone: IANA name of the user's time zone.
        redial: Ring again on purpose.
        confirmation: What the agent was given to hand in once its user has agreed.
        ctx: The call's.

    Raises:
        InputRequiredError: The client is asked by what it carries.
        ConsentDeclinedError: The user said no, or nothing.
        PolicyError: It may not be placed at all.
        NotSignedInError: Nobody is.
    """
    app_context = ctx.request_context.lifespan_context
    asked_by = _client(ctx)
    found = await app_context.calls.precheck(submission, timezone=timezone, redial=redial)
    if found.duplicate is not None:
        return Consent(asked_by, "not_needed", last_call=found.last_call)  # nothing will be placed
    if found.refusal is not None:
        raise found.refusal
    if app_context.confirm == "never":
        return Consent(asked_by, "never_asks")
    now = app_context.now()
    left = await _left(app_context, found.account.account)
    odd = risk_flags(
        submission,
        now=now,
        last_call=found.last_call,
        minutes_remaining=left.minutes_remaining if left else None,
        calls_remaining=left.calls_remaining if left else None,
    )
    if not odd and app_context.confirm == "auto":
        return Consent(asked_by, "not_needed", last_call=found.last_call)
    about = (found.account.account, found.fingerprint, timezone, str(redial), _moment(found.last_call))
    if confirmation is not None and app_context.confirmations.fits(confirmation, now, *about):
        return Consent(asked_by, "confirmation", odd, last_call=found.last_call, confirmation_id=confirmation.strip())
    spanish = submission.language == "es"
    shown = words.preview(
        submission,
        place=place_of(submission.respondent_phone, "es" if spanish else "en"),
        times=local_times(submission.respondent_phone, now),
        minutes_left=left.minutes_remaining if left else None,
        risk_flags=odd,
        spanish=spanish,
    )
    questions = Elicitation(ctx)
    if questions.shows_forms:
        reply = await questions.ask("consent", shown, _form(spanish), about=" ".join((*about, *odd)))
        if reply is not None:
            if reply.action == "accept" and reply.content.get("ring") is True:
                return Consent(asked_by, "form", odd, last_call=found.last_call)
            raise ConsentDeclinedError("the user was asked and did not agree to this call", code="not_agreed")
    token = app_context.confirmations.give(now, *about)
    text = words.to_be_confirmed(shown, token, round(LIFETIME.total_seconds() / 60), wrong=confirmation is not None)
    structure = CallAnswer(
        status="needs_confirmation",
        confirmation=token,
        respondent_phone=submission.respondent_phone,
        business_name=submission.business_name,
        placed_now=False,
    )
    return answer(text, structure)


def _moment(last_call: datetime | None) -> str:
    return last_call.isoformat() if last_call is not None else ""


def _form(spanish: bool) -> type[BaseModel]:
    title, description = words.call_now(spanish)
    return create_model("Consent", ring=(bool, Field(title=title, description=description)))


def _client(ctx: Context[AppContext, Any]) -> str | None:
    """The client's name and version, as it calls itself."""
    params = ctx.request_context.session.client_params
    if params is None or params.client_info is None:
        return None
    return cut(one_line(f"{params.client_info.name} {params.client_info.version}"), 100)


async def _left(app_context: AppContext, account: str) -> Statistics | None:
    """The quota; None when KallyAI doesn't say in time, which is no reason to delay the call."""
    try:
        with anyio.move_on_after(_QUOTA_SECONDS):
            statistics, _ = await app_context.usage.get(app_context.api(), account, app_context.now())
            return statistics
    except KallyAIError:
        return None
    return None
