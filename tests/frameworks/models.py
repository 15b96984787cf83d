# mypy: disable-error-code="import-not-found, misc, unused-ignore"
# Each framework is installed only in an environment of its own, so mypy finds none of their classes.
"""The script of the model, as a model of each framework; all of the framework but its model is real.

The script asks for a call, follows it, and returns the last answer.
"""

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

NUMBER = "+12025550110"
"""The sandbox's number that keeps the assistant on hold: the call is longer than every wait here."""

_IN_PROGRESS = re.compile("In progress|in_progress")
_TRACKING_ID = re.compile(r"\bt-[0-9a-f-]{8,}")
_TURNS = 20


class ScriptError(Exception):
    """The script can't continue with the answer that the framework gave to its model."""


def call_arguments(name: str) -> dict[str, Any]:
    """The arguments of `make_call` for a call to a business with this name."""
    return {
        "task_category": "general",
        "task_description": "Ask whether they are open tonight",
        "respondent_phone": NUMBER,
        "business_name": name,
    }


@dataclass
class Script:
    """The model of one run of an agent, which calls the business `name`; keeps what the framework gave to it."""

    name: str
    wait_seconds: float
    tools: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)

    def turn(self, answers: Sequence[str], tools: Collection[str]) -> tuple[str, dict[str, Any]] | str:
        """The model's next turn after these answers of tools: a tool and its arguments, or the final answer.

        Raises `ScriptError` if the answer has no tracking id, or the call does not end.
        """
        self.tools = sorted(tools)
        self.answers = list(answers)
        if not answers:
            return "make_call", call_arguments(self.name) | {"wait_seconds": self.wait_seconds}
        if not _IN_PROGRESS.search(answers[-1]):
            return answers[-1]
        found = _TRACKING_ID.search(answers[-1])
        if found is None or len(answers) > _TURNS:
            raise ScriptError(f"can't follow the call: {answers[-1]}")
        return "get_call", {"call_id": found.group(), "wait_seconds": 45}


def openai_agents(script: Script) -> Any:
    """An `agents.testing.ScriptedModel`."""
    from agents.testing import ModelCall, ModelStep, ScriptedModel, assistant_message, function_call

    def respond(call: ModelCall) -> list[Any]:
        items = call.input if isinstance(call.input, list) else []
        answers = [_text(item["output"]) for item in items if item.get("type") == "function_call_output"]
        turn = script.turn(answers, [tool.name for tool in call.tools])
        if isinstance(turn, str):
            return [assistant_message(turn)]
        return [function_call(*turn, call_id=f"call-{len(answers)}")]

    return ScriptedModel([ModelStep.respond(respond)] * 30)


def pydantic_ai(script: Script) -> Any:
    """A `pydantic_ai.models.function.FunctionModel`."""
    from pydantic_ai.messages import ModelResponse, RetryPromptPart, TextPart, ToolCallPart, ToolReturnPart
    from pydantic_ai.models.function import FunctionModel

    def respond(messages: list[Any], info: Any) -> Any:
        parts = [part for message in messages for part in message.parts]
        answers = [
            part.model_response_str() if isinstance(part, ToolReturnPart) else part.model_response()
            for part in parts
            if isinstance(part, ToolReturnPart | RetryPromptPart)
        ]
        turn = script.turn(answers, [tool.name for tool in info.function_tools])
        return ModelResponse([TextPart(turn) if isinstance(turn, str) else ToolCallPart(*turn)])

    return FunctionModel(respond)


def langgraph(script: Script) -> Any:
    """A chat model of langchain-core."""
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage, ToolMessage
    from langchain_core.outputs import ChatGeneration, ChatResult

    class ScriptedChatModel(BaseChatModel):
        offered: list[str] = []  # noqa: RUF012 - a pydantic field, copied for each model

        @property
        def _llm_type(self) -> str:
            return "scripted"

        def bind_tools(self, tools: Any, **_: Any) -> Any:
            return type(self)(offered=[tool.name for tool in tools])

        def _generate(self, messages: list[Any], *_: Any, **__: Any) -> ChatResult:
            answers = [_text(message.content) for message in messages if isinstance(message, ToolMessage)]
            turn = script.turn(answers, self.offered)
            if isinstance(turn, str):
                message = AIMessage(turn)
            else:
                call = {"name": turn[0], "args": turn[1], "id": f"call-{len(answers)}"}
                message = AIMessage("", tool_calls=[call])
            return ChatResult(generations=[ChatGeneration(message=message)])

    return ScriptedChatModel()


langchain = langgraph


def _text(content: Any) -> str:
    return content if isinstance(content, str) else json.dumps(content, default=str)
