"""The tool call_around: calls candidates one after another, until one of them is booked or answers."""

from dataclasses import replace
from inspect import Parameter, Signature, signature
from typing import Annotated, Any, Literal

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.call_lists import CallList
from kallyai_mcp.calls.ledger import follow_up
from kallyai_mcp.calls.other_time import spoken_language
from kallyai_mcp.calls.policy import Consent
from kallyai_mcp.tools.argument_types import PhoneNumber, Text, json_list
from kallyai_mcp.tools.arguments import InvalidArgumentsError, Problem, schema_of_arguments
from kallyai_mcp.tools.call_results import candidates_of
from kallyai_mcp.tools.calls import make_call, wait_and_answer
from kallyai_mcp.tools.confirmations import digest
from kallyai_mcp.tools.consent import Question, ask_user
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.results import CallAnswer
from kallyai_mcp.tools.submissions import callee_zone, submission_of
from kallyai_mcp.tools.tasks import Task
from kallyai_mcp.tools.text.consent import list_preview
from kallyai_mcp.tools.text.plain import Reader

_OF_ONE_CALL = ("respondent_phone", "business_name", "changes_call_id", "session_id", "not_before", "retries", "redial")
SHARED = tuple(name for name in signature(make_call).parameters if name not in (*_OF_ONE_CALL, "ctx"))
"""The arguments that call_around has in common with make_call."""

_ASK_ONLY = {
    "en": "Only ask. Do not book, order, or agree to anything.",
    "es": "Solo pregunta. No reserves, no pidas y no aceptes nada.",
}

_NO_PART_OF_A_LIST = frozenset(
    {"account", "list_id", "asked_at", "consent", "passed", "stop_reason", "ended_at", "records"}
)
"""The fields of a list that a user's yes does not cover: whose it is, and how far it is."""

_NO_LIST = "no list with these other arguments has this call; take the call_id of its last call"


class Candidate(BaseModel):
    """A person or business that call_around may call."""

    model_config = ConfigDict(str_strip_whitespace=True, extra="forbid")

    respondent_phone: Annotated[PhoneNumber, Field(description="E.164: +14155551234")]
    business_name: str | None = None


async def call_around(
    *,
    candidates: Annotated[
        list[Candidate],
        BeforeValidator(json_list),
        Field(min_length=2, max_length=10, description="2 to 10 {respondent_phone, business_name}; for one: make_call"),
        WithJsonSchema({"type": "array", "items": schema_of_arguments(Candidate), "minItems": 2, "maxItems": 10}),
    ],
    until: Annotated[Literal["booked", "answered", "all"], Field(description="What ends the list")],
    if_answered: Annotated[
        Literal["stop", "continue"], Field(description="After an answer without a booking; default: stop")
    ] = "stop",
    continue_after: Annotated[Text | None, Field(description="The call_id after which the list goes on")] = None,
    ctx: Context[AppContext, Any],
    **call_arguments: Any,
) -> Annotated[CallToolResult | Task, CallAnswer]:
    """Call candidates one after another until one is booked, one answered, or all were asked."""
    app_context = ctx.request_context.lifespan_context.for_user_in(call_arguments["timezone"])
    numbers = [candidate.respondent_phone for candidate in candidates]
    if len(set(numbers)) < len(numbers):
        raise InvalidArgumentsError([Problem("candidates", "names a number twice")])
    submissions = [submission_of(call_arguments | candidate.model_dump()) for candidate in candidates]
    zones = (callee_zone(call_arguments["timezone"], number, app_context) for number in numbers)
    wanted_list = CallList(
        await app_context.calls.account_of_request(),
        tuple(map(_ask_only, submissions) if until == "all" else submissions),
        until,
        accept_other_time=call_arguments["accept_other_time"],
        timezones=tuple(zones),
        asked_at=app_context.now(),
        goes_on_if_answered=if_answered == "continue",
    )
    ledger = app_context.calls.context.ledger
    if continue_after is None:
        known = await ledger.read(follow_up.find_same_list, wanted_list)
        goes_on = False
    else:
        known = await ledger.read(follow_up.find_list_of, wanted_list, continue_after)
        if known is None:
            raise InvalidArgumentsError([Problem("continue_after", _NO_LIST)])
        goes_on = known.may_go_on and continue_after in (known.records[-1].call_id, known.records[-1].tracking_id)
    if known is not None and not goes_on:
        return await wait_and_answer(app_context, known, call_arguments["wait_seconds"], ctx, placed_now=False)
    to_place = replace(known or wanted_list, goes_on_if_answered=wanted_list.goes_on_if_answered)
    agreed = await _consent(to_place, call_arguments["confirmation"], app_context.reader(), ctx)
    if isinstance(agreed, CallToolResult):
        return agreed
    placed, is_new = await app_context.calls.place_list(to_place, agreed)
    return await wait_and_answer(app_context, placed, call_arguments["wait_seconds"], ctx, placed_now=is_new)


def _ask_only(submission: Submission) -> Submission:
    """`submission` with the instruction to ask, and not to agree to anything, for a list `until` all were asked."""
    instructions = (*(submission.additional_instructions or ()), _ASK_ONLY[spoken_language(submission)])
    return submission.model_copy(update={"additional_instructions": instructions})


def _with_shared_arguments() -> Signature:
    """The signature of call_around with the arguments that it shares with make_call, as make_call declares them."""
    own, shared = signature(call_around), signature(make_call).parameters
    named = {name: parameter for name, parameter in own.parameters.items() if parameter.kind is Parameter.KEYWORD_ONLY}
    return own.replace(parameters=[*named.values(), *(shared[name] for name in SHARED)])


call_around.__signature__ = _with_shared_arguments()  # type: ignore[attr-defined]  # the SDK makes the schema of it


async def _consent(
    wanted_list: CallList, confirmation: str | None, reader: Reader, ctx: Context[AppContext, Any]
) -> Consent | CallToolResult:
    """Get the consent to start a list or to let one go on, or the result that tells the agent to ask the user."""
    app_context, goes_on = ctx.request_context.lifespan_context, bool(wanted_list.records)
    last_calls = await app_context.calls.context.ledger.read(follow_up.last_calls, wanted_list)
    about = digest(wanted_list.account.account, wanted_list, apart_from=_NO_PART_OF_A_LIST)
    if goes_on:  # from where it stands now, and no second time
        about = f"{about} {wanted_list.list_id} {len(wanted_list.records)}"
    question = Question(
        about,
        last_calls,
        wanted_list.to_come,
        lambda flags, usage, words: list_preview(
            wanted_list.to_come, flags, usage, wanted_list.until, reader, words, goes_on=goes_on
        ),
        CallAnswer(until=wanted_list.until, not_called=candidates_of(wanted_list.to_come) if goes_on else None),
    )
    return await ask_user(question, confirmation=confirmation, ctx=ctx)
