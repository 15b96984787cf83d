# mypy: disable-error-code="import-not-found, misc"
# LangChain is installed only in environments of its own, so mypy does not find its classes.
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult


class ChatModel(BaseChatModel):
    """Uses one tool, and answers what the tool did; `names` are the tools that it got."""

    tool: str
    arguments: dict[str, Any]
    names: list[str] = []  # noqa: RUF012 - a pydantic field, copied for each model

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **_: Any) -> Any:
        self.names[:] = [tool.name for tool in tools]
        return self

    def _generate(self, messages: list[Any], *_: Any, **__: Any) -> ChatResult:
        answer = messages[-1]
        if isinstance(answer, ToolMessage):
            message = AIMessage(str(answer.content))
        else:
            message = AIMessage(
                "", tool_calls=[{"name": self.tool, "args": self.arguments, "id": "call"}]
            )
        return ChatResult(generations=[ChatGeneration(message=message)])
