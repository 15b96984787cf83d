"""The class of the tools that the SDK runs: it validates arguments, turns errors into results, and shortens schemas."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from inspect import getdoc, signature
from typing import Any, get_args

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import func_metadata
from mcp.types import ToolAnnotations
from pydantic import Field

from kallyai_mcp.api.errors import KallyAIError, NotSignedInError
from kallyai_mcp.tools.account import request_sign_in
from kallyai_mcp.tools.arguments import read, schema_of, validate
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.elicitation import Elicitation, InputRequiredError, ask_missing, lacking_details
from kallyai_mcp.tools.progress import with_progress
from kallyai_mcp.tools.text.plain import zone_of
from kallyai_mcp.tools.tool_errors import tool_error


@dataclass(frozen=True)
class ToolSpec:
    """What a tool tells a client about itself (MCP's `ToolAnnotations`), and what it needs.

    Attributes:
        title: The tool's name for people.
        scopes: The OAuth scopes that a token needs to use the tool (the reference's "Scopes").
        read_only: The tool changes nothing.
        places_calls: The tool places phone calls, so its errors must say whether one was placed.
        waits: The tool can wait long, for a call to end or for the user.
        idempotent: Calling the tool again with the same arguments has no further effect.
        open_world: The tool reaches beyond this machine.
    """

    title: str
    scopes: frozenset[str]
    read_only: bool = True
    places_calls: bool = False
    waits: bool = False
    idempotent: bool = True
    open_world: bool = True


class CallTool(Tool):
    """A tool that words its errors itself.

    The SDK's texts begin with "Error executing tool", and have pydantic's terms and links in them.
    """

    spec: ToolSpec = Field(exclude=True)

    @property
    def output_schema(self) -> dict[str, Any]:
        """The schema of the results; made when it is first used. A client over stdio gets it from `FirstAnswers`."""
        return _output_schema(self.fn)

    async def run(self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False) -> Any:
        """Validate `arguments`, run the tool, and return its `CallToolResult`; errors are results, too (`isError`)."""
        del convert_result  # every tool returns a `CallToolResult`, so there is nothing to convert
        request = context.request_context
        work = self._result(arguments, context, request.lifespan_context)
        if (request.meta or {}).get("progress_token") is None:
            return await work
        return await with_progress(work, context, at_once=self.spec.waits)

    async def _result(self, arguments: dict[str, Any], context: Context[Any, Any], app_context: AppContext) -> Any:
        places_calls = self.spec.places_calls
        try:
            validated = await self._validated(arguments, context, app_context)
            try:
                return await self.fn(**validated, ctx=context)
            except NotSignedInError:
                if not await request_sign_in(Elicitation(context, arguments.get("language")), app_context):
                    raise
                return await self.fn(**validated, ctx=context)
        except InputRequiredError as error:  # the client calls the tool again, with the reply
            return error.result
        except KallyAIError as error:
            return await tool_error(error, app_context, tool=self.name, places_calls=places_calls)

    async def _validated(
        self, arguments: dict[str, Any], context: Context[Any, Any], app_context: AppContext
    ) -> dict[str, Any]:
        """The arguments as the tool takes them; raises `InvalidArgumentsError`."""
        given: Mapping[str, Any] = read(arguments, self.parameters)
        lacking: list[str] = []
        if self.spec.places_calls:
            given = await ask_missing(given, Elicitation(context, given.get("language")))
            lacking = lacking_details(given)
        # Not the SDK's `validate_arguments`: it parses JSON in every text, so a business called "null" would be None.
        now = app_context.now().astimezone(zone_of(app_context.timezone))
        return validate(self.fn_metadata.arg_model, self.name, given, now, lacking=lacking).model_dump_one_level()


def call_tool(fn: Callable[..., Any], spec: ToolSpec) -> CallTool:
    """Make `fn` a tool: the agent reads its name and docstring, and its parameters are the input schema."""
    # Without the schemas of results, because to make all of them takes 5 % of a start.
    metadata = func_metadata(fn, skip_names=["ctx"], structured_output=False)
    return CallTool(
        fn=fn,
        name=fn.__name__,
        title=spec.title,
        description=getdoc(fn) or "",  # Python 3.13 dedents docstrings, earlier versions don't
        parameters=schema_of(metadata.arg_model) | {"additionalProperties": False},
        fn_metadata=metadata,
        is_async=True,
        context_kwarg="ctx",
        annotations=ToolAnnotations(
            title=spec.title,
            read_only_hint=spec.read_only,
            destructive_hint=spec.places_calls,
            idempotent_hint=spec.idempotent,
            open_world_hint=spec.open_world,
        ),
        spec=spec,
    )


@cache
def _output_schema(fn: Callable[..., Any]) -> dict[str, Any]:
    """The schema of the model that a tool's return type names beside `CallToolResult`."""
    _, model = get_args(signature(fn).return_annotation)
    return schema_of(model)
