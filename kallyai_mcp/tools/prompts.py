"""Prompts for the usual calls: book a table, an appointment, or a room, or ask a question.

Each prompt is one message from the user. It tells the agent to ask for missing details, let the user confirm them,
place the call, follow it, and report. It has no facts except the arguments that the user gave.
"""

import re
from datetime import date
from functools import cache
from typing import Annotated, Any, Literal

from mcp import MCPError
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.prompts import Prompt
from mcp.server.mcpserver.prompts.base import Message, PromptArgument, UserMessage
from mcp.types import INVALID_PARAMS
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationInfo, create_model
from pydantic_core import PydanticCustomError

from kallyai_mcp.tools.argument_types import PartySize, PhoneNumber, TimeZoneName, not_past
from kallyai_mcp.tools.arguments import InvalidArgumentsError, validate, without_blanks, wrong_arguments
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.elicitation import language_of
from kallyai_mcp.tools.text.plain import one_line

LANGUAGES = ("en", "es")
"""The languages of the summary."""

_MAX_LENGTH = 500
"""Characters of one argument."""

_DESCRIPTIONS = {
    "business_name": "Who to call",
    "respondent_phone": "Their number, with its country: +14155551234",
    "appointment_date": "The day: 2026-01-28, or in words",
    "appointment_time": "The time: 19:00, or in words",
    "nights": "How many nights",
    "party_size": "For how many people, 1 to 50",
    "purpose": "What the appointment is for",
    "question": "What to ask them",
    "user_name": "The name to give",
    "wishes": "Wishes and limits, in words",
    "timezone": "The user's IANA time zone",
    "language": "Of the summary: en or es",
}
"""Each argument with its description. An argument that make_call has, too, has the same name there."""

_REQUIRED = {"business_name", "purpose", "question"}


class CallPrompt(Prompt):
    """A prompt that reports wrong arguments in the same words as the tools."""

    async def render(self, arguments: dict[str, Any] | None, context: Context[Any, Any]) -> list[Message]:
        """Return the prompt's message.

        Raises:
            MCPError: -32602: arguments are missing or wrong; the error's message names each of them.
        """
        app_context: AppContext = context.request_context.lifespan_context
        names = tuple(argument.name for argument in self.arguments or [])
        try:
            model = validate(_model(names), self.name, without_blanks(arguments or {}), app_context.now())
        except InvalidArgumentsError as error:
            raise MCPError(INVALID_PARAMS, wrong_arguments(error.problems, places_calls=False)) from error
        known = {name: one_line(str(value)) for name, value in model.model_dump(exclude_none=True).items()}
        language = language_of(context, known.pop("language", None))
        optional = {"wishes", "timezone", "language"}
        missing = [name for name in names if name not in known and name not in optional]
        from kallyai_mcp.tools.text.prompts import message  # imported late: few clients use a prompt

        return [UserMessage(message(self.name, known, missing, language))]


@cache
def _model(names: tuple[str, ...]) -> type[BaseModel]:
    """The model that validates a prompt's arguments; made when the prompt is first used."""
    text = Annotated[str, Field(max_length=_MAX_LENGTH)]
    types: dict[str, Any] = {
        "respondent_phone": PhoneNumber,
        "appointment_date": Annotated[text, AfterValidator(_not_past)],
        "nights": Annotated[int, Field(ge=1, le=365)],
        "party_size": PartySize,
        "timezone": TimeZoneName,
        "language": Annotated[Literal[LANGUAGES], BeforeValidator(str.lower)],
    }
    fields: dict[str, Any] = {
        name: types.get(name, text) if name in _REQUIRED else (types.get(name, text) | None, None) for name in names
    }
    return create_model("PromptArguments", **fields)


def _not_past(day: str, info: ValidationInfo) -> str:
    """Refuse a past day that is written YYYY-MM-DD; the agent interprets a day in words."""
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", day):
        try:
            parsed = date.fromisoformat(day)
        except ValueError as error:
            raise PydanticCustomError("date_from_datetime_parsing", "is not a date that exists") from error
        not_past(parsed, info)
    return day


def _prompt(name: str, title: str, description: str, *arguments: str) -> CallPrompt:
    return CallPrompt(
        name=name,
        title=title,
        description=description,
        arguments=[
            PromptArgument(name=argument, description=_DESCRIPTIONS[argument], required=argument in _REQUIRED)
            for argument in (*arguments, "timezone", "language")
        ],
        fn=lambda: "",  # not called: `render` is overridden
    )


def prompts() -> list[CallPrompt]:
    """The four prompts, as new objects for one server."""
    return [
        _prompt(
            "book_table",
            "Book a table",
            "Call a restaurant and book a table",
            *("business_name", "respondent_phone", "appointment_date", "appointment_time", "party_size"),
            *("user_name", "wishes"),
        ),
        _prompt(
            "book_appointment",
            "Book an appointment",
            "Call a practice, a salon, or an office and make an appointment",
            *("business_name", "purpose", "respondent_phone", "appointment_date", "appointment_time"),
            *("user_name", "wishes"),
        ),
        _prompt(
            "book_room",
            "Book a room",
            "Call a hotel and book a room",
            *("business_name", "respondent_phone", "appointment_date", "nights", "party_size"),
            *("user_name", "wishes"),
        ),
        _prompt(
            "ask_business",
            "Ask a business",
            "Call a business and ask a question",
            *("business_name", "question", "respondent_phone"),
        ),
    ]


def known_prompts(*, read_only: bool) -> ServerMiddleware[AppContext]:
    """Middleware: an unknown prompt is answered with the names of the prompts that exist (`MCPError`, -32602).

    The SDK would answer with an internal error, and log a traceback. A read-only server has no prompts.
    """
    names = [] if read_only else [prompt.name for prompt in prompts()]
    text = f"There is no such prompt; there are {', '.join(names)}."
    if read_only:
        text = "There are no prompts: this server places no calls (KALLYAI_READ_ONLY)."

    async def name_prompts(ctx: ServerRequestContext[AppContext, object], call_next: CallNext) -> HandlerResult:
        if (ctx.params or {}).get("name") in names:
            return await call_next(ctx)
        raise MCPError(INVALID_PARAMS, text)

    return name_prompts
