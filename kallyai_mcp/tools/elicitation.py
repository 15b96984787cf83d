"""How the person behind the agent is asked something in mid-call, on either era of the protocol.

A client of 2026-07-28 gets the questions as its answer, and sends the same call again with the replies
(`InputRequiredResult`); one of 2025-11-25 is asked while the call waits (`elicitation/create`). Whoever asks here sees
no difference: on 2026-07-28 the first question ends the run of the tool, which runs anew, from its beginning, with the
reply at hand.
"""

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mcp.server.elicitation import render_elicitation_schema
from mcp.server.mcpserver import Context
from mcp.shared.exceptions import MCPError, NoBackChannelError
from mcp.types import (
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitRequestURLParams,
    ElicitResult,
    InputRequiredResult,
)
from mcp.types.version import is_version_at_least
from pydantic import BaseModel

from kallyai_mcp.tools.context import AppContext

_ANSWERED_BY_ASKING_AGAIN = "2026-07-28"
"""The first version in which a client is asked by its answer."""


class InputRequiredError(Exception):
    """The run ends here with a question; `result` is what the client gets."""

    def __init__(self, result: InputRequiredResult) -> None:
        super().__init__()
        self.result = result


@dataclass(frozen=True)
class Reply:
    """What became of a question.

    Attributes:
        action: As the specification has it: `accept`, `decline` (an explicit no) or `cancel` (no answer).
        content: The form's fields as they came, not checked; empty unless it was accepted.
    """

    action: Literal["accept", "decline", "cancel"]
    content: Mapping[str, Any] = field(default_factory=dict)


class Elicitation:
    """The questions of one tool call, and the replies that it came with.

    Args:
        ctx: The call's.

    Attributes:
        can_ask: The client shows forms, and can be reached.
        can_send: The client opens links, and can be reached.
    """

    def __init__(self, ctx: Context[AppContext, Any]) -> None:
        self._ctx = ctx
        capabilities = ctx.client_capabilities
        elicitation = capabilities.elicitation if capabilities is not None else None
        # A client that names no mode shows forms: the only one there was before modes had names.
        self.can_ask = elicitation is not None and (elicitation.form is not None or elicitation.url is None)
        self.can_send = elicitation is not None and elicitation.url is not None
        self._by_result = is_version_at_least(ctx.protocol_version or "", _ANSWERED_BY_ASKING_AGAIN)
        self._asked: dict[str, str] = {}
        self._replies: dict[str, Reply] = {}
        if self._by_result:
            self._recall()

    async def ask(self, name: str, message: str, form: type[BaseModel], *, about: str = "") -> Reply | None:
        """Show the user a form.

        Args:
            name: The question's own within the call.
            message: For the user.
            form: Its fields, flat and of primitive types.
            about: What a reply is good for. A reply to a question about something else, such as a preview that has
                changed since, is not taken.

        Returns:
            The reply; None when the client could not be asked after all.

        Raises:
            InputRequiredError: The client is asked by what it carries.
        """
        schema = render_elicitation_schema(form)
        params = ElicitRequestFormParams(message=message, requested_schema=schema)
        if self._by_result:
            return self._reply(name, f"{name} {about} {json.dumps(schema, sort_keys=True)}", params)
        try:
            result = await self._ctx.session.elicit_form(
                message, requested_schema=schema, related_request_id=self._ctx.request_id
            )
        except (MCPError, NoBackChannelError):
            return None
        return _reply(result)

    async def send(self, name: str, message: str, url: str) -> Reply | None:
        """Have the client open `url` for the user; `accept` says that they agreed to, not that they have been there.

        Returns:
            The reply; None when the client could not be asked after all.

        Raises:
            InputRequiredError: The client is sent by what it carries.
        """
        if self._by_result:
            return self._reply(name, name, ElicitRequestURLParams(message=message, url=url))
        try:
            result = await self._ctx.session.elicit_url(
                message, url, str(uuid.uuid4()), related_request_id=self._ctx.request_id
            )
        except (MCPError, NoBackChannelError):
            return None
        return _reply(result)

    def _reply(self, name: str, identity: str, params: ElicitRequestFormParams | ElicitRequestURLParams) -> Reply:
        digest = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        if name in self._replies and self._asked.get(name) == digest:
            return self._replies[name]
        self._replies.pop(name, None)
        asked = self._asked | {name: digest}
        state = {
            "asked": asked,
            "replies": {key: {"action": it.action, "content": it.content} for key, it in self._replies.items()},
        }
        request = ElicitRequest(method="elicitation/create", params=params)
        # The server seals the state (RequestStateSecurity): the client can neither read nor change it.
        raise InputRequiredError(InputRequiredResult(input_requests={name: request}, request_state=json.dumps(state)))

    def _recall(self) -> None:
        """The replies that this call came with, and those of the rounds before, which came back with the state."""
        if self._ctx.request_state is None:
            return
        state = json.loads(self._ctx.request_state)
        self._asked = state["asked"]
        self._replies = {key: Reply(reply["action"], reply["content"]) for key, reply in state["replies"].items()}
        for name, result in (self._ctx.input_responses or {}).items():
            if name in self._asked and isinstance(result, ElicitResult):
                self._replies[name] = _reply(result)


def _reply(result: ElicitResult) -> Reply:
    return Reply(result.action, result.content or {} if result.action == "accept" else {})
