"""Prompts for what people ring for: a table, an appointment, a room, a question; in English and in Spanish.

Each becomes one message of the user, which has the agent ask for what is missing, have it confirmed, place the call,
follow it and report. What it knows is what the user gave as arguments, nothing else.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
from functools import cache
from typing import Annotated, Any, Literal

from mcp import MCPError
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.prompts import Prompt
from mcp.server.mcpserver.prompts.base import Message, PromptArgument, UserMessage
from mcp.types import INVALID_PARAMS
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationInfo, create_model
from typing_extensions import override

from kallyai_mcp.tools.argument_types import PartySize, PhoneNumber, TimeZoneName, not_past
from kallyai_mcp.tools.arguments import InvalidArgumentsError, validate, without_blanks, wrong_arguments
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.text.plain import one_line

LANGUAGES = ("en", "es")
"""In which a prompt can be; the first is what it is in when nobody says."""

_MAX_LENGTH = 500
"""Characters of one argument."""

_WHAT = {
    "business_name": "Who to call",
    "respondent_phone": "Their number, with its country: +14155551234",
    "appointment_date": "The day: 2026-01-28, or in words",
    "appointment_time": "The time: 19:00, or in words",
    "nights": "How many nights",
    "party_size": "For how many people, 1 to 50",
    "purpose": "What the appointment is for",
    "question": "What to ask them",
    "user_name": "Whose name to give",
    "wishes": "Wishes and limits, in words",
    "timezone": "The user's IANA time zone",
    "language": "Of this prompt and of the summary: en or es",
}
"""Every argument there is; those that make_call has are named as there."""

_REQUIRED = {"business_name", "purpose", "question"}


Words = Callable[[str, Mapping[str, str], list[str]], str]
"""Makes the user's message, in one language, of the prompt's name, what the user gave by argument, and the arguments
that the call needs besides."""


class CallPrompt(Prompt):
    """A prompt whose wrong arguments are worded here, as those of the tools are."""

    @override
    async def render(self, arguments: dict[str, Any] | None, context: Context[Any, Any]) -> list[Message]:
        """The one message.

        Raises:
            MCPError: -32602, arguments are missing or wrong; the message names each.
        """
        app_context: AppContext = context.request_context.lifespan_context
        names = tuple(argument.name for argument in self.arguments or [])
        try:
            model = validate(_model(names), self.name, without_blanks(arguments or {}), app_context.now())
        except InvalidArgumentsError as error:
            raise MCPError(INVALID_PARAMS, wrong_arguments(error.problems, places_calls=False)) from error
        known = {name: one_line(str(value)) for name, value in model.model_dump(exclude_none=True).items()}
        language = known.pop("language", LANGUAGES[0])
        optional = {"wishes", "timezone", "language"}
        missing = [name for name in names if name not in known and name not in optional]
        return [UserMessage(_words(language)(self.name, known, missing))]


@cache
def _model(names: tuple[str, ...]) -> type[BaseModel]:
    """What validates the arguments of a prompt that has those; made when the prompt is first used."""
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
    """A day in words is the agent's to understand; only one written YYYY-MM-DD can be past."""
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", day):
        try:
            parsed = date.fromisoformat(day)
        except ValueError as error:
            raise ValueError("is not a date that exists") from error
        not_past(parsed, info)
    return day


def _words(language: str) -> Words:
    if language == "es":
        from kallyai_mcp.tools.text import prompts_es  # late: few sessions use a prompt

        return prompts_es.message
    from kallyai_mcp.tools.text import prompts_en

    return prompts_en.message


def _prompt(name: str, title: str, description: str, *arguments: str) -> CallPrompt:
    return CallPrompt(
        name=name,
        title=title,
        description=description,
        arguments=[
            PromptArgument(name=argument, description=_WHAT[argument], required=argument in _REQUIRED)
            for argument in (*arguments, "timezone", "language")
        ],
        fn=_words,  # `render` needs none
    )


def prompts() -> list[CallPrompt]:
    """The four prompts, made anew."""
    return [
        _prompt(
            "book_table",
            "Book a table",
            "Have a restaurant called and a table booked",
            *("business_name", "respondent_phone", "appointment_date", "appointment_time", "party_size"),
            *("user_name", "wishes"),
        ),
        _prompt(
            "book_appointment",
            "Book an appointment",
            "Have a practice, a salon, or an office called and an appointment made",
            *("business_name", "purpose", "respondent_phone", "appointment_date", "appointment_time"),
            *("user_name", "wishes"),
        ),
        _prompt(
            "book_room",
            "Book a room",
            "Have a hotel called and a room booked",
            *("business_name", "respondent_phone", "appointment_date", "nights", "party_size"),
            *("user_name", "wishes"),
        ),
        _prompt(
            "ask_business",
            "Ask a business",
            "Have a business called and a question answered",
            *("business_name", "question", "respondent_phone"),
        ),
    ]


def argument_names(prompt: str) -> list[str]:
    """The arguments of the prompt by that name; none if there is no such prompt."""
    return [argument.name for known in prompts() if known.name == prompt for argument in known.arguments or []]


async def known_prompts(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Middleware: a prompt that there isn't is said to be none, and which there are.

    The SDK answers with an internal error, and writes a traceback into the log.

    Raises:
        MCPError: -32602.
    """
    if ctx.method == "prompts/get":
        names = [prompt.name for prompt in prompts()]
        if (ctx.params or {}).get("name") not in names:
            raise MCPError(INVALID_PARAMS, f"There is no such prompt; there are {', '.join(names)}.")
    return await call_next(ctx)
