"""Asking the user during a tool call, in both protocol generations.

A client of 2025-11-25 is asked while the tool waits (`elicitation/create`). A client of 2026-07-28
gets the question as the result of the tool (`InputRequiredResult`), and calls the tool again with
the reply. A tool need not know the difference: on 2026-07-28, a question ends the run of the tool,
and the next run gets the reply.

The SDK's `Resolve` and `Elicit` (`mcp.server.mcpserver`, 2.3.0) do the same for forms, but with
them a tool can't also open a link or ask for a missing argument, a preview that shows the time
would be asked again each minute, and a client that shows no forms gets an error in place of the
question as a text.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from mcp.server.mcpserver import Context
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp.types import (
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitRequestURLParams,
    ElicitResult,
    InputRequiredResult,
)
from mcp.types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import BaseModel, Field, ValidationError

from kallyai_mcp.cards.texts import Language, preferred_language
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.text.consent_words import Words


class InputRequiredError(Exception):
    """The tool needs the user's reply, so this run of the tool ends; `result` asks the client for
    the reply.
    """

    def __init__(self, result: InputRequiredResult) -> None:
        super().__init__()
        self.result = result


class Reply(BaseModel, defer_build=True):
    """A question that was asked, and the reply to it.

    Attributes:
        about: What was asked about.
        id: It is the same if a client sends the same reply again, with the same state.
        action: As in the specification: `accept`, `decline` (an explicit no), or `cancel` (no
            choice); None before the user has replied.
        content: The form's fields as they were sent, not validated; empty unless `action` is
            `accept`.
    """

    about: str
    id: str = Field(default_factory=lambda: str(uuid.uuid4()))
    action: Literal["accept", "decline", "cancel"] | None = None
    content: dict[str, Any] = Field(default_factory=dict)

    def with_result(self, result: ElicitResult) -> "Reply":
        """The same question with the user's reply."""
        replied = self.model_copy(update={"action": result.action, "content": {}})
        if result.action == "accept":
            replied.content = result.content or {}
        return replied

    def answers(self, about: str) -> bool:
        """Whether the user has replied to a question that was `about` the same."""
        return self.action is not None and self.about == about

    def says_yes(self, field: str) -> bool:
        """Whether the user has agreed to this field of the form."""
        return self.content.get(field) is True


def language_of(ctx: Context[Any, Any], named: object = None) -> Language:
    """The language of what the user reads: the one that the call names, else the client's, else
    English.

    ChatGPT sends the user's locale in `_meta`; over HTTP, a client may send the header
    Accept-Language.
    """
    if named in ("en", "es"):
        return named
    accepted = (ctx.request_context.meta or {}).get("openai/locale") or (ctx.headers or {}).get(
        "accept-language"
    )
    return preferred_language(accepted) if isinstance(accepted, str) else "en"


def _modes_of(ctx: Context[AppContext, Any]) -> frozenset[str]:
    """The ways in which the client can ask its user: "form", "url" (it opens a link)."""
    capabilities = ctx.client_capabilities
    if capabilities is None or capabilities.elicitation is None:
        return frozenset()
    modes = capabilities.elicitation
    named = {mode for mode in ("form", "url") if getattr(modes, mode) is not None}
    return frozenset(named or {"form"})  # earlier versions of the protocol had no other mode


def _replies_to(ctx: Context[AppContext, Any]) -> dict[str, Reply]:
    """The questions of earlier runs of the tool by name, with the replies that came now."""
    asked = json.loads(ctx.request_state or "{}")
    replies = {name: Reply(**question) for name, question in asked.items()}
    for name, result in (ctx.input_responses or {}).items():
        if name in replies and isinstance(result, ElicitResult):
            replies[name] = replies[name].with_result(result)
    return replies


class Elicitation:
    """The questions of one tool call, and the replies that the client sent with it.

    Attributes:
        words: The texts of the forms, in the user's language (`language_of`).
        shows_forms: The client can show a form.
        opens_links: The client can open a link.
    """

    def __init__(self, ctx: Context[AppContext, Any], language: object = None) -> None:
        self._ctx = ctx
        self.words = Words(language_of(ctx, language))
        modes = _modes_of(ctx)
        self.shows_forms = "form" in modes
        self.opens_links = "url" in modes
        self._replies = _replies_to(ctx)

    def lacks_yes(self, name: str, field: str) -> bool:
        """Whether the user has replied to the form of this `name`, and not with a yes in this
        field.
        """
        reply = self._replies.get(name)
        if reply is None or reply.action is None:
            return False
        return not reply.says_yes(field)

    async def ask(
        self,
        name: str,
        params: ElicitRequestFormParams | ElicitRequestURLParams,
        *,
        about: str = "",
    ) -> Reply | None:
        """Show the user a form, or have the client open a link; None if it could not be asked.

        `name` is unique within the tool call. A reply is not accepted if the question was `about`
        something else, because the number was called since; the SDK takes it only with the same
        arguments. To accept a link means to agree to open it, and not that the user did anything on
        the page.
        """
        question = Reply(about=about)
        request = ElicitRequest(params=params)
        if self._ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            return await self._reply_to(question, request)
        reply = self._replies.get(name)
        if reply is not None and reply.answers(about):
            return reply
        raise InputRequiredError(self._result_with(name, question, request))

    async def _reply_to(self, question: Reply, request: ElicitRequest) -> Reply | None:
        """Wait for the reply of a client of 2025-11-25."""
        during = ServerMessageMetadata(related_request_id=self._ctx.request_id)
        try:
            result = await self._ctx.session.send_request(request, ElicitResult, metadata=during)
        except (
            MCPError,
            ValidationError,
        ):  # it refused, can't be reached, or its reply is not valid
            return None
        return question.with_result(result)

    def _result_with(
        self, name: str, question: Reply, request: ElicitRequest
    ) -> InputRequiredResult:
        """The result that asks a client of 2026-07-28."""
        # The server encrypts the state (RequestStateSecurity): the client can neither read nor
        # change it.
        questions = self._replies | {name: question}
        state = json.dumps({key: asked.model_dump() for key, asked in questions.items()})
        return InputRequiredResult(input_requests={name: request}, request_state=state)


def form(
    message: str, fields: Mapping[str, Mapping[str, Any]], *, required: Sequence[str] = ()
) -> ElicitRequestFormParams:
    """A form with these fields, given as JSON schemas."""
    schema = {"type": "object", "properties": dict(fields), "required": list(required)}
    return ElicitRequestFormParams(message=message, requested_schema=schema)
