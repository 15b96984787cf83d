"""The tools, from one explicit list, and their class: it validates arguments and turns errors into
results.
"""

import asyncio
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import cache, cached_property
from inspect import getdoc, signature
from typing import Any, get_args

import anyio
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata, func_metadata
from mcp.types import ToolAnnotations
from pydantic import BaseModel, Field, create_model

from kallyai_mcp.api.errors import KallyAIError, NotSignedInError
from kallyai_mcp.settings import WAIT_SECONDS
from kallyai_mcp.tools import account, around, calls
from kallyai_mcp.tools.arguments import Problem, blank_texts, problems, read, validate
from kallyai_mcp.tools.booking_changes import (
    problems_of_change,
    with_known_booking,
    with_number,
)
from kallyai_mcp.tools.call_arguments import CallArguments
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.elicitation import Elicitation, InputRequiredError
from kallyai_mcp.tools.following import FOLLOWED, Followed
from kallyai_mcp.tools.missing_details import ask_missing, lacking_details
from kallyai_mcp.tools.schemas import schema_of, schema_of_arguments
from kallyai_mcp.tools.text.plain import zone_of
from kallyai_mcp.tools.tool_errors import tool_error

CALL_CARD = "ui://kallyai/call.html"
QUOTA_CARD = "ui://kallyai/quota.html"
"""The URIs of the cards that an MCP Apps host shows for results (SEP-1865, "Tool Metadata")."""

PROGRESS_EVERY = 3.0
"""Seconds between two messages about the progress of a tool, for clients that ask for them
(`progressToken`).

The first one comes at once. Each restarts a client's time-out. The shortest one of a known client
is 5 seconds.
"""


class _TakenWhole(ArgModelBase):
    """Arguments that the function of a tool takes as one object."""

    def model_dump_one_level(self) -> dict[str, Any]:
        """The keyword arguments of the function."""
        return {"arguments": self}


class CallTool(Tool):
    """A tool that words its errors itself.

    The SDK's texts begin with "Error executing tool", and have pydantic's terms and links in them.

    `scopes` are the OAuth scopes that a token needs to use the tool (the reference's "Scopes").
    `places_calls`: its errors must say whether a call was placed.
    """

    scopes: frozenset[str] = Field(exclude=True)
    places_calls: bool = Field(exclude=True)

    def waiting(self, seconds: float) -> "CallTool":
        """The same, which waits so long by default if it places calls."""
        if not self.places_calls:
            return self
        parameters = deepcopy(self.parameters)
        parameters["properties"]["wait_seconds"]["default"] = seconds
        return self.model_copy(update={"parameters": parameters})

    @cached_property
    def output_schema(self) -> dict[str, Any]:
        """The schema of the model that the tool's return type names beside `CallToolResult`.

        After the model, the return type names the kinds (`OnlyIn`) of the results of the tool.
        The schema is made when it is first used. A client over stdio gets it from `FirstAnswers`.
        """
        _, model, *kinds = get_args(signature(self.fn).return_annotation)
        return schema_of(model, without=model.fields_apart_from(kinds))

    async def run(
        self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False
    ) -> Any:
        """Validate `arguments`, run the tool, and return its `CallToolResult`; errors are results,
        too (`isError`).
        """
        del convert_result  # every tool returns a `CallToolResult`, so there is nothing to convert
        request = context.request_context
        work = self._result(arguments, context, request.lifespan_context)
        if (request.meta or {}).get("progress_token") is None:
            return await work
        followed = Followed()
        of_request = FOLLOWED.set(followed)
        reports = asyncio.create_task(_report_progress(context, followed))
        try:
            return await work
        finally:
            reports.cancel()
            FOLLOWED.reset(of_request)

    async def _result(
        self, arguments: dict[str, Any], context: Context[Any, Any], app_context: AppContext
    ) -> Any:
        for_user = app_context
        try:
            given = read(arguments, self.parameters)
            validated = await self._validated(arguments, given, context, app_context)
            for_user = app_context.for_user_in(given.get("timezone"))
            try:
                return await self.fn(**validated, ctx=context)
            except NotSignedInError:
                if not await account.request_sign_in(
                    Elicitation(context, arguments.get("language")), app_context
                ):
                    raise
                return await self.fn(**validated, ctx=context)
        except InputRequiredError as error:  # the client calls the tool again, with the reply
            return error.result
        except KallyAIError as error:
            return await tool_error(error, for_user, tool=self.name, places_calls=self.places_calls)

    async def _validated(
        self,
        arguments: dict[str, Any],
        given: Mapping[str, Any],
        context: Context[Any, Any],
        app_context: AppContext,
    ) -> dict[str, Any]:
        """The arguments as the tool takes them; `given` is what `read` makes of them. Raises
        `InvalidArgumentsError`.
        """
        now = app_context.now().astimezone(zone_of(app_context.timezone))
        lacking: list[Problem] = []
        if self.places_calls:

            def problems_of(answered: Mapping[str, Any]) -> list[Problem]:
                found = problems(self.fn_metadata.arg_model, self.name, answered, now)
                return [*found, *problems_of_change(answered)]

            given = await with_number(given, app_context)
            elicitation = Elicitation(context, given.get("language"))
            given = await ask_missing(given, elicitation, problems_of)
            wrong_change = await with_known_booking(problems_of_change(given), given, app_context)
            lacking = [*lacking_details(given), *wrong_change]
        # Not the SDK's `validate_arguments`: it parses JSON in every text, so a business called
        # "null" would be None.
        return validate(
            self.fn_metadata.arg_model,
            self.name,
            given,
            now,
            lacking=lacking,
            blank=blank_texts(arguments),
        ).model_dump_one_level()


async def _report_progress(context: Context[Any, Any], followed: Followed) -> None:
    began = anyio.current_time()
    while True:
        message = await followed.message(context.request_context.lifespan_context)
        await context.report_progress(anyio.current_time() - began, message=message)
        await anyio.sleep(PROGRESS_EVERY)


def tools(*, read_only: bool = False, wait_seconds: float = WAIT_SECONDS) -> list[CallTool]:
    """The tools; with `read_only`, without those that place or cancel calls.

    `wait_seconds` is how long those that place calls wait for them, unless the agent says it.
    """
    found = [tool for tool in _described() if not read_only or _WRITES not in tool.scopes]
    if wait_seconds == WAIT_SECONDS:
        return found
    return [tool.waiting(wait_seconds) for tool in found]


_READS = "calls:read"
_WRITES = "calls:write"
"""The scopes for reading calls, and for placing and canceling them."""


@cache
def _described() -> tuple[CallTool, ...]:
    # Cached: making their schemas takes as long as the rest of a server.
    both = _READS, _WRITES  # make_call also reads whether the same call was placed before
    around_title = "Call several candidates"
    return (
        _tool(
            calls.make_call,
            "Make a phone call",
            *both,
            takes=CallArguments,
            places_calls=True,
            card=CALL_CARD,
        ),
        _tool(
            around.call_around,
            around_title,
            *both,
            takes=around.ArgumentsOfList,
            places_calls=True,
            card=CALL_CARD,
        ),
        _tool(calls.get_call, "Get a call's outcome", _READS, card=CALL_CARD),
        _tool(calls.cancel_call, "Cancel a scheduled call", *both, read_only=False),
        _tool(calls.list_calls, "List calls", _READS),
        _tool(calls.get_transcript, "Get a call's transcript", "transcripts:read", card=CALL_CARD),
        _tool(calls.get_calendar_event, "Get a call's calendar event", _READS),
        _tool(account.check_quota, "Check the quota", "subscription:read", card=QUOTA_CARD),
        _tool(account.sign_in, "Sign in", read_only=False),
    )


def _tool(
    fn: Callable[..., Any],
    title: str,
    *scopes: str,
    takes: type[BaseModel] | None = None,
    read_only: bool = True,
    places_calls: bool = False,
    card: str | None = None,
) -> CallTool:
    """Make `fn` a tool: the agent reads its name and docstring.

    The input schema is that of the model that `fn` takes, or else that of its parameters.
    """
    metadata = _metadata_of(fn) if takes is None else _metadata_with(takes)
    only_reads = read_only and not places_calls
    return CallTool(
        fn=fn,
        name=fn.__name__,
        title=title,
        description=getdoc(fn) or "",  # Python 3.13 dedents docstrings, earlier versions don't
        parameters=schema_of_arguments(metadata.arg_model) | {"additionalProperties": False},
        fn_metadata=metadata,
        is_async=True,
        context_kwarg="ctx",
        annotations=ToolAnnotations(
            title=title,
            read_only_hint=only_reads,
            destructive_hint=places_calls,
            # MCP: it says something only of a tool that does not just read.
            idempotent_hint=None if only_reads else not places_calls,
            open_world_hint=True,
        ),
        scopes=frozenset(scopes),
        places_calls=places_calls,
        meta=None if card is None else {"ui": {"resourceUri": card}},
    )


def _metadata_of(fn: Callable[..., Any]) -> FuncMetadata:
    # Without the schemas of results, because to make all of them takes 5 % of a start.
    return func_metadata(fn, skip_names=["ctx"], structured_output=False)


def _metadata_with(model: type[BaseModel]) -> FuncMetadata:
    return FuncMetadata(arg_model=create_model(model.__name__, __base__=(_TakenWhole, model)))
