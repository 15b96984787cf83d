"""Whether the user must be asked before a call, and how they are asked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Any, Literal

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Statistics, Submission
from kallyai_mcp.calls.numbers import local_times
from kallyai_mcp.calls.opt_outs import OptOut
from kallyai_mcp.calls.policy import CallPolicy, Consent, RiskFlag
from kallyai_mcp.calls.quota import check_what_is_left, refusal_by_quota
from kallyai_mcp.calls.records import CallRequest
from kallyai_mcp.calls.schedule import AT_ONCE, Schedule, next_attempt
from kallyai_mcp.tools.confirmations import Confirmations, digest
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.elicitation import Elicitation, Reply, form
from kallyai_mcp.tools.facets.earlier_calls import NEVER_CALLED
from kallyai_mcp.tools.facets.speech import Quote
from kallyai_mcp.tools.lookup import read_earlier_calls
from kallyai_mcp.tools.structure.models import CallAnswer, ToolResult
from kallyai_mcp.tools.text import consent as texts
from kallyai_mcp.tools.text.consent_words import Words
from kallyai_mcp.tools.text.earlier_calls import earlier_rows
from kallyai_mcp.tools.text.plain import Reader, at_callee, one_line, zone_of

Flags = Sequence[RiskFlag]

_NO_PART_OF_A_CALL = frozenset({"arrived"})
"""The fields of a request that a user's yes does not cover."""


@dataclass(frozen=True)
class Question:
    """What a user is asked before a call, or before the calls of a list.

    A confirmation is valid for exactly what the digest `about` was made of, and until one of the
    numbers is called, whose `last_calls` are given, or opts out. `preview` describes the calls by
    the risks of each and what is left of the plan; `structure` is that of the result for a client
    that can't show a form. `risks` are reasons to ask that the submissions don't show. At night,
    the user is offered the next ordinary hour of a callee in `timezone`; None where no call can be
    placed later. `opt_outs` are those of the numbers, by number.
    """

    tool: Literal["make_call", "call_around"]
    about: str
    last_calls: tuple[datetime | None, ...]
    submissions: Sequence[Submission]
    preview: Callable[[Sequence[Flags], Statistics | None, Words], str]
    structure: CallAnswer
    schedule: Schedule = AT_ONCE
    risks: tuple[RiskFlag, ...] = ()
    timezone: str | None = None
    opt_outs: Mapping[str, OptOut] = field(default_factory=dict)

    @property
    def terms(self) -> tuple[str, ...]:
        """What a confirmation and a reply are valid for."""
        return (self.about, *map(str, self.last_calls), *self.opt_out_ids)

    @property
    def opt_out_ids(self) -> tuple[str, ...]:
        """What a consent says of the opt-outs that the user is told."""
        return tuple(one.id for one in self.opt_outs.values())

    def has_opted_out(self, submission: Submission) -> bool:
        """Whether the number of a call is not to be called again."""
        return submission.respondent_phone in self.opt_outs


async def if_not_called_before(
    request: CallRequest, *, risks: tuple[RiskFlag, ...], ctx: Context[AppContext, Any]
) -> Consent | None:
    """The consent for a call that is no reason to ask if its number was never called.

    None if there is a reason. It needs no look into the ledger: the transaction that reserves the
    call refuses it if the number was called before.
    """
    app_context = ctx.request_context.lifespan_context
    agreed = Consent(client_name(ctx), "not_needed", last_calls=(None,))
    if _is_kallyais_alone(request.schedule, app_context):
        return replace(agreed, how="never_asks")
    if app_context.settings.asks == "never":
        return None
    was_asked = bool(ctx.request_state)  # and may have said no
    if risks or was_asked or app_context.settings.asks == "always":
        return None
    usage = await app_context.usage()
    due = request.schedule.not_before or app_context.now()
    policy = CallPolicy(app_context.settings)
    flags = policy.risk_flags(request.submission, usage, now=due, last_call=None)
    refusal = refusal_by_quota(usage, app_context.now(), request.schedule.not_before)
    if flags or refusal is not None:
        return None
    return agreed


def _is_kallyais_alone(schedule: Schedule, app_context: AppContext) -> bool:
    """Whether nobody is asked about a call, and KallyAI says at once whether it is placed."""
    return app_context.settings.asks == "never" and schedule.not_before is None


async def check(
    request: CallRequest,
    *,
    risks: tuple[RiskFlag, ...],
    confirmation: str | None,
    reader: Reader,
    ctx: Context[AppContext, Any],
) -> Consent | CallToolResult:
    """Get the consent for a call, or the result that tells the agent to ask the user.

    It reads the ledger. The arguments are those of `ask_user` and of its question, whose `reader`
    is the user.
    """
    app_context = ctx.request_context.lifespan_context
    asked_by = client_name(ctx)
    found = await app_context.calls.precheck(request, asked_by=asked_by)
    if not found.is_new:
        return Consent(asked_by, "not_needed", joins=True)
    account = (await app_context.calls.account_of_request()).account
    submission = request.submission
    number = submission.respondent_phone
    there = local_times(number, request.schedule.not_before or reader.now)
    earlier = NEVER_CALLED
    if found.last_call is not None:
        earlier = await read_earlier_calls(app_context, number)

    def preview(flags: Sequence[Flags], usage: Statistics | None, words: Words) -> str:
        return texts.preview(
            submission,
            flags[0],
            usage,
            request.schedule,
            reader,
            words,
            found.opt_out,
            earlier_rows(earlier, submission, words, reader),
        )

    question = Question(
        tool="make_call",
        about=digest_of_call(account, request),
        last_calls=(found.last_call,),
        submissions=[submission],
        preview=preview,
        structure=CallAnswer(
            local_times=[moment.isoformat(timespec="minutes") for moment in there]
        ),
        schedule=request.schedule,
        risks=risks,
        timezone=request.timezone,
        opt_outs={} if found.opt_out is None else {found.opt_out.number: found.opt_out},
    )
    return await ask_user(question, confirmation=confirmation, ctx=ctx)


@dataclass(frozen=True)
class Risks:
    """The reasons to ask the user, as they are `now`.

    Attributes:
        usage: The account's statistics; None when they are not known.
        of_each: The reasons of each call.
    """

    now: datetime
    usage: Statistics | None
    of_each: Sequence[Flags]

    @property
    def of_any(self) -> Flags:
        """The reasons of all calls, each once, in the order of `RiskFlag`."""
        found = {flag for flags in self.of_each for flag in flags}
        return tuple(flag for flag in RiskFlag if flag in found)


class Decision(Enum):
    """Whether the calls of a question may be placed."""

    NOT_NEEDED = "placed, and nobody is asked"
    CONFIRMED = "placed, because the user has agreed"
    REFUSED = "not placed, because the user has not agreed"
    ASK = "the user has to be asked"


def decide(
    confirm: Literal["auto", "always"], flags: Flags, *, is_confirmed: bool, said_no: bool
) -> Decision:
    """Decide about calls with these risks.

    A no counts also if its reason has passed meanwhile. While there is a reason, the reply is read
    where the user is asked.
    """
    has_reason = bool(flags) or confirm == "always"
    if not has_reason:
        return Decision.REFUSED if said_no else Decision.NOT_NEEDED
    return Decision.CONFIRMED if is_confirmed else Decision.ASK


async def ask_user(
    question: Question, *, confirmation: str | None, ctx: Context[AppContext, Any]
) -> Consent | CallToolResult:
    """Get the consent, or the result that tells the agent to ask the user.

    The user is asked if a call is risky, or always, unless the agent sent a `confirmation` that is
    valid for this question. It raises `KallyAIError` after a no, and `NothingLeftError` if the plan
    is used up until the call is due.
    """
    app_context = ctx.request_context.lifespan_context
    unasked = Consent(client_name(ctx), "never_asks", last_calls=question.last_calls)
    if _is_kallyais_alone(question.schedule, app_context):
        return unasked
    risks = await _risks_of(question, app_context)
    check_what_is_left(risks.usage, risks.now, question.schedule.not_before)
    if app_context.settings.asks == "never":
        return unasked
    elicitation = Elicitation(ctx, question.submissions[0].language)
    confirmation_id = _id_of(confirmation, question, risks.now, app_context)
    decision = decide(
        app_context.settings.asks,
        risks.of_any,
        is_confirmed=confirmation_id is not None,
        said_no=elicitation.lacks_yes("consent", "call_now"),
    )
    agreed = replace(
        unasked,
        risk_flags=tuple(risks.of_any),
        opt_outs=question.opt_out_ids,
        reasons=_reasons_by_number(question, risks),
    )
    match decision:
        case Decision.NOT_NEEDED:
            return replace(agreed, how="not_needed")
        case Decision.CONFIRMED:
            return replace(agreed, how="confirmation", confirmation_id=confirmation_id)
        case Decision.REFUSED:
            raise _not_agreed()

    later = _ordinary_hour(question, risks, app_context)
    calls_nobody = app_context.settings.calls_nobody
    reply = await _shown_form(question, risks, later, elicitation, calls_nobody=calls_nobody)
    if reply is None:
        is_wrong = confirmation is not None
        return _to_be_confirmed(
            question, risks, later, app_context.confirmations, is_wrong=is_wrong
        )
    if reply.says_yes("call_now"):
        lifts = reply.says_yes("lift_opt_out")
        return replace(agreed, how="form", confirmation_id=reply.id, lifts_opt_out=lifts)
    if later is not None and reply.says_yes("call_later"):
        return _put_off(question, risks, later)
    raise _not_agreed()


async def _risks_of(question: Question, app_context: AppContext) -> Risks:
    now = app_context.now()
    due = question.schedule.not_before or now
    usage = await app_context.usage()
    policy = CallPolicy(app_context.settings)

    def flags_of(submission: Submission, last_call: datetime | None) -> Flags:
        found = policy.risk_flags(submission, usage, now=due, last_call=last_call)
        if question.has_opted_out(submission):
            return (RiskFlag.OPTED_OUT, *found, *question.risks)
        return (*found, *question.risks)

    calls = zip(question.submissions, question.last_calls, strict=True)
    return Risks(now, usage, [flags_of(*call) for call in calls])


def _reasons_by_number(question: Question, risks: Risks) -> dict[str, tuple[RiskFlag, ...]]:
    """The reasons that the user is told of each number."""
    each = zip(question.submissions, risks.of_each, strict=True)
    return {submission.respondent_phone: tuple(flags) for submission, flags in each}


def _id_of(
    confirmation: str | None, question: Question, now: datetime, app_context: AppContext
) -> str | None:
    """The id of a confirmation; None if there is none, or it is not valid for this question."""
    if confirmation is None:
        return None
    return app_context.confirmations.verify(confirmation, now, *question.terms)


def _ordinary_hour(question: Question, risks: Risks, app_context: AppContext) -> datetime | None:
    """The next ordinary hour of a callee who would be called at night; None if none is offered."""
    is_for_now = question.schedule.not_before is None
    if not is_for_now or RiskFlag.LOCAL_HOUR not in risks.of_any:
        return None
    if question.timezone is None or not app_context.calls.places_due:
        return None
    number = question.submissions[0].respondent_phone
    due = next_attempt(risks.now, number, question.timezone)
    return due.astimezone(zone_of(question.timezone))


async def _shown_form(
    question: Question,
    risks: Risks,
    later: datetime | None,
    elicitation: Elicitation,
    *,
    calls_nobody: bool,
) -> Reply | None:
    """Show the user the calls; None if the client can't."""
    if not elicitation.shows_forms:
        return None
    preview = question.preview(risks.of_each, risks.usage, elicitation.words)
    fields = _fields(question, later, elicitation.words)
    if calls_nobody:
        fields["call_now"]["description"] = elicitation.words.say("simulated_help")
    about = " ".join((*question.terms, *risks.of_any))
    return await elicitation.ask(
        "consent", form(preview, fields, required=["call_now"]), about=about
    )


def _to_be_confirmed(
    question: Question,
    risks: Risks,
    later: datetime | None,
    confirmations: Confirmations,
    *,
    is_wrong: bool,
) -> CallToolResult:
    """The result for an agent that has to ask; `is_wrong`: its confirmation was not valid."""
    confirmation = confirmations.issue(risks.now, *question.terms)
    text = texts.to_be_confirmed(
        question.preview(risks.of_each, risks.usage, Words()),
        confirmation,
        wrong=is_wrong,
        tool=question.tool,
        later=later,
    )
    structure = _not_placed(question, risks)
    structure.confirmation = confirmation
    structure.reasons = [str(flag) for flag in risks.of_any]
    opt_out = next(iter(question.opt_outs.values()), None)
    if opt_out is not None:
        structure.evidence = Quote(quote=opt_out.quote, at=opt_out.day)
    return ToolResult(text, structure).for_client()


def _put_off(question: Question, risks: Risks, later: datetime) -> CallToolResult:
    text = f"Not called yet: the user wants the call later. Next: {texts.call_at(later)}."
    return ToolResult(text, _not_placed(question, risks)).for_client()


def _not_placed(question: Question, risks: Risks) -> CallAnswer:
    state: dict[str, Any] = {"status": "needs_confirmation", "placed_now": False}
    if risks.usage is not None:
        state["minutes_remaining"] = risks.usage.minutes_remaining
        state["credits_remaining"] = risks.usage.credits_remaining
    return question.structure.model_copy(update=state)


def digest_of_call(account: str, request: CallRequest) -> str:
    """What a user agrees to who agrees to a call."""
    return digest(account, request, apart_from=_NO_PART_OF_A_CALL)


def _not_agreed() -> KallyAIError:
    return KallyAIError("the user was asked and did not agree", code="not_agreed")


def _fields(question: Question, later: datetime | None, words: Words) -> dict[str, dict[str, Any]]:
    """The fields of the form: whether to call now, or when it is due; whether to call `later`
    instead; and whether a number that has opted out may be called again from now on.
    """
    key = "call_now" if question.schedule.not_before is None else "call_then"
    phone = question.submissions[0].respondent_phone
    fields: dict[str, dict[str, Any]] = {"call_now": {"type": "boolean"} | words.field(key)}
    if later is not None:
        hour = words.hour(at_callee(later, phone), phone)
        fields["call_later"] = {"type": "boolean", "default": False} | words.field(
            "call_later", hour=hour
        )
    if question.tool == "make_call" and question.opt_outs:
        lift = {"type": "boolean", "default": False}
        fields["lift_opt_out"] = lift | words.field("lift_opt_out")
    return fields


def client_name(ctx: Context[AppContext, Any]) -> str | None:
    """The client's name and version, as it calls itself."""
    params = ctx.request_context.session.client_params
    if params is None or params.client_info is None:
        return None
    return one_line(f"{params.client_info.name} {params.client_info.version}", 100)
