"""Whether a call may be placed without asking its user, and how they are asked."""

from typing import Any

import anyio
from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from pydantic import BaseModel, Field, create_model

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Statistics, Submission
from kallyai_mcp.dialing.checks import shortened
from kallyai_mcp.dialing.guards import Consent, local_times, oddities, place_of
from kallyai_mcp.dialing.records import fingerprint
from kallyai_mcp.tools.asking import Questions
from kallyai_mcp.tools.confirmations import LIFETIME
from kallyai_mcp.tools.desk import Desk
from kallyai_mcp.tools.results import CallAnswer, answer
from kallyai_mcp.tools.words import consent as words

_QUOTA_SECONDS = 3.0
"""How long the quota is waited for: it is one reason among others to ask, and none to keep a call waiting."""


class NotAgreed(KallyAIError):  # noqa: N818 - named as the tree of errors is
    """The user was asked about a call and did not agree to it."""


async def consent_to(
    submission: Submission, *, timezone: str, redial: bool, confirmation: str | None, ctx: Context[Desk, Any]
) -> Consent | CallToolResult:
    """How `submission` comes to be placed, or the answer that has its user asked first.

    Args:
        submission: What is to be said to whom.
        timezone: IANA name of the user's time zone.
        redial: Ring again on purpose.
        confirmation: What the agent was given to hand in once its user has agreed.
        ctx: The call's.

    Raises:
        InputRequired: The client is asked by what it carries.
        NotAgreed: The user said no, or nothing.
        GuardRailHit: It may not be placed at all.
        NotSignedIn: Nobody is.
    """
    desk = ctx.request_context.lifespan_context
    asked_by = _client(ctx)
    if await desk.dialler.asked_before(submission, redial=redial):
        return Consent(asked_by, "not_needed")  # nothing will be dialled
    await desk.dialler.admit(submission, timezone=timezone, consent=Consent(asked_by, "not_needed"))
    if desk.confirm == "never":
        return Consent(asked_by, "never_asks")
    now = desk.now()
    last_rung = await desk.dialler.last_rung(submission.respondent_phone)
    left = await _left(desk)
    odd = oddities(
        submission,
        now=now,
        last_rung=last_rung,
        minutes_remaining=left.minutes_remaining if left else None,
        calls_remaining=left.calls_remaining if left else None,
    )
    if not odd and desk.confirm == "auto":
        return Consent(asked_by, "not_needed")
    # What was rung last is a part of it: once the call is made, the same confirmation fits no more.
    about = (
        await desk.reception.account(),
        fingerprint(submission),
        timezone,
        str(redial),
        last_rung.isoformat() if last_rung else "",
    )
    if confirmation is not None and desk.confirmations.fits(confirmation, now, *about):
        return Consent(asked_by, "confirmation", odd)
    if await desk.dialler.asked_before(submission, redial=redial):
        return Consent(asked_by, "not_needed")  # the same call, asked for twice at once, was placed meanwhile
    spanish = submission.language == "es"
    shown = words.preview(
        submission,
        place=place_of(submission.respondent_phone, "es" if spanish else "en"),
        times=local_times(submission.respondent_phone, now),
        minutes_left=left.minutes_remaining if left else None,
        oddities=odd,
        spanish=spanish,
    )
    questions = Questions(ctx)
    if questions.can_ask:
        reply = await questions.ask("consent", shown, _form(spanish), about=" ".join((*about, *odd)))
        if reply is not None:
            if reply.action == "accept" and reply.content.get("ring") is True:
                return Consent(asked_by, "form", odd)
            raise NotAgreed("the user was asked and did not agree to this call", code="not_agreed")
    token = desk.confirmations.give(now, *about)
    text = words.to_be_confirmed(shown, token, round(LIFETIME.total_seconds() / 60), wrong=confirmation is not None)
    structure = CallAnswer(
        status="needs_confirmation",
        confirmation=token,
        respondent_phone=submission.respondent_phone,
        business_name=submission.business_name,
        dialled_now=False,
    )
    return answer(text, structure)


def _form(spanish: bool) -> type[BaseModel]:
    title, description = words.ring_now(spanish)
    return create_model("Consent", ring=(bool, Field(title=title, description=description)))


def _client(ctx: Context[Desk, Any]) -> str | None:
    """The client's name and version, as it calls itself."""
    params = ctx.request_context.session.client_params
    if params is None or params.client_info is None:
        return None
    return shortened(f"{params.client_info.name} {params.client_info.version}", 100)


async def _left(desk: Desk) -> Statistics | None:
    """The quota; None when KallyAI doesn't say in time, which is no reason not to ring."""
    try:
        with anyio.move_on_after(_QUOTA_SECONDS):
            statistics, _ = await desk.plans.figures(desk.api(), await desk.reception.account(), desk.now())
            return statistics
    except KallyAIError:
        return None
    return None
