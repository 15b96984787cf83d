# mypy: disable-error-code="import-not-found, misc, unused-ignore"
# Each framework is installed only in an environment of its own, so mypy finds none of their classes.
"""The script as a model of each framework; all of the framework but its model is real."""

import json
from typing import Any

from tests.frameworks.scripted_model import Script


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
