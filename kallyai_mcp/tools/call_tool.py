"""The one place where a tool's arguments are checked and its errors become words (`isError`)."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from inspect import getdoc
from typing import Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp.types import ToolAnnotations
from pydantic import Field, ValidationError
from typing_extensions import override

from kallyai_mcp.api.errors import KallyAIError, NotSignedInError
from kallyai_mcp.calls.argument_checks import Problem, check_arguments
from kallyai_mcp.logs import note_failure
from kallyai_mcp.tools.arguments import (
    problems_in_texts,
    problems_of,
    read_json_texts,
    unknown_arguments,
    without_blanks,
    wrong_arguments,
)
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.elicitation import Elicitation, InputRequiredError
from kallyai_mcp.tools.sign_in_request import signs_in
from kallyai_mcp.tools.text.account import sign_in_link
from kallyai_mcp.tools.text.errors import error_words

Completion = Callable[[Mapping[str, Any], Elicitation], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True)
class ToolSpec:
    """What a tool tells a client about itself (MCP's `ToolAnnotations`), and what it needs.

    Attributes:
        title: The tool's name for people.
        scopes: The OAuth scopes that a token needs to use the tool (the reference's "Scopes").
        needs_no_scope: Any valid token will do. It must be said, so that a scope that was forgotten opens nothing.
        read_only: The tool changes nothing.
        places_calls: The tool places phone calls, so its errors must say whether one was placed.
        idempotent: Calling the tool again with the same arguments has no further effect.
        open_world: The tool reaches beyond this machine.

    Raises:
        ValueError: The tool has no scope and does not say that it needs none, or has some and says so.
    """

    title: str
    scopes: frozenset[str] = frozenset()
    needs_no_scope: bool = False
    read_only: bool = True
    places_calls: bool = False
    idempotent: bool = True
    open_world: bool = True

    def __post_init__(self) -> None:
        if bool(self.scopes) == self.needs_no_scope:
            raise ValueError(f"{self.title!r} must have scopes or needs_no_scope, and not both")


class CallTool(Tool):
    """A tool whose wrong arguments and errors are worded here, not by the SDK.

    The SDK's own words carry pydantic's jargon and links, and begin with "Error executing tool".
    """

    spec: ToolSpec = Field(exclude=True)
    completed: Completion | None = Field(None, exclude=True)

    @override
    async def run(self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False) -> Any:
        """Check `arguments`, run the tool, and put errors into words.

        Raises:
            ToolError: Arguments are wrong, or the tool raised a `KallyAIError`; the text is for the agent.
        """
        try:
            result = await self._answered(arguments, context)
        except InputRequiredError as question:  # the same call comes again with the reply
            result = question.result
        return self.fn_metadata.convert_result(result) if convert_result else result

    async def _answered(self, arguments: dict[str, Any], context: Context[Any, Any]) -> Any:
        app_context: AppContext = context.request_context.lifespan_context
        questions = Elicitation(context)
        given: Mapping[str, Any] = without_blanks(read_json_texts(arguments, self.parameters["properties"]))
        try:
            if self.completed is not None:
                given = await self.completed(given, questions)
        except KallyAIError as error:
            raise ToolError(
                await error_text(error, app_context, tool=self.name, dials=self.spec.places_calls)
            ) from error
        checked, problems = self._checked(given, app_context)
        if problems:
            note_failure("invalid_arguments")
            raise ToolError(wrong_arguments(problems, dials=self.spec.places_calls))
        try:
            try:
                return await self.fn(**checked, ctx=context)
            except NotSignedInError:
                if not await signs_in(questions, app_context):
                    raise
                return await self.fn(**checked, ctx=context)
        except KallyAIError as error:
            raise ToolError(
                await error_text(error, app_context, tool=self.name, dials=self.spec.places_calls)
            ) from error

    def _checked(self, given: Mapping[str, Any], app_context: AppContext) -> tuple[dict[str, Any], list[Problem]]:
        """The arguments as the tool takes them, and what is wrong with them."""
        known = self.fn_metadata.arg_model.model_fields
        problems = unknown_arguments(self.name, given, known)
        checked: dict[str, Any] = {}
        try:
            # Not `validate_arguments`: it reads JSON in any text, and would take a business called "null" for none.
            checked = self.fn_metadata.arg_model.model_validate(dict(given)).model_dump_one_level()
        except ValidationError as error:
            problems += problems_of(error)
        problems += problems_in_texts(given, known)
        wrong = {problem.argument for problem in problems}
        problems += check_arguments({k: v for k, v in given.items() if k not in wrong}, now=app_context.now())
        return checked, problems


async def error_text(error: KallyAIError, app_context: AppContext, *, tool: str, dials: bool) -> str:
    """The text of a tool error; for one who is not signed in, with a link that signs in.

    Args:
        error: What went wrong.
        app_context: Where the link comes from.
        tool: The tool to call again after signing in.
        dials: Whether that tool places calls.
    """
    note_failure(error.code, error.correlation_id)
    link = await app_context.sign_in.link() if isinstance(error, NotSignedInError) else None
    if link is None:
        return error_words(error, dials=dials)
    happened = "Not dialled: not signed in to KallyAI." if dials else "Not signed in to KallyAI."
    again = f"call {tool} again with the same arguments"
    return f"{happened} {sign_in_link(link.url, link.minutes, then=again)}"


def call_tool(fn: Callable[..., Any], spec: ToolSpec, completed: Completion | None = None) -> CallTool:
    """Make `fn` a tool: its name and docstring are what the agent reads, its parameters the input schema.

    Args:
        fn: The tool.
        spec: What the tool tells about itself.
        completed: Asks the user for arguments that are missing, before the arguments are checked.
    """
    tool = Tool.from_function(
        fn,
        title=spec.title,
        description=getdoc(fn),  # Python 3.13 dedents docstrings, earlier versions don't
        annotations=ToolAnnotations(
            title=spec.title,
            read_only_hint=spec.read_only,
            destructive_hint=spec.places_calls,
            idempotent_hint=spec.idempotent,
            open_world_hint=spec.open_world,
        ),
    )
    tool.parameters = _terse(tool.parameters)
    return CallTool(**{name: getattr(tool, name) for name in Tool.model_fields}, spec=spec, completed=completed)


def _terse(schema: dict[str, Any]) -> dict[str, Any]:
    """The input schema without what a model pays for and learns nothing from: titles, and null as type or default."""
    properties = {name: _terse_property(spec) for name, spec in schema["properties"].items()}
    terse = {"type": "object", "properties": properties, "additionalProperties": False}
    return terse | ({"required": schema["required"]} if schema.get("required") else {})


def _terse_property(spec: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in spec.items() if key not in ("title", "anyOf")}
    alternatives = [option for option in spec.get("anyOf", ()) if option != {"type": "null"}]
    for option in alternatives[:1]:
        kept = {key: value for key, value in option.items() if key != "title"} | kept
    if kept.get("default", ...) is None:
        del kept["default"]
    return kept
