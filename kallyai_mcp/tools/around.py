"""The tool call_around: calls candidates one after another, until one of them is booked or
answers; or all of them, several at a time.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any, Literal

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, create_model

from kallyai_mcp.api.models import Statistics, Submission
from kallyai_mcp.calls.call_lists import CallList
from kallyai_mcp.calls.errors import ConsentOutdatedError
from kallyai_mcp.calls.instructions import with_instruction
from kallyai_mcp.calls.other_time import spoken_language
from kallyai_mcp.calls.policy import Consent
from kallyai_mcp.calls.quota import refusal_by_quota
from kallyai_mcp.clock import Stopwatch
from kallyai_mcp.tools.argument_types import Text, json_list
from kallyai_mcp.tools.arguments import InvalidArgumentsError, Problem
from kallyai_mcp.tools.call_arguments import CallArguments, InList, marked
from kallyai_mcp.tools.calls import wait_and_answer
from kallyai_mcp.tools.confirmations import digest
from kallyai_mcp.tools.consent import Flags, Question, ask_user, client_name
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.lookup import read_earlier_calls
from kallyai_mcp.tools.schemas import schema_of_arguments
from kallyai_mcp.tools.structure.calls import candidates_of
from kallyai_mcp.tools.structure.models import CallAnswer, OnlyIn
from kallyai_mcp.tools.submissions import callee_zone, disclosing, submission_of
from kallyai_mcp.tools.tasks import Task
from kallyai_mcp.tools.text.consent import list_preview
from kallyai_mcp.tools.text.consent_words import Words
from kallyai_mcp.tools.text.earlier_calls import earlier_rows
from kallyai_mcp.tools.text.plain import Reader

_ASK_ONLY = {
    "en": "Only ask. Do not book, order, or agree to anything.",
    "es": "Solo pregunta. No reserves, no pidas y no aceptes nada.",
}

_NO_PART_OF_A_LIST = frozenset(
    {
        *("account", "list_id", "asked_at", "consent"),
        *("passed", "stop_reason", "ended_at", "records", "unreadable"),
    }
)
"""The fields of a list that a user's yes does not cover: whose it is, and how far it is."""

MOST = 10
"""The most candidates of a list."""

MOST_OF_ALL = 25
"""The most candidates of a list that asks all of them."""

_TOO_MANY = f'at most {MOST}, or {MOST_OF_ALL} with until "all"'

_NO_LIST = "no list with these other arguments has this call; take the call_id of its last call"


Candidate = create_model(
    "Candidate",
    __config__=ConfigDict(str_strip_whitespace=True, extra="forbid"),
    __doc__="A person or business that call_around may call.",
    **marked(InList.ONE_CALL),
)


def _schema_of_candidate() -> dict[str, Any]:
    """The schema of a candidate; the description of the list has the names, so few words are
    left.
    """
    schema = schema_of_arguments(Candidate)
    for name in schema["properties"].keys() - schema["required"]:
        del schema["properties"][name]["description"]
    return schema


class ListArguments(BaseModel, defer_build=True):
    """The arguments that call_around alone has. `ArgumentsOfList` has those of all calls, too."""

    candidates: Annotated[
        list[Candidate],
        BeforeValidator(json_list),
        Field(
            min_length=2,
            max_length=MOST_OF_ALL,
            description="2 to 10 (all: 25) {respondent_phone, business_name}; for one: make_call",
        ),
        WithJsonSchema(
            {
                "type": "array",
                "items": _schema_of_candidate(),
                "minItems": 2,
                "maxItems": MOST_OF_ALL,
            }
        ),
    ]
    until: Literal["booked", "answered", "all"] = Field(description="What ends the list")
    if_answered: Literal["stop", "continue"] = Field(
        "stop", description="After an answer without a booking: the user decides, or go on"
    )
    continue_after: Text | None = Field(
        None,
        description="To let a stopped list go on: its last call_id, all else unchanged",
    )

    def calls(self) -> list[CallArguments]:
        """The arguments of the call to each candidate, in their order."""
        shared = {name: getattr(self, name) for name in marked(InList.ALL_CALLS)}
        return [
            CallArguments.model_construct(**shared, **dict(candidate))
            for candidate in self.candidates
        ]


ArgumentsOfList = create_model(
    "ArgumentsOfList", __base__=ListArguments, **marked(InList.ALL_CALLS)
)
"""What call_around takes: its own arguments, and those of all calls."""


async def call_around(
    arguments: ListArguments, *, ctx: Context[AppContext, Any]
) -> Annotated[CallToolResult | Task, CallAnswer, OnlyIn.LISTS, OnlyIn.REQUESTS]:
    """Call candidates in turn until one is booked, one answered, or all were asked."""
    calls = arguments.calls()
    shared = calls[0]  # for what all calls have in common
    app_context = ctx.request_context.lifespan_context.for_user_in(shared.timezone)
    arrived = Stopwatch(app_context.calls.clock)
    wanted = await _wanted_list(arguments, calls, app_context)
    known = await _known_list(wanted, arguments.continue_after, app_context)
    if known is not None and not _is_to_go_on(known, arguments.continue_after):
        return await wait_and_answer(app_context, known, shared.wait_seconds, ctx, placed_now=False)
    to_place = replace(known or wanted, goes_on_if_answered=wanted.goes_on_if_answered)
    continued = await _placed_unasked(to_place, shared.confirmation, arrived, ctx)
    if continued is not None:
        placed, is_new = continued
        return await wait_and_answer(
            app_context, placed, shared.wait_seconds, ctx, placed_now=is_new
        )
    agreed = await _consent(to_place, shared.confirmation, app_context.reader(), ctx)
    if isinstance(agreed, CallToolResult):
        return agreed
    placed, is_new = await app_context.calls.place_list(to_place, agreed, arrived)
    return await wait_and_answer(app_context, placed, shared.wait_seconds, ctx, placed_now=is_new)


async def _wanted_list(
    arguments: ListArguments, calls: Sequence[CallArguments], app_context: AppContext
) -> CallList:
    """The list that the arguments ask for; `calls` are those of its calls."""
    numbers = [call.respondent_phone for call in calls]
    if len(set(numbers)) < len(numbers):
        raise InvalidArgumentsError([Problem("candidates", "names a number twice")])
    if len(numbers) > MOST and arguments.until != "all":
        raise InvalidArgumentsError([Problem("candidates", _TOO_MANY)])
    return CallList(
        await app_context.calls.account_of_request(),
        tuple(_candidate(call, arguments, app_context) for call in calls),
        arguments.until,
        accept_other_time=calls[0].accept_other_time,
        timezones=tuple(
            callee_zone(call.timezone, call.respondent_phone, app_context) for call in calls
        ),
        asked_at=app_context.now(),
        goes_on_if_answered=arguments.if_answered == "continue",
    )


async def _known_list(
    wanted: CallList, continue_after: str | None, app_context: AppContext
) -> CallList | None:
    """The list in the ledger that the request is about; None if it is a new one."""
    if continue_after is None:
        return await app_context.calls.same_list(wanted)
    known = await app_context.calls.list_of(wanted, continue_after)
    if known is None:
        raise InvalidArgumentsError([Problem("continue_after", _NO_LIST)])
    return known


def _is_to_go_on(known: CallList, continue_after: str | None) -> bool:
    """Whether a list waits for its user after the call with this id, which is the last one."""
    if continue_after is None or not known.may_go_on:
        return False
    last = known.records[-1]
    return continue_after in (last.call_id, last.tracking_id)


def _candidate(
    call: CallArguments, arguments: ListArguments, app_context: AppContext
) -> Submission:
    """What KallyAI is told for a call of the list; `until` all were asked, also to agree to
    nothing.
    """
    asked = submission_of(call)
    if arguments.until == "all":
        asked = with_instruction(asked, _ASK_ONLY[spoken_language(asked)])
    return disclosing(asked, app_context)


async def _placed_unasked(
    known: CallList, confirmation: str | None, arrived: Stopwatch, ctx: Context[AppContext, Any]
) -> tuple[CallList, bool] | None:
    """Let a list go on with the consent that it has; None if the user may have to be asked. The
    result is that of `Calls.place_list`.
    """
    app_context = ctx.request_context.lifespan_context
    was_asked = confirmation is not None or bool(ctx.request_state)  # and may have said no
    if was_asked or not known.records or not known.consent.is_yes:
        return None
    usage = await app_context.usage()
    if refusal_by_quota(usage, app_context.now(), None) is not None:
        return None
    consent = Consent(client_name(ctx), "first_consent")
    with suppress(ConsentOutdatedError):
        return await app_context.calls.place_list(known, consent, arrived, usage)
    return None


async def _consent(
    wanted_list: CallList, confirmation: str | None, reader: Reader, ctx: Context[AppContext, Any]
) -> Consent | CallToolResult:
    """Get the consent to start a list or to let one go on, or the result that tells the agent to
    ask the user.

    Raises:
        PolicyError: Settings refuse all its next calls, so that nobody has to be asked.
    """
    goes_on = bool(wanted_list.records)
    app_context = ctx.request_context.lifespan_context
    if app_context.settings.asks != "never":  # else the list says which call was refused
        await app_context.calls.check_list(wanted_list, asked_by=client_name(ctx))
    last_calls = await app_context.calls.last_calls(wanted_list)
    about = digest(wanted_list.account.account, wanted_list, apart_from=_NO_PART_OF_A_LIST)
    to_come = wanted_list.to_come
    numbers = {one.respondent_phone for one in to_come}
    known = await app_context.calls.opt_outs()
    opt_outs = {one.number: one for one in known if one.number in numbers}
    earlier = {
        one.respondent_phone: await read_earlier_calls(app_context, one.respondent_phone)
        for one, last_call in zip(to_come, last_calls, strict=True)
        if last_call is not None
    }
    structure = CallAnswer(until=wanted_list.until)
    if goes_on:  # from where it stands now, and no second time
        about = f"{about} {wanted_list.list_id} {len(wanted_list.records)}"
        structure.not_called = candidates_of(to_come)

    def preview(flags: Sequence[Flags], usage: Statistics | None, words: Words) -> str:
        return list_preview(
            to_come,
            flags,
            usage,
            wanted_list.until,
            reader,
            words,
            goes_on=goes_on,
            opt_outs=opt_outs,
            earlier={
                one.respondent_phone: earlier_rows(
                    earlier[one.respondent_phone], one, words, reader
                )
                for one in to_come
                if one.respondent_phone in earlier
            },
        )

    question = Question(
        tool="call_around",
        about=about,
        last_calls=last_calls,
        submissions=to_come,
        preview=preview,
        structure=structure,
        opt_outs=opt_outs,
    )
    return await ask_user(question, confirmation=confirmation, ctx=ctx)
